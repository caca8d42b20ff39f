"""Split clocks: where a run's time goes, and whether another process spoiled the timing."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from pathlib import Path

# A timing is marked as spoiled when our threads stood ready but waited for a core for more than
# this share of the time: then what was measured is the neighbour, not the step.
SPOILED_WAIT_SHARE = 0.10

# Steps after a (re)start whose time goes to `warmup_s`: allocators and caches settle in them.
WARMUP_STEPS = 3


@dataclass
class Seconds:
    """Seconds by what they were spent on."""

    data_s: float = 0.0
    "gathering, augmenting and normalising batches"
    compute_s: float = 0.0
    "forward and backward"
    update_s: float = 0.0
    "penalties and optimizer"
    evaluate_s: float = 0.0
    "evaluation of splits"
    warmup_s: float = 0.0
    "the first steps after each start, not part of the others"
    steps: int = 0
    "steps in data_s, compute_s and update_s"
    warmup_steps: int = 0

    @property
    def training_s(self) -> float:
        """Time of the training steps, warm-up steps included, evaluation excluded."""
        return self.data_s + self.compute_s + self.update_s + self.warmup_s

    @property
    def step_s(self) -> float | None:
        """Mean seconds per step after warm-up."""
        return (self.data_s + self.compute_s + self.update_s) / self.steps if self.steps else None

    def add_step(self, data_s: float, compute_s: float, update_s: float) -> None:
        self.data_s += data_s
        self.compute_s += compute_s
        self.update_s += update_s
        self.steps += 1


@dataclass
class Contention:
    """Watches how long this process stood ready while others had the cores."""

    wall_s: float = field(default_factory=time.perf_counter)
    cpu_s: float = field(default_factory=time.process_time)
    queue_s: float | None = field(default_factory=lambda: run_queue_wait_s())

    def since(self) -> dict[str, float | bool]:
        """Wall, CPU and waiting seconds since this watch was made, and whether that is too much.

        Where the kernel does not say how long threads waited, wall minus CPU time stands for it:
        a training loop never sleeps.
        """
        return self._until(Contention())

    def lap(self) -> dict[str, float | bool]:
        """`since`, and the watch starts again."""
        now = Contention()
        facts = self._until(now)
        self.wall_s, self.cpu_s, self.queue_s = now.wall_s, now.cpu_s, now.queue_s
        return facts

    def _until(self, now: Contention) -> dict[str, float | bool]:
        wall, cpu = now.wall_s - self.wall_s, now.cpu_s - self.cpu_s
        if now.queue_s is None or self.queue_s is None:
            wait = max(0.0, wall - cpu)
        else:
            wait = max(0.0, now.queue_s - self.queue_s)
        return {
            "wall_s": wall,
            "cpu_s": cpu,
            "wait_s": wait,
            "load_1min": os.getloadavg()[0],
            "spoiled": wait > SPOILED_WAIT_SHARE * wall and wall > 0.05,
        }


def run_queue_wait_s() -> float | None:
    """Seconds that this process's threads have been ready but not running; None if not known."""
    ran = waited = 0
    try:
        for task in Path("/proc/self/task").iterdir():
            first, second = (task / "schedstat").read_text().split()[:2]
            ran += int(first)
            waited += int(second)
    except (OSError, ValueError):
        return None
    return waited / 1e9 if ran else None
