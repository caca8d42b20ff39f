"""The levels of a batch that grows: how many steps each has, and how noisy they are."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from epochlab.evidence import Claim, Note
from epochlab.table import Column, Table
from epochlab.train.run import Run

FEW_STEPS = 20  # an epoch of fewer steps than this is warned about


@dataclass(frozen=True)
class Levels:
    """Batch sizes in their order, and the samples that they divide."""

    batches: tuple[int, ...]
    epochs: int
    "on each level"
    samples: int
    "that are trained on"
    whole: int
    "training samples of the complete set, validation split included"

    def steps_per_epoch(self, samples: int | None = None) -> list[int]:
        """Steps of one epoch on each level; the last batch may be smaller."""
        return [math.ceil((samples or self.samples) / batch) for batch in self.batches]


def noise_scale(lr: float, samples: int, batch: int, momentum: float) -> float:
    """How strongly the steps fluctuate: lr * N / (B * (1 - momentum)), for B far below N.

    Dividing the rate by a factor or multiplying the batch by it changes the scale alike.
    Reference: Smith, Kindermans, Ying, Le, ICLR 2018, arXiv:1711.00489.
    """
    return lr * samples / (batch * (1 - momentum))


def level_table(levels: Levels, lr: float, momentum: float) -> Table:
    """Steps and noise scale of each level, and the rate that would do the same at the first."""
    rows = []
    columns = (levels.batches, levels.steps_per_epoch(), levels.steps_per_epoch(levels.whole))
    for number, (batch, steps, of_whole) in enumerate(zip(*columns, strict=True)):
        rows.append({
            "level": number + 1, "batch size": batch, "log2(batch size)": math.log2(batch),
            "epochs": f"{number * levels.epochs + 1} to {(number + 1) * levels.epochs}"
                      if levels.epochs > 1 else str(number + 1),
            "steps per epoch": steps, "steps": steps * levels.epochs,
            f"steps per epoch of {levels.whole:,}": of_whole,
            "noise scale": noise_scale(lr, levels.samples, batch, momentum),
            "equal rate": lr * levels.batches[0] / batch,
        })  # fmt: skip
    whole = [Column(name=f"steps per epoch of {levels.whole:,}", format=",")]
    return Table.of("The levels of the batch size", rows, name="levels", label="exact", columns=(
        "level", Column(name="batch size", format=","), Column(name="log2(batch size)", format="g"),
        "epochs", Column(name="steps per epoch", format=","), Column(name="steps", format=","),
        *(whole if levels.whole != levels.samples else ()),
        Column(name="noise scale", format=".4g"), Column(name="equal rate", format=".3g"),
    ), notes=(
        f"{levels.samples:,} of {levels.whole:,} training samples are trained on.",
        f"Noise scale: lr N / (B (1 - m)), with lr = {lr:.3g}, N = {levels.samples:,} and momentum "
        f"m = {momentum:g}. Equal rate: the one with the same noise scale at a batch of "
        f"{levels.batches[0]}.",
    ))  # fmt: skip


def few_steps_note(levels: Levels) -> Note | None:
    """Warns about levels whose epochs have few steps; None where all have enough."""
    few = [
        f"{steps:,} at {batch:,}"
        for batch, steps in zip(levels.batches, levels.steps_per_epoch(), strict=True)
        if steps < FEW_STEPS
    ]
    if not few:
        return None
    return Note(text=(
        f"On the largest levels an epoch has few steps: {', '.join(few)}. So few cannot move the "
        "weights far, however good their direction: that the loss stands still there says little "
        "about noise. The theory asks for batches far smaller than the data set as well."
    ), kind="warning")  # fmt: skip


def steps_claim(runs: Sequence[Run], levels: Levels) -> Claim:
    """Exact in every preset: whether each level made its steps with its batch size."""
    made: Counter[int] = Counter()
    largest: dict[int, int] = {}
    for run in runs:
        for row in run.steps:
            level = (row["epoch"] - 1) // levels.epochs
            made[level] += 1
            largest[level] = max(row["batch"], largest.get(level, 0))
    planned = [steps * levels.epochs * len(runs) for steps in levels.steps_per_epoch()]
    sizes = [min(batch, levels.samples) for batch in levels.batches]
    wrong = sum(
        made[level] != planned[level] or largest.get(level) != sizes[level]
        for level in range(len(levels.batches))
    )
    return Claim(
        statement="Every level made the steps that its batch size calls for.",
        rule="per epoch the number of samples over the batch size, rounded up, of steps with that "
             "batch size",
        verdict="not supported" if wrong else "supported",
        numbers={"steps": sum(made.values()), "planned steps": sum(planned),
                 "levels that differ": wrong},
        seeds=len(runs),
    )  # fmt: skip
