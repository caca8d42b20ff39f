"""AlexNet's parameters, layer by layer, with every calculation written out."""

from __future__ import annotations

import ast
import dataclasses
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from epochlab.evidence import Claim, Evidence, Note
from epochlab.figures.layers import figure_of
from epochlab.studies._anatomy_zoo import Specimen
from epochlab.table import Column, Table

if TYPE_CHECKING:
    from epochlab.cost.sheet import Sheet

SIDE = 227
PAPER_SIDE = 224  # as printed in the paper
VARIANTS = {"two towers": "AlexNet, two towers", "ungrouped": "AlexNet, ungrouped",
            "one column": "AlexNet, one column"}  # fmt: skip


def alexnet_evidence(specimens: Mapping[str, Specimen]) -> Iterator[Evidence]:
    """Sizes, parameters, variants, and the check against the module."""
    from epochlab.cost.exercise import exercise_of

    sheet = exercise_of("alexnet", (3, SIDE, SIDE), 1000).sheet()
    yield _reading_note(sheet)
    sizes = sheet.table(columns=("filters", "output"))
    yield dataclasses.replace(
        sizes, rows=sizes.rows[:-1], name="alexnet-sizes", notes=(
            "Filters: how many, of which size and over how many channels. Groups: into so many "
            "parts the channels are divided that do not see each other.",
        ), title="AlexNet: filters, strides, padding and output sizes",
    )  # fmt: skip
    yield dataclasses.replace(
        sheet.table(columns=("weights", "biases", "parameters")), name="alexnet-parameters",
        title="AlexNet: parameters of every layer, and their sum",
        notes=("Poolings, ReLU, response normalisation and dropout have no parameters.",),
    )  # fmt: skip
    yield _sum_claim(sheet, specimens[VARIANTS["two towers"]])
    yield _variants_table(specimens)
    yield _variants_note(specimens)
    yield figure_of(specimens[VARIANTS["two towers"]].cost)


def _reading_note(sheet: Sheet) -> Note:
    first = next(entry for entry in sheet.entries if entry.kernel)
    kernel, stride, after = first.kernel[0], first.stride[0], first.sides[0]
    grouped = [entry.label for entry in sheet.entries if entry.groups > 1]
    return Note(text=(
        "AlexNet, read from section 3.5 and Figure 2 of the paper. A convolution or pooling of k "
        "pixels, stride s and padding p turns a side of n pixels into (n + 2p - k)/s + 1. A filter "
        "has k * k * (channels that it sees) weights and one bias. Two details decide the sum. The "
        f"paper prints images of {PAPER_SIDE} pixels, but ({PAPER_SIDE} - {kernel})/{stride} + 1 = "
        f"{(PAPER_SIDE - kernel) / stride + 1:g} is not a whole number; {SIDE} pixels give the "
        f"{after} of Figure 2. And the network lies on two graphics cards: the filters of "
        f"{', '.join(grouped[:-1])} and {grouped[-1]} see only the half of the channels that lies "
        "on their own card, which halves their weights."
    ))  # fmt: skip


def result_of(formula: str) -> int:
    """What a calculation as it stands in a table comes to: '(5*5*48)*256 + 256' -> 307456."""

    def value(node: ast.AST) -> int:
        if isinstance(node, ast.Constant) and isinstance(node.value, int):
            return node.value
        if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Add, ast.Mult)):
            left, right = value(node.left), value(node.right)
            return left + right if isinstance(node.op, ast.Add) else left * right
        raise ValueError(f"'{formula}' is more than sums and products of whole numbers")

    return value(ast.parse(formula, mode="eval").body)


def _sum_claim(sheet: Sheet, found: Specimen) -> Claim:
    how = sheet.convention
    held = {layer.name: layer.parameters for layer in found.cost.layers}
    calculated = {
        entry.path: result_of(entry.formula("parameters", how) or "0")
        for entry in sheet.entries if entry.path
    }  # fmt: skip
    total = sum(calculated.values())
    each = all(held[path] == number for path, number in calculated.items())
    return Claim(
        statement=f"AlexNet as published has {total:,} parameters.",
        rule="the calculation of every layer, as written in the table, comes to what the layer's "
             "tensors hold, and the sum of all to what the whole module holds",
        verdict="supported" if each and total == found.counted else "not supported",
        numbers={"calculated": total, "held by the module": found.counted,
                 "weights alone": found.cost.weights, "biases": found.cost.biases}, label="exact",
    )  # fmt: skip


def _variants_table(specimens: Mapping[str, Specimen]) -> Table:
    """The three networks that go by the name, one row per layer with weights."""
    columns = {
        short: [layer for layer in specimens[name].cost.layers if layer.macs]
        for short, name in VARIANTS.items()
    }
    rows: list[dict[str, Any]] = [
        {"layer": layer.name} | {short: found[n].parameters for short, found in columns.items()}
        for n, layer in enumerate(columns["two towers"])
    ]  # fmt: skip
    for what in ("parameters", "macs"):
        rows.append({"layer": "TOTAL" if what == "parameters" else "MACs"} | {
            short: getattr(specimens[name].cost, what) for short, name in VARIANTS.items()
        })  # fmt: skip
    return Table.of(
        "Three networks called AlexNet: parameters", rows, label="exact", name="alexnet-variants",
        columns=("layer", *(Column(name=short, format=",") for short in VARIANTS)),
        notes=("Biases included. Two towers and ungrouped on 227 pixels; one column, the form of "
               "2014 with 64-192-384-256-256 filters that most weight files hold, on 224.",),
    )  # fmt: skip


def _variants_note(specimens: Mapping[str, Specimen]) -> Note:
    two, ungrouped, column = (specimens[VARIANTS[short]].cost for short in VARIANTS)
    extra = ungrouped.parameters - two.parameters
    linear = sum(layer.parameters for layer in two.of_kind("linear"))
    return Note(text=(
        f"A sum of {ungrouped.parameters:,} has ignored the two towers: the filters of layers 2, 4 "
        f"and 5 then see twice as many channels, {extra:,} weights more and "
        f"{ungrouped.macs / two.macs:.2f} times the multiply-accumulates. A sum of "
        f"{column.parameters:,} belongs to the one-column network of 2014, one of {two.weights:,} "
        "leaves the biases out. In the published network the fully connected layers hold "
        f"{linear / two.parameters:.1%} of the parameters."
    ))  # fmt: skip
