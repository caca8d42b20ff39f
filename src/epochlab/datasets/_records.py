"""The binary records of CIFAR: label bytes, then the pixels of one image channel by channel."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from epochlab.datasets._unpack import FormatError

IMAGE_SHAPE = (3, 32, 32)
_PIXELS = 3 * 32 * 32


def parse_records(content: bytes, classes: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Images uint8 [n, 3, 32, 32] and labels int64 [n]. Raises FormatError."""
    size = 1 + _PIXELS
    if not content or len(content) % size:
        raise FormatError(
            f"has {len(content):,} bytes, which is not a whole number (above 0) of records of "
            f"{size} bytes"
        )
    records = np.frombuffer(content, np.uint8).reshape(-1, size)
    labels = records[:, 0].astype(np.int64)
    if labels.max() >= classes:
        at = int(labels.argmax())
        raise FormatError(
            f"has label {labels[at]} in record {at}; labels of {classes} classes end at "
            f"{classes - 1}"
        )
    return records[:, 1:].reshape(-1, *IMAGE_SHAPE), labels


def pack_records(images: NDArray[np.uint8], labels: NDArray[np.int64]) -> bytes:
    """The records of images [n, 3, 32, 32] with labels 0..255; the inverse of `parse_records`."""
    records = np.empty((len(images), 1 + _PIXELS), np.uint8)
    records[:, 0] = labels
    records[:, 1:] = images.reshape(len(images), _PIXELS)
    return records.tobytes()
