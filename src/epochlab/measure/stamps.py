"""Stamp the clock where layers begin and end, forward by hooks and backward at autograd's nodes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from epochlab.measure.stopwatch import Stopwatch

Key = tuple[str, int]
"""Name of a layer, and which of its calls in one pass: 0, 1 ..."""

EMPTY_LAYERS = 200


@dataclass
class Stamps:
    """Of one pass: how long each call of each layer took."""

    forward_s: dict[Key, float] = field(default_factory=dict)
    backward_s: dict[Key, float] = field(default_factory=dict)
    whole_forward_s: float = 0.0
    "from the first layer's begin to the last one's end, and what lies around them"
    whole_backward_s: float = 0.0
    spans: list[tuple[Key, int, int]] = field(default_factory=list, repr=False)
    "numbers that autograd gave to its nodes when a layer began and when it ended"


@contextmanager
def stamping(
    layers: Mapping[str, nn.Module], watch: Stopwatch, *, synchronize: bool
) -> Iterator[Stamps]:
    """Note begin and end of every call of these layers while the block runs.

    With `synchronize` the device has to finish its work before each stamp, so that a stamp tells
    when work ended rather than when it was handed over; on the CPU that is the same.
    """
    stamps, calls = Stamps(), dict.fromkeys(layers, 0)
    begun: dict[str, tuple[int, float]] = {}
    now_s = watch.clock.now_s
    wait = watch.synchronize if synchronize else _nothing
    number = torch._C._autograd._get_sequence_nr

    def hooks_of(name: str) -> tuple[Callable[..., None], Callable[..., None]]:
        def enter(module: nn.Module, inputs: Any) -> None:
            wait()
            begun[name] = (number(), now_s())

        def leave(module: nn.Module, inputs: Any, output: Any) -> None:
            wait()
            ended_s = now_s()
            first, begun_s = begun[name]
            key = (name, calls[name])
            calls[name] += 1
            stamps.forward_s[key] = ended_s - begun_s
            stamps.spans.append((key, first, number()))

        return enter, leave

    handles = []
    for name, layer in layers.items():
        enter, leave = hooks_of(name)
        handles += [layer.register_forward_pre_hook(enter), layer.register_forward_hook(leave)]
    try:
        yield stamps
    finally:
        for handle in handles:
            handle.remove()


def stamped_backward(loss: Tensor, stamps: Stamps, watch: Stopwatch) -> None:
    """Run backward, and book the time of each of autograd's nodes to the layer that made it."""
    owner = _Owners(stamps.spans)
    begun: list[float] = []
    now_s, wait = watch.clock.now_s, watch.synchronize

    def before(gradients: Any) -> None:
        wait()
        begun.append(now_s())

    def after_of(key: Key) -> Callable[..., None]:
        def after(given: Any, made: Any) -> None:
            wait()
            spent_s = now_s() - begun.pop()
            stamps.backward_s[key] = stamps.backward_s.get(key, 0.0) + spent_s

        return after

    handles = []
    for node in _nodes(loss.grad_fn):
        key = owner.of(node)
        if key is not None:
            handles += [node.register_prehook(before), node.register_hook(after_of(key))]
    try:
        wait()
        start_s = now_s()
        loss.backward()  # type: ignore[no-untyped-call] # torch declares no types
        wait()
        stamps.whole_backward_s = now_s() - start_s
    finally:
        for handle in handles:
            handle.remove()


class _Owners:
    """Which layer's forward was under way when autograd gave a number to a node."""

    def __init__(self, spans: list[tuple[Key, int, int]]) -> None:
        self.by_number = {n: key for key, first, last in spans for n in range(first, last)}

    def of(self, node: Any) -> Key | None:
        return self.by_number.get(node._sequence_nr())


def _nodes(root: Any) -> Iterator[Any]:
    """All nodes of autograd's graph, each once."""
    seen, waiting = set(), [root]
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        yield node
        waiting += [following for following, _ in node.next_functions]


# --- what stamping itself costs -------------------------------------------------------------------


class _Empty(nn.Module):
    """A layer that does nothing."""

    def forward(self, x: Tensor) -> Tensor:
        return x


def stamp_cost_s(watch: Stopwatch) -> tuple[float, float]:
    """Seconds that stamping one call adds inside the layer's time, and outside of it.

    Measured on layers that do nothing; medians of several passes.
    """
    chain = nn.Sequential(*(_Empty() for _ in range(EMPTY_LAYERS)))
    x = torch.zeros(1)
    inside, added = [], []
    for _ in range(9):
        plain_s = watch.seconds(lambda: chain(x), 1)
        with stamping(dict(chain.named_children()), watch, synchronize=True) as stamps:
            stamped_s = watch.seconds(lambda: chain(x), 1)
        ordered = sorted(stamps.forward_s.values())
        inside.append(ordered[len(ordered) // 2])
        added.append((stamped_s - plain_s) / EMPTY_LAYERS)
    inside_s, added_s = sorted(inside)[len(inside) // 2], sorted(added)[len(added) // 2]
    return inside_s, max(0.0, added_s - inside_s)


def _nothing() -> None:
    """Nothing."""
