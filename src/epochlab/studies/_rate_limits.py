"""The range test that studies of the learning rate share: its runs, and the band read off them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from epochlab.datasets import Dataset
from epochlab.errors import BadOption
from epochlab.networks import Network
from epochlab.optimizers.sgd import Sgd
from epochlab.studies._arms import mean, run_arms
from epochlab.train.lab import Lab
from epochlab.train.run import Run
from epochlab.train.trial import Trial

# Smith's other rule for the lower limit is a third or a quarter of the upper one; it serves where
# the rates tried stand so far apart that both limits fall on the same one.
LOW_PART_OF_HIGH = 1 / 4


@dataclass(frozen=True)
class Limits:
    """The band of learning rates that a policy may move in, and the losses behind it."""

    low: float
    high: float
    best: float
    untrained_loss: float


@dataclass(frozen=True)
class Band:
    """The limits that a policy is given, and where they come from."""

    low: float
    high: float
    best: float | None
    "rate with the lowest loss in the range test; None where no test was needed"
    origin: str
    "where the limits come from, one sentence"


@dataclass(frozen=True, kw_only=True)
class SeparateRates:
    """Training separately at each of several rates; equal settings give equal trials."""

    data: Dataset
    network: Network
    epochs: int
    batch: int
    momentum: float
    seeds: int
    lowest: float = 1e-9
    highest: float = 10.0
    rates: int = 10
    low_share: float = 0.5
    high_share: float = 0.9

    def trial(self, lr: float) -> Trial:
        """Training at one rate."""
        return Trial(
            network=self.network, data=self.data, optimizer=Sgd(lr=lr, momentum=self.momentum),
            batch=self.batch, epochs=self.epochs, evaluate=("test",),
            evaluate_every=self.epochs,
        )  # fmt: skip

    def arms(self) -> dict[str, Trial]:
        """Trials by rate, the rate written so that `float` reads it back exactly."""
        rates = log_spaced(self.lowest, self.highest, self.rates)
        return {f"{rate!r}": self.trial(rate) for rate in rates}

    def limits(self, lab: Lab) -> Limits | None:
        """The band, from runs that are in the store or trained now."""
        found = run_arms(lab, self.arms(), self.seeds)
        return self.limits_of({float(name): runs for name, runs in found.items()})

    def limits_of(self, arms: Mapping[float, Sequence[Run]]) -> Limits | None:
        """The band read off runs by rate; None where no rate lowered the loss."""
        losses = {rate: last_loss(runs) for rate, runs in arms.items()}
        return choose_limits(losses, untrained_loss(arms), self.low_share, self.high_share)


def log_spaced(low: float, high: float, count: int) -> list[float]:
    """`count` rates from low to high, both included, equal ratios between neighbours."""
    step = (math.log10(high) - math.log10(low)) / max(1, count - 1)
    return [10 ** (math.log10(low) + step * i) for i in range(count)]


def choose_limits(
    losses: Mapping[float, float], untrained_loss: float, low_share: float, high_share: float
) -> Limits | None:
    """Read the band off losses by learning rate; None where no rate lowered the loss.

    The fall of a rate is the untrained loss minus its loss, the greatest fall belongs to the best
    rate. lr_min is the smallest rate with at least `low_share` of the greatest fall, lr_max the
    largest one with at least `high_share` of it.
    """
    falls = {r: untrained_loss - v for r, v in losses.items() if math.isfinite(v)}
    if not falls or max(falls.values()) <= 0:
        return None
    best = max(falls, key=lambda r: falls[r])
    low = min(r for r, fall in falls.items() if fall >= low_share * falls[best])
    high = max(r for r, fall in falls.items() if fall >= high_share * falls[best])
    return Limits(min(low, high), high, best, untrained_loss)


def untrained_loss(arms: Mapping[float, Sequence[Run]]) -> float:
    """Loss before the first step, on the test images, mean over seeds."""
    return mean([run.start["test_loss"] for run in next(iter(arms.values()))])


def last_loss(runs: Sequence[Run]) -> float:
    """Mean over seeds of the last epoch's running training loss; NaN if one of them diverged."""
    return mean([
        math.nan if run.diverged or not run.epochs else run.epochs[-1]["running_loss"]
        for run in runs
    ])  # fmt: skip


def band(lab: Lab, test: SeparateRates, low: float | None, high: float | None) -> Band | None:
    """The limits of a policy: what the user gave, the range test's for what was left open.

    None where a limit is open and no rate lowered the loss. Raises BadOption for limits given the
    wrong way round, before anything is trained where both are given.
    """
    if low is not None and high is not None:
        _check_order(low, high, "both given")
        return Band(low, high, None, "Both limits were given.")
    limits = test.limits(lab)
    if limits is None:
        return None
    source = (
        f"the range test of lr-range ({test.rates} rates from {test.lowest:g} to "
        f"{test.highest:g}, {counted(test.epochs, 'epoch')} each, batch {test.batch}, "
        f"{counted(test.seeds, 'seed')})"
    )
    if low is not None or high is not None:
        made = Band(
            limits.low if low is None else low, limits.high if high is None else high, limits.best,
            f"{'lr_min' if high is None else 'lr_max'} was given, the other limit is that of "
            f"{source}.",
        )  # fmt: skip
        _check_order(made.low, made.high, "one given, the other from the range test")
        return made
    if limits.low < limits.high:
        return Band(limits.low, limits.high, limits.best, f"Both limits are those of {source}.")
    return Band(
        limits.high * LOW_PART_OF_HIGH, limits.high, limits.best,
        f"lr_max is that of {source}. Its rates stand so far apart that lr_min fell on the same "
        f"one, so lr_min is {LOW_PART_OF_HIGH:.0%} of lr_max, Smith's other rule.",
    )  # fmt: skip


def counted(number: int, what: str) -> str:
    """1, 'seed' -> '1 seed'; 3, 'seed' -> '3 seeds'."""
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def _check_order(low: float, high: float, origin: str) -> None:
    if low >= high:
        raise BadOption(
            f"The learning rate shall move between {low:.4g} and {high:.4g} ({origin}); low must "
            "lie below high. Give --low and --high, or leave both out to take the range test's."
        )
