"""Put networks side by side: parameters, operations, memory, or the shares of layer kinds."""

from __future__ import annotations

import argparse
import dataclasses
import shlex
from typing import TYPE_CHECKING

from epochlab.cli._drawing import check_figure, save_figure
from epochlab.cli._fitting import fitted_text, terminal_columns
from epochlab.cli._networks import NAMING, add_network_options, cost_of, subject_of
from epochlab.cli._options import Parser, show
from epochlab.errors import BadOption
from epochlab.table import Column, Table

if TYPE_CHECKING:
    from epochlab.cost import Cost

EXAMPLE = """
example:
  epochlab compare alexnet vgg16 vgg19 googlenet resnet50 squeezenet
  epochlab compare resnet20 resnet56 nets.py:MyNet --input 3x32x32
  epochlab compare vgg16 resnet50 --per-kind
"""
# Left out of a text table that is too wide, in this order.
EXPENDABLE = ("weights", "backward", "per parameter", "layers", "saved", "activations", "input")


def main(words: list[str]) -> None:
    """`epochlab compare A B C`."""
    parser = Parser("compare", (__doc__ or "") + NAMING + EXAMPLE)
    parser.add_argument("networks", metavar="NETWORK", nargs="+", help="two or more, see above")
    add_network_options(parser)
    parser.add_argument("--per-kind", action="store_true", help="in place of the sums: the share "
                        "that each kind of layer has of the operations and parameters")  # fmt: skip
    given = parser.parse_strictly(words)
    if len(given.networks) < 2:
        raise BadOption(
            "One network alone cannot be compared. Name another one, or look at this one by layer: "
            f"epochlab analyze {shlex.quote(given.networks[0])}."
        )
    path = check_figure(given.figure)
    costs = [cost_of(subject_of(text, given), given) for text in given.networks]
    costs = _named_apart(costs, given.networks)
    table = per_kind(costs, given) if given.per_kind else side_by_side(costs, given)
    if path is not None:
        from epochlab.figures.layers import comparison_of

        command = shlex.join(["epochlab", "compare", *words])
        save_figure(path, comparison_of(costs, count=given.count), [table], command)
    if given.format != "text":
        show(table, given.format)
        return
    print(fitted_text(table, terminal_columns(), () if given.per_kind else EXPENDABLE))
    if path is not None:
        print(f"Figure: {path}")
    print(_next_text(given))


def _named_apart(costs: list[Cost], texts: list[str]) -> list[Cost]:
    """Networks of one name are told apart by what the user wrote, then by their number."""
    for tried in (texts, [f"{text} ({n})" for n, text in enumerate(texts, 1)]):
        names = [cost.name for cost in costs]
        costs = [
            dataclasses.replace(cost, name=text) if names.count(cost.name) > 1 else cost
            for cost, text in zip(costs, tried, strict=True)
        ]
    return costs


def side_by_side(costs: list[Cost], given: argparse.Namespace) -> Table:
    """One row per network."""
    from epochlab.cost import compare

    return compare(costs, count=given.count, biases=not given.no_biases, rounded=given.rounded)


def per_kind(costs: list[Cost], given: argparse.Namespace) -> Table:
    """For operations and for parameters: one row per kind of layer, one column per network."""
    head = {"macs": "MACs", "flops": "FLOPs", "full": "full FLOPs"}[given.count]
    kinds = list(dict.fromkeys(layer.kind for cost in costs for layer in cost.layers))
    rows: list[dict[str, object]] = []
    for what in (head, "parameters"):
        shares = {kind: [_share(cost, kind, what, given) for cost in costs] for kind in kinds}
        for kind, found in sorted(shares.items(), key=lambda pair: -max(pair[1])):
            if max(found) > 0:
                named = dict(zip((cost.name for cost in costs), found, strict=True))
                rows.append({"share of": what, "kind of layer": kind, **named})
    return Table.of(
        "Shares of the kinds of layers", rows, label="exact", name="networks-per-kind",
        notes=(*_notes(costs, head), "Kinds that have none of either are left out."),
        columns=("share of", "kind of layer",
                 *(Column(name=cost.name, format=".2%") for cost in costs)),
    )  # fmt: skip


def _share(cost: Cost, kind: str, what: str, given: argparse.Namespace) -> float:
    if what != "parameters":
        return cost.share(kind, count=given.count)
    total = cost.weights if given.no_biases else cost.parameters
    layers = cost.of_kind(kind)
    own = sum(layer.weights if given.no_biases else layer.parameters for layer in layers)
    return own / total if total else 0.0


def _notes(costs: list[Cost], head: str) -> list[str]:
    """Which network's shares leave operators out."""
    return [
        f"Not counted in {cost.name}, so in no share of {head}: "
        f"{', '.join(sorted({u.operator for u in cost.uncounted if u.phase == 'forward'}))}."
        for cost in costs if any(u.phase == "forward" for u in cost.uncounted)
    ]  # fmt: skip


def _next_text(given: argparse.Namespace) -> str:
    more = [] if given.per_kind else ["--per-kind"]
    if given.figure is None:
        more.append("--figure networks.html")
    inputs = [word for text in given.input for word in ("--input", text)]
    one = shlex.join(["epochlab", "analyze", given.networks[0], *inputs])
    return f"Next: the same with {' or '.join(more)};   {one}" if more else f"Next: {one}"
