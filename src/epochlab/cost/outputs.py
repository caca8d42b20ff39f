"""Tensors in whatever a forward takes or returns, and a loss for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn


def opened(value: Any) -> Iterator[Tensor]:
    """Tensors in tuples, lists, mappings and data classes, in order."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from opened(part)
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from opened(part)
    elif hasattr(value, "__dict__") and not isinstance(value, nn.Module):
        for part in vars(value).values():
            yield from opened(part)


def mean_of_outputs(outputs: Any) -> Tensor:
    """A loss for whatever a module returns: the sum of the means of its floating tensors."""
    found = [t.float().mean() for t in opened(outputs) if t.is_floating_point()]
    return torch.stack(found).sum()
