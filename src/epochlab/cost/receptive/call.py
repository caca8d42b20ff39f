"""One operator call, as the rules for receptive fields read it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from torch import Tensor

from epochlab.cost.receptive.laws import Law
from epochlab.cost.receptive.spans import Span, along, blurred, contracted, moved

# One span per spatial axis of the network's input.
Spans = tuple[Span, ...]
# For all outputs alike; or one per output tensor (None: does not depend on the input).
Outcome = Spans | list[Spans | None] | None


class Call:
    """Arguments by name, outputs, and the spans of the tensors that depend on the input."""

    __slots__ = ("args", "kwargs", "lengths", "names", "outputs", "tracked")

    def __init__(
        self, args: Sequence[Any], kwargs: Mapping[str, Any], names: Mapping[str, int],
        outputs: Sequence[Tensor], tracked: Sequence[tuple[Tensor, Spans]],
        lengths: tuple[int, ...],
    ) -> None:  # fmt: skip
        self.args = args
        self.kwargs = kwargs
        self.names = names
        self.outputs = outputs
        self.tracked = tracked
        "each tensor among the arguments that depends on the network's input, with its spans"
        self.lengths = lengths
        "the sizes of the network's input along its spatial axes"

    def get(self, name: str, default: Any = None) -> Any:
        """The argument of that name in the operator's schema, or the default."""
        at = self.names.get(name)
        if at is not None and at < len(self.args):
            return self.args[at]
        return self.kwargs.get(name, default)

    def spans_of(self, value: object) -> Spans | None:
        """The spans of one argument; None for what does not depend on the network's input."""
        for tensor, spans in self.tracked:
            if tensor is value:
                return spans
        return None

    def each(self, spans: Spans, change: Callable[[Span, int], Span]) -> Spans:
        """`change(span, length)` for every spatial axis of the network's input."""
        return tuple([change(s, n) for s, n in zip(spans, self.lengths, strict=True)])

    def along(
        self, spans: Spans, axis: int, old: int, new: int, change: Callable[[Law], Law]
    ) -> Spans:
        """The spans after the tensor's axis changed from `old` elements to `new`."""
        return self.each(spans, lambda s, n: along(s, axis, old, change, new, n))

    def moved(self, spans: Spans, places: Sequence[int | None]) -> Spans:
        """The spans after axis a became axis places[a]; None for one that is gone."""
        return self.each(spans, lambda s, n: moved(s, places, n))

    def mixed(self, spans: Spans, axes: Sequence[int]) -> Spans:
        """The spans of elements that each see what all elements along the axes see."""
        return self.each(spans, lambda s, n: contracted(s, axes, n))

    def blurred(self, spans: Spans, axes: Sequence[int]) -> Spans:
        """The spans after elements changed places along some axes in an unknown way."""
        return tuple([blurred(span, axes) for span in spans])


# A rule for operators whose first argument alone may depend on the network's input.
SingleRule = Callable[[Spans, Call], Outcome]
# A rule for operators of which several arguments may.
JointRule = Callable[[Call], Outcome]
Rule = TypeVar("Rule", SingleRule, JointRule)


def for_all(names: str, rule: Rule) -> dict[str, Rule]:
    """One rule for several operators, whose names are separated by spaces."""
    return dict.fromkeys(names.split(), rule)


def axes_of(value: Any, rank: int) -> tuple[int, ...]:
    """Axes from an operator's argument, counted from the front; none given means all of them."""
    if value is None or value == []:
        return tuple(range(rank))
    if isinstance(value, int):
        return (value % rank if rank else 0,)
    return tuple(axis % rank if rank else 0 for axis in value)
