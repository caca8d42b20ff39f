"""The lab: asks for runs, and trains only what the store does not hold."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Protocol

from epochlab import errors
from epochlab.datasets import Data, Dataset
from epochlab.errors import EpochlabError, Interrupted, UserError
from epochlab.registry import outside_sources
from epochlab.train.run import Run
from epochlab.train.stopping import StopFlag
from epochlab.train.store import Store, storing
from epochlab.train.trial import Trial, to_plain


class Watcher(Protocol):
    """Sees what happens; the progress display is one."""

    def asked(
        self, trials: Sequence[Trial], missing: Sequence[Trial], data: Sequence[Data]
    ) -> None:
        """So many trials are needed, `missing` of them have to be trained on `data`."""

    def row(self, trial: Trial, row: dict[str, Any]) -> None:
        """Something happened in a run."""

    def finished(self, trial: Trial) -> None:
        """A run is complete."""


class Silent:
    """Watches nothing."""

    def asked(
        self, trials: Sequence[Trial], missing: Sequence[Trial], data: Sequence[Data]
    ) -> None:
        pass

    def row(self, trial: Trial, row: dict[str, Any]) -> None:
        pass

    def finished(self, trial: Trial) -> None:
        pass


def available_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def default_threads() -> int:
    """Threads of a run that has the machine to itself: OMP_NUM_THREADS, else all cores."""
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    return int(wanted) if wanted.isdigit() and int(wanted) > 0 else available_cores()


@dataclass
class Lab:
    """Runs by trial, memoised in a store."""

    store: Store
    watcher: Watcher = field(default_factory=Silent)
    should_stop: StopFlag = field(default_factory=StopFlag)
    asked_by: str = "train"
    "name of the study, recorded in the runs that it wanted first"
    processes: int = field(default_factory=available_cores)
    "workers for lists of trials; 0 trains them one after another in this process"
    asked: dict[str, Run] = field(default_factory=dict)
    "every run that was asked for, by key, in order"
    trained: int = 0
    "how many of them had to be trained (or trained further)"
    planning: bool = False
    "true where runs are stand-ins and their numbers mean nothing"
    _loaded: dict[Dataset, Data] = field(default_factory=dict)

    def data(self, dataset: Dataset) -> Data:
        """The data set in memory, loaded once."""
        if dataset not in self._loaded:
            self._loaded[dataset] = dataset.load()
        return self._loaded[dataset]

    def run(self, trial: Trial) -> Run:
        """One run, trained with all cores (or OMP_NUM_THREADS) if it is not in the store."""
        return self._here([trial], threads=default_threads())[0]

    def run_all(self, trials: Iterable[Trial]) -> list[Run]:
        """Runs in the order of the trials; missing ones train with one thread, one per core.

        Raises the first trial's error after all others are done.
        """
        trials = list(trials)
        missing = self._missing(trials)
        if self.processes == 0 or len(missing) <= 1:
            return self._here(trials, threads=1)
        self.watcher.asked(trials, missing, [self.data(t.data) for t in missing])
        _Crew(self, missing).work()
        return [self._remember(trial) for trial in trials]

    def _missing(self, trials: Sequence[Trial]) -> list[Trial]:
        """Trials without a finished run, each once."""
        return list({
            t.key: t for t in trials if not self.store.run_folder(t.key).is_done
        }.values())  # fmt: skip

    def _remember(self, trial: Trial) -> Run:
        run = Run.load(self.store.run_folder(trial.key), trial)
        self.asked[trial.key] = run
        return run

    def _here(self, trials: Sequence[Trial], threads: int) -> list[Run]:
        """Train what is missing in this process."""
        missing = self._missing(trials)
        if missing:
            import torch

            from epochlab.train.execute import execute

            self.watcher.asked(trials, missing, [self.data(t.data) for t in missing])
            before = torch.get_num_threads()
            torch.set_num_threads(threads)
            try:
                for trial in missing:
                    execute(
                        self.store, trial, self.data(trial.data),
                        watch=lambda row, t=trial: self.watcher.row(t, row),  # type: ignore[misc]
                        should_stop=self.should_stop, asked_by=self.asked_by,
                    )  # fmt: skip
                    self.trained += 1
                    self.watcher.finished(trial)
            finally:
                torch.set_num_threads(before)
        return [self._remember(trial) for trial in trials]


class _Crew:
    """Worker processes that share a list of trials."""

    def __init__(self, lab: Lab, trials: Sequence[Trial]) -> None:
        self.lab, self.waiting = lab, list(reversed(trials))
        self.lock = threading.Lock()
        self.failures: list[tuple[str, str]] = []

    def work(self) -> None:
        """Train all trials. Raises Interrupted when asked to stop, or the first failure."""
        with storing(self.lab.store.folder):
            self.lab.store.folder.mkdir(parents=True, exist_ok=True)
        count = min(self.lab.processes, len(self.waiting))
        workers = [_spawn(self.lab.store) for _ in range(count)]
        threads = [threading.Thread(target=self._drive, args=(w,), daemon=True) for w in workers]
        for thread in threads:
            thread.start()
        try:
            for thread in threads:
                while thread.is_alive():
                    thread.join(0.1)
                    if self.lab.should_stop():
                        _dismiss(workers)
        finally:
            _dismiss(workers)
            for thread, worker in zip(threads, workers, strict=True):
                worker.wait()
                thread.join()
                _pipes(worker)[1].close()
        if self.lab.should_stop():
            raise Interrupted("Stopped; what was trained so far is saved.")
        if self.failures:
            kind, message = self.failures[0]
            more = f" ({len(self.failures)} trials failed)" if len(self.failures) > 1 else ""
            error = getattr(errors, kind, EpochlabError)
            if isinstance(error, type) and issubclass(error, UserError):
                raise UserError(message + more)
            raise EpochlabError(message + more)

    def _next(self) -> Trial | None:
        with self.lock:
            return self.waiting.pop() if self.waiting and not self.lab.should_stop() else None

    def _drive(self, worker: subprocess.Popen[str]) -> None:
        """Hand trials to one worker, one at a time, and listen."""
        while (trial := self._next()) is not None:
            try:
                said = self._one(worker, trial)
            except (BrokenPipeError, ValueError):
                said = None
            with self.lock:
                if said is None:
                    if not self.lab.should_stop():
                        ending = f"The worker that trained {trial.key[:12]} ended with status "
                        cure = f"{worker.poll()}; run the command again to go on."
                        self.failures.append(("bug", ending + cure))
                    return
                if "failed" in said:
                    self.failures.append((said["kind"], said["failed"]))
                else:
                    self.lab.trained += 1
                    self.lab.watcher.finished(trial)

    def _one(self, worker: subprocess.Popen[str], trial: Trial) -> dict[str, Any] | None:
        """Let the worker train one trial; its last word, or None if it died."""
        stdin, stdout = _pipes(worker)
        job = {"trial": to_plain(trial), "sources": outside_sources(),
               "asked_by": self.lab.asked_by}  # fmt: skip
        stdin.write(json.dumps(job) + "\n")
        stdin.flush()
        for line in stdout:
            said: dict[str, Any] = json.loads(line)
            if "tell" not in said:
                return said
            with self.lock:
                self.lab.watcher.row(trial, said["tell"])
        return None


def _spawn(store: Store) -> subprocess.Popen[str]:
    environment = os.environ | {
        "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1",
        # Keep freed memory: otherwise every step returns its activations to the system.
        "MALLOC_TRIM_THRESHOLD_": str(1 << 29), "MALLOC_MMAP_THRESHOLD_": str(1 << 29),
    }  # fmt: skip
    return subprocess.Popen(
        [sys.executable, "-m", "epochlab.train.worker", str(Path(store.folder).resolve())],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment,
    )  # fmt: skip


def _pipes(worker: subprocess.Popen[str]) -> tuple[IO[str], IO[str]]:
    assert worker.stdin is not None and worker.stdout is not None
    return worker.stdin, worker.stdout


def _dismiss(workers: Sequence[subprocess.Popen[str]]) -> None:
    """Close the workers' inputs: they save what they are at and leave."""
    for worker in workers:
        stdin, _ = _pipes(worker)
        with contextlib.suppress(BrokenPipeError):
            stdin.close()
