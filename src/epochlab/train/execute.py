"""Carry out one trial in this process: lock, resume, train, journal, checkpoint, finish.

A checkpoint is taken every 10 seconds, or less often where that would cost more than a hundredth of
the time. The environment variable EPOCHLAB_CHECKPOINT_S sets another interval in seconds, which is
then kept whatever it costs; 0 saves after every step. What a run computes does not depend on it.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import torch

from epochlab.datasets import Data
from epochlab.errors import BadOption, Interrupted
from epochlab.train import record
from epochlab.train.clocks import Contention
from epochlab.train.engines import eager
from epochlab.train.run import Run
from epochlab.train.state import (
    State,
    fresh_state,
    load_checkpoint,
    save_checkpoint,
    weights,
    write_tensors,
)
from epochlab.train.store import Journal, RunFolder, Store, storing
from epochlab.train.trial import Trial, to_plain

# A checkpoint is taken when this much time has passed and it costs at most this share of it.
CHECKPOINT_EVERY_S = 10.0
CHECKPOINT_SHARE = 0.01
CHECKPOINT_VARIABLE = "EPOCHLAB_CHECKPOINT_S"

# Between two steps nobody is told and no question is asked unless this much time has passed: after
# a step the processor has to fetch the code for it anew, which takes longer than running it.
LOOK_EVERY_S = 0.05

Watch = Callable[[dict[str, Any]], None]


def execute(
    store: Store,
    trial: Trial,
    data: Data,
    *,
    watch: Watch | None = None,
    should_stop: Callable[[], bool] | None = None,
    checkpoint_every_s: float | None = None,
    look_every_s: float = LOOK_EVERY_S,
    asked_by: str = "train",
) -> Run:
    """The finished run of `trial`: from the store if it is there, else trained to its end.

    `watch` sees every row. When `should_stop` turns true the state is saved and Interrupted is
    raised. `checkpoint_every_s` is the interval of checkpoints, else EPOCHLAB_CHECKPOINT_S is, else
    it is chosen. All three wait for the first step that ends `look_every_s` after they had their
    turn; 0 gives it to them after every step.

    Raises RunLocked, StoreError, BadShape, BadCheckpoint, BadOption.
    """
    if checkpoint_every_s is None:
        checkpoint_every_s = _interval_asked_for()
    folder = store.run_folder(trial.key)
    if folder.is_done:
        return Run.load(folder, trial)
    if trial.device == "cuda" and not torch.cuda.is_available():
        raise BadOption("device is 'cuda', but torch sees no CUDA device here. Use --device cpu.")
    with folder.locked():
        if not folder.is_done:
            if not folder.file("trial.json").exists():
                folder.write_json("trial.json", to_plain(trial))
            if not folder.file("checkpoint.safetensors").exists():
                facts = record.facts(torch.get_num_threads(), asked_by)
                folder.write_json("record.json", facts)
            _train_to_end(folder, trial, data, watch, should_stop, checkpoint_every_s,
                          look_every_s)  # fmt: skip
    return Run.load(folder, trial)


def _interval_asked_for() -> float | None:
    """Seconds in EPOCHLAB_CHECKPOINT_S; None where it is not set."""
    text = os.environ.get(CHECKPOINT_VARIABLE)
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not seconds >= 0:
        raise BadOption(
            f"{CHECKPOINT_VARIABLE} is '{text}'; it must be a number of seconds, at least 0. Unset "
            "it to let the interval be chosen."
        )
    return seconds


def _train_to_end(
    folder: RunFolder,
    trial: Trial,
    data: Data,
    watch: Watch | None,
    should_stop: Callable[[], bool] | None,
    every_s: float | None,
    look_every_s: float,
) -> None:
    """Open the folder's journals where the last checkpoint left them, train, and close."""
    state = fresh_state(trial, data)
    offsets = {"rows": 0, "clock": 0}
    checkpoint = folder.file("checkpoint.safetensors")
    threads = torch.get_num_threads()
    if checkpoint.exists():
        offsets = load_checkpoint(state, checkpoint)
        # Sums are split among threads, so the same bits need the same number of them.
        torch.set_num_threads(folder.read_json("record.json")["threads"])
    rows = Journal(folder.file("rows.jsonl"), offsets["rows"])
    clock = Journal(folder.file("clock.jsonl"), offsets["clock"])
    writer = _Writer(folder, state, rows, clock, every_s)
    status = "done"
    unseen: list[dict[str, Any]] = []
    look_every_s = min(look_every_s, writer.every_s)
    look_at = 0.0
    try:
        for row in eager.train(trial, data, state):
            rows.add(row)
            unseen.append(row)
            if row["row"] == "step" and time.perf_counter() < look_at:
                continue
            if watch is not None:
                for one in unseen:
                    watch(one)
            unseen.clear()
            if row["row"] == "epoch":
                writer.epoch(row)
            elif row["row"] == "diverged":
                status = "diverged"
            if should_stop is not None and should_stop():
                writer.checkpoint()
                raise Interrupted(f"Stopped at step {state.position.step}; it is saved.")
            if time.perf_counter() >= writer.due_at:
                writer.checkpoint()
            look_at = time.perf_counter() + look_every_s
        writer.finish(status)
    finally:
        torch.set_num_threads(threads)
        rows.close()
        clock.close()


class _Writer:
    """Writes checkpoints, clock segments, best and final weights of one run."""

    def __init__(
        self, folder: RunFolder, state: State, rows: Journal, clock: Journal, every_s: float | None
    ) -> None:
        self.folder, self.state, self.rows, self.clock = folder, state, rows, clock
        # An interval that was asked for is kept whatever it costs.
        self.every_s, self.share = (
            (CHECKPOINT_EVERY_S, CHECKPOINT_SHARE) if every_s is None else (every_s, math.inf)
        )
        self.due_at = time.perf_counter() + self.every_s
        "when the next checkpoint is to be taken"
        self.contention = Contention()

    def segment(self) -> None:
        """Write the clock since the last segment; the split times are sums since the beginning."""
        seconds = self.state.seconds
        self.clock.add({
            "epoch": self.state.position.epoch, "step": self.state.position.step,
            "training_s": seconds.training_s, **asdict(seconds), **self.contention.lap(),
        })  # fmt: skip

    def epoch(self, row: dict[str, Any]) -> None:
        self.segment()
        if row.get("is_best"):
            self._tensors("best.safetensors")

    def _tensors(self, name: str) -> str:
        """Write the present weights; returns the file's SHA-256."""
        path = self.folder.file(name)
        with storing(path):
            return write_tensors(weights(self.state), path, {"key": self.folder.key})

    def checkpoint(self) -> None:
        """Save the state; rows up to here will never be written again."""
        began = time.perf_counter()
        path = self.folder.file("checkpoint.safetensors")
        extra = {"rows": self.rows.flush(), "clock": self.clock.flush()}
        with storing(path):
            save_checkpoint(self.state, path, extra)
        saved = time.perf_counter()
        self.due_at = saved + max(self.every_s, (saved - began) / self.share)

    def finish(self, status: str) -> None:
        """Final weights, then DONE, then the checkpoint goes: a kill in between loses nothing."""
        self.segment()
        self.rows.flush()
        self.clock.flush()
        self.folder.write_json("DONE", {
            "status": status,
            "rows_sha256": self.rows.sha256(),
            "model_sha256": self._tensors("model.safetensors"),
        })  # fmt: skip
        # The second is what a kill in the middle of a checkpoint left.
        for name in ("checkpoint.safetensors", "checkpoint.safetensors.part"):
            self.folder.file(name).unlink(missing_ok=True)
