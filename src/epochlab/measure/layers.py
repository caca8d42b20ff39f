"""Time a module layer by layer in several ways, and say why the sum is not the whole."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from epochlab.cost import Cost, Layer, trace
from epochlab.cost.outputs import opened
from epochlab.errors import BadOption, CannotTrace
from epochlab.measure.alone import Alone, calls_seen, time_alone
from epochlab.measure.guard import OtherLoad, disturbance
from epochlab.measure.passes import (
    Inputs,
    checked,
    device_of,
    in_mode,
    loss_for,
    trainable_twin,
)
from epochlab.measure.stamps import Stamps, stamp_cost_s, stamped_backward, stamping
from epochlab.measure.stopwatch import Stopwatch, on_threads, stopwatch_for
from epochlab.measure.timing import FEWEST, Effort, Series, Tell, Timing, quantile


@dataclass(frozen=True, kw_only=True)
class LayerTiming:
    """One layer at one call: what it does, and how long that takes in each way of timing."""

    cost: Layer
    "its row in the analysis: kind, shapes, operations, bytes"
    in_place_s: float
    "forward, inside the whole pass, the device synchronised before and after: median"
    not_synchronised_s: float
    "the same without synchronising: on a GPU, the time to hand the work over"
    alone: Timing
    "forward, repeated by itself, the synchronisation shared by all repetitions"
    backward_s: float | None = None
    "inside a whole backward pass: median"
    backward_alone: Timing | None = None

    @property
    def name(self) -> str:
        repeated = f" (call {self.cost.call + 1})" if self.cost.call else ""
        return (self.cost.name or "whole network") + repeated

    @property
    def moved_bytes(self) -> int:
        return self.cost.bytes_read + self.cost.bytes_written


@dataclass(frozen=True, kw_only=True)
class LayersTiming:
    """A network layer by layer, beside the whole."""

    cost: Cost
    whole: Timing
    "forward, nothing timed inside"
    layers: tuple[LayerTiming, ...]
    between_s: float
    "forward: time of a stamped pass that lies in no layer; median"
    stamp_inside_s: float
    "what stamping one call adds to the layer's own time"
    stamp_outside_s: float
    "and to the time between layers"
    backward_whole_s: float | None = None
    "of a stamped backward pass, the loss's own part included; median"
    passes: int = 0
    "stamped passes that count"
    passes_spoiled: bool = False
    "too few of them were undisturbed, or of the whole passes"

    @property
    def spoiled(self) -> bool:
        """Whether other work spoiled the passes, or the timing of some layer alone."""
        return self.passes_spoiled or any(
            one is not None and one.spoiled
            for layer in self.layers for one in (layer.alone, layer.backward_alone)
        )  # fmt: skip

    @property
    def sum_s(self) -> float:
        return sum(layer.in_place_s for layer in self.layers)

    @property
    def not_synchronised_s(self) -> float:
        return sum(layer.not_synchronised_s for layer in self.layers)

    @property
    def alone_s(self) -> float:
        return sum(layer.alone.median_s for layer in self.layers)

    @property
    def stamps_in_layers_s(self) -> float:
        return len(self.layers) * self.stamp_inside_s

    @property
    def work_between_s(self) -> float:
        """Functional operations and containers: the time between layers without its stamps."""
        return self.between_s - len(self.layers) * self.stamp_outside_s

    @property
    def unexplained_s(self) -> float:
        """The whole, less the layers without their stamps, less the work between them."""
        return self.whole.median_s - (self.sum_s - self.stamps_in_layers_s) - self.work_between_s

    @property
    def warmth_s(self) -> float:
        """Layers alone less layers in place (without stamps): repeated, a layer finds its inputs
        and weights in the caches."""
        return self.alone_s - (self.sum_s - self.stamps_in_layers_s)


def time_layers(
    module: nn.Module, inputs: Inputs, *, training: bool = False, threads: int | None = None,
    effort: Effort | None = None, tell: Tell | None = None, watch: Stopwatch | None = None,
    name: str = "",
) -> LayersTiming:  # fmt: skip
    """Time each layer of `module` in place (with and without synchronising) and alone.

    Layers are modules without layers of their own; what happens between them is timed as a rest.
    With `training` the network runs in training mode and backward too, on a copy of the module.
    The time limit of `effort` holds for the passes, and once more for all layers alone.

    Raises BadShape, CannotTrace, and BadOption where there are no layers to time.

        >>> found = time_layers(nn.Sequential(nn.Linear(8, 8), nn.ReLU()), torch.zeros(2, 8),
        ...                     effort=Effort(limit_s=0.1))
        >>> [layer.name for layer in found.layers]
        ['0', '1']
    """
    effort = effort or Effort()
    watch = watch or stopwatch_for(device_of(module, inputs))
    cost = _traced(module, inputs, training, name)
    subject = trainable_twin(module) if training else module
    parts = dict(subject.named_modules())
    rows = [row for row in cost.layers if row.name in parts and not _is_operation(row, parts)]
    if not rows:
        raise BadOption(f"{cost.name} has no layers: all its work is between modules. Time it as "
                        "a whole.")  # fmt: skip
    layers = {row.name: parts[row.name] for row in rows}
    with on_threads(threads) as used, in_mode(subject, training=training):
        with torch.set_grad_enabled(training), torch.inference_mode(not training):
            run = checked(subject, inputs)
            work = _Work(run, layers, watch, training)
            whole, found, spoiled = _passes(work, effort, used, tell)
            inside_s, outside_s = stamp_cost_s(watch)
            seen = calls_seen(layers, run)
        rows = [row for row in rows if (row.name, row.call) in seen]
        alone = time_alone(seen, effort, watch, used, training, tell)
    timed = [_layer(row, found, alone[row.name, row.call]) for row in rows]
    return LayersTiming(
        cost=cost, whole=whole, layers=tuple(timed), stamp_inside_s=inside_s,
        stamp_outside_s=outside_s, passes=len(found[0]),
        passes_spoiled=spoiled or whole.spoiled,
        between_s=_median([s.whole_forward_s - sum(s.forward_s.values()) for s in found[0]]),
        backward_whole_s=_median([s.whole_backward_s for s in found[0]]) if training else None,
    )  # fmt: skip


def _traced(module: nn.Module, inputs: Inputs, training: bool, name: str) -> Cost:
    """The network's cost; with real numbers where they decide what is computed."""
    settings: dict[str, Any] = {"training": training, "backward": training, "fields": False,
                                "name": name, "batch": _batch(inputs)}  # fmt: skip
    try:
        return trace(module, inputs=inputs, **settings)
    except CannotTrace:
        if any(t.is_cuda for t in opened(inputs)):
            raise
    return trace(module, inputs=inputs, real=True, **settings)


