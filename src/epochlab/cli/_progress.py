"""The progress display: what is running, how it stands, and how long it will still take."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from epochlab.datasets import Data
from epochlab.train.trial import Trial, flat_settings, telling_names

# Drawing takes a core's time from training; a picture a second is enough to see it move.
STEP_EVERY_S = 0.5


@contextlib.contextmanager
def progress_display(title: str) -> Iterator[Display]:
    """A live display on a terminal; a line per finished run where output is a file."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True)
    progress = Progress(
        TextColumn("{task.description}"), BarColumn(bar_width=24),
        TextColumn("{task.percentage:>3.0f} %"), TimeElapsedColumn(),
        TextColumn("left"), TimeRemainingColumn(elapsed_when_finished=False),
        TextColumn("{task.fields[note]}"),
        console=console, refresh_per_second=1, disable=not console.is_terminal,
        transient=True, speed_estimate_period=120,
    )  # fmt: skip
    with progress:
        yield Display(title, progress, plain=not console.is_terminal)


@contextlib.contextmanager
def working(what: str) -> Iterator[None]:
    """Say on a terminal that something without steps to count is under way."""
    from rich.console import Console

    console = Console(stderr=True)
    if not console.is_terminal:
        yield
        return
    with console.status(what):
        yield


class Display:
    """One bar for everything that was asked for, one for each run under way."""

    def __init__(self, title: str, progress: Any, plain: bool) -> None:
        self.title, self.progress, self.plain = title, progress, plain
        self.work: dict[str, _Work] = {}
        self.bars: dict[str, Any] = {}
        self.overall: Any = None
        self.moved_at = 0.0

    def asked(
        self, trials: Sequence[Trial], missing: Sequence[Trial], data: Sequence[Data]
    ) -> None:
        """Add the missing trials to what is to be done."""
        names = telling_names([flat_settings(trial) for trial in missing])
        for trial, name, its_data in zip(missing, names, data, strict=True):
            samples = len(its_data.train)
            steps = sum(trial.steps_per_epoch(samples))
            self.work[trial.key] = _Work(name, steps, trial.epochs * samples)
        if self.overall is None:
            self.overall = self.progress.add_task(self.title, note="", total=1)
        self._refresh()

    def row(self, trial: Trial, row: dict[str, Any]) -> None:
        """Move the run's bar and the one of all; steps only as often as an eye can follow."""
        if row["row"] == "step":
            now = time.monotonic()
            if now - self.moved_at < STEP_EVERY_S:
                return
            self.moved_at = now
        key, work = trial.key, self.work[trial.key]
        if key not in self.bars:
            self.bars[key] = self.progress.add_task(work.name, total=work.steps, note="")
        work.done = row["step"]
        note = {}
        if row["row"] == "step" and not work.scored:
            note = {"note": f"loss {row['loss']:.4g}"}
        elif row["row"] == "epoch":
            work.scored = True
            note = {"note": _scores(row)}
        elif row["row"] == "diverged":
            lost = f"{row['quantity']} is {row['value']} at step {row['step']}"
            note = {"note": lost}
        self.progress.update(self.bars[key], completed=work.done, **note)
        self._refresh()

    def finished(self, trial: Trial) -> None:
        """Take the run's bar away."""
        work = self.work[trial.key]
        work.done, work.finished = work.steps, True
        bar = self.bars.pop(trial.key, None)
        if bar is not None:
            self.progress.remove_task(bar)
        self._refresh()
        if self.plain:
            print(f"{self.title}: {self._count()} trained ({work.name})", file=sys.stderr)

    def _count(self) -> str:
        finished = sum(work.finished for work in self.work.values())
        return f"{finished} of {len(self.work)} runs"

    def _refresh(self) -> None:
        total = sum(work.samples for work in self.work.values())
        done = sum(work.samples * work.done / work.steps for work in self.work.values())
        self.progress.update(self.overall, completed=done, total=total, note=self._count())


@dataclass
class _Work:
    """One run that has to be trained."""

    name: str
    steps: int
    samples: int
    "samples that pass through in all epochs; the measure of work across runs"
    done: int = 0
    scored: bool = False
    finished: bool = False


def _scores(row: dict[str, Any]) -> str:
    for split in ("validation", "test", "running"):
        for score, digits in (("accuracy", ".2%"), ("rmse", ".4g")):
            if f"{split}_{score}" in row:
                return f"{split} {score} {row[f'{split}_{score}']:{digits}}"
    return ""
