"""Runs a function with a tracker of receptive fields, and finds the fields by gradients as well."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from epochlab.cost.receptive import ReceptiveField, Tracker


class Following(TorchDispatchMode):
    """Tells the tracker of every operator, and remembers the fields of all results."""

    def __init__(self, tracker: Tracker) -> None:
        super().__init__()
        self.tracker = tracker
        self.seen: list[tuple[str, ReceptiveField | None]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        self.tracker.note(func, args, kwargs or {}, out)
        first = out[0] if isinstance(out, (tuple, list)) else out
        if isinstance(first, Tensor):
            self.seen.append((func._schema.name, self.tracker.field(first)))
        return out


def follow(run: Callable[..., Tensor], *inputs: Tensor) -> tuple[Tracker, Tensor]:
    tracker = Tracker(*inputs)
    with Following(tracker):
        made = run(*inputs)
    return tracker, made


def field_of(run: Callable[..., Tensor], *shape: int) -> ReceptiveField | None:
    """The field of the result, on the meta device, for one input of that shape."""
    if isinstance(run, nn.Module):
        run = run.to("meta")
    tracker, made = follow(run, torch.empty(shape, device="meta"))
    return tracker.field(made)


def positive(module: nn.Module) -> nn.Module:
    """Double precision and all weights positive, so that no contribution can cancel another."""
    module = module.double()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.uniform_(0.5, 1.5)
    return module


def image(*shape: int) -> Tensor:
    return torch.empty(shape, dtype=torch.float64).uniform_(0.5, 1.5).requires_grad_()


def gradient_pixels(
    made: Tensor, source: Tensor, index: Sequence[int | slice]
) -> tuple[tuple[int, int] | None, ...]:
    """First and last pixel along each spatial axis on which made[index] depends, by its gradient.

    Traces that stem from rounding (1e-9 of the largest) do not count.
    """
    (slope,) = torch.autograd.grad(made[tuple(index)].sum(), source, retain_graph=True)
    slope = slope.abs()
    hulls: list[tuple[int, int] | None] = []
    for axis in range(2, slope.ndim):
        others = [other for other in range(slope.ndim) if other != axis]
        used = (slope.sum(others) > 1e-9 * slope.sum()).nonzero().flatten().tolist()
        hulls.append((used[0], used[-1]) if used else None)
    return tuple(hulls)


def middle(size: int, count: int) -> Iterator[int]:
    """`count` neighbouring indices in the middle of an axis (fewer where it is shorter)."""
    first = max(0, (size - count) // 2)
    return iter(range(first, min(size, first + count)))
