"""Count what a network costs, layer by layer: parameters, operations, memory, receptive field."""

from __future__ import annotations

import argparse
import dataclasses
import re
import shlex
from typing import TYPE_CHECKING

from epochlab.cli._drawing import check_figure, save_figure
from epochlab.cli._fitting import fitted_text, terminal_columns
from epochlab.cli._networks import NAMING, add_network_options, cost_of, subject_of
from epochlab.cli._options import Parser, show
from epochlab.cli._step_memory import add_memory_options, check_memory_options, memory_table
from epochlab.errors import BadOption
from epochlab.table import Table

if TYPE_CHECKING:
    from epochlab.cost import Cost

DETAILS = {"short": "short", "memory": "memory", "field": "receptive field",
           "formulas": "formulas", "all": "all"}  # fmt: skip
EXAMPLE = """
example:
  epochlab analyze vgg19
  epochlab analyze vgg19 --no-biases --folded --rounded
  epochlab analyze resnet50 --top 10 --details memory --batch 32
  epochlab analyze resnet50 --memory --optimizer adam --batch 32 --fits 16GB
  epochlab analyze nets.py:TwoTowers --input left=8x3x64x64 --input right=8x3x64x64
"""
MANY_ROWS = 60
# Left out of a text table that is too wide, in this order.
EXPENDABLE = {
    "short": ("backward", "receptive field", "share", "kind", "activations", "output"),
    "memory": ("written", "read", "FLOP per byte", "kind", "output"),
    "field": ("kind", "output"),
    "formulas": ("kind", "output", "parameters"),
    "all": ("formula", "written", "read", "backward", "FLOP per byte", "saved", "receptive field",
            "share", "kind", "activations", "output"),
}  # fmt: skip


def main(words: list[str]) -> None:
    """`epochlab analyze NETWORK`."""
    parser = Parser("analyze", (__doc__ or "") + NAMING + EXAMPLE)
    parser.add_argument("network", metavar="NETWORK", help="see above")
    add_network_options(parser)
    parser.add_argument("--details", choices=tuple(DETAILS), default="short",
                        help="columns of the table; field: the receptive field alone")  # fmt: skip
    parser.add_argument("--top", type=int, metavar="N", help="only the N layers with most work")
    add_memory_options(parser)
    given = parser.parse_strictly(words)
    if given.top is not None and given.top < 1:
        raise BadOption(f"--top is {given.top}; it must be at least 1.")
    check_memory_options(given)
    path = check_figure(given.figure)
    subject = subject_of(given.network, given)
    cost = cost_of(subject, given)
    tables = [layer_table(cost, given)]
    if given.memory:
        tables.append(memory_table(subject, given))
    if path is not None:
        from epochlab.figures.layers import figure_of

        command = shlex.join(["epochlab", "analyze", *words])
        save_figure(path, figure_of(cost, count=given.count), tables, command)
    if given.format in ("json", "csv"):  # one document, one table
        show(tables[-1], given.format)
        return
    for number, table in enumerate(tables):
        if number:
            print()
        if given.format == "text":
            left_out_first = EXPENDABLE[given.details] if table is tables[0] else ("share",)
            print(fitted_text(table, terminal_columns(), left_out_first))
        else:
            show(table, given.format)
    if given.format == "text":
        if path is not None:
            print(f"Figure: {path}")
        print("Next: " + "\n      ".join(_next_commands(given, cost)))


def layer_table(cost: Cost, given: argparse.Namespace) -> Table:
    """The table by layer, of the layers with most work where that is asked for."""
    has_totals = given.details != "field"
    table = cost.table(count=given.count, biases=not given.no_biases, rounded=given.rounded,
                       details=DETAILS[given.details], totals=has_totals)  # fmt: skip
    if given.top is None or given.top >= len(cost.layers):
        return table
    work = [layer.count(given.count) for layer in cost.layers]
    order = sorted(range(len(work)), key=lambda i: -work[i])[: given.top]
    share = sum(work[i] for i in order) / sum(work) if sum(work) else 0.0
    head = {"macs": "MACs", "flops": "FLOPs", "full": "full FLOPs"}[given.count]
    which = "layer" if given.top == 1 else f"{given.top} layers"
    note = f"The {which} with most {head}, of {len(work)} layers: {share:.2%} of all {head}."
    if has_totals:
        note += " TOTAL is that of all layers."
    rows = (*(table.rows[i] for i in order), *table.rows[len(work) :])
    return dataclasses.replace(table, rows=rows, notes=(note, *table.notes))


def _next_commands(given: argparse.Namespace, cost: Cost) -> list[str]:
    """Two or three commands that show more of the same network."""
    same = [word for text in given.input for word in ("--input", text)]
    if given.outputs:
        same += ["--outputs", str(given.outputs)]
    again = ["epochlab", "analyze", given.network, *same]
    if given.batch:
        again += ["--batch", str(given.batch)]
    more = []
    if given.top is None and len(cost.layers) > MANY_ROWS:
        more.append([*again, "--top", "10"])
    if given.details == "short":
        more.append([*again, "--details", "formulas"])
    if not given.memory and cost.parameters:
        more.append([*again, "--memory", "--optimizer", "adam"])
    if given.figure is None:
        stem = re.sub(r"[^a-z0-9]+", "-", cost.name.lower()).strip("-")
        more.append([*again, "--figure", f"{stem}.html"])
    if _is_image(cost):
        other = "resnet50" if cost.name.startswith("vgg") else "vgg16"
        more.append(["epochlab", "compare", given.network, other, *same])
    return [shlex.join(command) for command in more[:3]]


def _is_image(cost: Cost) -> bool:
    """Whether another network that takes images can be set beside it."""
    shapes = cost.input_shapes
    return len(shapes) == 1 and len(shapes[0]) == 4 and shapes[0][1] in (1, 3)
