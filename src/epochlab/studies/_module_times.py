"""How long modules take on this machine's CPU, measured in turns so that drift hits all alike."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from epochlab.train.clocks import Contention

if TYPE_CHECKING:
    from torch import Tensor, nn

WARMUP = 3  # passes of each module that are not timed


@dataclass(frozen=True)
class Timing:
    """Seconds of one forward pass: quartiles over the repetitions."""

    low_s: float
    median_s: float
    high_s: float

    def below(self, other: Timing) -> bool:
        """Whether the middle halves of the two do not even touch."""
        return self.high_s < other.low_s


@dataclass(frozen=True)
class Timings:
    """Of several modules, from one watch."""

    by_name: Mapping[str, Timing]
    threads: int
    repetitions: int
    wait_share: float
    "share of the time for which our threads stood ready while others had the cores"
    spoiled: bool


def measure(
    modules: Mapping[str, tuple[nn.Module, Tensor]], repetitions: int, threads: int
) -> Timings:
    """Run the modules in turns, each on its own input, without gradients.

    Where other work took the cores, once more; the attempt that was disturbed less counts.
    """
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with torch.inference_mode():
            for _ in range(WARMUP):
                for module, inputs in modules.values():
                    module(inputs)
            found = _attempt(modules, repetitions, threads)
            if found.spoiled:
                again = _attempt(modules, repetitions, threads)
                found = min(found, again, key=lambda timings: timings.wait_share)
    finally:
        torch.set_num_threads(before)
    return found


def _attempt(
    modules: Mapping[str, tuple[nn.Module, Tensor]], repetitions: int, threads: int
) -> Timings:
    seconds: dict[str, list[float]] = {name: [] for name in modules}
    watch = Contention()
    for _ in range(repetitions):
        for name, (module, inputs) in modules.items():
            start = time.perf_counter()
            module(inputs)
            seconds[name].append(time.perf_counter() - start)
    facts = watch.since()
    by_name = {
        name: Timing(*(float(q) for q in np.quantile(values, (0.25, 0.5, 0.75))))
        for name, values in seconds.items()
    }
    return Timings(by_name, threads, repetitions, facts["wait_s"] / max(facts["wall_s"], 1e-9),
                   bool(facts["spoiled"]))  # fmt: skip
