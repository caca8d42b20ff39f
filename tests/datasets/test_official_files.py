"""The readers of Fashion-MNIST and CIFAR-10 on generated files in the official formats."""

import gzip
import hashlib
import io
import lzma
import os
import tarfile
from dataclasses import replace

import numpy as np
import pytest

from epochlab.datasets import cifar10, fashion_mnist
from epochlab.datasets.cifar10 import Cifar10
from epochlab.datasets.fashion_mnist import FashionMnist
from epochlab.datasets.lookalike import Lookalike, write_official
from epochlab.errors import BadData, BadOption

FASHION = FashionMnist(verify=False)
CIFAR = Cifar10(verify=False)
IMAGES = "train-images-idx3-ubyte.gz"


def same(data, expected):
    for name in ("train", "test"):
        found, wanted = data.split(name), expected.split(name)
        np.testing.assert_array_equal(found.inputs, wanted.inputs)
        np.testing.assert_array_equal(found.targets, wanted.targets)
        assert (found.inputs.dtype, found.targets.dtype) == (np.uint8, np.int64)
        assert found.inputs.flags.c_contiguous
    return data


def repack(folder, suffix, pack):
    for path in list(folder.glob("*.bin")):
        (folder / (path.name + suffix)).write_bytes(pack(path.read_bytes()))
        path.unlink()


def make_archive(folder, inner="cifar-10-batches-bin/"):
    with tarfile.open(folder / "cifar-10-binary.tar.gz", "w:gz") as archive:
        for path in sorted(folder.glob("*.bin")):
            archive.add(path, inner + path.name)
            path.unlink()
    return folder / "cifar-10-binary.tar.gz"


def test_fashion_gzip_and_plain(fashion_files, fashion_like):
    data = same(FASHION.load(), fashion_like)
    assert data.input_mean == fashion_like.input_mean
    assert [name for name, _ in data.checksums] == [
        "train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz",
        "t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz",
    ]  # fmt: skip
    for name, digest in data.checksums:
        assert hashlib.sha256((fashion_files / name).read_bytes()).hexdigest() == digest
    for path in list(fashion_files.glob("*.gz")):
        path.with_suffix("").write_bytes(gzip.decompress(path.read_bytes()))
        path.unlink()
    assert same(FASHION.load(), fashion_like).checksums[0][0] == "train-images-idx3-ubyte"


@pytest.mark.parametrize(
    ("suffix", "pack"), [(".xz", lzma.compress), (".gz", gzip.compress), ("", None)]
)
def test_cifar_packings(cifar_files, cifar_like, suffix, pack):
    if pack:
        repack(cifar_files, suffix, pack)
    data = same(CIFAR.load(), cifar_like)
    assert data.input_std == cifar_like.input_std
    assert [name for name, _ in data.checksums][-1] == "test_batch.bin" + suffix


def test_cifar_archive_and_its_unpacked_folder(cifar_files, cifar_like):
    path = make_archive(cifar_files)
    data = same(CIFAR.load(), cifar_like)
    assert data.checksums == ((path.name, hashlib.sha256(path.read_bytes()).hexdigest()),)
    with tarfile.open(path) as archive:
        archive.extractall(cifar_files, filter="data")
    path.unlink()
    same(CIFAR.load(), cifar_like)


def test_archive_cannot_write_or_lead_anywhere(cifar_files, cifar_like, tmp_path):
    path = make_archive(cifar_files, inner="../../../")
    content = gzip.decompress(path.read_bytes())
    with tarfile.open(path, "w:gz") as archive:
        link = tarfile.TarInfo("cifar-10-batches-bin/test_batch.bin")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
        with tarfile.open(fileobj=io.BytesIO(content)) as first:
            for member in first:
                archive.addfile(member, first.extractfile(member))
    before = {p for p in tmp_path.rglob("*") if "cache" not in p.parts}
    same(CIFAR.load(), cifar_like)
    assert {p for p in tmp_path.rglob("*") if "cache" not in p.parts} == before


