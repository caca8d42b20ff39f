"""Plan a study: the same generator runs with a lab that only counts and times a few steps."""

from __future__ import annotations

import dataclasses
import importlib
import math
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from epochlab.datasets import Data
from epochlab.train.lab import Lab, available_cores, default_threads
from epochlab.train.run import Run
from epochlab.train.trial import Trial

# A pilot takes this many steps after warm-up; its median is the prediction of every step.
PILOT_STEPS = 8
PILOT_WARMUP = 3


@dataclass(frozen=True)
class Planned:
    """Trials that one request would have to train, and how they would be trained."""

    trials: tuple[Trial, ...]
    threads: int
    "per trial; 1 means one process per core"


@dataclass
class Planner(Lab):
    """A lab that trains nothing: missing runs are stand-ins whose numbers mean nothing."""

    planning: bool = True
    planned: list[Planned] = field(default_factory=list)
    done: int = 0
    "runs that the store holds"

    def run(self, trial: Trial) -> Run:
        return self._plan([trial], default_threads())[0]

    def run_all(self, trials: Iterable[Trial]) -> list[Run]:
        return self._plan(list(trials), 1)

    def _plan(self, trials: Sequence[Trial], threads: int) -> list[Run]:
        missing = [t for t in self._missing(trials) if t.key not in self.asked]
        if missing:
            self.planned.append(Planned(tuple(missing), threads))
        runs = []
        for trial in trials:
            folder = self.store.run_folder(trial.key)
            if folder.is_done:
                self.done += trial.key not in self.asked
                run = Run.load(folder, trial)
            else:
                run = stand_in(trial, self.data(trial.data))
            self.asked[trial.key] = run
            runs.append(run)
        return runs


def stand_in(trial: Trial, data: Data) -> Run:
    """A run of the right form with made-up numbers, so that a study can walk on."""
    score = "accuracy" if data.classes else "rmse"
    scale = math.log(max(2, len(data.classes))) if data.classes else 1.0
    splits = [n for n in trial.evaluate if data.split(n) is not None]
    counts = trial.steps_per_epoch(len(data.train))
    rows: list[dict[str, Any]] = [{"row": "start", "step": 0, "epoch": 0}]
    rows[0] |= {f"{n}_loss": scale for n in splits} | {f"{n}_{score}": 0.1 for n in splits}
    step = 0
    for epoch, count in enumerate(counts, 1):
        step += count
        part = epoch / trial.epochs
        loss = scale * (1 - 0.9 * part)
        rows.append({"row": "step", "step": step, "epoch": epoch, "loss": loss, "lr": 0.01,
                     "batch": trial.batch_size(epoch - 1)})  # fmt: skip
        rows.append(
            {"row": "epoch", "epoch": epoch, "step": step, "running_loss": loss,
             f"running_{score}": 0.9 * part, "is_best": True}
            | {f"{n}_loss": loss for n in splits} | {f"{n}_{score}": 0.9 * part for n in splits}
        )  # fmt: skip
    end: dict[str, Any] = {"row": "end", "step": step, "epoch": trial.epochs}
    for name in ("train", "validation", "test"):
        if data.split(name) is not None:
            end |= {f"{name}_loss": 0.1 * scale, f"{name}_{score}": 0.9}
    clock = {"epoch": trial.epochs, "step": step, "training_s": 0.0, "wall_s": 0.0,
             "spoiled": False}  # fmt: skip
    return Run(trial=trial, status="planned", rows=(*rows, end), clock=(clock,))


@dataclass(frozen=True)
class Forecast:
    """Predicted work of one request."""

    runs: int
    steps: int
    seconds: float


def forecast(planner: Planner) -> list[Forecast]:
    """Predicted wall-clock seconds of each planned request on this machine.

    A few steps of each kind of trial are timed here with the threads that the run would have;
    the request's seconds are steps times the median step, plus evaluation, over the cores used.
    """
    timed: dict[Any, float] = {}
    began = time.perf_counter()
    importlib.import_module("torch")  # only the first import takes time
    start_s = time.perf_counter() - began
    result = []
    for request in planner.planned:
        seconds = [_trial_seconds(planner, t, request.threads, timed) for t in request.trials]
        # Workers for a list of trials must each load torch first.
        started = start_s if request.threads == 1 and len(seconds) > 1 else 0.0
        steps = sum(sum(t.steps_per_epoch(len(planner.data(t.data).train)))
                    for t in request.trials)  # fmt: skip
        lanes = min(available_cores(), len(seconds)) if request.threads == 1 else 1
        result.append(
            Forecast(len(seconds), steps, started + max(sum(seconds) / lanes, max(seconds)))
        )
    return result


def _trial_seconds(planner: Planner, trial: Trial, threads: int, timed: dict[Any, float]) -> float:
    data = planner.data(trial.data)
    total = 0.0
    for size in {trial.batch_size(e) for e in range(trial.epochs)}:
        kind = (trial.network, trial.data, trial.augment, type(trial.optimizer), size, threads)
        if kind not in timed:
            timed[kind] = _timed_step(trial, data, size, threads)
        epochs = sum(trial.batch_size(e) == size for e in range(trial.epochs))
        total += timed[kind] * epochs * math.ceil(len(data.train) / size)
    evaluation = ("evaluation", trial.network, trial.data, threads)
    if evaluation not in timed:
        timed[evaluation] = _timed_evaluation(trial, data, threads)
    watched = sum(len(s) for n in trial.evaluate if (s := data.split(n)) is not None)
    every = sum(len(s) for n in ("train", "validation", "test")
                if (s := data.split(n)) is not None)  # fmt: skip
    passes = trial.epochs // trial.evaluate_every + 1
    return total + timed[evaluation] * (watched * passes + every)


def _timed_step(trial: Trial, data: Data, batch: int, threads: int) -> float:
    """Median seconds of a training step of `trial` at a batch size."""
    import torch

    from epochlab.train.engines import eager
    from epochlab.train.state import fresh_state

    pilot = dataclasses.replace(trial, batch=batch, epochs=1_000_000, evaluate=())
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        times, last = [], time.perf_counter()
        for row in eager.train(pilot, data, fresh_state(pilot, data)):
            now = time.perf_counter()
            if row["row"] == "step":
                times.append(now - last)
            last = time.perf_counter()
            if len(times) == PILOT_WARMUP + PILOT_STEPS or row["row"] == "diverged":
                break
    finally:
        torch.set_num_threads(before)
    return median(times[PILOT_WARMUP:] or times or [0.0])


def _timed_evaluation(trial: Trial, data: Data, threads: int) -> float:
    """Seconds per evaluated sample."""
    import torch

    from epochlab.train.batches import EVALUATION_BATCH, Scaling
    from epochlab.train.engines import eager
    from epochlab.train.state import fresh_state

    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        part = data.train.take(slice(2 * EVALUATION_BATCH))
        state, scaling = fresh_state(trial, data), Scaling.of(data, "cpu")
        eager.evaluate(state, data, part.take(slice(50)), scaling, "pilot")
        began = time.perf_counter()
        eager.evaluate(state, data, part, scaling, "pilot")
        return (time.perf_counter() - began) / len(part)
    finally:
        torch.set_num_threads(before)
