"""Time calls on the device that does the work: the CPU's clock, or CUDA events."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import torch

from epochlab.errors import BadOption
from epochlab.measure.guard import Clock, SystemClock, cores

Call = Callable[[], object]


class Stopwatch(Protocol):
    """Times calls; `clock` is the wall clock beside it."""

    clock: Clock

    def seconds(self, call: Call, times: int) -> float:
        """Seconds of so many calls one after the other, all work on the device done."""
        ...

    def synchronize(self) -> None:
        """Wait until the device has done all work."""
        ...


class CpuStopwatch:
    """The CPU works while the caller waits, so the clock on the wall tells the time."""

    def __init__(self, clock: Clock | None = None) -> None:
        self.clock: Clock = SystemClock() if clock is None else clock

    def seconds(self, call: Call, times: int) -> float:
        now_s = self.clock.now_s
        start = now_s()
        for _ in range(times):
            call()
        return now_s() - start

    def synchronize(self) -> None:
        """Nothing to wait for."""


class CudaStopwatch:
    """Events on the stream: the device itself notes when it passes them.

    `cuda` is torch.cuda; tests put something else in its place.
    """

    def __init__(self, clock: Clock | None = None, cuda: Any = None) -> None:
        self.clock: Clock = SystemClock() if clock is None else clock
        self.cuda = torch.cuda if cuda is None else cuda

    def seconds(self, call: Call, times: int) -> float:
        first, last = (self.cuda.Event(enable_timing=True) for _ in range(2))
        self.cuda.synchronize()
        first.record()
        for _ in range(times):
            call()
        last.record()
        self.cuda.synchronize()
        return float(first.elapsed_time(last)) / 1e3

    def synchronize(self) -> None:
        self.cuda.synchronize()


def stopwatch_for(device: torch.device | str) -> Stopwatch:
    """The stopwatch of a device. Raises BadOption for one that is not there or not known."""
    kind = torch.device(device).type
    if kind == "cpu":
        return CpuStopwatch()
    if kind != "cuda":
        raise BadOption(f"Timing on the device '{kind}' is not known; allowed: cpu, cuda.")
    if not torch.cuda.is_available():
        raise BadOption(
            "The device is cuda, but torch sees no CUDA device. Time on the CPU, or install a "
            "CUDA build of torch on a machine with an NVIDIA GPU."
        )
    return CudaStopwatch()


@contextmanager
def on_threads(threads: int | None) -> Iterator[int]:
    """Let torch use so many threads; None leaves it at what it uses. Raises BadOption."""
    before = torch.get_num_threads()
    if threads is None:
        yield before
        return
    check_threads(threads)
    torch.set_num_threads(threads)
    try:
        yield threads
    finally:
        torch.set_num_threads(before)


def check_threads(threads: int) -> None:
    """Raises BadOption unless 1 <= threads <= cores of this process."""
    most = cores()
    if isinstance(threads, bool) or not isinstance(threads, int) or not 1 <= threads <= most:
        raise BadOption(
            f"threads is {threads!r}; it must be a whole number from 1 to {most}, the cores that "
            "this process may use. More threads than cores would wait for one another."
        )
