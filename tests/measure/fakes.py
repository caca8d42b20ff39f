"""Clocks that only move when they are told to, and modules that move them."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from epochlab.measure.guard import Reading
from epochlab.measure.stopwatch import Call


@dataclass
class FakeClock:
    """Time that passes by `work` (with the core) and by `wait` (without it)."""

    wall_s: float = 100.0
    cpu_s: float = 10.0
    queue_s: float | None = 1.0
    busy_s: float | None = 1000.0
    others: float = 0.0
    "cores that other processes keep busy"

    def now_s(self) -> float:
        return self.wall_s

    def read(self) -> Reading:
        return Reading(wall_s=self.wall_s, cpu_s=self.cpu_s, queue_s=self.queue_s)

    def machine_busy_s(self) -> float | None:
        return self.busy_s

    def work(self, seconds: float) -> None:
        self.wall_s += seconds
        self.cpu_s += seconds
        if self.busy_s is not None:
            self.busy_s += seconds * (1 + self.others)

    def wait(self, seconds: float) -> None:
        self.wall_s += seconds
        if self.queue_s is not None:
            self.queue_s += seconds
        if self.busy_s is not None:
            self.busy_s += seconds * self.others


class FixedWatch:
    """Every call takes so many seconds, and none is made."""

    def __init__(self, seconds_each: float = 1.0) -> None:
        self.clock: Any = FakeClock()
        self.seconds_each = seconds_each
        self.asked: list[int] = []

    def seconds(self, call: Call, times: int) -> float:
        self.asked.append(times)
        self.clock.work(times * self.seconds_each)
        return times * self.seconds_each

    def synchronize(self) -> None:
        pass


@dataclass
class FakeEvent:
    """A CUDA event: notes the fake device's time when it is recorded."""

    cuda: FakeCuda
    at_s: float = -1.0

    def record(self) -> None:
        self.at_s = self.cuda.device_s
        self.cuda.log.append("record")

    def elapsed_time(self, last: FakeEvent) -> float:
        return (last.at_s - self.at_s) * 1e3


@dataclass
class FakeCuda:
    """torch.cuda for tests: `launch` hands over work that takes the device so long."""

    device_s: float = 5.0
    log: list[str] = field(default_factory=list)

    def Event(self, enable_timing: bool) -> FakeEvent:  # noqa: N802 - torch calls it so
        assert enable_timing
        return FakeEvent(self)

    def synchronize(self) -> None:
        self.log.append("synchronize")

    def launch(self, seconds: float) -> None:
        self.device_s += seconds
        self.log.append("launch")


class Takes(nn.Module):
    """A layer that takes so many seconds of a fake clock, and multiplies by a weight."""

    def __init__(self, clock: FakeClock, forward_s: float) -> None:
        super().__init__()
        self.clock, self.forward_s = clock, forward_s
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, x: Tensor) -> Tensor:
        self.clock.work(self.forward_s)
        return x * self.weight

    def __deepcopy__(self, memo: Any) -> Takes:
        """Copies share the clock."""
        memo[id(self.clock)] = self.clock
        twin = Takes(self.clock, self.forward_s).train(self.training)
        twin.weight = copy.deepcopy(self.weight, memo)
        return twin
