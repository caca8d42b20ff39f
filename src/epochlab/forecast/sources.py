"""Curves from where they are recorded: a run of the store, or the log of another trainer as CSV."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from epochlab.errors import BadData, BadOption, UnknownName
from epochlab.forecast.curve import Curve, Kind
from epochlab.schedules import Progress

if TYPE_CHECKING:
    from epochlab.train.run import Run
    from epochlab.train.trial import Trial

ENDINGS = ("_loss", "_accuracy", "_rmse")
LOG_COLUMNS = ("epoch", "step", "loss", "accuracy", "val_loss", "val_accuracy", "lr", "seconds")
RATE_SAMPLES = 10  # per epoch, of which the mean rate is taken


def quantities(run: Run) -> list[str]:
    """What of a run can be forecast, the most wanted first: 'test_accuracy', 'running_loss', ..."""
    found = list(dict.fromkeys(k for row in run.epochs for k in row if k.endswith(ENDINGS)))
    order = ("validation_accuracy", "test_accuracy", "running_loss")
    return sorted(found, key=lambda name: (order.index(name) if name in order else 9, name))


def kind_of(quantity: str) -> Kind:
    """'test_accuracy' -> 'held-out error', 'running_loss' -> 'train loss'."""
    held_out = not quantity.startswith(("running", "train"))
    if quantity.endswith("accuracy"):
        return "held-out error" if held_out else "train error"
    return "held-out loss" if held_out else "train loss"


def curve_of_run(run: Run, quantity: str) -> Curve:
    """One quantity of a run, finished or not, over its epochs, with its schedule to the end.

    The rate of an epoch is the mean over it, and where the batch grows it is divided by the growth:
    what counts is the rate per sample (Smith, Kindermans, Ying and Le, ICLR 2018). The seconds of
    an epoch are the median of its wall clock, evaluation included, epochs that other processes
    spoiled left out. Raises UnknownName for a quantity that the run does not have, BadData for a
    run without epochs.
    """
    if not run.epochs:
        raise BadData(f"The run {run.key[:12]} has no complete epoch yet; there is no curve.")
    rows = [row for row in run.epochs if row.get(quantity) is not None]
    if not rows:
        raise UnknownName("quantity of this run", quantity, quantities(run))
    trial, every = run.trial, run.trial.evaluate_every
    planned = [e for e in range(1, trial.epochs + 1) if e % every == 0 or e == trial.epochs]
    if quantity.startswith("running"):
        planned = list(range(1, trial.epochs + 1))
    rates = epoch_rates(trial, run.epochs[0]["step"])
    ends = [0, *planned]
    values = [float(row[quantity]) for row in rows]
    score = quantity.endswith("accuracy")
    return Curve(
        kind=kind_of(quantity), name=quantity, at=tuple(map(float, planned)),
        rates=tuple(math.fsum(rates[a:b]) / (b - a) for a, b in zip(ends, planned, strict=False)),
        values=tuple(1 - v if score else v for v in values),
        seconds_per_unit=epoch_seconds(run.clock),
    )  # fmt: skip


def epoch_rates(trial: Trial, first_steps: int) -> list[float]:
    """Mean learning rate of every planned epoch; `first_steps` is the first epoch's count."""
    samples = first_steps * trial.batch_size(0)
    counts = trial.steps_per_epoch(samples)
    counts[0], total, done, found = first_steps, sum(counts), 0, []
    for epoch, count in enumerate(counts):
        parts = min(count, RATE_SAMPLES)
        summed = 0.0
        for part in range(parts):
            share = (part + 0.5) / parts
            at = Progress(done + int(share * count), epoch + share, trial.epochs, total)
            summed += trial.learning_rate(at)
        found.append(summed / parts * trial.batch_size(0) / trial.batch_size(epoch))
        done += count
    return found


def epoch_seconds(clock: Sequence[Mapping[str, Any]]) -> float | None:
    """Median wall-clock seconds of an epoch; None if none was timed."""
    wall: dict[int, float] = {}
    spoiled: set[int] = set()
    for row in clock:
        wall[row["epoch"]] = wall.get(row["epoch"], 0.0) + row["wall_s"]
        if row.get("spoiled"):
            spoiled.add(row["epoch"])
    # The last segment writes weights and belongs to no epoch of its own.
    clean = [s for epoch, s in wall.items() if epoch not in spoiled and epoch > 0]
    return median(clean or wall.values()) if wall else None


@dataclass(frozen=True, kw_only=True)
class Log:
    """A table of another trainer: columns by name, one row per epoch or step."""

    path: Path
    columns: Mapping[str, tuple[float | None, ...]]

    @property
    def quantities(self) -> list[str]:
        """Columns that can be forecast."""
        return [name for name in self.columns if name not in ("epoch", "step", "lr", "seconds")]


