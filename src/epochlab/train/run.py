"""A run: the recorded facts of one trial, read from its folder."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from epochlab.errors import StoreError
from epochlab.train.store import RunFolder, Store
from epochlab.train.trial import Trial

if TYPE_CHECKING:
    from torch import nn

Row = dict[str, Any]


@dataclass(frozen=True)
class Run:
    """Rows, times and weights of one trial.

    `status` is 'done', 'diverged', 'stopped' (unfinished) or 'planned' (a stand-in while a study is
    only counted, whose numbers mean nothing).
    """

    trial: Trial
    status: str
    rows: tuple[Row, ...]
    clock: tuple[Row, ...] = ()
    folder: RunFolder | None = None

    @classmethod
    def load(cls, folder: RunFolder, trial: Trial | None = None) -> Run:
        """Read a run from its folder, finished or not."""
        status = folder.done()["status"] if folder.is_done else "stopped"
        return cls(
            trial=trial or folder.trial(),
            status=status,
            rows=tuple(folder.read_rows()),
            clock=tuple(folder.read_rows("clock.jsonl")),
            folder=folder,
        )

    @property
    def key(self) -> str:
        return self.trial.key

    @functools.cached_property
    def steps(self) -> list[Row]:
        """One row per update: step, epoch, loss, lr, batch."""
        return [row for row in self.rows if row["row"] == "step"]

    @functools.cached_property
    def epochs(self) -> list[Row]:
        """One row per epoch: running_loss, running_accuracy, validation_..., test_..."""
        return [row for row in self.rows if row["row"] == "epoch"]

    @property
    def start(self) -> Row:
        """Scores of the untrained network."""
        return next((row for row in self.rows if row["row"] == "start"), {})

    @property
    def end(self) -> Row:
        """Scores of the finished network on every split; empty if it diverged."""
        return self.rows[-1] if self.rows and self.rows[-1]["row"] == "end" else {}

    @property
    def diverged(self) -> Row | None:
        """The row that names what became NaN or infinite, if something did."""
        return next((row for row in self.rows if row["row"] == "diverged"), None)

    def final(self, name: str) -> float:
        """A final score such as 'test_accuracy'; NaN when the run diverged."""
        value = self.end.get(name)
        return math.nan if value is None else float(value)

    @property
    def best_epoch(self) -> Row:
        """The epoch row with the best validation score, else the last."""
        return next((row for row in reversed(self.epochs) if row.get("is_best")),
                    self.epochs[-1] if self.epochs else {})  # fmt: skip

    @property
    def training_s(self) -> float:
        """Seconds spent in training steps, evaluation excluded, over all restarts."""
        return float(self.clock[-1]["training_s"]) if self.clock else 0.0

    @property
    def total_s(self) -> float:
        """Wall-clock seconds of all segments."""
        return math.fsum(row["wall_s"] for row in self.clock)

    @property
    def spoiled(self) -> bool:
        """Whether other processes disturbed the timing."""
        return any(row["spoiled"] for row in self.clock)

    @property
    def record(self) -> Row:
        """Machine, versions, source hash and threads of the run."""
        return self.folder.read_json("record.json") if self.folder else {}

    def seconds_until(self, name: str, level: float) -> float | None:
        """Training seconds until an epoch's value first reached `level`; None if it never did."""
        for row in self.epochs:
            value = row.get(name)
            if value is not None and value >= level:
                times = [c["training_s"] for c in self.clock if c["epoch"] >= row["epoch"]]
                return float(times[0]) if times else None
        return None

    def network(self, which: str = "model") -> nn.Module:
        """The trained network in evaluation mode; `which` is 'model' (final) or 'best'."""
        from epochlab.train.state import build_network, read_tensors

        if self.folder is None or not self.folder.file(f"{which}.safetensors").exists():
            raise StoreError(
                f"The run {self.key[:12]} has no {which} weights: it is {self.status}. "
                "Train it to its end first, or ask for 'best' after an epoch with validation data."
            )
        network = build_network(self.trial, self.trial.data.load())
        tensors, _ = read_tensors(self.folder.file(f"{which}.safetensors"))
        network.load_state_dict(tensors)
        return network.eval()


def load_run(store: Store, start: str) -> Run:
    """The run whose key begins with `start`."""
    return Run.load(store.run_folder(store.find(start)))