def test_archive_lacking_a_batch_or_holding_one_twice(cifar_files):
    twice = (cifar_files / "test_batch.bin").read_bytes()
    (cifar_files / "data_batch_3.bin").unlink()
    path = make_archive(cifar_files)
    with pytest.raises(BadData, match=r"cifar-10-binary.tar.gz lacks data_batch_3.bin\."):
        CIFAR.load()
    with tarfile.open(path, "w:gz") as archive:
        for folder in ("a/", "b/"):
            member = tarfile.TarInfo(folder + "test_batch.bin")
            member.size = len(twice)
            archive.addfile(member, io.BytesIO(twice))
    with pytest.raises(BadData, match=r"holds the file test_batch\.bin twice"):
        CIFAR.load()


def test_truncated_archive(cifar_files):
    path = make_archive(cifar_files)
    path.write_bytes(path.read_bytes()[:50_000])
    with pytest.raises(BadData, match=r"cifar-10-binary.tar.gz .*(truncated|corrupt)"):
        CIFAR.load()


def truncate(content):
    return content[: len(content) // 2]


def flip_a_bit(content):
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 4]) + content[middle + 1 :]


@pytest.mark.parametrize("damage", [truncate, flip_a_bit, lambda content: b"", lambda c: b"junk"])
@pytest.mark.parametrize("suffix", [".xz", ".gz"])
def test_damaged_packed_file_is_named_with_both_checksums(cifar_files, damage, suffix):
    repack(cifar_files, suffix, {".xz": lzma.compress, ".gz": gzip.compress}[suffix])
    path = cifar_files / f"data_batch_2.bin{suffix}"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(BadData) as caught:
        Cifar10().load()
    message = str(caught.value)
    assert str(path) in message
    assert hashlib.sha256(path.read_bytes()).hexdigest() in message
    assert cifar10._SHA256["data_batch_2.bin"] in message
    assert "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz" in message


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda content: content[:-1], "header says 60 x 28 x 28"),
        (lambda content: content + b"\0", "header says"),
        (lambda content: b"\0\0\x08\x01" + content[4:], "begins with 0x00000801"),
        (lambda content: b"", "IDX header alone"),
        (lambda c: c[:4] + bytes([0, 0, 0, 60, 0, 0, 0, 14, 0, 0, 0, 56]) + c[16:], "14 x 56"),
        (lambda c: c[:4] + bytes([0, 0, 0, 0]) + c[8:16], "holds 0 images"),
    ],
)
def test_malformed_fashion_images(fashion_files, change, why):
    path = fashion_files / IMAGES
    path.write_bytes(gzip.compress(change(gzip.decompress(path.read_bytes()))))
    with pytest.raises(BadData) as caught:
        FASHION.load()
    assert why in str(caught.value)
    assert str(path) in str(caught.value)


def test_fashion_label_out_of_range_and_unequal_counts(fashion_files):
    path = fashion_files / "train-labels-idx1-ubyte.gz"
    content = gzip.decompress(path.read_bytes())
    path.write_bytes(gzip.compress(content[:-1] + b"\x0a"))
    with pytest.raises(BadData, match=r"has label 10; labels end at 9"):
        FASHION.load()
    path.write_bytes(gzip.compress(content[:7] + b"\x3b" + content[8:-1]))
    with pytest.raises(BadData, match="has 60 train images and 59 labels"):
        FASHION.load()


def test_wrong_size_of_a_plain_batch(cifar_files):
    path = cifar_files / "data_batch_5.bin"
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(BadData, match=r"data_batch_5.bin has .* bytes, which is not a whole"):
        CIFAR.load()


