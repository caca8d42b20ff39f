"""Time the operators of layers and networks one by one, forward, backward and update."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from epochlab.cost.memory import Loop
from epochlab.cost.step_operators import StepOperator, replay, step_operators
from epochlab.errors import BadOption
from epochlab.measure.operator_shapes import OperatorShape, designed_shapes
from epochlab.measure.samples import SampleNetwork, sample_networks
from epochlab.measure.stopwatch import CpuStopwatch, Stopwatch, on_threads
from epochlab.measure.timing import Effort, Tell, time_call

# Enough for a median within a few percent; the whole set then takes some minutes.
EFFORT = Effort(narrow=0.03, limit_s=0.25, least=6, warmup=1, sample_s=5e-4)


RING_BYTES = 64 << 20
"operands and results of all copies together: more than the caches hold"
MOST_COPIES = 16
SMALL_BYTES = 64 << 10
"an operator so small that all its copies stay in a cache: near and far are the same"


@dataclass(frozen=True, kw_only=True)
class OperatorTiming:
    """How long one operator took, repeated by itself."""

    operator: StepOperator
    threads: int
    near_s: float
    "median with operands that stay where they are: in a cache, if they fit"
    far_s: float
    "median in turns with copies on other tensors, the results kept for a while"
    spread: float
    "distance of the quartiles over the median, of the times from afar"
    spoiled: bool = False


def chosen_operators(
    shapes: Sequence[OperatorShape] | None = None,
    networks: Iterable[SampleNetwork] | None = None,
) -> list[StepOperator]:
    """Every different operator of training and using these layers and networks; no views.

    By default those of `designed_shapes` and of `sample_networks`, over a thousand.
    """
    found: dict[StepOperator, None] = {}

    def add(module: nn.Module, loops: Iterable[Loop], left_out: Any = (), **options: Any) -> None:
        for loop in loops:
            for one in step_operators(module, loop=loop, **options):
                if not one.is_view and one.name not in left_out:
                    found[replace(one, phase="")] = None

    for shape in designed_shapes() if shapes is None else shapes:
        module, inputs = shape.build()
        loops: tuple[Loop, ...] = ("plain", "forward") if shape.training else ("forward",)
        add(module, loops, OF_SQUARES, inputs=inputs, loss=_sum_of_squares)
    for one in sample_networks() if networks is None else networks:
        module = one.build(real=False)
        for batch in one.batches:
            add(module, ("plain", "forward"), input_shape=one.input_shape, batch=batch,
                optimizer=torch.optim.SGD)  # fmt: skip
    return list(found)


OF_SQUARES = ("pow", "mul")


def _sum_of_squares(outputs: Tensor) -> Tensor:
    """A loss whose gradient fills memory; that of a sum would be one number repeated."""
    return outputs.square().sum()


def time_operators(
    operators: Sequence[StepOperator] | None = None, *, threads: int | None = None,
    effort: Effort | None = None, watch: Stopwatch | None = None, tell: Tell | None = None,
) -> Iterator[OperatorTiming]:  # fmt: skip
    """Time operators one after the other on the CPU, by default `chosen_operators`.

    Each is timed twice: alone on the same tensors, and taking turns with copies of itself, so that
    operands and results are as far away as in a large network. Raises BadOption for nothing to time
    or a bad number of threads.
    """
    operators = chosen_operators() if operators is None else operators
    if not operators:
        raise BadOption("There is nothing to time: no operators were given.")
    effort, watch = effort or EFFORT, watch or CpuStopwatch()
    with on_threads(threads) as used, _no_tiny_numbers(), torch.no_grad():
        for number, operator in enumerate(operators):
            if tell is not None:
                tell(operator.name, number / len(operators))
            copies = min(MOST_COPIES, max(1, RING_BYTES // max(1, operator.bytes)))
            try:
                far = _in_turns(operator, copies)
                far()
            except (RuntimeError, TypeError, ValueError):
                continue  # what cannot be run by itself is not timed by itself
            timing = time_call(far, effort=effort, watch=watch, threads=used)
            near = timing
            if copies > 1 and operator.bytes > SMALL_BYTES:
                near = time_call(replay(operator), effort=effort, watch=watch, threads=used)
            yield OperatorTiming(
                operator=operator, threads=used, far_s=timing.median_s, spread=timing.spread,
                near_s=min(near.median_s, timing.median_s),
                spoiled=timing.spoiled or near.spoiled,
            )  # fmt: skip


def _in_turns(operator: StepOperator, copies: int) -> Callable[[], None]:
    """Runs the operator on the next of some copies of its operands, and keeps the results."""
    calls = [replay(operator) for _ in range(copies)]
    kept: list[Any] = [None] * copies
    turn = itertools.cycle(range(copies))

    def call() -> None:
        place = next(turn)
        kept[place] = calls[place]()

    return call


@contextmanager
def _no_tiny_numbers() -> Iterator[None]:
    """Numbers that repeated products make smaller than a float's smallest are zero meanwhile.

    They would take many times as long, which no network's numbers do.
    """
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)
