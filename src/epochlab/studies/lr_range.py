"""Which learning rates train a network at all, and between which two should a policy move?"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from epochlab.component import Count, Positive, Share, ShareBelowOne
from epochlab.datasets import Dataset
from epochlab.datasets.digits import Digits
from epochlab.datasets.fashion_mnist import FashionMnist
from epochlab.evidence import Claim, Evidence, Figure, Note
from epochlab.figures.lines import Lines
from epochlab.networks import Network
from epochlab.networks.lenet5 import Lenet5
from epochlab.networks.mlp import Mlp
from epochlab.optimizers.sgd import Sgd
from epochlab.schedules.range_test import RangeTest
from epochlab.studies import Study
from epochlab.studies._arms import mean, run_arms
from epochlab.studies._rate_limits import Limits, SeparateRates, last_loss, untrained_loss
from epochlab.table import Column, Table
from epochlab.train.lab import Lab
from epochlab.train.run import Run
from epochlab.train.trial import Trial

STOP_FACTOR = 4.0  # the finder stops once the smoothed loss is so many times its lowest


def smoothed(losses: Sequence[float], beta: float) -> list[float]:
    """Exponential mean with bias correction, cut once it is STOP_FACTOR times its lowest."""
    total, lowest, result = 0.0, math.inf, []
    for number, loss in enumerate(losses, 1):
        total = beta * total + (1 - beta) * loss
        value = total / (1 - beta**number)
        result.append(value)
        lowest = min(lowest, value)
        if value > STOP_FACTOR * lowest:
            break
    return result


@dataclass(frozen=True, kw_only=True)
class LrRange(Study):
    """Train separately at each of several learning rates, then once with a rate that sweeps."""

    data: Dataset = field(default_factory=FashionMnist)
    "what to train on"
    network: Network = field(default_factory=Lenet5)
    "what to train"
    lowest: Positive = 1e-9
    "smallest learning rate"
    highest: Positive = 10.0
    "largest learning rate"
    rates: Count = 10
    "learning rates tried, equally spaced on the logarithmic axis, ends included"
    epochs: Count = 5
    "passes for each rate"
    sweep_epochs: Count = 3
    "passes of the single run in which the rate grows from lowest to highest"
    batch: Count = 64
    "samples per step"
    momentum: ShareBelowOne = 0.9
    "of plain stochastic gradient descent"
    low_share: Share = 0.5
    "lr_min: smallest rate with this share of the greatest fall of the loss"
    high_share: Share = 0.9
    "lr_max: largest rate with this share of the greatest fall"
    smoothing: ShareBelowOne = 0.98
    "of the sweep's loss, exponential mean"

    question: ClassVar[str] = (
        "Which learning rates train the network at all, and between which two should a policy move?"
    )
    covers: ClassVar[tuple[str, ...]] = (
        "HW3B-P1.0", "HW3B-P1.1", "HW3B-P1.R1", "HW3B-P1.R2",
    )  # fmt: skip
    expectation: ClassVar[str] = (
        "From left to right the loss stays at its untrained value (the steps are too small to "
        "move), falls, reaches a floor, and jumps up or diverges (the steps overshoot). If it "
        "never falls, the data are not normalised or labels and images do not belong together; "
        "if it never rises, widen the range upwards."
    )
    references: ClassVar[tuple[str, ...]] = (
        "L. N. Smith, Cyclical Learning Rates for Training Neural Networks, WACV 2017, "
        "arXiv:1506.01186.",
    )
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "smoke": {"data": FashionMnist(train_samples=512, test_samples=512), "epochs": 1,
                  "sweep_epochs": 4, "decisive": False},
        "laptop": {},
        "paper": {"seeds": 3},
        "digits": {"data": Digits(), "network": Mlp(hidden=(64,)), "epochs": 8, "batch": 32,
                   "sweep_epochs": 20},
    }  # fmt: skip

    def evidence(self, lab: Lab) -> Iterator[Evidence]:
        """Separate runs, the sweep, and the band with the rule that chose it."""
        arms, sweeps = self.runs(lab)
        losses = {rate: last_loss(runs) for rate, runs in arms.items()}
        untrained = untrained_loss(arms)
        limits = self.separate().limits_of(arms)
        table = self._table(arms, losses, limits)
        marks = () if limits is None else (
            (limits.low, f"lr_min {limits.low:.3g}"), (limits.high, f"lr_max {limits.high:.3g}"),
        )  # fmt: skip
        yield Figure(
            table=table,
            drawing=Lines(x="learning rate", y="training loss", log_x=True, points=True,
                          vertical=marks, horizontal=((untrained, "untrained"),)),
            caption=f"Mean training loss of the last of {self.epochs} epochs at each rate, "
                    "trained separately from the same initial weights.",
        )  # fmt: skip
        yield table
        yield self._sweep_figure(sweeps, marks)
        if limits is None:
            yield Note(text="No rate lowered the loss; there is no band.", kind="warning")
            return
        yield Note(text=(
            f"How the band was chosen: the untrained network has a loss of {untrained:.4f}; the "
            f"best rate, {limits.best:.3g}, brings it to {losses[limits.best]:.4f}. lr_min = "
            f"{limits.low:.3g} is the smallest rate with at least {self.low_share:.0%} of that "
            f"fall, lr_max = {limits.high:.3g} the largest with at least {self.high_share:.0%}."
        ))  # fmt: skip
        yield from self._claims(arms, losses, untrained)

    def separate(self) -> SeparateRates:
        """The separate runs; studies that build on the band ask for the same ones."""
        return SeparateRates(
            data=self.data, network=self.network, epochs=self.epochs, batch=self.batch,
            momentum=self.momentum, seeds=self.seeds, lowest=self.lowest, highest=self.highest,
            rates=self.rates, low_share=self.low_share, high_share=self.high_share,
        )  # fmt: skip

    def trial(self, lr: float) -> Trial:
        """Training at one rate."""
        return self.separate().trial(lr)

    def runs(self, lab: Lab) -> tuple[dict[float, list[Run]], list[Run]]:
        """Runs by learning rate, and the sweeps."""
        sweep = Trial(
            network=self.network, data=self.data, batch=self.batch, epochs=self.sweep_epochs,
            optimizer=Sgd(lr=RangeTest(low=self.lowest, high=self.highest),
                          momentum=self.momentum), evaluate=(),
        )  # fmt: skip
        found = run_arms(lab, self.separate().arms() | {"sweep": sweep}, self.seeds)
        sweeps = found.pop("sweep")
        return {float(name): runs for name, runs in found.items()}, sweeps

    def limits(self, lab: Lab) -> Limits | None:
        """The band alone, without the sweep."""
        return self.separate().limits(lab)

    def _table(
        self, arms: Mapping[float, Sequence[Run]], losses: Mapping[float, float],
        limits: Limits | None,
    ) -> Table:  # fmt: skip
        rows = []
        for rate, runs in arms.items():
            lost = next((run.diverged for run in runs if run.diverged), None)
            mark = {} if limits is None else {limits.low: "lr_min", limits.high: "lr_max"}
            rows.append({
                "learning rate": rate, "training loss": losses[rate],
                "test accuracy": None if lost else mean([r.final("test_accuracy") for r in runs]),
                "band": mark.get(rate, ""),
                "remark": f"{lost['quantity']} {lost['value']} at step {lost['step']}"
                          if lost else "",
            })  # fmt: skip
        return Table.of("Training loss against learning rate", rows, name="loss-vs-rate", columns=(
            Column(name="learning rate", format=".3g"), Column(name="training loss", format=".4f"),
            Column(name="test accuracy", format=".2%"), "band", "remark",
        ), notes=(f"Mean over {self.seeds} seeds.",) if self.seeds > 1 else ())  # fmt: skip

    def _sweep_figure(self, sweeps: Sequence[Run], marks: tuple[tuple[float, str], ...]) -> Figure:
        rows = []
        for run in sweeps:
            values = smoothed([row["loss"] for row in run.steps], self.smoothing)
            rows += [{"learning rate": row["lr"], "smoothed training loss": value,
                      "seed": str(run.trial.seed)}
                     for row, value in zip(run.steps, values, strict=False)]  # fmt: skip
        table = Table.of("One run with a growing rate", rows, name="sweep", columns=(
            Column(name="learning rate", format=".3g"),
            Column(name="smoothed training loss", format=".4f"), "seed",
        ))  # fmt: skip
        return Figure(
            table=table,
            drawing=Lines(x="learning rate", y="smoothed training loss", color="seed", log_x=True,
                          vertical=marks),
            caption=f"The rate is multiplied by a constant after every step of {self.sweep_epochs} "
                    f"epochs; the loss is an exponential mean ({self.smoothing:g}), cut at "
                    f"{STOP_FACTOR:g} times its lowest. Because the weights are already trained "
                    "when the large rates come, this cheaper test is more forgiving on the left "
                    "and later on the right than separate runs.",
        )  # fmt: skip

    def _claims(
        self, arms: Mapping[float, Sequence[Run]], losses: Mapping[float, float], untrained: float
    ) -> Iterator[Claim]:
        smallest, largest = min(arms), max(arms)
        change = abs(losses[smallest] - untrained)
        final = losses[largest]
        lost = not math.isfinite(final)
        yield Claim(
            statement=f"A rate of {smallest:.3g} leaves the loss where it began.",
            rule="the last epoch's loss differs from the untrained loss by less than 0.02",
            verdict=_verdict(change < 0.02, self.decisive),
            numbers={"change": change}, seeds=self.seeds,
        )  # fmt: skip
        yield Claim(
            statement=f"A rate of {largest:.3g} does not train the network.",
            rule="training diverges, or the last epoch's loss is not below the untrained loss",
            verdict=_verdict(lost or final >= untrained, self.decisive),
            numbers={"untrained loss": untrained} | ({} if lost else {"last loss": final}),
            seeds=self.seeds,
        )  # fmt: skip


def _verdict(holds: bool, decisive: bool) -> Any:
    return ("supported" if holds else "not supported") if decisive else "inconclusive"
