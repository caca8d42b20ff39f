"""The progress display: what is running, how it stands, and how long it will still take."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from epochlab.datasets import Data
from epochlab.train.trial import Trial


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
        console=console, refresh_per_second=5, disable=not console.is_terminal,
        transient=True, speed_estimate_period=120,
    )  # fmt: skip
    with progress:
        yield Display(title, progress, plain=not console.is_terminal)


class Display:
    """One bar for everything that was asked for, one for each run under way."""

    def __init__(self, title: str, progress: Any, plain: bool) -> None:
        self.progress, self.plain = progress, plain
        self.total_samples = 0
        self.wanted = self.finished_runs = 0
        self.samples: dict[str, int] = {}
        self.bars: dict[str, Any] = {}
        self.shares: dict[str, float] = {}
        self.title = title
        self.overall: Any = None

    def asked(
        self, trials: Sequence[Trial], missing: Sequence[Trial], data: Sequence[Data]
    ) -> None:
        """Add the missing trials' samples to what is to be done."""
        for trial, its_data in zip(missing, data, strict=True):
            self.samples[trial.key] = trial.epochs * len(its_data.train)
            self.total_samples += self.samples[trial.key]
        self.wanted += len(missing)
        if self.overall is None:
            self.overall = self.progress.add_task(self.title, note="", total=self.total_samples)
        self._refresh()

    def row(self, trial: Trial, row: dict[str, Any]) -> None:
        """Move the run's bar."""
        key = trial.key
        if key not in self.bars:
            self.bars[key] = self.progress.add_task(_name(trial), total=trial.epochs, note="")
        if row["row"] == "step":
            loss = f"loss {row['loss']:.4g}"
            self.progress.update(self.bars[key], note=loss)
        elif row["row"] == "epoch":
            self.shares[key] = row["epoch"] / trial.epochs
            self.progress.update(self.bars[key], completed=row["epoch"], note=_scores(row))
            self._refresh()
        elif row["row"] == "diverged":
            self.progress.update(
                self.bars[key], note=f"{row['quantity']} is {row['value']} at step {row['step']}"
            )

    def finished(self, trial: Trial) -> None:
        """Take the run's bar away."""
        self.finished_runs += 1
        self.shares[trial.key] = 1.0
        bar = self.bars.pop(trial.key, None)
        if bar is not None:
            self.progress.remove_task(bar)
        self._refresh()
        if self.plain:
            print(f"{self.title}: {self.finished_runs} of {self.wanted} runs trained "
                  f"({_name(trial)})", file=sys.stderr)  # fmt: skip

    def _refresh(self) -> None:
        done = sum(self.samples[key] * share for key, share in self.shares.items())
        note = f"{self.finished_runs} of {self.wanted} runs"
        self.progress.update(self.overall, completed=done, total=self.total_samples, note=note)


def _name(trial: Trial) -> str:
    parts = [type(trial.network).__name__, type(trial.optimizer).__name__, f"seed {trial.seed}"]
    return " · ".join(parts)


def _scores(row: dict[str, Any]) -> str:
    for split in ("validation", "test", "running"):
        for score, digits in (("accuracy", ".2%"), ("rmse", ".4g")):
            if f"{split}_{score}" in row:
                return f"{split} {score} {row[f'{split}_{score}']:{digits}}"
    return ""
