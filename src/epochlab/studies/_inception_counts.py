"""Shapes and operations of both inception modules, by arithmetic and from the real modules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from epochlab.evidence import Claim, Figure
from epochlab.figures.bars import Bars
from epochlab.figures.lines import Lines
from epochlab.table import Column, Table

if TYPE_CHECKING:
    from torch import nn

    from epochlab.cost import Cost

NAIVE, REDUCED = "naive", "reduced"
PARTS = {
    "branch1.conv": "1x1", "branch3.reduce": "1x1 before 3x3", "branch3.conv": "3x3",
    "branch5.reduce": "1x1 before 5x5", "branch5.conv": "5x5", "branch_pool.conv": "1x1 after pool",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Filters:
    """How many filters each convolution has; of the naive module one, three and five alone."""

    one: int
    three: int
    five: int
    reduce3: int
    reduce5: int
    pool: int

    def module(self, form: str, channels: int) -> nn.Module:
        """A module without biases for an input of so many channels."""
        from epochlab.layers.inception import Inception, NaiveInception

        plain = {"one": self.one, "three": self.three, "five": self.five}
        if form == NAIVE:
            return NaiveInception(channels, **plain, bias=False)
        return Inception(channels, **plain, reduce3=self.reduce3, reduce5=self.reduce5,
                         pool=self.pool, bias=False)  # fmt: skip

    def kept(self, form: str, channels: int) -> tuple[int, int, int, int]:
        """Channels that the four branches hand on: 1x1, 3x3, 5x5, pooling."""
        return self.one, self.three, self.five, channels if form == NAIVE else self.pool

    def convolutions(self, form: str, channels: int) -> dict[str, tuple[int, int, int]]:
        """Name of each convolution -> (kernel side, channels that it sees, filters)."""
        if form == NAIVE:
            return {"branch1.conv": (1, channels, self.one),
                    "branch3.conv": (3, channels, self.three),
                    "branch5.conv": (5, channels, self.five)}  # fmt: skip
        return {
            "branch1.conv": (1, channels, self.one),
            "branch3.reduce": (1, channels, self.reduce3),
            "branch3.conv": (3, self.reduce3, self.three),
            "branch5.reduce": (1, channels, self.reduce5),
            "branch5.conv": (5, self.reduce5, self.five),
            "branch_pool.conv": (1, channels, self.pool),
        }  # fmt: skip


def traced(filters: Filters, form: str, channels: int, side: int) -> Cost:
    """What the module costs, counted from its operators."""
    import torch

    from epochlab.cost import trace

    with torch.device("meta"):
        module = filters.module(form, channels)
    return trace(module, (channels, side, side), name=form)


# --- output sizes ---------------------------------------------------------------------------------


def size_evidence(filters: Filters, channels: int, sides: Sequence[int]) -> tuple[Table, Claim]:
    """Sizes after the concatenation, by arithmetic and of a real forward pass."""
    import torch

    rows = []
    for side in sides:
        inputs = torch.zeros(1, channels, side, side)
        for form in (NAIVE, REDUCED):
            kept = filters.kept(form, channels)
            with torch.inference_mode():
                shape = tuple(filters.module(form, channels)(inputs).shape)
            after = sum(kept)
            rows.append({
                "module": form, "input": f"{side}x{side}x{channels}",
                "channels": f"{' + '.join(map(str, kept))} = {after}",
                "output": f"{side}x{side}x{after}", "numbers": side * side * after,
                "of a forward pass": "x".join(map(str, (*shape[2:], shape[1]))),
            })  # fmt: skip
    wrong = [row for row in rows if row["output"] != row["of a forward pass"]]
    first, second = rows[0], rows[1]
    claim = Claim(
        statement=f"After the concatenation the naive module has {first['output']} numbers and "
                  f"the reduced one {second['output']}.",
        rule="height and width as before, channels of the four branches added; and the real "
             "module's output has that shape, for every input size",
        verdict="not supported" if wrong else "supported", label="exact",
        numbers={"shapes compared": len(rows), "shapes that differ": len(wrong)},
    )  # fmt: skip
    table = Table.of(
        "Output sizes after the concatenation", rows, label="exact", name="sizes",
        columns=("module", "input", "channels", "output", Column(name="numbers", format=","),
                 "of a forward pass"),
        notes=("Height x width x channels; channels of the branches 1x1, 3x3, 5x5 and pooling.",),
    )  # fmt: skip
    return table, claim


# --- operations -----------------------------------------------------------------------------------


def operation_rows(filters: Filters, channels: int, side: int) -> list[dict[str, Any]]:
    """One row per convolution of both modules: calculation and counts."""
    rows: list[dict[str, Any]] = []
    for form in (NAIVE, REDUCED):
        total = _total(filters, form, channels, side)
        for name, (kernel, seen, made) in filters.convolutions(form, channels).items():
            weights = kernel * kernel * seen * made
            rows.append({
                "module": form, "convolution": PARTS[name], "name": name,
                "calculation": f"({kernel}*{kernel}*{seen})*{made}*{side}*{side}",
                "weights": weights, "MACs": weights * side * side,
                "FLOPs": 2 * weights * side * side, "share": weights * side * side / total,
                "operations": weights * side * side / 1e6,
            })  # fmt: skip
    return rows


def _total(filters: Filters, form: str, channels: int, side: int) -> int:
    convolutions = filters.convolutions(form, channels).values()
    return sum(k * k * seen * made for k, seen, made in convolutions) * side * side


def operations_table(filters: Filters, channels: int, side: int) -> Table:
    """Every convolution of both modules with its calculation, and the sums."""
    rows = operation_rows(filters, channels, side)
    shown: list[dict[str, Any]] = []
    for form in (NAIVE, REDUCED):
        own = [row for row in rows if row["module"] == form]
        shown += own
        shown.append({"module": form, "convolution": "TOTAL", "calculation": "", "share": 1.0} | {
            key: sum(row[key] for row in own) for key in ("weights", "MACs", "FLOPs")
        })  # fmt: skip
    return Table.of(
        f"Operations of both modules on {side}x{side}x{channels}", shown, label="exact",
        name=f"operations-{side}", columns=(
            "module", "convolution", "calculation", Column(name="weights", format=","),
            Column(name="MACs", format=","), Column(name="FLOPs", format=","),
            Column(name="share", format=".1%"),
        ),
        notes=("Calculation: (kernel * channels seen) * filters * positions. MAC: one "
               "multiplication and one addition; FLOPs: two per MAC. Pooling, ReLU and the "
               "concatenation multiply nothing; there are no biases.",),
    )  # fmt: skip


def operations_figure(filters: Filters, channels: int, side: int) -> Figure:
    """Both modules as stacks of their convolutions."""
    rows = operation_rows(filters, channels, side)
    dearest = max(rows, key=lambda row: row["MACs"])
    return Figure(
        table=Table.of(
            f"Where the operations are, input {side}x{side}x{channels}", rows, label="exact",
            name="branches", columns=("module", "convolution", Column(name="MACs", format=","),
                                      Column(name="operations", unit="10^6 MACs", format=",.1f")),
        ),
        drawing=Bars(x="module", y="operations", color="convolution", stacked=True, across=True),
        caption=f"The {dearest['convolution']} convolution of the {dearest['module']} module takes "
                f"{dearest['share']:.0%} of its operations; behind a 1x1 convolution the same "
                "filters see a fraction of the channels.",
    )  # fmt: skip


def saving_evidence(filters: Filters, channels: int, sides: Sequence[int]) -> tuple[Table, Claim]:
    """Both totals for each input size, counted by formula and from the operators."""
    rows: list[dict[str, Any]] = []
    for side in sides:
        counted = {form: traced(filters, form, channels, side) for form in (NAIVE, REDUCED)}
        naive, reduced = (_total(filters, form, channels, side) for form in (NAIVE, REDUCED))
        rows.append({
            "input": f"{side}x{side}x{channels}", NAIVE: naive, REDUCED: reduced,
            "saved": naive - reduced, "saving": 1 - reduced / naive, "ratio": naive / reduced,
            "agrees": counted[NAIVE].macs == naive and counted[REDUCED].macs == reduced,
        })  # fmt: skip
    first = rows[0]
    held = all(row["agrees"] for row in rows)
    claim = Claim(
        statement=f"Reducing the channels first saves {first['saving']:.2%} of the operations, a "
                  f"factor of {first['ratio']:.4f}.",
        rule="more than half is saved, and the formulas give what is counted from the operators "
             "of the real modules",
        verdict="supported" if held and first["saving"] > 0.5 else "not supported", label="exact",
        numbers={f"MACs, {NAIVE}": first[NAIVE], f"MACs, {REDUCED}": first[REDUCED],
                 "MACs saved": first["saved"]},
    )  # fmt: skip
    columns: tuple[Column, ...] = (
        Column(name="input"),
        *(Column(name=name, unit="MACs", format=",") for name in (NAIVE, REDUCED, "saved")),
        Column(name="saving", format=".2%"), Column(name="ratio", format=".4f"),
        Column(name="agrees"),
    )  # fmt: skip
    table = Table.of("Saving by reduction", rows, label="exact", name="saving", columns=columns,
                     notes=("Agrees: the formulas give what is counted from the operators that "
                            "the modules run. The saving does not depend on the side.",),
                     )  # fmt: skip
    return table, claim


def wrong_total(filters: Filters, channels: int, side: int) -> int:
    """The reduced module's total if the convolution after the pooling saw reduced channels."""
    right = _total(filters, REDUCED, channels, side)
    return right - (channels - filters.reduce5) * filters.pool * side * side


