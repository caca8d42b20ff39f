"""How long an operator takes on a machine whose operators were timed: a surface per family.

The surface is of the logarithm of the measured time over that of a roofline whose sides add up:
what it has to learn is then smooth and between narrow bounds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from epochlab.cost.step_operators import StepOperator
from epochlab.errors import BadData
from epochlab.measure import OperatorTiming
from epochlab.predict.operator_features import features, general_features
from epochlab.predict.regression import Array, Surface, fit_surface

FEWEST = 2
"timings of a family; those of a smaller one are not enough for a surface of its own"
MOST = 400
"points of the surface for all operators that have no family"
SHORTEST_S = 1e-6
FARTHEST = 1.0
"how far a prediction may lie beyond all measured ratios, in logarithms"


@dataclass(frozen=True)
class Rates:
    """The best rates that were seen on a machine."""

    flops_per_s: float
    bytes_per_s: float

    def seconds(self, operator: StepOperator) -> float:
        """Seconds at these rates, one after the other."""
        work, moved = operator.flops / self.flops_per_s, operator.bytes / self.bytes_per_s
        return SHORTEST_S + work + moved


@dataclass(frozen=True)
class OperatorTimes:
    """A fitted model of one machine's operators."""

    rates: Rates
    families: dict[str, Surface] = field(repr=False)
    anything: Surface = field(repr=False)

    def seconds(self, operators: Sequence[StepOperator]) -> tuple[Array, Array]:
        """Predicted seconds of each, and the standard deviations of their logarithms."""
        places: dict[str, list[int]] = {}
        points: list[Array] = []
        for place, operator in enumerate(operators):
            family, x = features(operator)
            if family not in self.families:
                family, x = "", general_features(operator)
            places.setdefault(family, []).append(place)
            points.append(x)
        seconds = np.array([self.rates.seconds(operator) for operator in operators])
        deviations = np.zeros(len(operators))
        for family, members in places.items():
            surface = self.families.get(family, self.anything)
            values, deviations[members] = surface.at(np.array([points[one] for one in members]))
            # What lies far outside of all that was timed must not run away.
            seconds[members] *= np.exp(
                np.clip(values, surface.lowest - FARTHEST, surface.highest + FARTHEST)
            )
        return seconds, deviations


def fit_operator_times(timings: Sequence[OperatorTiming], *, far: bool) -> OperatorTimes:
    """The model of these timings, with operands far away or near. Raises BadData for none."""
    if not timings:
        raise BadData("There are no operator timings to predict from: calibrate the machine.")

    def seconds(one: OperatorTiming) -> float:
        return one.far_s if far else one.near_s

    rates = Rates(
        flops_per_s=max([one.operator.flops / seconds(one) for one in timings] + [1e6]),
        bytes_per_s=float(np.quantile([one.operator.bytes / seconds(one) for one in timings], 0.9)),
    )
    groups: dict[str, list[OperatorTiming]] = {}
    for one in timings:
        groups.setdefault(features(one.operator)[0], []).append(one)

    def ratios(members: Sequence[OperatorTiming]) -> list[float]:
        return [math.log(seconds(one) / rates.seconds(one.operator)) for one in members]

    families = {
        family: fit_surface(np.array([features(one.operator)[1] for one in members]),
                            np.array(ratios(members)))
        for family, members in groups.items() if len(members) >= FEWEST
    }  # fmt: skip
    movers = [one for one in timings if not one.operator.macs]
    some = movers[:: max(1, len(movers) // MOST)] or timings
    anything = fit_surface(np.array([general_features(one.operator) for one in some]),
                           np.array(ratios(some)))  # fmt: skip
    return OperatorTimes(rates, families, anything)
