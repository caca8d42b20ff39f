"""Time of a step on a machine that was calibrated: its operators one by one, and what is between.

The operators of the step are listed without running it (epochlab.cost.step_operators). Each one's
time comes from those that were timed on the machine (epochlab.predict.operator_time). In a network
an operator finds its operands elsewhere than in a test of its own, and something happens between
two operators; how much of both is fitted to sample networks that were timed as a whole.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from epochlab.cost.memory import Loop
from epochlab.cost.step_operators import Listed, listed_step
from epochlab.errors import BadData
from epochlab.forecast.nonnegative import nonnegative_least_squares
from epochlab.measure import (
    Calibration,
    NetworkTiming,
    SampleNetwork,
    calibration_path,
    load_calibration,
    sample_networks,
)
from epochlab.predict.operator_time import OperatorTimes, fit_operator_times

Array = NDArray[np.float64]

COVERAGE = 0.8
"share of steps that the interval from low to high is to hold"
QUANTILE = 1.28
"half width of that interval in standard deviations"
FEWEST_NETWORKS = 6
CACHES = tuple(2.0**power for power in range(20, 29))
"sizes that are tried: 1 MiB to 256 MiB"
PARTS = ("forward alone", "forward", "backward", "update")
PART_OF = {"forward": "forward", "data": "forward", "loss": "backward", "backward": "backward",
           "update": "update", "scores": "update"}  # fmt: skip

Point = tuple[str, Array, float, float]
"network, [multiplying, other, number], measured seconds, seconds that errors are compared with"


def calibrated_step(
    module: nn.Module, input_shape: tuple[int, ...] | None = None, *, batch: int = 1,
    threads: int | None = None, loop: Loop = "plain", **options: Any,
) -> CalibratedTime:  # fmt: skip
    """Predicted time of a training step on this machine, or with `loop="forward"` of inference.

    `threads` is what torch will use, by default what it uses now. `options` are those of
    `epochlab.cost.step_operators`; without an optimizer among them it is plain SGD. Raises
    BadData when the machine has not been calibrated for so many threads, and what step_operators
    raises.
    """
    model = this_machine(torch.get_num_threads() if threads is None else threads)
    return model.step(module, input_shape, batch=batch, loop=loop, **options)


def this_machine(threads: int) -> MachineModel:
    """The model of this machine's calibration file. Raises BadData where there is none."""
    path = calibration_path()
    stamp = path.stat().st_mtime_ns if path.exists() else 0
    return _model_of(path, stamp, threads)


@lru_cache(maxsize=4)
def _model_of(path: Path, stamp: int, threads: int) -> MachineModel:
    return fit_machine(load_calibration(threads, path))


@dataclass(frozen=True, kw_only=True)
class CalibratedTime:
    """Predicted seconds of a step and of its parts."""

    forward_s: float
    backward_s: float
    "loss and gradients; 0 for a forward pass alone"
    update_s: float
    low_s: float
    high_s: float
    "between low and high lie 80 % of the steps"
    by_operator: Mapping[tuple[str, str], float] = field(repr=False, default_factory=dict)
    "(part of the step, operator) -> seconds, with what is between operators shared out"

    @property
    def step_s(self) -> float:
        return self.forward_s + self.backward_s + self.update_s


@dataclass(frozen=True, kw_only=True)
class Between:
    """What becomes of the operators' own times in a network: t = a C + b M + c n."""

    multiplying: float
    "on the time of operators that multiply and accumulate"
    other: float
    "on the time of all others"
    each_s: float
    "seconds for every operator, views included"
    error: float
    "half width of the interval, of the logarithm of the time"

    def seconds(self, sums: Array) -> float:
        """Of [time of multiplying operators, time of the others, number of operators]."""
        return float(sums @ np.array([self.multiplying, self.other, self.each_s]))


@dataclass(frozen=True)
class Listing:
    """The operators of a pass with their own predicted times, one row each."""

    keys: tuple[tuple[str, str], ...]
    "part of the step, operator"
    near: Array
    "seconds with operands in a cache, of all calls together; 0 for views"
    far: Array
    "seconds with operands in memory"
    multiplies: NDArray[np.bool_]
    calls: Array
    memory_bytes: int
    "peak of the pass"
    doubt: float
    "standard deviation of all times together, in seconds, each operator in its own direction"

    def sums(self, cache_bytes: float) -> dict[tuple[str, str], Array]:
        """Per part and operator: [time of what multiplies, time of all else, number of calls].

        Of a pass that needs more memory than the cache has, more operands are far away.
        """
        share = 1 / (1 + (cache_bytes / max(1, self.memory_bytes)) ** 2)
        seconds = (1 - share) * self.near + share * self.far
        rows = np.column_stack([
            seconds * self.multiplies, seconds * ~self.multiplies, self.calls
        ])  # fmt: skip
        found: dict[tuple[str, str], Array] = {}
        for key, row in zip(self.keys, rows, strict=True):
            found[key] = found.get(key, np.zeros(3)) + row
        return found


