"""What one operation costs: the rule of each ATen operator, by name.

A rule takes the operator's arguments and its output and says how many multiply-accumulates there
are, how many other floating-point operations, and by which formula. Operators that only move or
rename data are free; one without a rule is reported as uncounted, never taken as zero.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

Args = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Count:
    """Work of one operation."""

    macs: int = 0
    other: int = 0
    "floating-point operations that are no multiply-accumulates"
    formula: str = ""
    "of macs"


@dataclass(frozen=True, slots=True)
class Rule:
    """The kind of an operator and how its work is counted."""

    kind: str
    count: Callable[[Args, Any], Count]


FREE = Rule("free", lambda args, out: Count())


def first_tensor(value: Any) -> Tensor | None:
    """The first tensor in an operator's result."""
    if isinstance(value, Tensor):
        return value
    if isinstance(value, (tuple, list)):
        return next((t for t in value if isinstance(t, Tensor)), None)
    return None


def tensors_in(values: Any) -> Iterator[Tensor]:
    """All tensors among arguments or results, lists of tensors opened."""
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, (tuple, list)):
            yield from tensors_in(value)


def size_of(value: Any) -> int:
    """Numbers in the first tensor of a result."""
    tensor = first_tensor(value)
    return 0 if tensor is None else tensor.numel()


def per_output(kind: str, each: int = 1) -> Rule:
    """So many operations per output value."""
    return Rule(kind, lambda args, out: Count(0, each * size_of(out)))


def per_input(kind: str, each: int = 1) -> Rule:
    """So many operations per value of the first argument."""
    return Rule(kind, lambda args, out: Count(0, each * args[0].numel()))


def product(*factors: tuple[int, ...] | list[int] | int) -> str:
    """(3, 3), 64 -> '3*3*64'; factors of 1 are left out."""
    flat: list[int] = []
    for factor in factors:
        flat += [factor] if isinstance(factor, int) else list(factor)
    return "*".join(str(f) for f in flat if f != 1) or "1"


def rule_of(func: torch._ops.OpOverload) -> Rule | None:
    """The rule of an operator: by its name, else by what PyTorch says of it, else none."""
    from epochlab.cost.rules import BY_NAME, MOVES_DATA

    namespace, _, name = func._schema.name.partition("::")
    if namespace == "aten":
        found = BY_NAME.get(name) or BY_NAME.get(name.removesuffix("_"))
        if found is not None:
            return found
        if name in MOVES_DATA or func.is_view or torch.Tag.inplace_view in func.tags:
            return FREE
        if torch.Tag.pointwise in func.tags:
            return per_output("elementwise")
        return None
    return BY_NAME.get(f"{namespace}::{name}")
