"""The real sets, where EPOCHLAB_DATA names them: official counts, means and bytes."""

import gzip
import hashlib
import lzma
import struct
import subprocess
import sys

import numpy as np
import pytest

from epochlab.datasets.cifar10 import Cifar10
from epochlab.datasets.fashion_mnist import FashionMnist


@pytest.fixture
def fashion(real_data):
    return FashionMnist().load()


@pytest.fixture
def cifar(real_data):
    return Cifar10().load()


def test_fashion_counts_and_scaling(fashion):
    assert (len(fashion.train), len(fashion.test), fashion.input_shape) == (
        60_000, 10_000, (1, 28, 28),
    )  # fmt: skip
    assert (fashion.tier, fashion.licence) == ("real", "MIT, Zalando SE")
    assert np.bincount(fashion.train.targets).tolist() == [6000] * 10
    assert np.bincount(fashion.test.targets).tolist() == [1000] * 10
    assert f"{fashion.input_mean[0]:.4f} {fashion.input_std[0]:.4f}" == "0.2860 0.3530"


def test_cifar_counts_and_scaling(cifar):
    assert (len(cifar.train), len(cifar.test), cifar.input_shape) == (
        50_000, 10_000, (3, 32, 32),
    )  # fmt: skip
    assert (cifar.tier, cifar.licence) == ("real", "none stated by the authors")
    assert np.bincount(cifar.train.targets).tolist() == [5000] * 10
    assert np.bincount(cifar.test.targets).tolist() == [1000] * 10
    assert [f"{m:.4f}" for m in cifar.input_mean] == ["0.4914", "0.4822", "0.4465"]
    assert [f"{s:.4f}" for s in cifar.input_std] == ["0.2470", "0.2435", "0.2616"]


def test_fashion_file_checksums_are_the_official_ones(fashion, real_data):
    assert dict(fashion.checksums) == {
        "train-images-idx3-ubyte.gz":
            "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
        "train-labels-idx1-ubyte.gz":
            "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
        "t10k-images-idx3-ubyte.gz":
            "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
        "t10k-labels-idx1-ubyte.gz":
            "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
    }  # fmt: skip


def test_official_digests_in_the_code_belong_to_the_published_ones(real_data):
    """The code holds SHA-256; the publishers give MD5 and SHA-1 for the same bytes."""
    from epochlab.datasets import cifar10, fashion_mnist

    for part, md5 in fashion_mnist._MD5.items():
        packed = (real_data / "fashion-mnist" / f"{part}.gz").read_bytes()
        assert hashlib.md5(packed).hexdigest() == md5
        content = gzip.decompress(packed)
        assert hashlib.sha256(content).hexdigest() == fashion_mnist._SHA256[part]
    path = real_data / "cifar10" / "test_batch.bin.xz"
    if not path.is_file():
        pytest.skip("EPOCHLAB_DATA holds CIFAR-10 in another packing")
    content = lzma.decompress(path.read_bytes())
    assert hashlib.sha1(content).hexdigest() == "67eb016db431130d61cd03c7ad570b013799c88c"
    assert hashlib.sha256(content).hexdigest() == cifar10._SHA256["test_batch.bin"]


def test_cifar_images_equal_an_independent_reader(cifar, real_data):
    path = real_data / "cifar10" / "data_batch_5.bin.xz"
    if not path.is_file():
        pytest.skip("EPOCHLAB_DATA holds CIFAR-10 in another packing")
    records = struct.iter_unpack("B3072s", lzma.decompress(path.read_bytes()))
    for i, (label, pixels) in enumerate(records, start=40_000):
        if i % 97 == 0 or i == 49_999:
            assert cifar.train.targets[i] == label
            assert cifar.train.inputs[i].tobytes() == pixels


def test_fashion_images_equal_an_independent_reader(fashion, real_data):
    content = gzip.decompress((real_data / "fashion-mnist/t10k-images-idx3-ubyte.gz").read_bytes())
    assert struct.unpack(">4I", content[:16]) == (2051, 10_000, 28, 28)
    assert fashion.test.inputs.tobytes() == content[16:]


def test_no_image_of_a_split_is_in_another(real_data):
    data = FashionMnist(validation=6000).load()
    seen = [
        {hashlib.blake2b(image.tobytes(), digest_size=16).digest() for image in split.inputs}
        for split in (data.train, data.validation, data.test)
    ]
    assert [len(s) for s in seen] == [54_000, 6000, 10_000], "no image occurs twice in a split"
    assert len(set.union(*seen)) == 70_000


def test_cached_load_does_not_read_the_sources(real_data, cifar, monkeypatch):
    from epochlab.datasets import _decoded, _official

    def must_not_run(*args):
        raise AssertionError("the cache was not used")

    monkeypatch.setattr(_official, "_decode", must_not_run)
    monkeypatch.setattr(_decoded, "file_sha256", must_not_run)
    monkeypatch.setattr("epochlab.datasets.pixel_sums", must_not_run)
    again = Cifar10().load()
    assert again.input_mean == cifar.input_mean
    assert again.train.inputs[-1].tobytes() == cifar.train.inputs[-1].tobytes()


def test_two_processes_map_the_same_file(real_data, cifar):
    """Loading in another process gives the same arrays without private copies of the pixels."""
    program = (
        "from epochlab.datasets.cifar10 import Cifar10\n"
        "import zlib\n"
        "data = Cifar10().load()\n"
        "print(zlib.crc32(data.train.inputs), data.train.inputs.flags.owndata)\n"
    )
    out = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout.split()
    import zlib

    assert out == [str(zlib.crc32(cifar.train.inputs)), "False"]
