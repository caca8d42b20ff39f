"""The nine inception modules of GoogLeNet, with the filters of the publication."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from epochlab.evidence import Claim, Evidence
from epochlab.networks.googlenet import MODULES, GoogLeNet
from epochlab.studies._inception_counts import NAIVE, REDUCED, Filters
from epochlab.table import Column, Table

SHAPE, OUTPUTS = (3, 224, 224), 1000


def google_evidence() -> Iterator[Evidence]:
    """Filters, parameters and operations of each, and what they would cost without reduction."""
    import torch

    from epochlab.cost import trace

    with torch.device("meta"):
        module = GoogLeNet().build(SHAPE, OUTPUTS)
    cost = trace(module, SHAPE, name="GoogLeNet")
    rows: list[dict[str, Any]] = []
    for name, (one, reduce3, three, reduce5, five, pool) in MODULES.items():
        layers = [layer for layer in cost.layers if layer.name.startswith(f"inception{name}.")]
        channels, side = layers[0].input_shape[1], layers[0].input_shape[2]
        filters = Filters(one=one, reduce3=reduce3, three=three, reduce5=reduce5, five=five,
                          pool=pool)  # fmt: skip
        naive = filters.convolutions(NAIVE, channels).values()
        own = filters.convolutions(REDUCED, channels).values()
        unreduced = sum(k * k * seen * made for k, seen, made in naive) * side * side
        macs = sum(layer.macs for layer in layers)
        rows.append({
            "module": name, "input": f"{side}x{side}x{channels}",
            "filters": f"{one}, {reduce3}/{three}, {reduce5}/{five}, {pool}",
            "output": sum(filters.kept(REDUCED, channels)),
            "parameters": sum(layer.parameters for layer in layers),
            "by formula": sum(k * k * seen * made + made for k, seen, made in own),
            "MACs": macs, "saving": 1 - macs / unreduced,
        })  # fmt: skip
    total: dict[str, Any] = {"module": "TOTAL", "input": "", "filters": ""}
    sums = {key: sum(row[key] for row in rows) for key in ("parameters", "by formula", "MACs")}
    yield Table.of(
        "The nine modules of GoogLeNet", [*rows, total | sums], label="exact", name="googlenet",
        columns=("module", "input", "filters", "output",
                 Column(name="parameters", format=","), Column(name="MACs", format=","),
                 Column(name="saving", format=".1%")),
        notes=("Filters as published, of 1x1, 3x3, 5x5 and after the pooling; a/b: a of 1x1 before "
               "b of the larger ones. Output: channels. Parameters with biases. Saving: against "
               "the three convolutions 1x1, 3x3 and 5x5 of the naive module on the same input.",),
    )  # fmt: skip
    wrong = [row for row in rows if row["parameters"] != row["by formula"]]
    share = sums["parameters"] / cost.parameters
    yield Claim(
        statement=f"GoogLeNet's nine modules hold {sums['parameters']:,} parameters, {share:.1%} "
                  "of the network's.",
        rule="kernel * channels * filters + one bias per filter, summed over the six convolutions, "
             "gives what each module's tensors hold",
        verdict="not supported" if wrong else "supported", label="exact",
        numbers={"in the modules": sums["parameters"], "in the network": cost.parameters,
                 "modules that differ": len(wrong)},
    )  # fmt: skip
