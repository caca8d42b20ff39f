"""Eggholder: regression of a rugged function of two numbers from noisy samples."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from epochlab.component import Limits, NotNegative
from epochlab.datasets import Data, Dataset, Split
from epochlab.randomness import integers, key, keys

_HALF_WIDTH = 512.0
_WORD = 1 << 32


def eggholder(x1: NDArray[np.float64], x2: NDArray[np.float64]) -> NDArray[np.float64]:
    """The function itself, element by element, on [-512, 512] x [-512, 512]."""
    height = x2 + 47
    return np.asarray(
        -height * np.sin(np.sqrt(np.abs(height + x1 / 2)))
        - x1 * np.sin(np.sqrt(np.abs(x1 - height)))
    )


def _uniform(point_keys: NDArray[np.uint64], stream: int) -> NDArray[np.float64]:
    """Numbers strictly between 0 and 1, on a grid of 2**32."""
    return np.asarray((integers(point_keys, stream, _WORD) + 0.5) / _WORD)


@dataclass(frozen=True, kw_only=True)
class Eggholder(Dataset):
    """Points spread uniformly over the square, each with its noisy function value.

        y = f(x1, x2) + e,   e ~ Normal(0, sigma^2)
        f = -(x2 + 47) sin sqrt|x1/2 + x2 + 47| - x1 sin sqrt|x1 - (x2 + 47)|

    inputs: (x1/512, x2/512), float32 [n, 2] in [-1, 1]; targets: y, float32 [n, 1]. The first
    four fifths of the points are for training, the rest for testing. Point i is decided by (seed,
    i) alone. No model can have a root-mean-square error below sigma on unseen points; the constant
    mean has the standard deviation of y.

        >>> from epochlab.datasets.eggholder import Eggholder
        >>> data = Eggholder(samples=1000, seed=1).load()
        >>> len(data.train), len(data.test), data.train.targets.shape
        (800, 200, (800, 1))

    Reference: the function is a standard test of global optimisation, with the minimum -959.6407
    at (512, 404.2319).
    """

    samples: Annotated[int, Limits(low=5)] = 100_000
    "points in all, training and test"
    noise: NotNegative = 0.3
    "how strong the noise is: its standard deviation sigma"
    noise_is_variance: bool = False
    "read `noise` as the variance sigma^2 instead"
    seed: int = 0
    "decides the points and the noise"

    @property
    def noise_std(self) -> float:
        """sigma, in the unit of y."""
        return math.sqrt(self.noise) if self.noise_is_variance else self.noise

    def read(self) -> Data:
        point_keys = keys(key(self.seed, "eggholder"), np.arange(self.samples))
        columns = [2 * _uniform(point_keys, stream) - 1 for stream in (0, 1)]
        inputs = np.stack(columns, axis=1).astype(np.float32)
        # The value belongs to the point as it is stored, after rounding.
        points = inputs.astype(np.float64) * _HALF_WIDTH
        exact = eggholder(points[:, 0], points[:, 1])
        # Box and Muller (1958): two uniform numbers give one normal number.
        radius = np.sqrt(-2 * np.log(_uniform(point_keys, 2)))
        noise = self.noise_std * radius * np.cos(2 * np.pi * _uniform(point_keys, 3))
        targets = (exact + noise).astype(np.float32)[:, None]
        train = self.samples * 4 // 5
        return Data(
            name="Eggholder",
            task="regression",
            train=Split(inputs[:train], targets[:train]),
            test=Split(inputs[train:], targets[train:]),
            classes=(),
            source="computed from the formula",
            licence="none needed",
            # The samples are the task itself, not a stand-in for one.
            tier="real",
            notes=(
                f"Noise: standard deviation {self.noise_std:.4f} asked for, {noise.std():.4f} "
                "measured over all points.",
            ),
        )
