"""Exact mean and deviation of pixel values, from whole-number sums."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Images summed at a time: few enough for the squares to stay in a core's cache.
_BLOCK = 512


@dataclass(frozen=True)
class PixelSums:
    """Sums over all pixels of each channel, pixel values 0..255."""

    count: int
    "pixels per channel"
    values: tuple[int, ...]
    squares: tuple[int, ...]

    def mean(self) -> tuple[float, ...]:
        """Per channel, on the scale 0..1."""
        return tuple(s / (255 * self.count) for s in self.values)

    def std(self) -> tuple[float, ...]:
        """Per channel, on the scale 0..1: sqrt(n sum(x^2) - sum(x)^2) / n, exact up to the root."""
        return tuple(
            math.sqrt(self.count * q - s * s) / (255 * self.count)
            for s, q in zip(self.values, self.squares, strict=True)
        )


def pixel_sums(images: NDArray[np.uint8]) -> PixelSums:
    """Sums over images [n, channels, height, width]."""
    channels, pixels = images.shape[1], int(np.prod(images.shape[2:]))
    values, squares = np.zeros(channels, np.uint64), np.zeros(channels, np.uint64)
    for start in range(0, len(images), _BLOCK):
        block = images[start : start + _BLOCK].reshape(-1, channels, pixels).astype(np.uint16)
        values += block.sum(axis=(0, 2), dtype=np.uint64)
        # 255^2 still fits 16 bits.
        np.multiply(block, block, out=block)
        squares += block.sum(axis=2, dtype=np.uint32).sum(axis=0, dtype=np.uint64)
    return PixelSums(
        len(images) * pixels, tuple(map(int, values.tolist())), tuple(map(int, squares.tolist()))
    )
