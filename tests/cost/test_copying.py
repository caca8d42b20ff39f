"""The short way to copy a module gives what Python's deepcopy gives."""

from __future__ import annotations

import copy
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from epochlab.cost.copying import copied
from epochlab.cost.loading import find_network


class Odd(nn.Module):
    """Ties weights, knows its parent, and holds modules and lists where PyTorch does not look."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Linear(3, 3), nn.Linear(3, 3)
        self.two.weight = self.one.weight
        self.aside = [self.one, {"two": self.two}, (1, [2])]
        self.same = self.aside
        self.sizes = torch.Size((3, 3))
        self.one.register_forward_hook(lambda *_: None)
        self.register_buffer("scale", torch.ones(3), persistent=False)
        self.child = nn.Module()
        object.__setattr__(self.child, "parent", self)


class Slotted(nn.Module):
    __slots__ = ("hidden",)

    def __init__(self) -> None:
        super().__init__()
        self.hidden = [1]


class OwnWay(nn.Module):
    def __deepcopy__(self, memo: dict[int, Any]) -> OwnWay:
        made = OwnWay()
        made.copies = 1
        return made

    copies = 0


MODULES: dict[str, Callable[[], nn.Module]] = {
    "odd": Odd,
    "slotted": Slotted,
    "in its own way": lambda: nn.Sequential(OwnWay(), nn.ReLU()),
    "recurrent": lambda: nn.LSTM(3, 4),
    "attention": lambda: nn.MultiheadAttention(8, 2),
    "transformer": lambda: nn.Transformer(8, 2, 1, 1, 16, batch_first=True),
    "resnet18": lambda: find_network("resnet18").build(),
}


def parts(value: Any, seen: dict[int, int]) -> Iterator[Any]:
    """All that can be told of a value: types, atoms, and which parts are one and the same."""
    if id(value) in seen:
        yield ("again", seen[id(value)])
        return
    if callable(value) and not isinstance(value, nn.Module):
        yield type(value) if isinstance(value, weakref.ref) else id(value)
        return
    if isinstance(value, (str, int, float, bool, type(None))):
        yield value
        return
    seen[id(value)] = len(seen)
    yield type(value)
    if isinstance(value, Tensor):
        yield value.shape
    elif isinstance(value, nn.Module):
        yield from parts(vars(value), seen)
        yield getattr(value, "hidden", None)
    elif isinstance(value, dict):
        for key, part in value.items():
            yield key
            yield from parts(part, seen)
    elif isinstance(value, (list, tuple, set)):
        for part in value:
            yield from parts(part, seen)


@pytest.mark.parametrize("build", MODULES.values(), ids=MODULES)
def test_equal_to_deepcopy(build: Callable[[], nn.Module]) -> None:
    module = build()
    before = list(parts(module, {}))

    def memo() -> dict[int, Any]:
        return {id(p): nn.Parameter(torch.empty_like(p)) for p in module.parameters()}

    short, long = copied(module, memo()), copy.deepcopy(module, memo())
    assert list(parts(short, {})) == list(parts(long, {}))
    assert list(parts(module, {})) == before
    theirs = {id(part) for part in module.modules()}
    assert not any(id(part) in theirs for part in short.modules())


def test_boxes_are_copied() -> None:
    module = Odd()
    made: Any = copied(module, {})
    made.aside[1]["three"] = made.aside[2][1].append(3)
    assert module.aside[1].keys() == {"two"} and module.aside[2] == (1, [2])
    assert made.child.parent is made and made.two.weight is made.one.weight
