"""The cyclical rate against its formula: the recorded trace, and the names that Keras uses."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from epochlab.evidence import Claim, Figure
from epochlab.figures.lines import Lines
from epochlab.schedules.cyclical import Cyclical
from epochlab.table import Column, Table
from epochlab.train.run import Run
from epochlab.train.trial import Trial

ROUNDING = 1e-12  # of lr_max; two ways to compute the same formula may differ by this much


def formula(step: int, trial: Trial) -> float:
    """exp_range as Keras' callback and Smith write it, from the numbers of a trial's schedule.

    lr = base + (max - base) * max(0, 1 - x) * gamma^it, x = |it / s - 2 cycle + 1|,
    cycle = floor(1 + it / (2 s)).
    """
    rate = trial.optimizer.lr
    assert isinstance(rate, Cyclical) and rate.half_cycle_steps is not None
    s = rate.half_cycle_steps
    cycle = math.floor(1 + step / (2 * s))
    x = abs(step / s - 2 * cycle + 1)
    scale = math.pow(rate.gamma, step)
    return rate.low + (rate.high - rate.low) * max(0.0, 1 - x) * scale


def trace(run: Run) -> list[dict[str, Any]]:
    """Recorded rate, the formula's, and the upper end of the swing, by step counted from 0."""
    rate = run.trial.optimizer.lr
    assert isinstance(rate, Cyclical)
    rows = []
    for row in run.steps:
        step = row["step"] - 1
        rows.append({
            "step": step, "epoch": row["epoch"], "learning rate": row["lr"],
            "formula": formula(step, run.trial),
            "envelope": rate.low + (rate.high - rate.low) * math.pow(rate.gamma, step),
        })  # fmt: skip
    return rows


def trace_figure(run: Run, height_left: float) -> Figure:
    """The rate at every step of one run."""
    rate = run.trial.optimizer.lr
    assert isinstance(rate, Cyclical)
    return Figure(
        table=Table.of("Learning rate of exp_range by step", trace(run), name="trace", columns=(
            "step", "epoch", Column(name="learning rate", format=".4g"),
            Column(name="formula", format=".4g", label="exact"),
            Column(name="envelope", format=".4g", label="exact"),
        )),
        drawing=Lines(x="step", y=("learning rate", "envelope"), y_title="learning rate"),
        caption="The rate that each step was made with, as the run recorded it, counted from step "
                f"0. It begins and ends each cycle at lr_min = {rate.low:.3g}. The envelope is "
                f"where the tops lie: it begins at lr_max = {rate.high:.3g} and shrinks by the "
                f"factor {rate.gamma:.8g} with every step, so that {height_left:.0%} of the swing "
                "is left after the last. The table has the formula's value beside each rate.",
    )  # fmt: skip


def trace_claim(runs: Sequence[Run], steps_per_epoch: int) -> Claim:
    """Exact in every preset: it asks whether the schedule was followed, not how training went."""
    steps, difference, high = 0, 0.0, 1.0
    for run in runs:
        rate = run.trial.optimizer.lr
        assert isinstance(rate, Cyclical)
        high = rate.high
        rows = trace(run)
        steps += len(rows)
        difference = max(
            [difference, *(abs(row["learning rate"] - row["formula"]) for row in rows)]
        )
    planned = sum(run.trial.epochs * steps_per_epoch for run in runs)
    holds = difference <= ROUNDING * high and steps == planned
    return Claim(
        statement="The learning rate follows the formula of exp_range at every step.",
        rule=f"all planned steps were made, none with a rate that differs from the formula's by "
             f"more than {ROUNDING:g} of lr_max",
        verdict="supported" if holds else "not supported",
        numbers={"largest difference": difference, "steps": steps, "planned steps": planned},
        seeds=len(runs),
    )  # fmt: skip


def keras_names(trial: Trial, lowest: float, highest: float) -> Table:
    """Names of the same things in the Keras callback and finder, and the values used here."""
    rate = trial.optimizer.lr
    assert isinstance(rate, Cyclical)
    callback = "CyclicLR (callback)"
    finder = "LearningRateFinder"
    rows = [
        (callback, "base_lr", "schedules/cyclical: low", f"{rate.low:.6g}"),
        (callback, "max_lr", "schedules/cyclical: high", f"{rate.high:.6g}"),
        (callback, "step_size", "schedules/cyclical: half_cycle_steps",
         f"{rate.half_cycle_steps:,}"),
        (callback, "mode", "schedules/cyclical: mode", rate.mode),
        (callback, "gamma", "schedules/cyclical: gamma", f"{rate.gamma:.10g}"),
        (callback, "scale_fn, scale_mode", "none: write a schedule of one's own", "-"),
        (finder, "startLR", "lr-range: lowest", f"{lowest:g}"),
        (finder, "endLR", "lr-range: highest", f"{highest:g}"),
        (finder, "epochs", "lr-range: sweep_epochs", "see lr-range"),
        (finder, "beta", "lr-range: smoothing", "see lr-range"),
        (finder, "stopFactor", "fixed in lr-range", "see lr-range"),
    ]  # fmt: skip
    names = ("object in Keras", "name in Keras", "name here", "value here")
    return Table.of(
        "Names in Keras and here", [dict(zip(names, row, strict=True)) for row in rows],
        name="keras-names", label="exact", notes=(
            "Equal arguments give equal learning rates at every step: step 0 is made with base_lr. "
            "Keras counts the step size in iterations; 2 to 8 epochs' worth is its advice.",
        ),
    )  # fmt: skip
