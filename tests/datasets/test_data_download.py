"""Fetching files: checked, complete or absent, and clear when it cannot be done."""

import gzip
import hashlib
from dataclasses import replace

import pytest

from epochlab.datasets import fashion_mnist
from epochlab.datasets._download import Download, fetch
from epochlab.datasets.fashion_mnist import FashionMnist
from epochlab.datasets.lookalike import write_official
from epochlab.errors import BadData


@pytest.fixture
def served(tmp_path):
    """A file behind a URL that needs no network."""
    path = tmp_path / "served" / "set.bin"
    path.parent.mkdir()
    path.write_bytes(bytes(range(256)) * 4000)
    md5 = hashlib.md5(path.read_bytes()).hexdigest()
    return Download("set.bin", path.as_uri(), md5)


def test_file_arrives_whole(served, tmp_path):
    fetch("The set", [served], tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b" / "set.bin").read_bytes() == bytes(range(256)) * 4000
    assert [p.name for p in (tmp_path / "a" / "b").iterdir()] == ["set.bin"]


def test_present_file_is_not_fetched_again(served, tmp_path):
    (tmp_path / "set.bin").write_bytes(b"mine")
    fetch("The set", [served], tmp_path)
    assert (tmp_path / "set.bin").read_bytes() == b"mine"


def test_wrong_content_is_thrown_away(served, tmp_path):
    wrong = replace(served, md5="0" * 32)
    with pytest.raises(BadData) as caught:
        fetch("The set", [wrong], tmp_path / "data")
    for text in (served.url, served.md5, wrong.md5):
        assert text in str(caught.value)
    assert list((tmp_path / "data").iterdir()) == []


def test_offline_says_what_to_do(tmp_path):
    nowhere = Download("set.bin", (tmp_path / "none").as_uri(), "0123456789abcdef" * 2)
    with pytest.raises(BadData) as caught:
        fetch("The set", [nowhere], tmp_path / "data")
    message = str(caught.value)
    for text in ("could not be downloaded", nowhere.url, nowhere.md5, str(tmp_path / "data")):
        assert text in message
    assert list((tmp_path / "data").iterdir()) == []


def test_folder_that_cannot_be_made(served, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(BadData, match="could not be downloaded"):
        fetch("The set", [served], tmp_path / "file" / "data")


def test_without_a_data_folder_files_come_into_the_users_cache(tmp_path, monkeypatch, fashion_like):
    write_official(fashion_like, tmp_path / "site")
    downloads, parts = [], {}
    for part in fashion_mnist._SHA256:
        path = tmp_path / "site" / f"{part}.gz"
        content = path.read_bytes()
        downloads.append(Download(path.name, path.as_uri(), hashlib.md5(content).hexdigest()))
        parts[part] = hashlib.sha256(gzip.decompress(content)).hexdigest()
    site = replace(fashion_mnist._OFFICIAL, downloads=tuple(downloads), parts=parts)
    monkeypatch.setattr(fashion_mnist, "_OFFICIAL", site)
    data = FashionMnist().load()
    assert (data.train.inputs == fashion_like.train.inputs).all()
    folder = tmp_path / "cache" / "data" / "fashion-mnist"
    assert sorted(p.name for p in folder.iterdir()) == sorted(d.file for d in downloads)
    # What is there now needs no network any more.
    gone = tuple(replace(d, url=d.url + ".gone") for d in downloads)
    monkeypatch.setattr(fashion_mnist, "_OFFICIAL", replace(site, downloads=gone))
    assert FashionMnist().load().input_mean == data.input_mean


def test_no_home_and_no_folder(monkeypatch):
    def no_home():
        raise RuntimeError("Could not determine home directory.")

    for name in ("EPOCHLAB_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pathlib.Path.home", no_home)
    with pytest.raises(BadData, match="--data-dir or EPOCHLAB_DATA"):
        FashionMnist().load()


def test_cache_folder_follows_the_environment(tmp_path, monkeypatch):
    from epochlab.folders import cache_folder

    assert cache_folder() == tmp_path / "cache"
    monkeypatch.delenv("EPOCHLAB_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg" / "epochlab"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert cache_folder() == tmp_path / "home" / ".cache" / "epochlab"