def _batch(inputs: Inputs) -> int:
    first = next(opened(inputs), None)
    return first.shape[0] if first is not None and first.ndim else 1


def _is_operation(row: Layer, parts: Mapping[str, nn.Module]) -> bool:
    """Whether a row is an operation of the container itself that happens to bear a layer's name."""
    return row.operators == (row.name,) and bool(parts[row.name]._modules)


# --- passes with stamps ---------------------------------------------------------------------------

Found = tuple[list[Stamps], list[Stamps]]
"""Undisturbed passes with and without synchronising."""


class _Work:
    """A network under test, and how one stamped pass of it is made."""

    def __init__(self, run: Callable[[], Any], layers: Mapping[str, nn.Module],
                 watch: Stopwatch, training: bool) -> None:  # fmt: skip
        self.run, self.layers, self.watch = run, layers, watch
        self.loss = loss_for(run()) if training else None

    def stamped(self, *, synchronize: bool) -> Stamps:
        """One forward and, in training and synchronised, one backward pass."""
        now_s = self.watch.clock.now_s
        with stamping(self.layers, self.watch, synchronize=synchronize) as stamps:
            self.watch.synchronize()
            start_s = now_s()
            outputs = self.run()
            if synchronize:
                self.watch.synchronize()
            stamps.whole_forward_s = now_s() - start_s
        self.watch.synchronize()
        if self.loss is not None and synchronize:
            for layer in self.layers.values():
                layer.zero_grad(set_to_none=True)
            stamped_backward(self.loss(outputs), stamps, self.watch)
        return stamps


def _passes(
    work: _Work, effort: Effort, threads: int, tell: Tell | None
) -> tuple[Timing, Found, bool]:
    """Whole passes and stamped ones in turns, until the whole is known or the time is over."""
    clock = work.watch.clock
    whole = Series(work.run, work.watch, effort)
    others = OtherLoad(clock)
    clean: Found = ([], [])
    disturbed: Found = ([], [])
    work.stamped(synchronize=True)  # hooks and autograd's nodes warm up as well
    start_s = clock.now_s()
    while True:
        whole.take(others)
        for number, synchronize in enumerate((True, False)):
            before = clock.read()
            stamps = work.stamped(synchronize=synchronize)
            spoiled = disturbance(before, clock.read()).spoiled
            (disturbed if spoiled else clean)[number].append(stamps)
        spent_s = clock.now_s() - start_s
        enough = min(len(one) for one in clean)
        if tell is not None:
            tell("passes", min(0.5, 0.5 * spent_s / effort.limit_s))
        if whole.settled and enough >= effort.least:
            break
        if spent_s >= effort.limit_s and min(enough, len(whole.clean)) >= FEWEST:
            break
        if spent_s >= 2 * effort.limit_s and len(whole.samples) >= FEWEST:
            break
    spoiled = any(len(good) < max(FEWEST, len(bad)) for good, bad in zip(clean, disturbed,
                                                                        strict=True))  # fmt: skip
    if min(len(one) for one in clean) < FEWEST:
        clean = (clean[0] + disturbed[0], clean[1] + disturbed[1])
    return whole.timing(threads), clean, spoiled


def _median(values: list[float]) -> float:
    return quantile(sorted(values), 0.5)


def _layer(row: Layer, found: Found, alone: Alone) -> LayerTiming:
    key = (row.name, row.call)
    backward = [s.backward_s[key] for s in found[0] if key in s.backward_s]
    in_place, handed_over = ([s.forward_s[key] for s in stamps if key in s.forward_s]
                             for stamps in found)  # fmt: skip
    return LayerTiming(
        cost=row, in_place_s=_median(in_place), not_synchronised_s=_median(handed_over),
        alone=alone[0], backward_alone=alone[1],
        backward_s=_median(backward) if backward else None,
    )  # fmt: skip


def by_kind(timing: LayersTiming) -> list[tuple[str, list[LayerTiming]]]:
    """Layers gathered by kind, those with most time first."""
    ordered = sorted(timing.layers, key=lambda layer: layer.cost.kind)
    groups = [(kind, list(members)) for kind, members
              in itertools.groupby(ordered, key=lambda layer: layer.cost.kind)]  # fmt: skip
    return sorted(groups, key=lambda group: -sum(layer.in_place_s for layer in group[1]))
