"""Coefficients of the speed of training with parameter servers, fitted to measured speeds.

The models are those of `epochlab.predict.optimus_speed`. About ten short runs with different
numbers of workers and servers are enough, as in Peng and others, "Optimus", EuroSys 2018.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from epochlab.errors import BadData
from epochlab.forecast.nonnegative import Floats, fit_reciprocal, nonnegative_least_squares
from epochlab.predict.optimus_speed import (
    AsynchronousSpeed,
    SpeedModel,
    SynchronousSpeed,
    check_count,
    is_count,
)

Measurement = tuple[int, int, float]
"Workers, parameter servers, measured steps per second."


def fit_synchronous(
    measurements: Iterable[Measurement], *, batch: int
) -> SpeedFit[SynchronousSpeed]:
    """Fit equation 4 to triples (workers, servers, steps per second), 5 or more.

    `batch` is the number of samples of all workers in one step. The coefficients are the
    non-negative ones with the least squared error of the speed. Raises BadData for measurements
    that cannot be fitted or leave a coefficient open, BadOption for a bad `batch`.

        >>> truth = SynchronousSpeed(t0=1.02, t1=2.78, t2=4.92, t3=0.0, t4=0.02, batch=40)
        >>> pairs = [(1, 1), (2, 1), (4, 2), (8, 3), (3, 8), (6, 6), (2, 5)]
        >>> fit = fit_synchronous([(w, p, truth.speed(w, p)) for w, p in pairs], batch=40)
        >>> round(fit.model.t0, 6), round(fit.model.t4, 6)
        (1.02, 0.02)
    """
    check_count("fit_synchronous", "batch", batch)
    measured = _checked("fit_synchronous", measurements, SynchronousSpeed.fewest_measurements)
    rows = [SynchronousSpeed.terms(w, p, batch) for w, p, _ in measured]
    t0, t1, t2, t3, t4 = _coefficients("fit_synchronous", rows, measured)
    model = SynchronousSpeed(t0=t0, t1=t1, t2=t2, t3=t3, t4=t4, batch=batch)
    return SpeedFit(model=model, measurements=measured)


def fit_asynchronous(measurements: Iterable[Measurement]) -> SpeedFit[AsynchronousSpeed]:
    """Fit equation 3 to triples (workers, servers, steps per second), 4 or more.

    Steps are those of all workers together. The coefficients are the non-negative ones with the
    least squared error of the speed. Raises BadData as `fit_synchronous` does.
    """
    measured = _checked("fit_asynchronous", measurements, AsynchronousSpeed.fewest_measurements)
    rows = [AsynchronousSpeed.terms(w, p) for w, p, _ in measured]
    t0, t1, t2, t3 = _coefficients("fit_asynchronous", rows, measured)
    return SpeedFit(model=AsynchronousSpeed(t0=t0, t1=t1, t2=t2, t3=t3), measurements=measured)


AnySpeed = TypeVar("AnySpeed", bound=SpeedModel, covariant=True)


@dataclass(frozen=True, kw_only=True)
class SpeedFit(Generic[AnySpeed]):
    """A speed model with the measurements that it was fitted to."""

    model: AnySpeed
    measurements: tuple[Measurement, ...]
    "workers, servers, steps per second"

    @property
    def residuals(self) -> tuple[float, ...]:
        """Measured minus fitted steps per second."""
        return tuple(f - self.model.speed(w, p) for w, p, f in self.measurements)

    @property
    def mean_relative_error(self) -> float:
        """Mean of |fitted - measured| / measured."""
        errors = zip(self.residuals, self.measurements, strict=True)
        return math.fsum(abs(r) / f for r, (_, _, f) in errors) / len(self.measurements)

    @property
    def r_squared(self) -> float | None:
        """Share of the variance of the speed that is explained; None for equal speeds."""
        speeds = [f for _, _, f in self.measurements]
        mean = math.fsum(speeds) / len(speeds)
        spread = math.fsum((f - mean) ** 2 for f in speeds)
        return 1 - math.fsum(r * r for r in self.residuals) / spread if spread else None


def _coefficients(
    what: str, rows: list[tuple[float, ...]], measured: tuple[Measurement, ...]
) -> list[float]:
    """Coefficients >= 0 with the least squared error of 1 / (rows @ t) against the speeds."""
    matrix = np.array(rows)
    speeds = np.array([f for _, _, f in measured])
    unknowns = matrix.shape[1]
    if np.linalg.matrix_rank(matrix / np.sqrt((matrix * matrix).sum(axis=0))) < unknowns:
        pairs = ", ".join(f"{w}:{p}" for w, p in sorted({(w, p) for w, p, _ in measured})[:12])
        raise BadData(
            f"{what}: these measurements cannot tell the {unknowns} coefficients apart. Measured "
            f"workers:servers are {pairs}. Vary both numbers, and not always together: for "
            "instance 1:1, 2:1, 4:2, 8:3, 3:8."
        )
    scale = float(speeds.max())
    relative: Floats = speeds / scale
    start = nonnegative_least_squares(relative[:, None] * matrix, np.ones(len(rows)))
    found = fit_reciprocal(matrix, relative, start, np.ones(len(rows)))
    return [float(t) for t in found / scale]


def _checked(
    what: str, measurements: Iterable[Measurement], fewest: int
) -> tuple[Measurement, ...]:
    """The measurements as plain numbers, or an error that says what is wrong."""
    measured = []
    for place, row in enumerate(measurements, start=1):
        try:
            workers, servers, speed = row
            speed = float(speed)
        except (TypeError, ValueError):
            raise BadData(
                f"{what}: measurement {place} is {row!r}; it must be three numbers: workers, "
                "parameter servers, steps per second."
            ) from None
        if not (is_count(workers) and is_count(servers)):
            raise BadData(
                f"{what}: measurement {place} has {workers!r} workers and {servers!r} servers; "
                "both must be whole numbers above 0. Is the order workers, servers, speed?"
            )
        if not (math.isfinite(speed) and speed > 0):
            raise BadData(
                f"{what}: measurement {place} ({workers} workers, {servers} servers) has a speed "
                f"of {speed!r}; it must be a finite number of steps per second above 0."
            )
        measured.append((int(workers), int(servers), speed))
    if len(measured) < fewest:
        raise BadData(
            f"{what}: {len(measured)} measurements; at least {fewest} are needed, one for each "
            "coefficient, and 8 to 10 are better. Run the job briefly with other numbers of "
            "workers and servers."
        )
    return tuple(measured)
