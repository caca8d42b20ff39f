"""Choosing a learning rate for each method on held-out data, with the same small budget for all."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from epochlab.component import component_name, options
from epochlab.datasets import Dataset
from epochlab.errors import BadOption
from epochlab.evidence import Figure, Note
from epochlab.figures.lines import Lines
from epochlab.optimizers import Optimizer
from epochlab.table import Column, Table
from epochlab.train.lab import Lab
from epochlab.train.run import Run
from epochlab.train.trial import Trial


@dataclass(frozen=True)
class Tuned:
    """The chosen rate of each method, and the short runs that chose it."""

    rates: dict[str, float]
    runs: dict[str, list[tuple[float, Run]]]
    "per method its rates, smallest first, with their runs; empty where nothing was tried"


def rate_of(optimizer: Optimizer) -> float:
    """The optimizer's rate. Raises BadOption where it is a schedule: there is no number to tune."""
    if isinstance(optimizer.lr, float):
        return optimizer.lr
    raise BadOption(
        f"The learning rate of {component_name(type(optimizer))} is a schedule; this study tunes a "
        "number. Give its lr as a number."
    )


def with_rate(optimizer: Optimizer, lr: float) -> Optimizer:
    """The same optimizer at another rate."""
    return dataclasses.replace(optimizer, lr=lr)


def default_rate(optimizer: Optimizer) -> Optimizer:
    """The same optimizer at the rate that its component has by default."""
    rate = next(o.default for o in options(type(optimizer)) if o.name == "lr")
    return with_rate(optimizer, rate)


def held_out(data: Dataset, samples: int) -> Dataset:
    """The data with a validation split; its own, if it has one."""
    return data if data.validation else dataclasses.replace(data, validation=samples)


def tune(lab: Lab, trials: Mapping[str, Trial], factors: Sequence[float]) -> Tuned:
    """Train each method's trial at its rate times each factor; the best on validation data wins.

    The trials must have validation data. With a single factor there is nothing to choose.
    """
    grid = {
        name: [rate_of(trial.optimizer) * factor for factor in sorted(factors)]
        for name, trial in trials.items()
    }
    if len(factors) == 1:
        return Tuned({name: rates[0] for name, rates in grid.items()}, {})
    asked = [
        dataclasses.replace(trials[name], optimizer=with_rate(trials[name].optimizer, rate))
        for name, rates in grid.items()
        for rate in rates
    ]
    found = iter(lab.run_all(asked))
    runs = {name: [(rate, next(found)) for rate in rates] for name, rates in grid.items()}
    return Tuned({name: _best(tried) for name, tried in runs.items()}, runs)


def _best(tried: Sequence[tuple[float, Run]]) -> float:
    """The rate with the highest validation accuracy, between equals that with the lower loss."""
    return max(tried, key=lambda pair: _score(pair[1]))[0]


def _score(run: Run) -> tuple[float, float]:
    if run.diverged:
        return -math.inf, -math.inf
    return run.final("validation_accuracy"), -run.final("validation_loss")


def tuning_figure(tuned: Tuned) -> Figure:
    """Validation accuracy over the rate, a curve per method."""
    rows = []
    for name, tried in tuned.runs.items():
        for rate, run in tried:
            chosen = rate == tuned.rates[name]
            at_end = chosen and rate in (tried[0][0], tried[-1][0])
            remark = "at the end of the grid" if at_end else "chosen" if chosen else ""
            rows.append({
                "method": name, "learning rate": rate,
                "training loss": run.final("train_loss"),
                "validation loss": run.final("validation_loss"),
                "validation accuracy": run.final("validation_accuracy"),
                "remark": "diverged" if run.diverged else remark,
            })  # fmt: skip
    table = Table.of("Tuning the learning rate", rows, name="tuning", columns=(
        "method", Column(name="learning rate", format=".3g"),
        Column(name="training loss", format=".4f"), Column(name="validation loss", format=".4f"),
        Column(name="validation accuracy", format=".2%"), "remark",
    ))  # fmt: skip
    return Figure(
        table=table,
        drawing=Lines(x="learning rate", y="validation accuracy", color="method", log_x=True,
                      points=True),
        caption="Each method has the same number of short runs, scored on data held out of the "
                "training set; the highest point of its curve is the rate used below. The hills "
                "lie decades apart, which is why comparing methods at one common rate would be "
                "unfair. A curve that still rises at its end asks for a wider grid.",
    )  # fmt: skip


def edge_note(tuned: Tuned) -> Note | None:
    """A warning for methods whose best rate lies at an end of the grid."""
    ends = [name for name, tried in tuned.runs.items()
            if tuned.rates[name] in (tried[0][0], tried[-1][0])]  # fmt: skip
    if not ends:
        return None
    return Note(kind="warning", text=(
        f"The best rate of {', '.join(ends)} lies at an end of the grid; a wider grid (option "
        "'factors') could find a better one, so a loss to other methods is not final."
    ))  # fmt: skip