def read_log(path: Path) -> Log:
    """A CSV file with a heading, with 'epoch' or 'step' and at least one of the other LOG_COLUMNS.

    Empty cells are allowed: rows that have a rate ('lr') but no loss are the schedule to come.
    `seconds` is the time since the start, or since the row before. Raises BadData.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.reader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        why = (error.strerror or error) if isinstance(error, OSError) else error
        raise BadData(f"The log {path} cannot be read: {why}.") from error
    head = [name.strip().lower() for name in rows[0]] if rows else []
    places = [name for name in ("epoch", "step") if name in head]
    known = [name for name in head if name in LOG_COLUMNS]
    if len(places) == 0 or not set(known) - {"epoch", "step", "lr", "seconds"}:
        raise BadData(
            f"The log {path} has the columns {', '.join(head) or '(none)'}. It needs 'epoch' or "
            "'step', and one of loss, accuracy, val_loss, val_accuracy; 'lr' and 'seconds' are "
            "optional. Rename the columns of the first line."
        )
    body = [row for row in rows[1:] if any(cell.strip() for cell in row)]
    columns = {
        name: tuple(_number(path, line, name, _cell(row, head.index(name)))
                    for line, row in enumerate(body, 2))
        for name in dict.fromkeys(known)
    }  # fmt: skip
    return Log(path=path, columns=columns)


def _cell(row: Sequence[str], place: int) -> str:
    return row[place].strip() if place < len(row) else ""


def _number(path: Path, line: int, name: str, text: str) -> float | None:
    if not text:
        return None
    try:
        return float(text)
    except ValueError:
        raise BadData(f"{path}, row {line}: '{name}' is '{text}', which is no number.") from None


def curve_of_log(log: Log, quantity: str) -> Curve:
    """One column of a log as a curve, whose plan is the rows that have a rate but no value.

    Raises UnknownName for a column that is not there, BadData for one without numbers.
    """
    if quantity not in log.quantities:
        raise UnknownName("column of this log", quantity, log.quantities)
    unit = "epoch" if "epoch" in log.columns else "step"
    places, lr = log.columns[unit], log.columns.get("lr", ())
    rates = lr or (None,) * len(places)
    # A row at 0 is the untrained network: no position on a logarithmic axis.
    placed = [(t, v, r) for t, v, r in zip(places, log.columns[quantity], rates, strict=True) if t]
    seen = [row for row in placed if row[1] is not None]
    if not seen:
        raise BadData(f"The column '{quantity}' of {log.path} holds no number after position 0.")
    to_come = [
        row for row in placed if row[1] is None and row[2] is not None and row[0] > seen[-1][0]
    ]
    score = quantity.endswith("accuracy")
    values = [_as_value(log, quantity, v, score) for _, v, _ in seen if v is not None]
    return Curve(
        kind=kind_of(quantity if quantity.startswith("val") else f"running_{quantity}"),
        name=quantity, unit=unit, values=tuple(values),
        at=tuple(t for t, _, _ in [*seen, *to_come]),
        rates=_filled(r for _, _, r in [*seen, *to_come]),
        seconds_per_unit=_pace(log, unit),
    )  # fmt: skip


def _as_value(log: Log, quantity: str, value: float, score: bool) -> float:
    """A loss as it is, an accuracy (a share, not a percentage) as 1 - accuracy."""
    if score and value > 1:
        raise BadData(
            f"{log.path}: '{quantity}' is {value:g}. An accuracy is a share from 0 to 1; divide "
            "percentages by 100."
        )
    if value < 0:
        raise BadData(f"{log.path}: '{quantity}' is {value:g}; no loss or accuracy is below 0.")
    return 1 - value if score else value


def _filled(rates: Iterable[float | None]) -> tuple[float, ...]:
    """Rates with each gap closed by the one before; all 1 where none is given."""
    found: list[float] = []
    given = list(rates)
    last = next((r for r in given if r is not None), 1.0)
    for rate in given:
        last = last if rate is None else rate
        found.append(last)
    return tuple(found)


def _pace(log: Log, unit: str) -> float | None:
    """Median seconds per unit, from times since the start or since the row before."""
    if "seconds" not in log.columns:
        return None
    rows = [(t, s) for t, s in zip(log.columns[unit], log.columns["seconds"], strict=True)
            if t is not None and s is not None]  # fmt: skip
    gaps = [(b[0] - a[0], a[1], b[1]) for a, b in pairwise(rows) if b[0] > a[0]]
    if not gaps:
        return rows[0][1] / rows[0][0] if rows and rows[0][0] > 0 else None
    if all(after >= before for _, before, after in gaps) and gaps[-1][2] > 1.5 * gaps[0][1]:
        return median((after - before) / gap for gap, before, after in gaps)
    return median(after / gap for gap, _, after in gaps)


def level_of(quantity: str, target: float) -> float:
    """A target as the user gives it, as a loss or as 1 - accuracy. Raises BadOption."""
    if not math.isfinite(target) or target < 0:
        raise BadOption(f"The target {quantity}={target:g} is not a finite number, 0 or more.")
    if not quantity.endswith("accuracy"):
        return target
    if target > 1:
        raise BadOption(
            f"The target {quantity}={target:g} is above 1. An accuracy is a share: 90 % is 0.9."
        )
    return 1 - target
