"""Copies a module onto stand-ins: Python's deepcopy, with a short way for ordinary modules."""

from __future__ import annotations

import copy
from collections import OrderedDict
from typing import Any

from torch import nn

_ATOMS = frozenset({int, float, bool, str, type(None)})
_BOXES = frozenset({dict, list, tuple, set, OrderedDict})


def copied(module: nn.Module, memo: dict[int, Any]) -> nn.Module:
    """What `copy.deepcopy(module, memo)` gives; `memo` says what becomes of each tensor.

    Raises whatever deepcopy raises.
    """
    classes = {type(child) for child in module.modules()}
    ordinary = {cls for cls in classes if _is_ordinary(cls)}
    children: list[Any] = [child for child in module.modules() if type(child) in ordinary]
    for child in children:
        memo[id(child)] = object.__new__(type(child))
    for child in children:
        state = child.__getstate__()
        memo[id(child)].__setstate__({key: _copied(v, memo) for key, v in state.items()})
    return copy.deepcopy(module, memo)


def _copied(value: Any, memo: dict[int, Any]) -> Any:
    kind = type(value)
    if kind in _ATOMS:
        return value
    if kind in _BOXES and not value:
        return kind()
    if kind is tuple and all(type(part) in _ATOMS for part in value):
        return value
    if kind is dict and id(value) not in memo:
        made = memo[id(value)] = {}
        for key, part in value.items():
            made[key] = memo[id(part)] if id(part) in memo else _copied(part, memo)
        return made
    return copy.deepcopy(value, memo)


def _is_ordinary(cls: type[nn.Module]) -> bool:
    """Whether copying one means copying its state, as nn.Module defines it."""
    kind: Any = cls
    base: Any = nn.Module
    return (
        kind.__reduce_ex__ is object.__reduce_ex__
        and kind.__reduce__ is object.__reduce__
        and kind.__getstate__ is base.__getstate__
        and kind.__new__ is object.__new__
        and not hasattr(kind, "__deepcopy__")
        and not any(vars(part).get("__slots__") for part in kind.__mro__)
    )
