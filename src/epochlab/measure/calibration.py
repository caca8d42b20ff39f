"""What predictions of this machine are made from: its operators, and some networks as a whole."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import torch

from epochlab.measure.operator_shapes import OperatorShape
from epochlab.measure.operators import EFFORT, OperatorTiming, chosen_operators, time_operators
from epochlab.measure.passes import time_forward, time_training
from epochlab.measure.samples import SampleNetwork, sample_networks
from epochlab.measure.timing import Effort, Tell
from epochlab.randomness import generator

OPERATORS_SHARE = 0.7
"of the time; the networks take the rest"


@dataclass(frozen=True, kw_only=True)
class NetworkTiming:
    """How long a sample network took as a whole, with one batch size; in seconds."""

    network: str
    batch: int
    threads: int
    forward_s: float
    "in evaluation mode, without gradients"
    training_forward_s: float
    forward_backward_s: float
    step_s: float
    "forward, loss, backward, update by plain SGD"
    spread: float
    "of the step: distance of the quartiles over the median"
    spoiled: bool = False


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """Timings of one machine with one number of threads."""

    threads: int
    operators: tuple[OperatorTiming, ...]
    networks: tuple[NetworkTiming, ...]

    @property
    def spoiled(self) -> int:
        """Timings that other work disturbed."""
        both = [one.spoiled for one in self.operators] + [one.spoiled for one in self.networks]
        return sum(both)


def calibrate(
    *, threads: int | None = None, effort: Effort | None = None, tell: Tell | None = None,
    shapes: list[OperatorShape] | None = None, networks: list[SampleNetwork] | None = None,
) -> Calibration:  # fmt: skip
    """Time operators and sample networks on the CPU; some minutes. Raises BadOption."""
    effort = effort or EFFORT
    networks = sample_networks() if networks is None else networks
    used = torch.get_num_threads() if threads is None else threads
    operators = tuple(time_operators(
        chosen_operators(shapes, networks), threads=threads, effort=effort,
        tell=_part(tell, 0.0, OPERATORS_SHARE),
    ))  # fmt: skip
    # A whole network's share of disturbances is larger, and its number matters more.
    patient = replace(effort, limit_s=2 * effort.limit_s)
    timed = time_networks(networks, threads, patient, _part(tell, OPERATORS_SHARE, 1.0))
    return Calibration(threads=used, operators=operators, networks=tuple(timed))


def time_networks(
    networks: Iterable[SampleNetwork], threads: int | None, effort: Effort, tell: Tell
) -> list[NetworkTiming]:
    """Every network with every of its batches."""
    pairs = [(one, batch) for one in networks for batch in one.batches]
    found = []
    for number, (one, batch) in enumerate(pairs):
        tell(f"{one.name}, batch {batch}", number / len(pairs))
        module = one.build()
        x = torch.randn((batch, *one.input_shape), generator=generator(0, "calibrate", batch))
        alone = time_forward(module, x, threads=threads, effort=effort)
        training = time_training(module, x, threads=threads, effort=effort)
        found.append(NetworkTiming(
            network=one.name, batch=batch, threads=alone.threads, forward_s=alone.median_s,
            training_forward_s=training.forward.median_s,
            forward_backward_s=training.forward_backward.median_s,
            step_s=training.step.median_s, spread=training.step.spread,
            spoiled=alone.spoiled or training.step.spoiled,
        ))  # fmt: skip
    return found


def _part(tell: Tell | None, start: float, end: float) -> Tell:
    return lambda what, share: None if tell is None else tell(what, start + (end - start) * share)
