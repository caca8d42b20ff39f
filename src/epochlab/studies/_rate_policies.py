"""What the studies of learning-rate policies share: settings, limits, and the cyclical trial."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Literal

from epochlab.component import Count, Limits, Positive, ShareBelowOne, component_name
from epochlab.datasets import Data, Dataset
from epochlab.datasets.fashion_mnist import FashionMnist
from epochlab.errors import BadOption
from epochlab.evidence import Note
from epochlab.networks import Network
from epochlab.networks.lenet5 import Lenet5
from epochlab.optimizers.sgd import Sgd
from epochlab.schedules.cyclical import Cyclical
from epochlab.studies import Study
from epochlab.studies._arms import mean
from epochlab.studies._rate_limits import Band, SeparateRates, band
from epochlab.train.lab import Lab
from epochlab.train.run import Run
from epochlab.train.trial import SplitName, Trial

Mode = Literal["triangular", "triangular2", "exp_range"]
PartAboveZero = Annotated[float, Limits(low=0, high=1, low_open=True)]

NO_BAND = (
    "No rate of the range test lowered the loss, so there is no band to move in and nothing was "
    "trained here. Look at the report of lr-range first; or give both limits, --low and --high."
)


@dataclass(frozen=True, kw_only=True)
class RatePolicyStudy(Study):
    """Base of the studies that move the rate between the limits of a range test."""

    data: Dataset = field(default_factory=lambda: FashionMnist(validation=5000))
    "what to train on"
    network: Network = field(default_factory=Lenet5)
    "what to train"
    batch: Count = 64
    "samples per step, of the cyclical policies and the range test"
    momentum: ShareBelowOne = 0.9
    "of plain stochastic gradient descent"
    half_cycle: Count = 4
    "epochs from the lowest rate to the highest (the step size of the literature); 2 to 8 is usual"
    height_left: PartAboveZero = 0.1
    "share of the swing that exp_range has left at the end of training; decides its gamma"
    low: Positive | None = None
    "lr_min; none: that of the range test"
    high: Positive | None = None
    "lr_max; none: that of the range test"
    range_data: Dataset | None = None
    "what the range test trains on; none: the same set, all of it, as lr-range does"
    range_epochs: Count = 5
    "passes for each rate of the range test; equal settings share the runs of lr-range"
    range_seeds: Count = 1
    "seeds of the range test"

    def range_test(self) -> SeparateRates:
        """The separate runs that the limits are read off; lr-range with equal settings has them."""
        return SeparateRates(
            data=self.range_data or self.whole_data(), network=self.network, batch=self.batch,
            epochs=self.range_epochs, momentum=self.momentum, seeds=self.range_seeds,
        )  # fmt: skip

    def whole_data(self) -> Dataset:
        """The data set without a validation split and without limits."""
        return dataclasses.replace(self.data, validation=0, train_samples=None, test_samples=None)

    def band(self, lab: Lab) -> Band | None:
        """The limits; None where they are open and no rate lowered the loss."""
        return band(lab, self.range_test(), self.low, self.high)

    def checked_data(self, lab: Lab) -> Data:
        """The data in memory. Raises BadOption where they have no classes to be accurate about."""
        data = lab.data(self.data)
        if not data.classes:
            raise BadOption(
                f"{component_name(type(self))} compares accuracies, which {data.name} does not "
                "have: its targets are numbers. Give --data a set with classes, for example "
                "fashion_mnist or digits."
            )
        return data

    def steps_per_epoch(self, lab: Lab) -> int:
        """Steps of one epoch at the constant batch size."""
        return math.ceil(len(lab.data(self.data).train) / self.batch)

    def cyclical(
        self, limits: Band, steps_per_epoch: int, *, epochs: int, half_cycle: int,
        mode: Mode = "exp_range", evaluate: tuple[SplitName, ...] = ("validation", "test"),
    ) -> Trial:  # fmt: skip
        """Training with the rate in cycles; half a cycle is a whole number of steps, as in Keras.

        exp_range's gamma per step brings the swing down to `height_left` after the last step.
        """
        gamma = self.height_left ** (1 / (epochs * steps_per_epoch)) if mode == "exp_range" else 1.0
        schedule = Cyclical(
            low=limits.low, high=limits.high, half_cycle_steps=half_cycle * steps_per_epoch,
            mode=mode, gamma=gamma,
        )  # fmt: skip
        return Trial(
            network=self.network, data=self.data, batch=self.batch, epochs=epochs,
            optimizer=Sgd(lr=schedule, momentum=self.momentum), evaluate=evaluate,
        )  # fmt: skip


def to_end_of_cycle(epochs: int, half_cycle: int) -> int:
    """The first number of epochs from `epochs` on at which a cycle ends."""
    return math.ceil(epochs / (2 * half_cycle)) * 2 * half_cycle


def limits_note(limits: Band) -> Note:
    """The limits in words, with the best rate where it is known."""
    best = "" if limits.best is None else f" The lowest loss there is that of {limits.best:.3g}."
    return Note(text=(
        f"The rate moves between lr_min = {limits.low:.3g} and lr_max = {limits.high:.3g}. "
        f"{limits.origin}{best}"
    ))  # fmt: skip


def final_accuracies(runs: Sequence[Run], classes: int) -> list[float]:
    """Test accuracy of the finished networks; that of guessing for one that diverged."""
    return [1 / classes if run.diverged else run.final("test_accuracy") for run in runs]


def final_mean(runs: Sequence[Run], name: str) -> float | None:
    """Mean over seeds of a final score; None where a run diverged and has none."""
    return None if any(run.diverged for run in runs) else mean([run.final(name) for run in runs])


def divergence_note(name: str, runs: Sequence[Run], classes: int) -> Note | None:
    """Says which seeds of an arm diverged and how they are counted; None where none did."""
    lost = [run for run in runs if run.diverged]
    if not lost:
        return None
    at = ", ".join(f"seed {run.trial.seed} at step {(run.diverged or {})['step']:,}"
                   for run in lost)  # fmt: skip
    return Note(text=(
        f"'{name}' diverged ({at}): the loss was no longer a finite number. Such a network can "
        f"only guess, so the claims count it with an accuracy of 1/{classes}."
    ), kind="warning")  # fmt: skip
