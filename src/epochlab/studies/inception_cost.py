"""What does an inception module cost, and what do 1x1 convolutions in front of it save?"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from epochlab.component import Count
from epochlab.errors import BadOption
from epochlab.evidence import Claim, Evidence, Figure, Note, Verdict
from epochlab.figures._named import Named
from epochlab.studies import Study
from epochlab.studies import _inception_counts as counts
from epochlab.studies._inception_counts import NAIVE, REDUCED, Filters
from epochlab.studies._inception_google import google_evidence
from epochlab.studies._module_times import Timings, measure
from epochlab.table import Column, Table
from epochlab.train.lab import Lab

POOLING = "pooling alone"


@dataclass(frozen=True, kw_only=True)
class InceptionCost(Study):
    """Count both forms of the module, run them, and stack them; nothing is trained."""

    channels: Count = 256
    "channels of the input"
    sides: tuple[Count, ...] = (32, 28)
    "pixels per side of the input; the first one is explained, all are counted and timed"
    one: Count = 128
    "filters of 1x1"
    three: Count = 192
    "filters of 3x3"
    five: Count = 96
    "filters of 5x5"
    reduce3: Count = 64
    "filters of 1x1 before 3x3, reduced module only"
    reduce5: Count = 64
    "filters of 1x1 before 5x5, reduced module only"
    pool: Count = 64
    "filters of 1x1 after the pooling, reduced module only"
    widths: tuple[Count, ...] = (16, 32, 64, 128)
    "filters of 1x1 before 3x3 and before 5x5 that are tried besides"
    stacked: Count = 5
    "modules one after the other"
    repetitions: Count = 30
    "timed passes of every module"
    threads: Count = 1
    "of a timed pass"

    question: ClassVar[str] = (
        "What does an inception module cost, and what do 1x1 convolutions before its large filters "
        "save?"
    )
    covers: ClassVar[tuple[str, ...]] = (
        "HW3A-P3.4", "HW3A-P3.4a", "HW3A-P3.4b", "HW3A-P3.4c", "HW3A-P3.4d", "HW3A-P3.F1",
        "HW3B-P2.4", "HW3B-P2.4a", "HW3B-P2.4b", "HW3B-P2.4c", "HW3B-P2.4d", "HW3B-P2.F1",
    )  # fmt: skip
    expectation: ClassVar[str] = (
        "In the naive module the 5x5 convolution is dearest although it makes the fewest channels, "
        "because each of its filters looks at all channels of the input at 25 positions. Reducing "
        "the channels first cuts the operations to about a third and the running time by a smaller "
        "factor, because small convolutions use a processor less well and the pooling, which "
        "multiplies nothing, takes as long in both. If the times do not differ, the machine was "
        "busy or the module too small to measure: raise repetitions or channels."
    )
    references: ClassVar[tuple[str, ...]] = (
        "C. Szegedy, W. Liu, Y. Jia, P. Sermanet, S. Reed, D. Anguelov, D. Erhan, V. Vanhoucke, A. "
        "Rabinovich, Going Deeper with Convolutions, CVPR 2015, arXiv:1409.4842 (Figure 2: naive "
        "and with dimension reduction; Table 1: filters of the nine modules).",
        "M. Lin, Q. Chen, S. Yan, Network In Network, ICLR 2014, arXiv:1312.4400 (convolutions of "
        "1x1).",
    )
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "smoke": {"repetitions": 3, "decisive": False}, "laptop": {}, "paper": {"repetitions": 100},
    }  # fmt: skip

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.sides:
            raise BadOption("inception-cost: no input size is left. Give --sides, for example 32.")

    @property
    def filters(self) -> Filters:
        """The filter numbers of both modules."""
        return Filters(one=self.one, three=self.three, five=self.five, reduce3=self.reduce3,
                       reduce5=self.reduce5, pool=self.pool)  # fmt: skip

    def evidence(self, lab: Lab) -> Iterator[Evidence]:
        """The idea, sizes, operations, the saving and its price; times; GoogLeNet's modules."""
        filters, side = self.filters, self.sides[0]
        yield _idea(side)
        yield self._filters_table()
        yield from counts.size_evidence(filters, self.channels, self.sides)
        yield counts.operations_table(filters, self.channels, side)
        yield counts.operations_figure(filters, self.channels, side)
        yield from counts.saving_evidence(filters, self.channels, self.sides)
        yield self._trap()
        stacked = counts.stacking_rows(filters, self.channels, side, self.stacked)
        yield from self._explanation(stacked)
        yield counts.stacking_figure(stacked)
        if not lab.planning:
            yield from self._times()
        yield from google_evidence()

    def _filters_table(self) -> Table:
        c = self.channels
        rows = [
            {"branch": "1x1", NAIVE: f"{self.one} of 1x1x{c}", REDUCED: f"{self.one} of 1x1x{c}"},
            {"branch": "3x3", NAIVE: f"{self.three} of 3x3x{c}",
             REDUCED: f"{self.reduce3} of 1x1x{c}, then {self.three} of 3x3x{self.reduce3}"},
            {"branch": "5x5", NAIVE: f"{self.five} of 5x5x{c}",
             REDUCED: f"{self.reduce5} of 1x1x{c}, then {self.five} of 5x5x{self.reduce5}"},
            {"branch": "pooling", NAIVE: "maximum of 3x3",
             REDUCED: f"maximum of 3x3, then {self.pool} of 1x1x{c}"},
        ]  # fmt: skip
        return Table.of("The two modules", rows, label="exact", name="filters", notes=(
            "Everything has stride 1 and is padded so that height and width stay. The filter "
            "numbers are settings of this study; those above are in force.",
        ))  # fmt: skip

    def _trap(self) -> Note:
        side, filters = self.sides[0], self.filters
        right = counts.traced(filters, REDUCED, self.channels, side).macs
        wrong = counts.wrong_total(filters, self.channels, side)
        seen = filters.reduce5
        return Note(kind="warning", text=(
            f"A mistake that goes round in solutions of this exercise gives {wrong:,} "
            f"multiply-accumulates for the reduced module in place of {right:,}: it lets the 1x1 "
            f"convolution after the pooling see {seen} channels. But pooling changes no number of "
            f"channels, and in that branch there is no reduction before it. The convolution sees "
            f"all {self.channels} and takes {self.channels * filters.pool * side * side:,} "
            f"multiply-accumulates, not {seen * filters.pool * side * side:,}."
        ))  # fmt: skip

    def _explanation(self, stacked: list[dict[str, Any]]) -> Iterator[Note]:
        """Why the naive module is too dear, and how 1x1 convolutions help."""
        side, c = self.sides[0], self.channels
        rows = {(r["module"], r["name"]): r
                for r in counts.operation_rows(self.filters, c, side)}  # fmt: skip
        totals = {form: sum(r["MACs"] for (m, _), r in rows.items() if m == form)
                  for form in (NAIVE, REDUCED)}  # fmt: skip
        dear = rows[NAIVE, "branch5.conv"]
        cheap = [rows[REDUCED, name]["MACs"] for name in ("branch5.reduce", "branch5.conv")]
        naive = [r for r in stacked if r["form"] == NAIVE]
        yield Note(text=(
            f"The trouble with the naive module is its price, and that the price rises from module "
            f"to module. Every 5x5 filter looks at all {c} channels: {dear['weights']:,} weights, "
            f"used at {side} * {side} positions, make {dear['MACs']:,} multiply-accumulates, "
            f"{dear['share']:.0%} of the module, for {self.five} of its "
            f"{naive[0]['channels after']} output channels. And the pooling hands on all its input "
            "channels, so there is no module whose output is not wider than its input: after "
            f"{len(naive)} of them {c} channels have become {naive[-1]['channels after']:,}, and "
            "every filter of the next module is deeper by that factor."
        ))  # fmt: skip
        yield Note(text=(
            "How reducing the channels helps. A 1x1 convolution in front of the large filters "
            f"mixes the {c} channels into {self.reduce5} first, at every position on its own. "
            f"Then the same 5x5 filters cost {cheap[0]:,} for the reduction and {cheap[1]:,} for "
            f"themselves, {sum(cheap) / dear['MACs']:.0%} of before. After the pooling a 1x1 "
            f"convolution cuts {c} channels to {self.pool}, which ends the growth. In all "
            f"{totals[REDUCED]:,} in place of {totals[NAIVE]:,}: "
            f"{totals[NAIVE] - totals[REDUCED]:,} saved, "
            f"{1 - totals[REDUCED] / totals[NAIVE]:.2%}. What it takes in return is that "
            f"{c} channels must fit through {self.reduce5}; the reduction is learned, and its ReLU "
            "is one more nonlinearity."
        ))  # fmt: skip

    # --- times ---

    def _times(self) -> Iterator[Evidence]:
        """Both modules, and reductions of other widths, in turns on this CPU."""
        import torch
        from torch import nn

        arms = self._arms()
        modules: dict[str, tuple[nn.Module, torch.Tensor]] = {}
        torch.manual_seed(0)
        for side in self.sides:
            inputs = torch.randn(1, self.channels, side, side)
            for name, (form, filters) in arms.items():
                modules[f"{side} {name}"] = (filters.module(form, self.channels).eval(), inputs)
            modules[f"{side} {POOLING}"] = (nn.MaxPool2d(3, stride=1, padding=1), inputs)
        timings = measure(modules, self.repetitions, self.threads)
        rows = [self._time_row(side, name, arms, timings)
                for side in self.sides for name in (*arms, POOLING)]  # fmt: skip
        yield self._times_table(rows, timings)
        yield _times_figure(rows)
        yield self._faster(rows, timings)

    def _arms(self) -> dict[str, tuple[str, Filters]]:
        """Name -> form and filters: naive, the reduced module of the settings, other widths."""
        own = f"{REDUCED} to {self.reduce3}" + (
            "" if self.reduce3 == self.reduce5 else f" and {self.reduce5}"
        )  # fmt: skip
        arms = {NAIVE: (NAIVE, self.filters), own: (REDUCED, self.filters)}
        for width in self.widths:
            filters = dataclasses.replace(self.filters, reduce3=width, reduce5=width)
            arms.setdefault(f"{REDUCED} to {width}", (REDUCED, filters))
        return dict(sorted(arms.items(), key=lambda arm: (
            arm[1][0] != NAIVE, arm[1][1].reduce3, arm[1][1].reduce5)))  # fmt: skip

    def _time_row(
        self, side: int, name: str, arms: Mapping[str, tuple[str, Filters]], timings: Timings
    ) -> dict[str, Any]:
        found, base = (timings.by_name[f"{side} {n}"] for n in (name, NAIVE))
        macs, naive = (
            counts.traced(arms[n][1], arms[n][0], self.channels, side).macs if n in arms else 0
            for n in (name, NAIVE)
        )
        return {
            "module": name, "input": f"{side}x{side}x{self.channels}", "side": side,
            "own": name in arms and arms[name] == (REDUCED, self.filters), "MACs": macs,
            "fewer MACs": naive / macs if macs else None, "median": 1e3 * found.median_s,
            "lower": 1e3 * found.low_s, "upper": 1e3 * found.high_s,
            "faster": base.median_s / found.median_s, "speed": 2e-9 * macs / found.median_s,
        }  # fmt: skip

    def _times_table(self, rows: list[dict[str, Any]], timings: Timings) -> Table:
        busy = (
            f"Our threads waited for a core for {timings.wait_share:.1%} of the time"
            + (": other work spoiled these times." if timings.spoiled else ".")
        )  # fmt: skip
        return Table.of(
            "Measured time of a forward pass", rows, name="times", columns=(
                "input", "module", Column(name="MACs", format=",", label="exact"),
                Column(name="fewer MACs", format=".2f", label="exact"),
                *(Column(name=n, unit="ms", format=".2f") for n in
                  ("median", "lower", "upper")),
                Column(name="faster", format=".2f"),
                Column(name="speed", unit="GFLOP/s", format=".1f"),
            ), notes=(
                f"On this machine's CPU, {timings.threads} "
                f"thread{'s' if timings.threads > 1 else ''}, one sample, 32-bit numbers, without "
                f"gradients. {timings.repetitions} passes of each module in turns, after a "
                f"warm-up. {busy}",
                "Lower, upper: quartiles. Fewer MACs, faster: how many times, against the naive "
                f"module. Speed: two operations per MAC over the median. {POOLING.capitalize()}: "
                "the maximum over 3x3, which both modules contain.",
            ),
        )  # fmt: skip

    def _faster(self, rows: list[dict[str, Any]], timings: Timings) -> Claim:
        side = self.sides[0]
        row = next(r for r in rows if r["side"] == side and r["own"])
        naive, reduced = (timings.by_name[f"{side} {name}"] for name in (NAIVE, row["module"]))
        decided = self.decisive and not timings.spoiled
        apart: Verdict = "supported" if reduced.below(naive) else (
            "not supported" if naive.below(reduced) else "inconclusive"
        )  # fmt: skip
        return Claim(
            statement="On this machine the reduced module is faster, too.",
            rule="the upper quartile of its times lies below the lower quartile of the naive "
                 "module's, on the first input size; undecided where other work took the cores",
            verdict=apart if decided else "inconclusive",
            numbers={"median, naive [ms]": 1e3 * naive.median_s,
                     "median, reduced [ms]": 1e3 * reduced.median_s, "times faster": row["faster"],
                     "times fewer operations": row["fewer MACs"]},
        )  # fmt: skip


