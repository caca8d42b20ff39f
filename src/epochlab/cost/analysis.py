"""The cost of a network: its layers, their sums, and the tables that show them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from epochlab.cost.layer import COUNT_TEXT, Count, Layer, Uncounted, shape_text
from epochlab.table import Column, Table

DETAILS = ("short", "memory", "receptive field", "formulas", "all")
"""Which columns a table of layers shows."""

FOLDED = frozenset({"activation", "dropout", "reshape", "identity", "concatenation"})
"""Kinds of layers that `Cost.folded` counts in the layer before them."""

_HEADS: dict[Count, str] = {"macs": "MACs", "flops": "FLOPs", "full": "full FLOPs"}


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What one forward and backward pass of a network costs. All counts are for the whole batch."""

    name: str
    layers: tuple[Layer, ...]
    input_shapes: tuple[tuple[int, ...], ...] = ()
    "of every tensor that was passed in, batch axis included"
    output_shapes: tuple[tuple[int, ...], ...] = ()
    "of every tensor that came out, batch axis included"
    batch: int = 1
    training: bool = False
    has_backward: bool = False
    uncounted: tuple[Uncounted, ...] = ()
    unbooked_backward_macs: int = 0
    "multiply-accumulates of the backward pass that belong to no single layer"
    real: bool = False
    "run with real numbers, which may have decided what was computed"

    @property
    def weights(self) -> int:
        return sum(layer.weights for layer in self.layers)

    @property
    def biases(self) -> int:
        return sum(layer.biases for layer in self.layers)

    @property
    def parameters(self) -> int:
        return self.weights + self.biases

    @property
    def macs(self) -> int:
        return sum(layer.macs for layer in self.layers)

    @property
    def backward_macs(self) -> int:
        return sum(layer.backward_macs for layer in self.layers) + self.unbooked_backward_macs

    @property
    def activations(self) -> int:
        """Numbers in the outputs of all layers, the input not among them."""
        return sum(layer.activations for layer in self.layers)

    @property
    def saved_bytes(self) -> int:
        """Bytes that autograd keeps for the backward pass, weights and inputs left out."""
        return sum(layer.saved_bytes for layer in self.layers)

    def count(self, how: Count) -> int:
        """Forward operations in one of the counting conventions."""
        return sum(layer.count(how) for layer in self.layers)

    def of_kind(self, *kinds: str) -> tuple[Layer, ...]:
        """The layers of some kinds, for example 'convolution'."""
        return tuple(layer for layer in self.layers if layer.kind in kinds)

    def share(self, *kinds: str, count: Count = "macs") -> float:
        """Share of the operations that layers of these kinds have."""
        total = self.count(count)
        return sum(layer.count(count) for layer in self.of_kind(*kinds)) / total if total else 0.0

    def layer(self, name: str, call: int = 0) -> Layer:
        """The row of one layer. Raises KeyError."""
        for layer in self.layers:
            if layer.name == name and layer.call == call:
                return layer
        raise KeyError(f"{self.name} has no layer '{name}' (call {call})")

    def folded(self) -> Cost:
        """The same with activations, dropout, reshapes and joins counted in the layer before them.

        So course tables count: the output of a convolution is one number per value, ReLU or not.
        """
        layers: list[Layer] = []
        for layer in self.layers:
            if layer.kind in FOLDED and not layer.parameters and layers:
                layers[-1] = dataclasses.replace(
                    layers[-1], other_flops=layers[-1].other_flops + layer.other_flops,
                    bytes_read=layers[-1].bytes_read + layer.bytes_read,
                    bytes_written=layers[-1].bytes_written + layer.bytes_written,
                    saved_bytes=layers[-1].saved_bytes + layer.saved_bytes,
                )  # fmt: skip
            else:
                layers.append(layer)
        return dataclasses.replace(self, layers=tuple(layers))

    def notes(self, count: Count, biases: bool = True) -> tuple[str, ...]:
        """What a reader of the numbers must know."""
        shapes = ", ".join(shape_text(shape) for shape in self.input_shapes)
        notes = [f"Input {shapes}. {_HEADS[count]}: {COUNT_TEXT[count]}."]
        if self.real:
            notes.append("Run with real numbers: where they decide what is computed, the counts "
                         "hold for these.")  # fmt: skip
        if not biases:
            notes.append(f"Biases are left out: {self.biases:,} parameters.")
        forward = [u for u in self.uncounted if u.phase == "forward"]
        for phase, found in (
            ("forward", forward), ("backward", [u for u in self.uncounted if u not in forward])
        ):  # fmt: skip
            if found:
                listed = ", ".join(f"{u.operator} ({u.times}x)" for u in found)
                notes.append(f"Not counted, {phase}: {listed}. The totals are lower bounds.")
        return tuple(notes)

    def table(
        self, *, count: Count = "macs", biases: bool = True, rounded: bool = False,
        details: str = "short", totals: bool = True,
    ) -> Table:  # fmt: skip
        """One row per layer and call, and a row of totals.

        `count` is the counting convention, `biases` whether parameters include them, `rounded`
        writes two digits as on a blackboard (150K, 3.2M); `details` is one of DETAILS.
        """
        rows = [self._record(layer, count, biases) for layer in self.layers]
        if totals:
            rows.append(self._total(count, biases))
        columns = self._columns(count, details, rounded)
        return Table.of(
            f"{self.name}: cost by layer", rows, columns=columns, label="exact",
            notes=self.notes(count, biases), name=f"{self.name}-layers",
        )  # fmt: skip

    def _columns(self, count: Count, details: str, rounded: bool) -> Sequence[Column]:
        head = _HEADS[count]
        numbers = {
            "short": ["parameters", "activations", head, "share"],
            "memory": ["parameters", "activations", "read", "written", "FLOP per byte", "saved"],
            "receptive field": ["receptive field"],
            "formulas": ["parameters", "formula of parameters", head, f"formula of {head}"],
        }
        if details == "all":
            chosen = list(dict.fromkeys(n for names in numbers.values() for n in names))
        else:
            chosen = list(numbers[details])
        if self.has_backward and details in ("short", "all"):
            chosen.insert(chosen.index(head) + 1, f"backward {head}")
        if details == "short" and any(layer.field is not None for layer in self.layers):
            chosen.append("receptive field")
        whole = "rounded" if rounded else ","
        formats = {"share": ".2%", "FLOP per byte": ".2f", "receptive field": "",
                   "formula of parameters": "", f"formula of {head}": ""}  # fmt: skip
        units = {"read": "B", "written": "B", "saved": "B"}
        return [
            Column(name="layer"), Column(name="kind"), Column(name="output"),
            *(Column(name=n, format=formats.get(n, whole), unit=units.get(n, "")) for n in chosen),
        ]  # fmt: skip

    def _record(self, layer: Layer, count: Count, biases: bool) -> dict[str, object]:
        head = _HEADS[count]
        work, total = layer.count(count), self.count(count)
        factor = 1 if count == "macs" else 2
        repeated = f" (call {layer.call + 1})" if layer.call and "/" not in layer.name else ""
        return {
            "layer": (layer.name or self.name) + repeated, "kind": layer.kind,
            "output": shape_text(layer.output_shape[1:] or layer.output_shape),
            "parameters": layer.parameters if biases else layer.weights,
            "activations": layer.activations, head: work,
            f"backward {head}": factor * layer.backward_macs,
            "share": work / total if total else None,
            "receptive field": "" if layer.field is None else layer.field.text(),
            "read": layer.bytes_read, "written": layer.bytes_written,
            "FLOP per byte": layer.intensity,
            "saved": layer.saved_bytes if self.has_backward else None,
            "formula of parameters": _parameters_formula(layer, biases),
            f"formula of {head}": _formula(layer, count),
        }  # fmt: skip

    def _total(self, count: Count, biases: bool) -> dict[str, object]:
        head = _HEADS[count]
        moved = sum(layer.bytes_read + layer.bytes_written for layer in self.layers)
        return {
            "layer": "TOTAL", "kind": "", "output": "",
            "parameters": self.parameters if biases else self.weights,
            "activations": self.activations, head: self.count(count),
            f"backward {head}": (1 if count == "macs" else 2) * self.backward_macs,
            "share": 1.0 if self.count(count) else None, "receptive field": "",
            "read": sum(layer.bytes_read for layer in self.layers),
            "written": sum(layer.bytes_written for layer in self.layers),
            "FLOP per byte": self.count("full") / moved if moved else None,
            "saved": self.saved_bytes if self.has_backward else None,
            "formula of parameters": "", f"formula of {head}": "",
        }  # fmt: skip

    def _repr_html_(self) -> str:
        """A notebook shows the table of layers."""
        return self.table().html()


