"""The cache of decoded arrays: shared, checked, and never in the way."""

import os

import numpy as np
import pytest

from epochlab.datasets import _decoded, _official
from epochlab.datasets.cifar10 import Cifar10
from epochlab.datasets.fashion_mnist import FashionMnist

FASHION = FashionMnist(verify=False)


@pytest.fixture
def decodings(monkeypatch):
    """How often files were unpacked."""
    seen = []
    original = _official._decode
    monkeypatch.setattr(
        _official, "_decode", lambda *given: (seen.append(given), original(*given))[1]
    )
    return seen


@pytest.fixture
def hashings(monkeypatch):
    seen = []
    original = _decoded.file_sha256
    monkeypatch.setattr(
        _decoded, "file_sha256", lambda path: (seen.append(path), original(path))[1]
    )
    return seen


def entry(tmp_path, name="fashion-mnist"):
    (found,) = (tmp_path / "cache" / "decoded").glob(f"{name}-*")
    return found


def age(folder, seconds=3600):
    for path in folder.iterdir():
        old = path.stat().st_mtime_ns - seconds * 10**9
        os.utime(path, ns=(old, old))


def same(a, b):
    for x, y in ((a.train, b.train), (a.test, b.test)):
        np.testing.assert_array_equal(x.inputs, y.inputs)
        np.testing.assert_array_equal(x.targets, y.targets)
    assert (a.input_mean, a.input_std, a.checksums) == (b.input_mean, b.input_std, b.checksums)


def test_second_load_maps_the_stored_arrays(fashion_files, decodings, tmp_path):
    first, second = FASHION.load(), FASHION.load()
    assert len(decodings) == 1
    same(first, second)
    for data in (first, second):
        assert type(data.train.inputs) is np.ndarray
        assert not data.train.inputs.flags.writeable
        assert data.train.inputs.base is not None
        # A batch is a copy that may be written to.
        assert data.train.inputs[np.array([3, 1])].flags.writeable
    assert sorted(p.name for p in entry(tmp_path).iterdir()) == [
        "facts.json", "test_inputs.npy", "test_targets.npy", "train_inputs.npy",
        "train_targets.npy",
    ]  # fmt: skip


def test_sources_are_hashed_once(fashion_files, hashings):
    age(fashion_files)
    FASHION.load()
    assert [p for p in hashings if p.parent == fashion_files] != []
    hashings.clear()
    FASHION.load()
    assert hashings == []


def test_fresh_sources_are_hashed_again(fashion_files, hashings):
    FASHION.load()
    hashings.clear()
    FASHION.load()
    assert {p.parent for p in hashings} == {fashion_files}


def test_changed_source_is_noticed(fashion_files, decodings):
    age(fashion_files)
    first = FASHION.load()
    for kind in ("images-idx3", "labels-idx1"):
        train = (fashion_files / f"train-{kind}-ubyte.gz").read_bytes()
        (fashion_files / f"t10k-{kind}-ubyte.gz").write_bytes(train)
    second = FASHION.load()
    assert len(decodings) == 2
    np.testing.assert_array_equal(second.test.inputs, first.train.inputs)
    assert second.checksums != first.checksums


def test_moved_data_folder_uses_the_same_entry(fashion_files, decodings, tmp_path, monkeypatch):
    FASHION.load()
    (tmp_path / "data").rename(tmp_path / "elsewhere")
    monkeypatch.setenv("EPOCHLAB_DATA", str(tmp_path / "elsewhere"))
    FASHION.load()
    assert len(decodings) == 1


def change_byte(path, position=None):
    content = bytearray(path.read_bytes())
    at = len(content) // 2 if position is None else position
    content[at] ^= 1
    path.write_bytes(bytes(content))


def hole_with_the_old_time(path):
    """What a crash can leave: the right size and time, but zeros from somewhere on."""
    stat = path.stat()
    path.write_bytes(path.read_bytes()[:4096] + bytes(stat.st_size - 4096))
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


@pytest.mark.parametrize(
    "damage",
    [
        lambda e: change_byte(e / "train_inputs.npy"),
        lambda e: change_byte(e / "train_inputs.npy", 10),
        lambda e: hole_with_the_old_time(e / "train_inputs.npy"),
        lambda e: (e / "test_targets.npy").write_bytes(b""),
        lambda e: (e / "test_targets.npy").unlink(),
        lambda e: (e / "facts.json").unlink(),
        lambda e: change_byte(e / "facts.json"),
        lambda e: (e / "facts.json").write_text("[]"),
    ],
    ids=["data", "header", "hole", "empty", "array gone", "facts gone", "facts", "other facts"],
)
def test_damaged_entry_is_rebuilt(fashion_files, decodings, tmp_path, damage):
    first = FASHION.load()
    kept = first.train.inputs.copy(), first.train.targets.copy()
    damage(entry(tmp_path))
    second = FASHION.load()
    assert len(decodings) == 2
    np.testing.assert_array_equal(second.train.inputs, kept[0])
    np.testing.assert_array_equal(second.train.targets, kept[1])
    FASHION.load()
    assert len(decodings) == 2, "the rebuilt entry serves"
    assert [p.name for p in (tmp_path / "cache" / "decoded").glob(".*")] == []


def test_touched_but_equal_entry_serves(fashion_files, decodings, tmp_path):
    FASHION.load()
    os.utime(entry(tmp_path) / "train_inputs.npy")
    FASHION.load()
    assert len(decodings) == 1


def test_cache_that_cannot_be_written(fashion_files, fashion_like, decodings, tmp_path):
    (tmp_path / "cache").write_text("a file where the folder should be")
    for expected in (1, 2):
        data = FASHION.load()
        np.testing.assert_array_equal(data.train.inputs, fashion_like.train.inputs)
        assert data.input_mean == fashion_like.input_mean
        assert len(decodings) == expected


def test_full_disk_leaves_nothing_behind(fashion_files, fashion_like, tmp_path, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(_decoded.np, "save", full)
    data = FASHION.load()
    np.testing.assert_array_equal(data.train.inputs, fashion_like.train.inputs)
    assert list((tmp_path / "cache" / "decoded").iterdir()) == []


def test_user_without_a_home(fashion_files, fashion_like, monkeypatch):
    def no_home():
        raise RuntimeError("Could not determine home directory.")

    for name in ("EPOCHLAB_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pathlib.Path.home", no_home)
    np.testing.assert_array_equal(FASHION.load().test.inputs, fashion_like.test.inputs)


def test_another_process_finished_first(fashion_files, tmp_path, monkeypatch):
    """Both wrote the same entry; the second finds it there and uses it."""
    original = _decoded._write
    monkeypatch.setattr(_decoded, "_write", lambda e, m: (original(e, m), original(e, m)))
    first = FASHION.load()
    monkeypatch.setattr(_decoded, "_write", original)
    same(first, FASHION.load())
    assert [p.name for p in (tmp_path / "cache" / "decoded").glob(".*")] == []


def test_sets_do_not_share_entries(fashion_files, cifar_files, cifar_like, fashion_like):
    for _ in range(2):
        same_inputs = FASHION.load().train.inputs, Cifar10(verify=False).load().train.inputs
        np.testing.assert_array_equal(same_inputs[0], fashion_like.train.inputs)
        np.testing.assert_array_equal(same_inputs[1], cifar_like.train.inputs)