def test_well_formed_but_not_official(cifar_files, fashion_files):
    for data_set, module, part in (
        (Cifar10(), cifar10, "data_batch_1.bin"),
        (FashionMnist(), fashion_mnist, "train-images-idx3-ubyte"),
    ):
        folder = cifar_files if module is cifar10 else fashion_files
        path = next(folder.glob(part + "*"))
        content = path.read_bytes()
        found = gzip.decompress(content) if path.suffix == ".gz" else content
        for _ in range(2):  # decoded anew, and from the cache
            with pytest.raises(BadData) as caught:
                data_set.load()
            for text in (str(path), module._SHA256[part], hashlib.sha256(found).hexdigest()):
                assert text in str(caught.value)
            assert "'verify'" in str(caught.value)
        data = replace(data_set, verify=False).load()
        assert (data.tier, data.source, data.licence) == (
            "look-alike", "files of unknown origin", "not known",
        )  # fmt: skip


def test_verified_when_the_content_is_the_expected_one(cifar_files, cifar_like, monkeypatch):
    parts = {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in cifar_files.iterdir()}
    official = {name: parts[name] for name in cifar10._SHA256}
    monkeypatch.setattr(cifar10, "_OFFICIAL", replace(cifar10._OFFICIAL, parts=official))
    assert same(Cifar10().load(), cifar_like).tier == "real"
    # Checked on the content, so the packing does not matter.
    repack(cifar_files, ".xz", lzma.compress)
    same(Cifar10().load(), cifar_like)
    # One changed pixel, in a file that is otherwise in order.
    path = cifar_files / "data_batch_4.bin.xz"
    path.write_bytes(lzma.compress(flip_a_bit(lzma.decompress(path.read_bytes()))))
    with pytest.raises(BadData, match=rf"data_batch_4.*expected {official['data_batch_4.bin']}"):
        Cifar10().load()


def test_missing_files_say_what_to_do(data_folder):
    with pytest.raises(BadData) as caught:
        FashionMnist().load()
    message = str(caught.value)
    folder = str(data_folder / "fashion-mnist")
    for text in (
        "train-images-idx3-ubyte",
        folder,
        "--data-dir",
        "http://fashion-mnist.s3-website",
        "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
    ):
        assert text in message
    with pytest.raises(BadData, match="c32a1d4ab5d03f1284b67883e8d87530"):
        Cifar10().load()


def test_one_missing_file_is_the_one_named(cifar_files):
    (cifar_files / "data_batch_2.bin").unlink()
    with pytest.raises(BadData, match=r"lacks data_batch_2.bin \(allowed endings"):
        CIFAR.load()


def test_folder_named_one_level_too_deep_or_absent(cifar_files, monkeypatch, tmp_path):
    monkeypatch.setenv("EPOCHLAB_DATA", str(cifar_files))
    with pytest.raises(BadData, match="name the folder above it"):
        CIFAR.load()
    monkeypatch.setenv("EPOCHLAB_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(BadData, match="itself does not exist"):
        CIFAR.load()


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads files whatever their permissions")
def test_unreadable_file(cifar_files):
    (cifar_files / "data_batch_1.bin").chmod(0)
    with pytest.raises(BadData, match=r"data_batch_1\.bin cannot be read"):
        CIFAR.load()


def test_file_that_vanishes_is_reported_by_name(cifar_files, monkeypatch):
    sources, _ = cifar10_search(cifar_files)
    (cifar_files / "data_batch_1.bin").unlink()
    monkeypatch.setattr("epochlab.datasets._official._located", lambda official: sources)
    with pytest.raises(BadData, match=r"data_batch_1\.bin cannot be read"):
        CIFAR.load()


def cifar10_search(folder):
    from epochlab.datasets._official import _search

    return _search(cifar10._OFFICIAL, folder)


def test_write_official_refuses_other_shapes(tmp_path, cifar_like):
    few = Lookalike(kind="cifar", size=4).load()
    with pytest.raises(BadOption, match="at least 5 training images"):
        write_official(few, tmp_path)
    narrow = replace(
        cifar_like, train=replace(cifar_like.train, inputs=cifar_like.train.inputs[..., :16])
    )
    with pytest.raises(BadOption, match="fit no official format"):
        write_official(narrow, tmp_path)


def test_written_files_are_the_same_every_time(tmp_path, fashion_like):
    for folder in ("a", "b"):
        write_official(fashion_like, tmp_path / folder)
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()
