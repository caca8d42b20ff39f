"""Follows receptive fields through the operators of one forward pass, tensor by tensor."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from torch import Tensor

from epochlab.cost.receptive.call import Call, JointRule, Outcome, SingleRule, Spans
from epochlab.cost.receptive.field import (
    ReceptiveField,
    element_pixels,
    receptive_field,
)
from epochlab.cost.receptive.laws import Law, Pixels
from epochlab.cost.receptive.rules import JOINT_RULES, SINGLE_RULES
from epochlab.cost.receptive.spans import Digit, Extent, Walk
from epochlab.cost.receptive.views import VIEW_RULES


class _Plan(NamedTuple):
    """What the tracker has to know about one operator."""

    single: SingleRule | None
    joint: JointRule | None
    names: Mapping[str, int]
    overwritten: tuple[str, ...]


class _Mark(NamedTuple):
    """What hangs on a tensor that depends on the network's input."""

    tracker: object
    time: int
    spans: Spans | None


class Tracker:
    """Follows receptive fields through the operators of one forward pass.

    `inputs` are the tensors given to the network, [batch, channels, *spatial]. Fields are about the
    first of them that has spatial axes, and any others of the same spatial size; tensors that
    depend on further inputs only count as constants. Without spatial axes all fields are None.

    After each operator call `note`, then ask `field` for any tensor. Marks are attributes of the
    tensors: they vanish with them. An operator that overwrites part of a tensor in place makes the
    rest of that memory unknown, views of it included, unless its field stays what it was.
    """

    def __init__(self, *inputs: object) -> None:
        images = [t for t in inputs if isinstance(t, Tensor) and t.ndim > 2]
        self._lengths: tuple[int, ...] = tuple(images[0].shape[2:]) if images else ()
        self._me = object()
        self._time = 0
        self._overwritten: dict[int, tuple[int, object]] = {}
        self._fields: dict[tuple[Spans, tuple[int, ...]], ReceptiveField] = {}
        self._unknown: Spans = (Extent.UNKNOWN,) * len(self._lengths)
        for image in images:
            if tuple(image.shape[2:]) == self._lengths:
                self._write(image, _of_input(self._lengths), False)

    def note(
        self, func: Any, args: Sequence[Any], kwargs: Mapping[str, Any], outputs: object
    ) -> None:
        """Record what operator `func` made of its arguments; call it after the operator ran."""
        if not self._lengths:
            return
        tracked = [
            (tensor, spans)
            for tensor in _tensors_in(args, kwargs)
            if (spans := self._spans(tensor)) is not None
        ]
        if not tracked:
            return
        plan = _plan_of(func)
        made = list(_tensors_in((outputs,), {}))
        call = Call(args, kwargs, plan.names, made, tracked, self._lengths)
        outcome = self._outcome(plan, call)
        changed = [call.get(name) for name in plan.overwritten]
        for place, tensor in enumerate(made):
            spans = outcome[place] if isinstance(outcome, list) else outcome
            self._write(tensor, spans, any(tensor is other for other in changed))
        for target in _tensors_in(changed, {}):
            if not any(target is tensor for tensor in made):
                self._write(target, self._unknown, True)

    def field(self, tensor: Tensor) -> ReceptiveField | None:
        """The receptive field of an element; None where there is none.

        That is so for a network whose input has no spatial axis, and for a tensor that does not
        depend on the input.
        """
        spans = self._spans(tensor)
        if spans is None:
            return None
        key = (spans, tuple(tensor.shape))
        found = self._fields.get(key)
        if found is None:
            found = self._fields[key] = receptive_field(spans, self._lengths, tensor.shape)
        return found

    def pixels(self, tensor: Tensor, index: Sequence[int]) -> tuple[Pixels | None, ...] | None:
        """First and last pixel that the element at `index` can see, along each spatial axis.

        Negative or too large numbers are padding. None along an axis where it is unknown or no
        pixel is seen; None altogether where `field` is None.
        """
        spans = self._spans(tensor)
        if spans is None:
            return None
        pairs = zip(spans, self._lengths, strict=True)
        return tuple(element_pixels(span, n, index) for span, n in pairs)

    def _outcome(self, plan: _Plan, call: Call) -> Outcome:
        if not any(made.numel() for made in call.outputs):
            return None
        if plan.joint is not None:
            return plan.joint(call)
        if plan.single is None or len(call.tracked) != 1 or call.tracked[0][0] is not call.args[0]:
            return self._unknown
        return plan.single(call.tracked[0][1], call)

    def _spans(self, tensor: Tensor) -> Spans | None:
        mark: _Mark | None = getattr(tensor, "_epochlab_pixels", None)
        if mark is not None and mark.tracker is not self._me:
            mark = None
        if self._overwritten:
            written = self._overwritten.get(tensor.untyped_storage()._cdata)
            if written is not None and (mark is None or mark.time < written[0]):
                return self._unknown
        return None if mark is None else mark.spans

    def _write(self, tensor: Tensor, spans: Spans | None, in_place: bool) -> None:
        if in_place and spans != self._spans(tensor):
            # Other views of this memory hold something else now. Keeping the storage keeps its
            # address from being used again.
            self._time += 1
            storage = tensor.untyped_storage()
            self._overwritten[storage._cdata] = (self._time, storage)
        if not tensor.numel():  # no element that could see anything
            spans = None
        tensor._epochlab_pixels = _Mark(self._me, self._time, spans)  # type: ignore[attr-defined]


def _of_input(lengths: tuple[int, ...]) -> Spans:
    """Each element of the network's input sees its own pixel."""
    return tuple(
        (Walk((Digit(2 + place, 1, length, 1),), Law(((0, 0),), 1)),)
        for place, length in enumerate(lengths)
    )


def _tensors_in(values: Any, named: Mapping[str, Any]) -> Iterator[Tensor]:
    """All tensors among an operator's arguments or results, those inside lists included."""
    for value in (*values, *named.values()) if named else values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, (list, tuple)):
            for inner in value:
                if isinstance(inner, Tensor):
                    yield inner


@functools.cache
def _plan_of(func: Any) -> _Plan:
    """The rule for an operator; `relu_` follows the rule for `relu`. Foreign ones have none.

    Nor have `transpose_` and the like: when they are noted, the old shape is gone already.
    """
    schema = getattr(func, "_schema", None)
    if schema is None:
        return _Plan(None, None, {}, ())
    library, _, name = schema.name.partition("::")
    arguments = schema.arguments
    overwritten = tuple(a.name for a in arguments if a.alias_info and a.alias_info.is_write)
    names = {argument.name: place for place, argument in enumerate(arguments)}
    if library != "aten":
        return _Plan(None, None, names, overwritten)
    if name.endswith("_") and name[:-1] not in VIEW_RULES:
        name = name[:-1]
    return _Plan(SINGLE_RULES.get(name), JOINT_RULES.get(name), names, overwritten)
