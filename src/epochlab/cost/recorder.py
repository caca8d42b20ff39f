"""Watches every operator of a forward (and backward) pass and books it to the layer that runs it.

The pass runs on the meta device, where tensors have shapes and no numbers. A backward operator is
booked to the operation whose derivative it is: autograd numbers its nodes in the order of creation,
and the number under way is known both when the forward operator runs and when its node is called.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from epochlab.cost.counting import FREE, Count, Rule, first_tensor, rule_of, tensors_in
from epochlab.cost.quick import QUICK
from epochlab.cost.receptive import ReceptiveField, Tracker
from epochlab.cost.values import MAKES, Values

Operator = torch._ops.OpOverload
Loose = tuple[Tensor, tuple[tuple[nn.Parameter, str], ...]]


@dataclass(slots=True)
class Scope:
    """One call of one module."""

    module: nn.Module | None
    name: str
    call: int
    parent: Scope | None
    whole: bool
    "all its operations form one row"
    operations: list[Operation | Scope] = field(default_factory=list)
    input_shape: tuple[int, ...] = ()
    output_shape: tuple[int, ...] = ()
    field: ReceptiveField | None = None
    saved_bytes: int = 0


@dataclass(slots=True)
class Operation:
    """One operator call that does some work, with what it turned out to cost."""

    name: str
    kind: str
    count: Count
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    read: int
    written: int
    parameters: list[tuple[int, str, int]] = field(default_factory=list)
    "identity, name and size of a container's own parameters that are used here"
    field: ReceptiveField | None = None
    backward_macs: int = 0
    saved_bytes: int = 0


@dataclass
class Missing:
    """Operators without a rule: (phase, operator) -> how often, and where first."""

    times: dict[tuple[str, str], int] = field(default_factory=dict)
    where: dict[tuple[str, str], str] = field(default_factory=dict)

    def add(self, phase: str, operator: str, where: str) -> None:
        key = (phase, operator)
        self.times[key] = self.times.get(key, 0) + 1
        self.where.setdefault(key, where)


class Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call] # torch declares no types
    """Books operators to the scope under way, which the modules' hooks set."""

    def __init__(self, root: Scope, loose: dict[int, Loose], own: set[int],
                 tracker: Tracker | None, values: Values | None) -> None:  # fmt: skip
        super().__init__()  # type: ignore[no-untyped-call] # the same
        self.scope = root
        self.loose = loose
        "id of a container's own parameter, or a view of it -> (that tensor, parameters, names)"
        self.storages = own
        "storages that autograd may keep at no further cost: parameters, inputs, those kept already"
        self.tracker = tracker
        self.values = values
        "what is known of numbers although none is computed; nothing where numbers are real"
        self.quick = {} if values is None else QUICK
        self.rules: dict[Operator, Rule | None] = {}
        self.missing = Missing()
        self.by_number: dict[int, Operation] = {}
        "the operation that each autograd node belongs to"
        self.saved_by_number: dict[int, int] = {}
        self.backward = False
        self.orphan_macs = 0
        "multiply-accumulates of the backward pass that belong to no forward operation"

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Nothing here is ever compiled; PyTorch's guard against it takes a second to import."""
        return False

    def __torch_dispatch__(
        self, func: Operator, types: Any, args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:  # fmt: skip
        kwargs = kwargs or {}
        quick, values = self.quick.get(func), self.values
        out = NotImplemented if quick is None else quick(*args, **kwargs)
        if out is NotImplemented:
            out = func(*args, **kwargs) if values is None else values.run(func, args, kwargs)
        if (values is not None and (values.twins or values.spoiled or func in MAKES)
                and not self.backward):  # fmt: skip
            values.note(func, args, kwargs, out)
        try:
            rule = self.rules[func]
        except KeyError:
            rule = self.rules[func] = rule_of(func)
        if self.tracker is not None and not self.backward:
            self.tracker.note(func, args, kwargs, out)
        if rule is not FREE:
            self._book(func, rule, args, out)
        elif self.loose:
            self._follow_parameter(args, out)
        return out

    def keep(self, tensor: Tensor) -> Tensor:
        """Autograd keeps `tensor` for the backward pass."""
        storage = tensor.untyped_storage()
        if storage._cdata not in self.storages:
            self.storages.add(storage._cdata)
            self.scope.saved_bytes += storage.nbytes()
            number = torch._C._autograd._get_sequence_nr() - 1
            self.saved_by_number[number] = self.saved_by_number.get(number, 0) + storage.nbytes()
        return tensor

    def _book(self, func: Operator, rule: Rule | None, args: Any, out: Any) -> None:
        name = func._schema.name.removeprefix("aten::")
        if self.backward:
            self._book_backward(name, rule, args, out)
            return
        if rule is None:
            self.missing.add("forward", name, self.scope.name)
            rule = Rule("uncounted", _nothing)
        first, result = first_tensor(args), first_tensor(out)
        operation = Operation(
            name, rule.kind, rule.count(args, out),
            () if first is None else first.shape, () if result is None else result.shape,
            sum(t.nbytes for t in tensors_in(args)), sum(t.nbytes for t in tensors_in((out,))),
        )  # fmt: skip
        if self.loose:
            for t in tensors_in(args):
                used = self.loose.get(id(t))
                if used is not None:
                    operation.parameters += [(id(p), own, p.numel()) for p, own in used[1]]
        if self.tracker is not None and result is not None and not self.scope.whole:
            operation.field = self.tracker.field(result)
        self.scope.operations.append(operation)
        # The first operator that sees a number is the one whose node has it.
        self.by_number.setdefault(torch._C._autograd._get_sequence_nr() - 1, operation)

    def _book_backward(self, name: str, rule: Rule | None, args: Any, out: Any) -> None:
        if rule is None:
            self.missing.add("backward", name, "")
            return
        macs = rule.count(args, out).macs
        if not macs:
            return
        node = torch._C._current_autograd_node()
        operation = None if node is None else self.by_number.get(node._sequence_nr())
        if operation is None:
            self.orphan_macs += macs
        else:
            operation.backward_macs += macs

    def _follow_parameter(self, args: Any, out: Any) -> None:
        """A view or copy of a container's own parameter stands for it."""
        used = [self.loose[id(t)] for t in tensors_in(args) if id(t) in self.loose]
        if used:
            parameters = tuple(pair for _, pairs in used for pair in pairs)
            for made in tensors_in((out,)):
                self.loose[id(made)] = (made, parameters)


def _nothing(args: Any, out: Any) -> Count:
    return Count()
