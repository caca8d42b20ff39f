"""The table of a course sheet, layer by layer with every calculation, made from a network."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

from epochlab.cost.layer import Count
from epochlab.table import Column, Table
from epochlab.units import rounded_text

if TYPE_CHECKING:
    from epochlab.cost.exercise import Exercise

Quantity = Literal[
    "filters", "output", "activations", "parameters", "weights", "biases", "operations",
    "receptive field",
]  # fmt: skip
QUANTITIES: tuple[Quantity, ...] = get_args(Quantity)
COUNTED: tuple[Quantity, ...] = ("activations", "parameters", "weights", "biases", "operations")
"""Quantities that are whole numbers and have a total."""
HEADINGS: dict[Quantity, str] = {
    "filters": "Filters", "output": "Output size", "weights": "Weights", "biases": "Biases",
    "activations": "Number of Activations (Memory)", "parameters": "Parameters (Compute)",
    "receptive field": "Receptive field",
}  # fmt: skip
OPERATIONS: dict[Count, str] = {"macs": "MACs", "flops": "FLOPs", "full": "FLOPs (full count)"}

Value = int | tuple[int, ...] | None


@dataclass(frozen=True, kw_only=True)
class Convention:
    """What counts as a parameter and as an operation."""

    biases: bool = True
    count: Count = "macs"


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One row: the input, or a layer with the activation function behind it. No batch axis."""

    label: str
    "what the sheet calls it: CONV3-64"
    kind: str
    "'input', or a layer's kind"
    names: tuple[str, ...] = ()
    "what else it may be called"
    path: str = ""
    "of the module, 'features.0'"
    input_shape: tuple[int, ...] = ()
    output_shape: tuple[int, ...] = ()
    before: tuple[int, ...] = ()
    "shape before it was flattened, where it was"
    kernel: tuple[int, ...] = ()
    "of a convolution or pooling; so are stride and padding"
    stride: tuple[int, ...] = ()
    padding: tuple[int, ...] = ()
    rounds_up: bool = False
    groups: int = 1
    weights: int = 0
    biases: int = 0
    activations: int = 0
    macs: int = 0
    other_flops: int = 0
    field: tuple[int, ...] = ()
    "receptive field per axis of the image; empty where there is none"
    in_total: bool = True
    "False where its activations were counted in the rows above: a concatenation"

    @property
    def pools(self) -> bool:
        return self.kind.endswith("pooling")

    @property
    def sides(self) -> tuple[int, ...]:
        """Height and width of the output; empty for what is no image."""
        return self.output_shape[1:]

    def value(self, quantity: Quantity, convention: Convention) -> Value:
        """The number that belongs into a cell; None where there is none."""
        if quantity == "parameters":
            return self.weights + (self.biases if convention.biases else 0)
        if quantity == "operations":
            if convention.count == "macs":
                return self.macs
            return 2 * self.macs + (self.other_flops if convention.count == "full" else 0)
        if quantity == "output":
            return self.output_shape or None
        if quantity == "receptive field":
            return self.field or None
        if quantity == "filters":
            return None
        return {"activations": self.activations, "weights": self.weights,
                "biases": self.biases}[quantity]  # fmt: skip

    def formula(self, quantity: Quantity, convention: Convention) -> str:
        """The calculation with the numbers filled in; '' where there is nothing to calculate."""
        if quantity == "activations":
            return image_text(self.output_shape, "*") if self.sides else ""
        if quantity == "output":
            return self._output_formula()
        if quantity == "weights" or (quantity == "parameters" and not convention.biases):
            return self._weights_formula()
        if quantity == "parameters":
            weights = self._weights_formula()
            return f"{weights} + {self.biases}" if weights and self.biases else weights
        if quantity == "operations":
            return self._operations_formula(convention.count)
        return ""

    def _weights_formula(self) -> str:
        if not self.weights:
            return ""
        if self.kind == "convolution" and self.kernel:
            inside = "*".join(map(str, (*self.kernel, self.input_shape[0] // self.groups)))
            return f"({inside})*{self.output_shape[0]}"
        if self.kind == "linear":
            flat = image_text(self.before, "*")
            return f"({flat})*{self.output_shape[0]}" if len(self.before) > 1 else (
                f"{self.input_shape[-1]}*{self.output_shape[-1]}"
            )  # fmt: skip
        return ""

    def _operations_formula(self, count: Count) -> str:
        macs = self._weights_formula()
        if not self.macs or not macs:
            return ""
        positions = self.output_shape[:-1] if self.kind == "linear" else self.sides
        if positions:
            macs += " * " + "*".join(map(str, positions))
        if count == "macs":
            return macs
        more = self.other_flops if count == "full" else 0
        return f"2 * {macs}" + (f" + {more}" if more else "")

    def _output_formula(self) -> str:
        """(n + 2*padding - kernel)/stride + 1 along the first side."""
        if not self.kernel or not self.sides:
            return ""
        side, kernel = self.input_shape[1], self.kernel[0]
        stride, padding = self.stride[0], self.padding[0]
        reach = f"({side} + 2*{padding} - {kernel})" if padding else f"({side} - {kernel})"
        if (side + 2 * padding - kernel) % stride:
            return f"{'ceil' if self.rounds_up else 'floor'}({reach}/{stride}) + 1"
        return f"{reach}/{stride} + 1"

    def filters_text(self) -> str:
        """'256 of 5x5x48, stride 1, padding 2, 2 groups'."""
        if not self.kernel:
            return ""
        window = "x".join(map(str, self.kernel))
        if not self.pools:
            deep = self.input_shape[0] // self.groups
            window = f"{self.output_shape[0]} of {window}x{deep}"
        groups = f", {self.groups} groups" if self.groups > 1 else ""
        return f"{window}, stride {self.stride[0]}, padding {self.padding[0]}{groups}"


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """All rows of one network's table, the input first; the total is their sum."""

    name: str
    entries: tuple[Entry, ...]
    convention: Convention
    "how it counts unless told otherwise"
    columns: tuple[Quantity, ...] = ("activations", "parameters")
    hidden_activations: int = 0
    "outputs of activation functions, which have no row of their own"
    notes: tuple[str, ...] = ()
    exercise: Exercise | None = None
    "where it comes from; makes the tables of similar networks"

    def total(self, quantity: Quantity, convention: Convention) -> Value:
        """Sum of a column; None for columns that have none."""
        if quantity not in COUNTED:
            return None
        values = [
            value for entry in self.entries
            if (entry.in_total or quantity != "activations")
            and isinstance(value := entry.value(quantity, convention), int)
        ]  # fmt: skip
        return sum(values)

    def table(
        self, *, columns: Sequence[Quantity] = (), convention: Convention | None = None,
        rounded: bool = True,
    ) -> Table:  # fmt: skip
        """The complete table, every calculation written out; `rounded` as on the course sheet.

        Rounded, activations have two digits (224*224*64=3.2M); parameters and operations are
        always exact, and so is the total.
        """
        chosen, how = tuple(columns) or self.columns, convention or self.convention
        rows = [
            [entry.label, *(cell_text(entry, q, how, rounded=rounded) for q in chosen)]
            for entry in self.entries
        ]  # fmt: skip
        totals = (self.total(q, how) for q in chosen)
        rows.append(["TOTAL", *(f"{t:,}" if isinstance(t, int) else "" for t in totals)])
        return Table(
            title=f"{self.name}: the complete table", label="exact", rows=tuple(map(tuple, rows)),
            columns=tuple(Column(name=h) for h in self.headings(chosen, how)),
            notes=(*self.summary(how), *self.notes), name=f"{self.name}-sheet",
        )  # fmt: skip

    def blank(
        self, columns: Sequence[Quantity] = (), convention: Convention | None = None
    ) -> Table:
        """The same table with empty cells, to be filled in."""
        chosen, how = tuple(columns) or self.columns, convention or self.convention
        labels = [*(entry.label for entry in self.entries), "TOTAL"]
        return Table(
            title=f"{self.name}: a table to fill in", label="exact", name=f"{self.name}-blank",
            columns=tuple(Column(name=h) for h in self.headings(chosen, how)),
            rows=tuple((label, *("" for _ in chosen)) for label in labels),
        )  # fmt: skip

    def headings(self, columns: Sequence[Quantity], convention: Convention) -> list[str]:
        """The first row: 'Layer' and one heading per column."""
        heads = HEADINGS | {"operations": OPERATIONS[convention.count]}
        return ["Layer", *(heads[q] for q in columns)]

    def summary(self, convention: Convention) -> tuple[str, ...]:
        """Where memory and parameters are, in one sentence each."""
        numbers, parameters = (self.total(q, convention) for q in ("activations", "parameters"))
        assert isinstance(numbers, int) and isinstance(parameters, int)
        counted = "with biases" if convention.biases else "biases not counted"
        said = [
            f"Memory in 32-bit numbers: activations {4 * numbers / 1e6:,.2f} MB per image, "
            f"parameters {4 * parameters / 1e6:,.2f} MB ({counted})."
        ]
        dense = sum(e.weights + convention.biases * e.biases for e in self.entries
                    if e.kind == "linear")  # fmt: skip
        if dense and dense != parameters:
            first = max(self.entries, key=lambda e: e.activations)
            said.append(
                f"Fully connected layers have {dense / parameters:.2%} of the parameters; the "
                f"dearest row in memory is {first.label} with {first.activations / numbers:.2%} of "
                "the activations."
            )
        return tuple(said)

    def renewed(self, entries: Sequence[Entry]) -> Sheet:
        """The same table with other rows."""
        return dataclasses.replace(self, entries=tuple(entries))


def cell_text(entry: Entry, quantity: Quantity, how: Convention, *, rounded: bool) -> str:
    """One cell of the complete table: '224*224*64=3.2M', '(3*3*64)*64 = 36,864', '0'."""
    if quantity == "filters":
        return entry.filters_text()
    value, formula = entry.value(quantity, how), entry.formula(quantity, how)
    if quantity == "output":
        shape = image_text(entry.output_shape, "x")
        return f"{formula} = {entry.sides[0]}: {shape}" if formula else shape
    if quantity == "receptive field":
        return "x".join(map(str, entry.field))
    if quantity == "activations" and rounded:
        return f"{formula}={rounded_text(entry.activations)}" if formula else str(entry.activations)
    return f"{formula} = {value:,}" if formula else f"{value:,}"


def value_text(value: float | tuple[int, ...] | None) -> str:
    """A right value as the checker shows it."""
    if isinstance(value, tuple):
        return image_text(value, "x")
    return "" if value is None else f"{value:,}"


def image_text(shape: Sequence[int], sign: str) -> str:
    """(64, 224, 112), '*' -> '224*112*64': channels last, as the sheets write it."""
    return sign.join(map(str, (*shape[1:], *shape[:1])))


def numbers_in(shape: Sequence[int]) -> int:
    """How many numbers a tensor of this shape has."""
    return math.prod(shape)
