"""VGG19's memory, parameters and operations, and the share that its convolutions have."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from epochlab.evidence import Claim, Evidence, Note
from epochlab.figures.layers import figure_of
from epochlab.studies._anatomy_sheet import sheet_evidence
from epochlab.studies._anatomy_zoo import FLOAT32_BYTES, Specimen
from epochlab.table import Column, Table

if TYPE_CHECKING:
    from epochlab.cost import Cost
    from epochlab.cost.sheet import Sheet

SHAPE, OUTPUTS = (3, 224, 224), 1000
LEAST_SHARE = 0.99  # of the operations: "about 99 %" in the publication on VGG16


def vgg_evidence(specimens: Mapping[str, Specimen]) -> Iterator[Evidence]:
    """The sheet's table, what is dear about the network, and where its operations are."""
    from epochlab.cost.exercise import exercise_of

    cost = specimens["VGG19"].cost
    sheet = exercise_of("vgg19", SHAPE, OUTPUTS).sheet()
    yield from sheet_evidence(sheet)
    yield _memory_note(specimens, sheet)
    yield _linear_claim(cost)
    yield figure_of(cost)
    yield _operations_table(cost, sheet)
    yield _shares_table(specimens)
    yield from _share_claim(specimens)


def _memory_note(specimens: Mapping[str, Specimen], sheet: Sheet) -> Note:
    """The remark that the network is dear in memory and parameters, with its numbers."""
    activations = [entry.activations for entry in sheet.entries]
    with_weights = sum(entry.activations for entry in sheet.entries if entry.weights)
    full_size = [e.activations for e in sheet.entries if e.sides == SHAPE[1:]]
    vgg, alexnet, google = (specimens[name].cost for name in
                            ("VGG19", "AlexNet, two towers", "GoogLeNet"))  # fmt: skip
    megabytes = FLOAT32_BYTES * vgg.weights / 1e6
    return Note(text=(
        f"What is dear about VGG19. One image leaves {sum(activations):,} numbers behind, "
        f"{FLOAT32_BYTES * sum(activations) / 1e6:.2f} MB in 32-bit numbers (without the input "
        f"{sum(activations[1:]):,}; outputs of layers with weights alone {with_weights:,}); "
        f"{sum(full_size) / sum(activations):.0%} of them are in the first {len(full_size)} rows, "
        f"where the image has its full size. The weights take {megabytes:.2f} MB, and training "
        "holds them three times or more: weights, gradients, the optimizer's memory. Against "
        "AlexNet it has "
        f"{vgg.parameters / alexnet.parameters:.2f} times the parameters and "
        f"{vgg.macs / alexnet.macs:.1f} times the multiply-accumulates, against GoogLeNet "
        f"{vgg.parameters / google.parameters:.1f} and {vgg.macs / google.macs:.1f} times."
    ))  # fmt: skip


def _linear_claim(cost: Cost) -> Claim:
    linear = sum(layer.weights for layer in cost.of_kind("linear"))
    share = linear / cost.weights
    return Claim(
        statement=f"{share:.2%} of VGG19's weights are in its three fully connected layers.",
        rule="more than half of all weights, biases not counted",
        verdict="supported" if share > 0.5 else "not supported", label="exact",
        numbers={"weights": cost.weights, "of fully connected layers": linear,
                 "with biases, all parameters": cost.parameters},
    )  # fmt: skip


def _operations_table(cost: Cost, sheet: Sheet) -> Table:
    """FLOPs of every layer of VGG19."""
    made: list[dict[str, Any]] = [
        {"layer": entry.label, "calculation": entry.formula("operations", sheet.convention),
         "MACs": entry.macs, "FLOPs": 2 * entry.macs, "share": entry.macs / cost.macs}
        for entry in sheet.entries if entry.macs
    ]  # fmt: skip
    made.append({"layer": "TOTAL", "calculation": "", "MACs": cost.macs, "FLOPs": 2 * cost.macs,
                 "share": math.fsum(row["share"] for row in made)})  # fmt: skip
    return Table.of(
        "VGG19: operations of every layer", made, label="exact", name="vgg19-operations",
        columns=("layer", "calculation", Column(name="MACs", format=","),
                 Column(name="FLOPs", format=","), Column(name="share", format=".2%")),
        notes=("Calculation of the MACs: weights times the positions at which each is used. MAC: "
               "one multiplication and one addition; FLOPs: two per MAC.",),
    )  # fmt: skip


def _shares_table(specimens: Mapping[str, Specimen]) -> Table:
    rows = []
    for name in ("VGG16", "VGG19"):
        cost = specimens[name].cost
        kinds = {kind: sum(layer.macs for layer in cost.of_kind(kind))
                 for kind in ("convolution", "linear")}  # fmt: skip
        rows.append({
            "network": name, "convolutions": kinds["convolution"],
            "others": kinds["linear"], "total": cost.macs,
            "share": cost.share("convolution"),
            "all operations": cost.share("convolution", count="full"),
            "published": "about 99%" if name == "VGG16" else "",
        })  # fmt: skip
    return Table.of(
        "Share of the convolutions in a forward pass", rows, label="exact", name="shares",
        columns=("network", *(Column(name=n, unit="MACs", format=",") for n in
                              ("convolutions", "others", "total")),
                 Column(name="share", format=".4%"),
                 Column(name="all operations", format=".4%"),
                 Column(name="published", label="quoted")),
        notes=(
            "Others: the fully connected layers. The share is the same whether a "
            "multiply-accumulate counts as one operation or as two.",
            "All operations: the share where a multiply-accumulate counts two, and each added "
            "bias, each ReLU and each comparison of a pooling one; biases of convolutions belong "
            "to them, ReLU and poolings do not. Published for VGG16: Lu et al., as the course "
            "sheet quotes it.",
        ),
    )  # fmt: skip


def _share_claim(specimens: Mapping[str, Specimen]) -> Iterator[Claim]:
    shares = {name: specimens[name].cost.share("convolution") for name in ("VGG19", "VGG16")}
    full = specimens["VGG19"].cost.share("convolution", count="full")
    yield Claim(
        statement=f"Convolutions take {shares['VGG19']:.4%} of VGG19's forward operations, beside "
                  f"{shares['VGG16']:.4%} of VGG16's.",
        rule=f"a share of at least {LEAST_SHARE:.0%} in both, with and without the operations "
             "that are no multiply-accumulates",
        verdict="supported" if min(*shares.values(), full) >= LEAST_SHARE else "not supported",
        numbers={"VGG19, percent": 100 * shares["VGG19"], "VGG16, percent": 100 * shares["VGG16"],
                 "VGG19, all operations, percent": 100 * full}, label="exact",
    )  # fmt: skip
