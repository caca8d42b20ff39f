"""IDX and CIFAR records against readers written again with `struct`, byte by byte."""

import gzip
import lzma
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from epochlab.datasets import _unpack
from epochlab.datasets._idx import pack_idx, parse_idx
from epochlab.datasets._records import pack_records, parse_records
from epochlab.datasets._unpack import FormatError, unpacked

byte_arrays = hnp.arrays(np.uint8, hnp.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=6))


def plain_idx(content):
    """(shape, values) of an IDX file, read without numpy."""
    zero, kind, axes = struct.unpack(">HBB", content[:4])
    assert (zero, kind) == (0, 8)
    shape = tuple(struct.unpack(">I", content[4 + 4 * i : 8 + 4 * i])[0] for i in range(axes))
    return shape, list(content[4 + 4 * axes :])


@settings(deadline=None)
@given(byte_arrays)
def test_idx_round_trip_and_independent_reader(array):
    content = pack_idx(array)
    back = parse_idx(content, array.ndim)
    assert back.dtype == np.uint8
    np.testing.assert_array_equal(back, array)
    assert plain_idx(content) == (array.shape, array.reshape(-1).tolist())


def test_idx_of_a_file_written_by_hand():
    content = bytes([0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 3, 1, 2, 3, 4, 5, 255])
    assert parse_idx(content, 2).tolist() == [[1, 2, 3], [4, 5, 255]]


@settings(deadline=None)
@given(byte_arrays, st.data())
def test_no_truncated_or_extended_idx_passes(array, data):
    content = pack_idx(array)
    cut = data.draw(st.integers(0, len(content) - 1))
    with pytest.raises(FormatError):
        parse_idx(content[:cut], array.ndim)
    with pytest.raises(FormatError, match="header says"):
        parse_idx(content + b"\0", array.ndim)


def test_idx_magic_must_fit():
    content = pack_idx(np.zeros((2, 3), np.uint8))
    with pytest.raises(FormatError, match=r"begins with 0x00000802.*begins with 0x00000803"):
        parse_idx(content + bytes(4), 3)
    floats = bytes([0, 0, 13, 1, 0, 0, 0, 1, 0, 0, 0, 0])
    with pytest.raises(FormatError, match="begins with 0x00000d01"):
        parse_idx(floats, 1)


@settings(deadline=None)
@given(st.integers(1, 4), st.randoms(use_true_random=False))
def test_records_round_trip_and_independent_reader(n, random):
    images = np.frombuffer(random.randbytes(n * 3072), np.uint8).reshape(n, 3, 32, 32)
    labels = np.array([random.randrange(10) for _ in range(n)])
    content = pack_records(images, labels)
    back_images, back_labels = parse_records(content, 10)
    np.testing.assert_array_equal(back_images, images)
    np.testing.assert_array_equal(back_labels, labels)
    assert back_labels.dtype == np.int64
    for i, record in enumerate(struct.iter_unpack("B1024s1024s1024s", content)):
        assert record[0] == labels[i]
        assert b"".join(record[1:]) == images[i].tobytes()
        assert record[2][5 * 32 + 7] == images[i, 1, 5, 7]


@settings(deadline=None)
@given(st.integers(0, 3 * 3073).filter(lambda size: size % 3073 or not size))
def test_records_of_the_wrong_size(size):
    with pytest.raises(FormatError, match="whole number"):
        parse_records(bytes(size), 10)


def test_label_out_of_range_is_named():
    content = pack_records(np.zeros((3, 3, 32, 32), np.uint8), np.array([0, 9, 10]))
    with pytest.raises(FormatError, match="label 10 in record 2"):
        parse_records(content, 10)
    assert parse_records(content, 11)[1].tolist() == [0, 9, 10]


def test_growth_of_a_packed_file_is_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(_unpack, "LARGEST_BYTES", 1000)
    for name, packed in (
        ("a.gz", gzip.compress(bytes(1001))),
        ("a.xz", lzma.compress(bytes(1001))),
        ("a", bytes(1001)),
    ):
        (tmp_path / name).write_bytes(packed)
        with pytest.raises(FormatError, match="more than 1,000 bytes"):
            unpacked(tmp_path / name, ["a"])
    (tmp_path / "b.gz").write_bytes(gzip.compress(bytes(1000)))
    assert unpacked(tmp_path / "b.gz", ["b"]) == {"b": bytes(1000)}
