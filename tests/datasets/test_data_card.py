"""The data card and its pictures."""

import struct
import zlib
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from epochlab.datasets import Data, Split
from epochlab.datasets._card import card, png_bytes, sample_images
from epochlab.datasets.eggholder import Eggholder
from epochlab.datasets.lookalike import Lookalike
from epochlab.errors import BadOption
from epochlab.table import FORMATS


@pytest.fixture(scope="module")
def data():
    return Lookalike(kind="cifar", size=200, validation=50).load()


def facts(table):
    return {row["fact"]: row["value"] for row in table.records()}


def test_overview(data):
    found = facts(card(replace(data, checksums=(("a.bin", "12ab"),), reference="A paper"))[0])
    assert found["tier"] == "look-alike"
    assert (found["train samples"], found["validation samples"], found["test samples"]) == (
        "150", "50", "40",
    )  # fmt: skip
    assert found["shape of a sample"] == "3 x 32 x 32"
    assert found["mean per channel (0..1)"] == " ".join(f"{m:.4f}" for m in data.input_mean)
    assert found["SHA-256 of a.bin"] == "12ab"
    assert (found["licence"], found["reference"]) == ("MIT", "A paper")
    assert "validation samples" not in facts(card(Lookalike(size=10).load())[0])


def test_class_counts(data):
    table = card(data)[1]
    assert [c.name for c in table.columns] == ["class", "train", "validation", "test"]
    *rows, total = table.rows
    for number, row in enumerate(rows):
        assert row[1:] == tuple(
            sum(int(t) == number for t in s.targets)
            for s in (data.train, data.validation, data.test)
        )
    assert total == ("all", 150, 50, 40)


def test_regression_has_target_values_instead():
    data = Eggholder(samples=1000).load()
    overview, values = card(data)
    assert "mean per channel (0..1)" not in facts(overview)
    assert "0.3000 asked for" in overview.notes[0]
    row = values.records()[0]
    assert (row["split"], row["samples"]) == ("train", 800)
    assert row["mean"] == pytest.approx(data.target_mean)
    assert row["lowest"] == data.train.targets.min()


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_can_be_written(data, form):
    for table in card(data):
        assert data.classes[0] in table.written(form) or "look-alike" in table.written(form)


def test_mosaic_places_each_class_in_its_row(data):
    mosaic = sample_images(data, per_class=3, split="test", gap_pixels=1)
    assert mosaic.shape == (10 * 33 + 1, 3 * 33 + 1, 3)
    for number in (0, 7):
        index = np.flatnonzero(data.test.targets == number)[2]
        tile = mosaic[1 + 33 * number : 33 * number + 33, 67:99]
        np.testing.assert_array_equal(tile, data.test.inputs[index].transpose(1, 2, 0))
    assert (mosaic[0] == 255).all() and (mosaic[:, 33] == 255).all()
    assert sample_images(Lookalike(size=100).load(), per_class=1).ndim == 2


def test_mosaic_errors(data):
    with pytest.raises(BadOption, match="class 'pattern 0' has 4"):
        sample_images(data, per_class=5, split="test")
    with pytest.raises(BadOption, match="no split 'validation' as loaded; it has: train, test"):
        sample_images(Lookalike(size=100).load(), split="validation")
    with pytest.raises(BadOption, match="no split 'name'"):
        sample_images(data, split="name")
    with pytest.raises(BadOption, match="mosaic"):
        sample_images(Eggholder(samples=10).load())
    two = Data(
        name="two", task="classification", classes=("a",), source="", licence="", tier="real",
        train=Split(np.zeros((2, 2, 4, 4), np.uint8), np.zeros(2, np.int64)),
        test=Split(np.zeros((1, 2, 4, 4), np.uint8), np.zeros(1, np.int64)),
    )  # fmt: skip
    with pytest.raises(BadOption, match="1 or 3 channels"):
        sample_images(two)


def plain_png(content):
    """A reader of PNG files that use no filter, written from the specification."""
    assert content[:8] == bytes([137, 80, 78, 71, 13, 10, 26, 10])
    at, chunks = 8, {}
    while at < len(content):
        size, name = struct.unpack(">I4s", content[at : at + 8])
        body = content[at + 8 : at + 8 + size]
        (crc,) = struct.unpack(">I", content[at + 8 + size : at + 12 + size])
        assert crc == zlib.crc32(name + body)
        chunks[name] = body
        at += 12 + size
    assert list(chunks) == [b"IHDR", b"IDAT", b"IEND"]
    width, height, depth, colour, *rest = struct.unpack(">2I5B", chunks[b"IHDR"])
    assert (depth, rest) == (8, [0, 0, 0])
    rows = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(height, -1)
    assert not rows[:, 0].any()
    return rows[:, 1:].reshape((height, width) if colour == 0 else (height, width, 3))


@settings(deadline=None)
@given(
    hnp.arrays(
        np.uint8,
        st.one_of(
            st.tuples(st.integers(1, 9), st.integers(1, 9)),
            st.tuples(st.integers(1, 9), st.integers(1, 9), st.just(3)),
        ),
    )
)
def test_png_round_trip(image):
    np.testing.assert_array_equal(plain_png(png_bytes(image)), image)


def test_png_needs_bytes():
    with pytest.raises(ValueError, match="neither grey nor RGB"):
        png_bytes(np.zeros((2, 2)))
    with pytest.raises(ValueError, match="neither grey nor RGB"):
        png_bytes(np.zeros((2, 2, 4), np.uint8))
