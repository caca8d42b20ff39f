"""Randomness as a function of counters: (seed, purpose, counters) -> numbers; nothing is carried.

The hash is SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators",
OOPSLA 2014), chosen because it is ten integer operations in any language, so a compiled engine
draws the same numbers.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch

_GOLDEN = 0x9E3779B97F4A7C15
_MIX_1 = 0xBF58476D1CE4E5B9
_MIX_2 = 0x94D049BB133111EB
_MASK = (1 << 64) - 1


def mix(value: int) -> int:
    """SplitMix64's output function of one 64-bit state."""
    z = (value + _GOLDEN) & _MASK
    z = ((z ^ (z >> 30)) * _MIX_1) & _MASK
    z = ((z ^ (z >> 27)) * _MIX_2) & _MASK
    return z ^ (z >> 31)


def key(seed: int, purpose: str, *counters: int) -> int:
    """One 64-bit key; different purposes and counters give unrelated keys."""
    state = mix(seed & _MASK) ^ zlib.crc32(purpose.encode())
    for counter in counters:
        state = mix(state) ^ (counter & _MASK)
    return mix(state)


def mix_array(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """`mix`, element by element."""
    z = values + np.uint64(_GOLDEN)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(_MIX_1)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(_MIX_2)
    return np.asarray(z ^ (z >> np.uint64(31)), dtype=np.uint64)


def keys(base: int, indices: NDArray[np.int64]) -> NDArray[np.uint64]:
    """One key per index under a base key made by `key`."""
    return mix_array(np.uint64(base) ^ mix_array(indices.astype(np.uint64)))


def integers(keys: NDArray[np.uint64], stream: int, bound: int) -> NDArray[np.int64]:
    """One whole number in [0, bound) per key; `stream` tells several draws from a key apart.

    Uses the upper 32 bits times bound, so the deviation from uniform is below bound / 2**32.
    """
    drawn = mix_array(keys ^ np.uint64(mix(stream))) >> np.uint64(32)
    return ((drawn * np.uint64(bound)) >> np.uint64(32)).astype(np.int64)


def permutation(base: int, size: int) -> NDArray[np.int64]:
    """The numbers 0..size-1 in an order decided by the base key."""
    return np.argsort(keys(base, np.arange(size)), kind="stable").astype(np.int64)


def generator(seed: int, purpose: str, *counters: int) -> torch.Generator:
    """A torch generator in the state that belongs to these counters."""
    import torch

    made = torch.Generator()
    made.manual_seed(key(seed, purpose, *counters) >> 1)
    return made
