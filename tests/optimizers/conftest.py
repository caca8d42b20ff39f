"""Ways to walk a loss downhill with an optimizer, shared by the tests of this folder."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from epochlab.optimizers import Optimizer
from epochlab.schedules import Progress, Schedule

Gradient = Callable[[Tensor], Tensor]
Walk = Callable[[Optimizer, Tensor, Gradient, int], list[Tensor]]


def walk_downhill(method: Optimizer, start: Tensor, gradient: Gradient, steps: int) -> list[Tensor]:
    """The weights after each of `steps` steps, the way the training loop takes them."""
    w = start.clone()
    state = {name: torch.full_like(w, fill) for name, fill in method.slots().items()}
    path = []
    for t in range(1, steps + 1):
        at = Progress(t - 1, (t - 1) / 10, 1, steps)
        lr = method.lr.value(at) if isinstance(method.lr, Schedule) else method.lr
        method.look_ahead(w, state)
        method.step(w, gradient(w), state, lr, t)
        path.append(w.clone())
    return path


@pytest.fixture(scope="session")
def walk() -> Walk:
    return walk_downhill