def _idea(side: int) -> Note:
    return Note(text=(
        "The idea of the module. What is to be recognised may be small or large in the image, and "
        "nobody knows beforehand which filter size suits which layer. So a layer does not choose: "
        "it looks with filters of 1x1, 3x3 and 5x5 at the same input, side by side, and takes a "
        "maximum over 3x3 besides. All four run with stride 1 and a border just wide enough that "
        f"height and width stay as they were ({side} x {side}); so their outputs can be laid on "
        "one another along the channels, and the next layer sees all scales at every position. "
        "Learning then decides how much weight each scale gets. The second motive is cost: many "
        "small dense operations stand in for one large layer most of whose connections would be "
        "near zero. Whether that comes out cheap is what the numbers below tell."
    ))  # fmt: skip


def _times_figure(rows: list[dict[str, Any]]) -> Figure:
    naive, pooling = (next(r for r in rows if r["module"] == name) for name in (NAIVE, POOLING))
    return Figure(
        table=Table.of("Time against operations", rows, name="time-vs-macs", columns=(
            "module", "input", Column(name="MACs", format=",", label="exact"),
            Column(name="median", unit="ms", format=".2f"),
        )),
        drawing=Named(x="MACs", y="median", name="module", color="input"),
        caption="Median time of a forward pass. If operations were all, the points would lie on "
                "one line through the origin. The maximum over 3x3 alone takes "
                f"{pooling['median'] / naive['median']:.0%} of the naive module's time on "
                f"{naive['input']} and multiplies nothing.",
    )  # fmt: skip