# --- modules one after the other ------------------------------------------------------------------


def stacking_rows(filters: Filters, channels: int, side: int, modules: int) -> list[dict[str, Any]]:
    """Channels and operations of modules in a row, each on the output of the one before."""
    rows = []
    for form in (NAIVE, REDUCED):
        before = channels
        for number in range(1, modules + 1):
            cost = traced(filters, form, before, side)
            after = sum(filters.kept(form, before))
            rows.append({"form": form, "module": number, "channels before": before,
                         "channels after": after, "MACs": cost.macs, "weights": cost.weights,
                         "operations": cost.macs / 1e6})  # fmt: skip
            before = after
    return rows


def stacking_figure(rows: Sequence[dict[str, Any]]) -> Figure:
    """Operations of each module in a row of them."""
    ends = {form: [r for r in rows if r["form"] == form] for form in (NAIVE, REDUCED)}
    sums = {form: sum(r["MACs"] for r in found) for form, found in ends.items()}
    last = len(ends[NAIVE])
    return Figure(
        table=Table.of("Modules one after the other", rows, label="exact", name="stacked", columns=(
            "form", "module", Column(name="channels before", format=","),
            Column(name="channels after", format=","), Column(name="MACs", format=","),
            Column(name="weights", format=","),
            Column(name="operations", unit="10^6 MACs", format=",.1f"),
        )),
        drawing=Lines(x="module", y="operations", color="form", points=True),
        caption=f"The naive module's pooling hands all channels on, so after {last} modules there "
                f"are {ends[NAIVE][-1]['channels after']:,} channels and the last module costs "
                f"{ends[NAIVE][-1]['MACs'] / ends[NAIVE][0]['MACs']:.2f} times the first; the "
                f"reduced one stays at {ends[REDUCED][-1]['channels after']:,}. All {last} "
                f"together: a factor of {sums[NAIVE] / sums[REDUCED]:.2f} in operations.",
    )  # fmt: skip
