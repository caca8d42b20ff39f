"""Whether other work disturbed a timing: CPU time, waiting for a core, load of the others."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from epochlab.train.clocks import SPOILED_WAIT_SHARE, run_queue_wait_s

# The kernel counts the work of the whole machine in ticks of 10 ms; shorter looks see nothing.
LOOK_EVERY_S = 0.2


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What the clocks say at one moment, all in seconds."""

    wall_s: float
    cpu_s: float
    "CPU time of this process, all its threads"
    queue_s: float | None = None
    "how long its threads stood ready and had no core; None where the kernel does not say"


class Clock(Protocol):
    """The machine's clocks; tests put others in their place."""

    def now_s(self) -> float:
        """Wall time, as exactly as there is."""
        ...

    def read(self) -> Reading:
        """Wall time, CPU time, and time spent waiting for a core."""
        ...

    def machine_busy_s(self) -> float | None:
        """CPU time of everything on the machine; None where the system does not say."""
        ...


class SystemClock:
    """The clocks of this machine."""

    def now_s(self) -> float:
        return time.perf_counter()

    def read(self) -> Reading:
        return Reading(
            queue_s=run_queue_wait_s(), cpu_s=time.process_time(), wall_s=time.perf_counter()
        )

    def machine_busy_s(self) -> float | None:
        """From /proc/stat; includes what a hypervisor gave to other machines (steal)."""
        try:
            with Path("/proc/stat").open(encoding="ascii") as file:
                user, nice, system, _, _, irq, softirq, steal = map(
                    int, file.readline().split()[1:9]
                )
            ticks = user + nice + system + irq + softirq + steal
            return ticks / os.sysconf("SC_CLK_TCK")
        except (OSError, ValueError):
            return None


@dataclass(frozen=True, kw_only=True)
class Disturbance:
    """How much of a stretch of time this process had for itself."""

    cpu_share: float
    "CPU time over wall time: 1 for one thread that never waits"
    wait_share: float
    "time that threads stood ready without a core, over wall time"
    spoiled: bool


def disturbance(before: Reading, after: Reading) -> Disturbance:
    """What happened between two readings.

    Where the kernel does not say how long threads waited, what the CPU time lacks of one core's
    stands for it: the code that is timed here never sleeps.
    """
    wall = max(after.wall_s - before.wall_s, 1e-9)
    cpu = after.cpu_s - before.cpu_s
    if before.queue_s is None or after.queue_s is None:
        wait = max(0.0, wall - cpu)
    else:
        wait = max(0.0, after.queue_s - before.queue_s)
    return Disturbance(
        cpu_share=cpu / wall, wait_share=wait / wall, spoiled=wait > SPOILED_WAIT_SHARE * wall
    )


@dataclass
class OtherLoad:
    """How many cores' worth of work other processes did lately."""

    clock: Clock
    cores: float | None = None
    "at the last look; None before the second look, and where nothing is known"
    seen_s: tuple[float, float, float] | None = field(default=None, repr=False)
    "wall time, CPU time and the machine's busy time at the last look"

    def look(self) -> float | None:
        """Cores that others kept busy since the last look; not more often than has meaning."""
        if self.seen_s is not None and self.clock.now_s() - self.seen_s[0] < LOOK_EVERY_S:
            return self.cores
        busy, reading = self.clock.machine_busy_s(), self.clock.read()
        if busy is None:
            self.cores = _load_beside(1)
            return self.cores
        now = (reading.wall_s, reading.cpu_s, busy)
        if self.seen_s is not None:
            wall, own, all_s = (a - b for a, b in zip(now, self.seen_s, strict=True))
            self.cores = max(0.0, (all_s - own) / wall) if wall > 0 else self.cores
        self.seen_s = now
        return self.cores


def _load_beside(own: float) -> float | None:
    """Load average of the last minute without this process; None where there is none."""
    try:
        return max(0.0, os.getloadavg()[0] - own)
    except (OSError, AttributeError):
        return None


def cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
