"""The data card: what a set is, in tables, and a mosaic of its images."""

from __future__ import annotations

import struct
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from epochlab.datasets import Data, Split
from epochlab.errors import BadOption
from epochlab.table import Column, Table

_SPLITS = ("train", "validation", "test")


def card(data: Data) -> list[Table]:
    """An overview, and the classes or the target values of every split."""
    return [_overview(data), _class_counts(data) if data.classes else _target_values(data)]


def _splits(data: Data) -> list[tuple[str, Split]]:
    return [(name, split) for name in _SPLITS if (split := data.split(name)) is not None]


def _overview(data: Data) -> Table:
    rows: list[tuple[str, str]] = [
        ("name", data.name),
        ("tier", data.tier),
        ("task", data.task),
        *((f"{name} samples", f"{len(split):,}") for name, split in _splits(data)),
        ("shape of a sample", " x ".join(map(str, data.input_shape))),
        ("stored as", str(data.train.inputs.dtype)),
    ]
    if data.train.inputs.dtype == np.uint8:
        rows += [
            ("mean per channel (0..1)", " ".join(f"{m:.4f}" for m in data.input_mean)),
            ("deviation per channel (0..1)", " ".join(f"{s:.4f}" for s in data.input_std)),
        ]
    rows += [("source", data.source), ("licence", data.licence)]
    if data.reference:
        rows.append(("reference", data.reference))
    rows += [(f"SHA-256 of {name}", digest) for name, digest in data.checksums]
    columns = (Column(name="fact"), Column(name="value"))
    return Table(title=f"Data: {data.name}", columns=columns, rows=tuple(rows), notes=data.notes)


def _class_counts(data: Data) -> Table:
    splits = _splits(data)
    counts = [
        np.bincount(split.targets.astype(np.int64), minlength=len(data.classes)).tolist()
        for _, split in splits
    ]
    rows = [(name, *(c[number] for c in counts)) for number, name in enumerate(data.classes)]
    rows.append(("all", *(sum(c) for c in counts)))
    columns = (Column(name="class"), *(Column(name=n, format=",") for n, _ in splits))
    return Table(title=f"Samples per class: {data.name}", columns=columns, rows=tuple(rows))


def _target_values(data: Data) -> Table:
    rows = []
    for name, split in _splits(data):
        y = split.targets.astype(np.float64)
        numbers = (float(n) for n in (y.mean(), y.std(), y.min(), y.max()))
        rows.append((name, len(split), *numbers))
    columns = (
        Column(name="split"), Column(name="samples", format=","),
        *(Column(name=n, format=".4f") for n in ("mean", "deviation", "lowest", "highest")),
    )  # fmt: skip
    return Table(title=f"Target values: {data.name}", columns=columns, rows=tuple(rows))


def sample_images(
    data: Data, per_class: int = 10, split: str = "train", gap_pixels: int = 2
) -> NDArray[np.uint8]:
    """The first images of every class, one row per class, on white; grey [h, w] or RGB [h, w, 3].

    Raises BadOption where the samples are not images with 1 or 3 channels, where a class has fewer
    images than asked for, or where there is no such split.
    """
    chosen = data.split(split) if split in _SPLITS else None
    if chosen is None:
        names = ", ".join(name for name, _ in _splits(data))
        raise BadOption(f"{data.name} has no split '{split}' as loaded; it has: {names}.")
    if chosen.inputs.ndim != 4 or data.input_shape[0] not in (1, 3) or not data.classes:
        raise BadOption(
            f"{data.name} has samples of shape {data.input_shape}; only classes of images with 1 "
            "or 3 channels can be shown as a mosaic."
        )
    channels, height, width = data.input_shape
    tall, wide = height + gap_pixels, width + gap_pixels
    mosaic = np.full(
        (len(data.classes) * tall + gap_pixels, per_class * wide + gap_pixels, channels),
        255, np.uint8,
    )  # fmt: skip
    for number, name in enumerate(data.classes):
        found = np.flatnonzero(chosen.targets == number)[:per_class]
        if len(found) < per_class:
            raise BadOption(
                f"{per_class} images per class were asked for; class '{name}' has {len(found)} in "
                f"the split '{split}' of {data.name}."
            )
        for place, index in enumerate(found):
            top, left = gap_pixels + number * tall, gap_pixels + place * wide
            image = chosen.inputs[index].transpose(1, 2, 0)
            mosaic[top : top + height, left : left + width] = image
    return mosaic[..., 0] if channels == 1 else mosaic


def png_bytes(image: NDArray[Any]) -> bytes:
    """A PNG file of a grey [h, w] or RGB [h, w, 3] uint8 image (PNG specification, W3C 2003)."""
    if image.dtype != np.uint8 or not (image.ndim == 2 or image.shape[2:] == (3,)):
        raise ValueError(f"{image.dtype} {image.shape} is neither grey nor RGB in bytes")
    height, width = image.shape[:2]
    rows = np.zeros((height, 1 + image[0].size), np.uint8)  # filter byte 0: the row as it is
    rows[:, 1:] = image.reshape(height, -1)
    colour_type = 0 if image.ndim == 2 else 2
    header = struct.pack(">2I5B", width, height, 8, colour_type, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes(), 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_png_chunk(name, body) for name, body in chunks)


def _png_chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
