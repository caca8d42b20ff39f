"""Curves made by formulas, for the tests of the forecast."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from epochlab.forecast.curve import Curve, Kind


def curve_of(
    formula: Callable[[float], float], *, epochs: int = 60, seen: int | None = None,
    rates: Sequence[float] | None = None, noise: float = 0.0, seed: int = 0,
    kind: Kind = "train loss",
) -> Curve:  # fmt: skip
    """A curve that follows `formula`, with noise in its logarithm."""
    at = tuple(float(t) for t in range(1, epochs + 1))
    errors = noise * np.random.default_rng(seed).standard_normal(epochs)
    values = [formula(t) * float(np.exp(e)) for t, e in zip(at, errors, strict=True)]
    return Curve(
        kind=kind, at=at, rates=tuple(rates or (0.1,) * epochs), name="loss",
        values=tuple(values[: epochs if seen is None else seen]),
    )  # fmt: skip


def with_drop(epochs: int = 60, drop: int = 30, factor: float = 0.1) -> tuple[float, ...]:
    """Rates that fall once, after epoch `drop`."""
    return tuple(0.1 if t <= drop else 0.1 * factor for t in range(1, epochs + 1))