def compare(costs: Sequence[Cost], *, count: Count = "macs", biases: bool = True,
            rounded: bool = False) -> Table:  # fmt: skip
    """Several networks side by side, one row each."""
    head = _HEADS[count]
    rows: list[dict[str, object]] = []
    for cost in costs:
        row: dict[str, object] = {
            "network": cost.name,
            "input": ", ".join(shape_text(shape[1:]) for shape in cost.input_shapes),
            "layers": sum(1 for layer in cost.layers if layer.macs),
            "parameters": cost.parameters if biases else cost.weights,
            "activations": cost.activations, head: cost.count(count),
            f"backward {head}": (1 if count == "macs" else 2) * cost.backward_macs,
            "convolutions": cost.share("convolution", "transposed convolution", count=count),
            "weights": 4 * cost.parameters,
            "saved": cost.saved_bytes if cost.has_backward else None,
            f"{head} per parameter": cost.count(count) / max(1, cost.parameters),
            "uncounted": ", ".join(sorted({u.operator for u in cost.uncounted})),
        }  # fmt: skip
        rows.append(row)
    whole = "rounded" if rounded else ","
    names = ["network", "input", "layers"]
    numbers = ["parameters", "activations", head, f"backward {head}"]
    columns = [
        *(Column(name=n) for n in names), *(Column(name=n, format=whole) for n in numbers),
        Column(name="convolutions", format=".2%"), Column(name="weights", unit="B", format=whole),
        Column(name="saved", unit="B", format=whole),
        Column(name=f"{head} per parameter", format=".1f"),
    ]  # fmt: skip
    if any(cost.uncounted for cost in costs):
        columns.append(Column(name="uncounted"))
    return Table.of(
        "Networks side by side", rows, columns=columns, label="exact", name="networks",
        notes=(f"{head}: {COUNT_TEXT[count]}. Layers: those with multiply-accumulates. Weights in "
               "32-bit numbers; saved is what autograd keeps for the backward pass.",),
    )  # fmt: skip


def _parameters_formula(layer: Layer, biases: bool) -> str:
    parts = layer.parameters_formula.split(" + ")
    return " + ".join(part for part in parts if biases or "biases" not in part)


def _formula(layer: Layer, count: Count) -> str:
    if count == "macs" or not layer.formula:
        return layer.formula
    parts = f"2 * ({layer.formula})"
    return f"{parts} + {layer.other_flops:,}" if count == "full" and layer.other_flops else parts
