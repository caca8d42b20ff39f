"""A smooth curve through measured points of several variables, with its own uncertainty.

Gaussian process regression (Rasmussen and Williams, Gaussian Processes for Machine Learning, 2006,
chapter 2) with a constant, a linear and a squared-exponential part. Length and noise are chosen
from a short list by the error that every point has when the others predict it (section 5.4.2).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

LENGTHS = (0.7, 1.0, 1.5, 2.5, 4.0)
"of the variables' standard deviations"
NOISES = (0.03, 0.06, 0.12, 0.25)
"standard deviations of single points, in the unit of the values"
LINEAR = 0.5
"standard deviation of a slope"


@dataclass(frozen=True)
class Surface:
    """A fitted curve; call `at` for its value and standard deviation."""

    centre: Array
    scale: Array
    mean: float
    height: float
    length: float
    noise: float
    points: Array
    inverse: Array
    weights: Array
    left_out: Array
    "residual of every point when the others predict it"
    stretch: float
    "what makes the deviations as wide as the left-out residuals say"
    lowest: float
    highest: float
    "of the values it was fitted to"

    def at(self, x: Array) -> tuple[Array, Array]:
        """Values [n] and standard deviations [n] at points [n, variables], noise included."""
        z = (np.atleast_2d(x) - self.centre) / self.scale
        between = _kernel(z, self.points, self.length, self.height)
        value = self.mean + between @ self.weights
        own = self.height**2 * (1 + LINEAR**2 * (z**2).sum(1))
        variance = own - np.einsum("ij,jk,ik->i", between, self.inverse, between)
        return value, self.stretch * np.sqrt(np.maximum(variance, 0.0) + self.noise**2)


def fit_surface(x: Array, y: Array) -> Surface:
    """The surface through values [n] at points [n, variables]; at least one point."""
    x, y = np.atleast_2d(np.asarray(x, float)), np.asarray(y, float)
    centre, spread = x.mean(0), x.std(0)
    scale = np.where(spread > 1e-9, spread, 1.0)
    z, mean = (x - centre) / scale, float(np.median(y))
    height = max(float(np.std(y)), 0.1)
    best: Surface | None = None
    for length in LENGTHS:
        # One decomposition serves all noises.
        sizes, axes = np.linalg.eigh(_kernel(z, z, length, height))
        for noise in NOISES:
            inverse: Array = (axes / (np.maximum(sizes, 0.0) + noise**2)) @ axes.T
            weights = inverse @ (y - mean)
            single = np.diag(inverse)
            found = Surface(
                centre=centre, scale=scale, mean=mean, height=height, length=length, noise=noise,
                points=z, inverse=inverse, weights=weights, left_out=weights / single,
                stretch=max(0.1, float(np.quantile(np.abs(weights) / np.sqrt(single), 0.8)) / 1.28),
                lowest=float(y.min()), highest=float(y.max()),
            )  # fmt: skip
            if best is None or _score(found) < _score(best):
                best = found
    assert best is not None
    return best


def _score(surface: Surface) -> float:
    """Mean size of the left-out residuals, large ones bounded: one bad point must not decide."""
    return float(np.minimum(np.abs(surface.left_out), 1.0).mean())


def _kernel(a: Array, b: Array, length: float, height: float) -> Array:
    squared = (a**2).sum(1)[:, None] + (b**2).sum(1)[None] - 2 * a @ b.T
    near = np.exp(-np.maximum(squared, 0.0) / (2 * length**2 * math.sqrt(max(a.shape[1], 1))))
    kernel: Array = height**2 * (near + LINEAR**2 * a @ b.T)
    return kernel