@dataclass(frozen=True, kw_only=True)
class MachineModel:
    """One machine with one number of threads."""

    threads: int
    near: OperatorTimes = field(repr=False)
    far: OperatorTimes = field(repr=False)
    cache_bytes: float
    "memory of a pass at which half of its operands count as far away"
    between: Mapping[str, Between]

    def step(
        self, module: nn.Module, input_shape: tuple[int, ...] | None = None, *, batch: int = 1,
        loop: Loop = "plain", **options: Any,
    ) -> CalibratedTime:  # fmt: skip
        """Predicted time; see `calibrated_step`."""
        if loop != "forward":
            options.setdefault("optimizer", torch.optim.SGD)
        alone = loop == "forward"
        listed = listed_step(module, input_shape, batch=batch, loop=loop, **options)
        found = listing_of(listed, self.near, self.far, alone=alone)
        shares = found.sums(self.cache_bytes)
        by_operator = {key: self.between[key[0]].seconds(own) for key, own in shares.items()}
        parts = dict.fromkeys(PARTS, 0.0)
        for (part, _), seconds in by_operator.items():
            parts[part] += seconds
        total = sum(parts.values())
        # Parts err in the same direction more often than not; operators each in their own.
        error = sum(self.between[part].error * seconds for part, seconds in parts.items())
        width = math.hypot(error, QUANTILE * found.doubt) / total if total else 0.0
        return CalibratedTime(
            forward_s=parts["forward alone"] + parts["forward"], backward_s=parts["backward"],
            update_s=parts["update"], low_s=total * math.exp(-width),
            high_s=total * math.exp(width), by_operator=by_operator,
        )  # fmt: skip


def listing_of(
    listed: Listed, near: OperatorTimes, far: OperatorTimes, *, alone: bool
) -> Listing:  # fmt: skip
    """The operators of a pass with their times; `alone` for a forward pass without gradients."""
    part_of = dict.fromkeys(PART_OF, "forward alone") if alone else PART_OF
    found = list(listed.found)
    calls = np.array([float(listed.found[one]) for one in found])
    working = np.array([not one.is_view for one in found])
    times = np.zeros((2, len(found)))
    variance = 0.0
    for place, model in enumerate((near, far)):
        seconds, deviations = model.seconds([one for one in found if not one.is_view])
        times[place, working] = calls[working] * seconds
        variance += float(((times[place, working] * deviations) ** 2).sum()) / 2
    return Listing(
        keys=tuple((part_of[one.phase], one.name) for one in found), near=times[0], far=times[1],
        multiplies=np.array([one.macs > 0 for one in found]), calls=calls,
        memory_bytes=listed.peak_bytes, doubt=math.sqrt(variance),
    )  # fmt: skip


def fit_machine(
    calibration: Calibration, networks: Sequence[SampleNetwork] | None = None
) -> MachineModel:
    """The model of a calibration. Raises BadData where it holds too little."""
    known = {one.name: one for one in (sample_networks() if networks is None else networks)}
    timed = [one for one in calibration.networks if one.network in known]
    clean = [one for one in timed if not one.spoiled]
    used = clean if len(clean) >= FEWEST_NETWORKS else timed
    if len(used) < FEWEST_NETWORKS:
        raise BadData(
            f"The calibration holds {len(used)} whole networks; at least {FEWEST_NETWORKS} are "
            "needed. 'epochlab measure --calibrate' times them."
        )
    near = fit_operator_times(calibration.operators, far=False)
    far = fit_operator_times(calibration.operators, far=True)
    passes = []
    for one in used:
        shape = known[one.network]
        module = shape.build(real=False)
        alone = listed_step(module, shape.input_shape, batch=one.batch, loop="forward")
        step = listed_step(module, shape.input_shape, batch=one.batch, optimizer=torch.optim.SGD)
        passes.append((one, listing_of(alone, near, far, alone=True),
                       listing_of(step, near, far, alone=False)))  # fmt: skip
    fits = {size: _between_all(passes, size) for size in CACHES}
    best = min(fits, key=lambda size: sum(one.error for one in fits[size].values()))
    return MachineModel(threads=calibration.threads, near=near, far=far, cache_bytes=best,
                        between=fits[best])  # fmt: skip


def _between_all(
    passes: Sequence[tuple[NetworkTiming, Listing, Listing]], cache_bytes: float
) -> dict[str, Between]:
    """What is between the operators, for a cache of this size."""
    points: dict[str, list[Point]] = {part: [] for part in PARTS}
    for one, alone, step in passes:
        totals = {part: np.zeros(3) for part in PARTS}
        for listing in (alone, step):
            for (part, _), own in listing.sums(cache_bytes).items():
                totals[part] += own
        for part, seconds, scale in _measured(one):
            points[part].append((one.network, totals[part], seconds, scale))
    return {part: _between(found) for part, found in points.items()}


def _measured(one: NetworkTiming) -> Iterable[tuple[str, float, float]]:
    """Part, its seconds, and the seconds that its error is to be compared with."""
    yield "forward alone", one.forward_s, one.forward_s
    yield "forward", one.training_forward_s, one.training_forward_s
    backward = one.forward_backward_s - one.training_forward_s
    yield "backward", backward, backward
    # The update is a difference of two large numbers; what is wrong with it is wrong with the step.
    yield "update", one.step_s - one.forward_backward_s, one.step_s


def _between(points: Sequence[Point]) -> Between:
    """Fitted to all points, its error from leaving out one network after the other."""
    fit = _weights(points)
    misses = []
    for name in {point[0] for point in points}:
        others = _weights([point for point in points if point[0] != name])
        for own, sums, seconds, scale in points:
            if own == name:
                misses.append(abs(float(sums @ others) - seconds) / scale)
    error = float(np.quantile(misses, COVERAGE))
    return Between(multiplying=float(fit[0]), other=float(fit[1]), each_s=float(fit[2]),
                   error=math.log1p(error))  # fmt: skip


def _weights(points: Sequence[Point]) -> Array:
    """The three numbers >= 0 with the least sum of relative errors, not of their squares."""
    rows = np.array([sums / scale for _, sums, _, scale in points])
    target = np.array([seconds / scale for _, _, seconds, scale in points])
    weights = np.ones(len(points))
    found = np.ones(3)
    for _ in range(12):
        found = nonnegative_least_squares(rows * weights[:, None], target * weights)
        weights = 1 / np.sqrt(np.maximum(np.abs(rows @ found - target), 0.02))
    return found
