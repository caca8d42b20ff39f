"""Checking a table: what is right is never flagged, what is wrong always is, and by its name."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from functools import cache
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from epochlab.cost.checking import TRAPS, Check, check, parse_table
from epochlab.cost.checking.findings import ANOTHER, SLIP
from epochlab.cost.exercise import exercise_of
from epochlab.cost.sheet import Convention, Quantity, Sheet
from epochlab.errors import BadData

TOTAL = -1
BOTH: tuple[Quantity, ...] = ("activations", "parameters")


@cache
def sheet_of(network: str) -> Sheet:
    return exercise_of(network).sheet()


def table_text(
    network: str, columns: Sequence[Quantity] = BOTH,
    changes: dict[tuple[int, Quantity], object] | None = None,
    convention: Convention | None = None, without: Sequence[int] = (),
) -> str:  # fmt: skip
    """The right table as CSV with some cells changed; rows by number, 0 the input, -1 the total."""
    sheet = sheet_of(network)
    made = sheet.table(columns=columns, convention=convention, rounded=False)
    rows = [list(row) for row in made.rows]
    for (row, quantity), text in (changes or {}).items():
        shown = f"{text:,}" if isinstance(text, int) else str(text)
        rows[row][1 + list(columns).index(quantity)] = shown
    kept = [row for number, row in enumerate(rows) if number not in without]
    out = io.StringIO()
    csv.writer(out).writerows([[c.name for c in made.columns], *kept])
    return out.getvalue()


def checked(text: str, network: str, **options: Any) -> Check:
    return check(parse_table(text), sheet_of(network), **options)


def wrong(found: Check) -> list[tuple[str, str, str]]:
    return [(c.layer, c.heading, c.verdict) for c in found.cells
            if c.verdict not in ("right", "rounded")]  # fmt: skip


# --- right tables ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["vgg19", "vgg16", "alexnet", "inception-naive", "lenet5",
                                  "inception-reduced", "googlenet", "resnet20"])  # fmt: skip
def test_the_solution_is_right(name: str) -> None:
    columns: tuple[Quantity, ...] = (
        "output",
        "activations",
        "parameters",
        "operations",
        "receptive field",
    )
    for rounded in (True, False):
        made = sheet_of(name).table(columns=columns, rounded=rounded)
        for form in ("csv", "markdown", "text"):
            found = checked(made.written(form), name)
            assert found.verdict == "right", wrong(found)
            assert found.findings == ()
            assert found.right == found.graded > 3 * len(sheet_of(name).entries)


def test_the_sheet_as_it_is_handed_out() -> None:
    found = checked(
        "Layer\tNumber of Activations (Memory)\tParameters (Compute)\n"
        "Input\t$224*224*3=150K$\t0\nCONV3-64\t$224*224*64=3.2M$\t$(3*3*3)*64 = 1,728$\n"
        "CONV3-64\t$224*224*64=3.2M$\t$(3*3*64)*64 = 36,864$\nPOOL2\t$112*112*64=800K$\t0\n"
        "CONV3-128\t\t\nCONV3-128\t\t\nPOOL2\t$56*56*128=400K$\t0\n", "vgg19",
    )  # fmt: skip
    assert found.verdict == "incomplete"
    assert {c.verdict for c in found.cells} == {"right", "rounded", "empty", "missing"}
    assert [c.verdict for c in found.cells].count("empty") == 4
    assert found.right == 10
    assert [c.row for c in found.cells if c.verdict == "missing"].count(None) == 2 * 15 + 3


def rounded_text(value: int, digits: int, letter: str) -> str:
    """`value` to so many digits, written with a letter; by decimal arithmetic of its own."""
    scale = {"": 0, "K": 3, "M": 6, " million": 6, "G": 9}[letter]
    size = Decimal(value).adjusted()
    kept = Decimal(value).quantize(Decimal(1).scaleb(size - digits + 1), ROUND_HALF_UP)
    return f"{kept.scaleb(-scale):f}{letter}"


@st.composite
def right_tables(draw: st.DrawFn) -> tuple[str, str]:
    """A network and its right table, every cell written in a way of its own."""
    name = draw(st.sampled_from(["vgg19", "vgg11", "alexnet", "lenet5", "inception-reduced"]))
    sheet = sheet_of(name)
    how = Convention(biases=draw(st.booleans()), count=draw(st.sampled_from(["macs", "flops"])))
    columns: tuple[Quantity, ...] = ("activations", "parameters", "operations")
    changes: dict[tuple[int, Quantity], object] = {}
    for row, entry in enumerate(sheet.entries):
        for quantity in columns:
            value = entry.value(quantity, how)
            assert isinstance(value, int)
            if not value:
                changes[row, quantity] = draw(st.sampled_from(["0", "-", ""]))
                continue
            formula = entry.formula(quantity, how) or str(value)
            ways = [str(value), f"{value:,}", f"{value:_}", formula, f"{formula} = {value:,}",
                    formula.replace("*", " × "), f"${formula}$"]  # fmt: skip
            for letter in ("K", "M", " million") if value >= 10_000 else ():
                ways.append(rounded_text(value, draw(st.integers(2, 6)), letter))
                ways.append(f"{formula}={ways[-1]}")
            changes[row, quantity] = draw(st.sampled_from(ways))
    return name, table_text(name, columns, changes, how)


@settings(max_examples=40, deadline=None)
@given(right_tables())
def test_a_right_table_is_never_flagged(made: tuple[str, str]) -> None:
    name, text = made
    found = checked(text, name)
    assert found.verdict == "right", wrong(found)
    assert found.findings == ()


# --- wrong cells ----------------------------------------------------------------------------------


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_a_changed_cell_is_flagged_and_no_other(data: st.DataObject) -> None:
    """Changed by more than half of the last digit that is written."""
    name = data.draw(st.sampled_from(["vgg19", "alexnet"]))
    sheet = sheet_of(name)
    row = data.draw(st.integers(0, len(sheet.entries)))
    quantity = data.draw(st.sampled_from(BOTH))
    last = row == len(sheet.entries)
    value = (sheet.total if last else sheet.entries[row].value)(quantity, sheet.convention)
    assert isinstance(value, int)
    new = value + data.draw(st.integers(-value, 3 * value + 10))
    zeros = len(str(new)) - len(str(new).rstrip("0"))
    assume(abs(new - value) > 10 ** min(zeros, max(0, len(str(new)) - 2)))
    text = data.draw(st.sampled_from([str(new), f"{new:,}"]))
    found = checked(table_text(name, BOTH, {(TOTAL if last else row, quantity): text}), name,
                    biases=sheet.convention.biases)  # fmt: skip
    flagged = [c for c in found.cells if c.verdict not in ("right", "rounded")]
    assert [(c.entry, c.column, c.verdict) for c in flagged] == [
        (TOTAL if last else row, quantity, "wrong")
    ]
    assert found.verdict == "wrong"


@pytest.mark.parametrize(("text", "right"), [
    ("3.2M", True), ("3.21M", True), ("3,211,264", True), ("3.2 million", True), ("3M", True),
    ("3211K", True), ("3,2M", True), ("3.211.264", True), ("3 211 264", True), ("3.2e6", True),
    ("3.2*10^6", True), ("224·224·64", True), ("224x224x64", True), ("224*224*64=3.2M", True),
    ("3.2M (3,211,264)", True), ("about 3.2M", True), ("3.3M", False), ("3.20M", False),
    ("3.2K", False), ("3,211,265", False), ("4M", False), ("224*224*63", False),
    ("224*224*64=3.3M", False), ("224*224*65=3.2M", False), ("three", False), ("32", False),
])  # fmt: skip
def test_ways_to_write_a_number(text: str, right: bool) -> None:
    found = checked(table_text("vgg19", BOTH, {(1, "activations"): text}), "vgg19")
    cell = next(c for c in found.cells if c.entry == 1)
    assert (cell.verdict in ("right", "rounded")) == right, cell


@pytest.mark.parametrize(("row", "text", "verdict"), [
    (3, "800K", "rounded"), (3, "803K", "rounded"), (3, "802K", "wrong"), (3, "850K", "wrong"),
    (8, "802,800", "rounded"), (8, "802,816", "right"), (22, "4K", "rounded"),
    (22, "", "empty"), (22, "4.1K", "rounded"), (22, "4000", "wrong"), (22, "abc", "unreadable"),
    (1, "3*3*64 = 3,211,264", "wrong"), (1, "224*224*64 = 3,211,246", "wrong"),
])  # fmt: skip
def test_verdicts(row: int, text: str, verdict: str) -> None:
    found = checked(table_text("vgg19", BOTH, {(row, "activations"): text}), "vgg19")
    cell = next(c for c in found.cells if (c.entry, c.column) == (row, "activations"))
    assert cell.verdict == verdict


def test_a_false_calculation_is_told_from_a_false_result() -> None:
    found = checked(table_text("vgg19", BOTH, {
        (2, "parameters"): "3*3*64 = 36,864", (5, "parameters"): "(3*3*128)*128 = 147,465",
    }), "vgg19")  # fmt: skip
    remarks = {c.entry: c.remark for c in found.cells if c.is_wrong}
    assert remarks == {
        2: "the result is right, but 3*3*64 is 576, not 36,864",
        5: "the calculation is right, its result is not",
    }
    assert found.findings == ()


def test_the_total_may_be_the_sum_of_rounded_rows() -> None:
    rows = {(row, "parameters"): f"{value}" for row, value in
            ((1, "34.9K"), (3, "307K"), (5, "885K"), (6, "664K"), (7, "443K"), (9, "37.8M"),
             (10, "16.8M"), (11, "4.10M"))}  # fmt: skip
    changes: dict[tuple[int, Quantity], object] = {**rows, (TOTAL, "parameters"): 61_033_900}
    found = checked(table_text("alexnet", BOTH, changes), "alexnet")  # type: ignore[dict-item]
    total = found.cells[-1]
    assert (total.verdict, total.remark) == ("rounded", "the sum of your rounded rows")
    assert found.verdict == "right"


def test_a_total_that_follows_from_a_wrong_row_is_no_second_mistake() -> None:
    changes: dict[tuple[int, Quantity], object] = {
        (1, "parameters"): 34_954,
        (TOTAL, "parameters"): 60_965_234,
    }
    found = checked(table_text("alexnet", BOTH, changes), "alexnet")
    assert found.cells[-1].remark == "the sum of your rows: mend those"
    assert found.findings == ()


# --- rows that are missing or added ---------------------------------------------------------------


@pytest.mark.parametrize("left_out", [1, 2, 3, 5, 8, 12, 16, 21, 22, 24])
def test_a_missing_row_leaves_the_others_right(left_out: int) -> None:
    found = checked(table_text("vgg19", without=[left_out]), "vgg19")
    bad = [c for c in found.cells if c.verdict not in ("right", "rounded")]
    assert {c.verdict for c in bad} == {"missing"}
    assert len({c.entry for c in bad}) == 1
    assert next(c.layer for c in bad) == sheet_of("vgg19").entries[left_out].label


def test_input_and_total_may_be_left_out() -> None:
    found = checked(table_text("vgg19", without=[0, 25]), "vgg19")
    assert found.verdict == "right"
    assert "no row TOTAL" in " ".join(found.notes())
    without_input = table_text("vgg19", BOTH, {(TOTAL, "activations"): 16_391_656}, without=[0])
    assert checked(without_input, "vgg19").verdict == "right"


def test_rows_of_activation_functions_and_subtotals_are_not_graded() -> None:
    lines = table_text("vgg19").splitlines()
    lines[3:3] = ["ReLU,3.2M,0", "Dropout,,"]
    lines.insert(-1, "Total of convolutions,,20018880")
    lines.insert(-1, "softmax,1000,0")
    lines.insert(-1, "Block 6,,")
    found = checked("\n".join(lines), "vgg19")
    assert found.verdict == "right", wrong(found)
    assert "ReLU, Dropout" in " ".join(found.notes())


def test_a_row_too_much_is_said() -> None:
    lines = table_text("vgg19").splitlines()
    lines.insert(3, "CONV3-64,,")
    found = checked("\n".join(lines), "vgg19")
    bad = [c for c in found.cells if c.verdict not in ("right", "rounded")]
    assert [(c.verdict, c.remark) for c in bad] == [("added", "the network has no such row")]
    assert found.verdict == "wrong"


@pytest.mark.parametrize("names", [
    "input conv1_1 conv1_2 pool1 conv2_1 conv2_2 pool2 conv3_1 conv3_2 conv3_3 conv3_4 pool3 "
    "conv4_1 conv4_2 conv4_3 conv4_4 pool4 conv5_1 conv5_2 conv5_3 conv5_4 pool5 fc6 fc7 fc8 SUM",
    "data features.0 features.2 features.4 features.5 features.7 features.9 features.10 "
    "features.12 features.14 features.16 features.18 features.19 features.21 features.23 "
    "features.25 features.27 features.28 features.30 features.32 features.34 features.36 "
    "classifier.0 classifier.3 classifier.6 Total",
    " ".join(["Image", *["conv"] * 2, "maxpool", *["conv"] * 2, "maxpool", *["conv"] * 4,
              "maxpool", *["conv"] * 4, "maxpool", *["conv"] * 4, "maxpool", "dense", "dense",
              "dense", "Sum:"]),
    " ".join(["-"] * 25 + ["total"]),
])  # fmt: skip
def test_names_of_layers(names: str) -> None:
    lines = table_text("vgg19").splitlines()
    renamed = [",".join([name, *line.split(",", 1)[1:]])
               for name, line in zip(names.split(), lines[1:], strict=True)]  # fmt: skip
    found = checked("\n".join([lines[0], *renamed]), "vgg19")
    assert found.verdict == "right", wrong(found)


def test_branches_in_another_order() -> None:
    head, *rows = table_text("inception-reduced", ("output", "operations")).splitlines()
    moved = [head, *(rows[k] for k in (0, 1, 2, 4, 7, 6, 3, 5, 8, 9))]
    found = checked("\n".join(moved), "inception-reduced")
    assert found.verdict == "right", wrong(found)


# --- conventions ----------------------------------------------------------------------------------


def test_biases_are_seen_in_the_numbers() -> None:
    for biases in (True, False):
        text = table_text("vgg19", BOTH, convention=Convention(biases=biases))
        found = checked(text, "vgg19")
        assert found.verdict == "right"
        assert found.grades.convention.biases == biases
        note = " ".join(found.notes())
        assert f"Parameters {'with' if biases else 'without'} biases (20 of your numbers" in note
        assert ("The usual table of vgg19 counts without them" in note) == biases


@pytest.mark.parametrize("count", ["macs", "flops", "full"])
def test_the_count_is_seen_in_the_numbers(count: Any) -> None:
    text = table_text("alexnet", ("operations",), convention=Convention(count=count))
    found = checked(text.replace("FLOPs (full count)", "Operations"), "alexnet")
    assert found.verdict == "right", wrong(found)
    assert found.grades.convention.count == count


def test_macs_under_the_heading_flops() -> None:
    text = table_text("alexnet", ("operations",)).replace("MACs", "FLOPs")
    found = checked(text, "alexnet")
    assert found.verdict == "right"
    assert "these are MACs, and a MAC is two FLOPs" in " ".join(found.notes())
    assert checked(text, "alexnet", count="flops").findings[0].name == "MAC and FLOP mixed up"


def test_weights_and_biases_in_columns_of_their_own() -> None:
    text = table_text("alexnet", ("weights", "biases", "parameters"))
    assert checked(text, "alexnet").verdict == "right"
    alone = table_text("alexnet", ("weights",))
    found = checked(alone, "alexnet")
    assert (found.verdict, found.grades.convention.biases) == ("right", False)


# --- traps ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Mistake:
    """One usual mistake as somebody makes it: which cells become what."""

    name: str
    network: str
    cells: dict[tuple[int, Quantity], object]
    options: dict[str, Any] = field(default_factory=dict)
    columns: tuple[Quantity, ...] = BOTH


OPERATIONS: tuple[Quantity, ...] = ("output", "operations")
A: Quantity = "activations"
P: Quantity = "parameters"
W: Quantity = "operations"
MISTAKES = (
    Mistake("groups ignored", "alexnet", {
        (3, P): 614_656, (6, P): 1_327_488, (7, P): 884_992, (TOTAL, P): 62_378_344}),
    Mistake("groups ignored", "alexnet", {(3, P): 614_656}),
    Mistake("biases included", "vgg19", {(1, P): 1_792, (2, P): 36_928, (22, P): 102_764_544},
            {"biases": False}),
    Mistake("biases included", "vgg19", {(TOTAL, P): 143_667_240}),
    Mistake("biases left out", "alexnet", {(1, P): 34_848, (9, P): 37_748_736},
            {"biases": True}),
    Mistake("MAC and FLOP mixed up", "inception-naive", {
        (1, W): 67_108_864, (2, W): 905_969_664, (3, W): 1_258_291_200,
        (TOTAL, W): 2_231_369_728}, {"count": "macs"}, OPERATIONS),
    Mistake("pooling branch with too few input channels", "inception-reduced", {
        (7, W): 4_194_304, (TOTAL, W): 341_835_776}, {}, OPERATIONS),
    Mistake("1x1 reductions not counted", "inception-reduced", {
        (2, W): 0, (4, W): 0, (TOTAL, W): 320_864_256}, {}, OPERATIONS),
    Mistake("concatenation with the wrong pooling branch", "inception-naive",
            {(5, "output"): "32x32x416"}, {}, OPERATIONS),
    Mistake("concatenation with the wrong pooling branch", "inception-reduced",
            {(8, "output"): "(672, 32, 32)"}, {}, OPERATIONS),
    Mistake("input channels forgotten", "vgg19", {
        (1, P): 576, (4, P): "3*3*128", (5, P): "3*3*128 = 1,152", (12, P): 4_608}),
    Mistake("number of filters forgotten", "vgg19", {(1, P): 27, (4, P): 576, (7, P): 1_152}),
    Mistake("flattening forgotten", "vgg19",
            {(22, P): "512*4096 = 2,097,152"}),
    Mistake("spatial size before pooling", "vgg19", {
        (3, A): "224*224*64=3.2M", (6, A): "112*112*128", (22, P): 411_041_792}),
    Mistake("spatial size before pooling", "vgg19", {(4, A): 6_422_528, (5, A): "6.4M"}),
    Mistake("padding forgotten", "vgg19", {(1, A): "222*222*64", (2, A): "220*220*64"}),
    Mistake("stride forgotten", "alexnet", {(1, "output"): "217x217x96", (1, A): 4_520_544},
            {}, ("output", "activations")),
    Mistake("output size off by one", "alexnet", {(1, "output"): "54x54x96", (1, A): 279_936},
            {}, ("output", "activations")),
    Mistake("another input size", "alexnet", {
        (0, A): 150_528, (1, A): 279_936, (2, A): 64_896, (3, A): 173_056, (9, P): 26_218_496}),
    Mistake("channels forgotten", "vgg19", {(1, A): "224*224", (3, A): 12_544}),
    Mistake("batch normalisation counted", "vgg19", {(TOTAL, P): 143_663_552}),
    Mistake("batch normalisation left out", "resnet20", {(TOTAL, P): 268_346}),
    Mistake("running averages counted", "resnet20", {(TOTAL, P): 271_098}),
    Mistake("operations in the column of parameters", "vgg19", {
        (1, P): "(3*3*3)*64*224*224", (2, P): 1_849_688_064}),
    Mistake("parameters in the column of operations", "inception-naive", {
        (1, W): 32_768, (2, W): 442_368}, {}, OPERATIONS),
    Mistake("bytes in place of numbers", "vgg19", {
        (0, A): "602 KB", (1, A): "12.8 MB", (2, A): "12,845,056", (24, A): 4_000}),
    Mistake("input left out of the total", "vgg19", {(TOTAL, A): 16_391_656}),
    Mistake("poolings left out of the total", "vgg19", {(TOTAL, A): 15_011_816}),
    Mistake("poolings left out of the total", "vgg19", {(TOTAL, A): 14_861_288}),
    Mistake("activation functions counted again", "vgg19", {(TOTAL, A): 31_402_472}),
    Mistake("K taken as 1,024", "vgg19", {(0, A): "147K", (1, A): "3.06M", (3, A): "784K"}),
    Mistake("decimal point or letter slipped", "vgg19", {(3, A): "80K", (1, P): 17_280}),
    Mistake("digits cut off", "vgg19", {(3, A): "802K", (4, A): "1.605M", (17, A): "100.3K"}),
    Mistake(ANOTHER, "vgg19", {(TOTAL, P): 138_344_128, (TOTAL, A): 15_237_608}),
    Mistake(ANOTHER, "vgg19", {(TOTAL, P): 138_357_544}),
    Mistake(SLIP.name, "vgg19", {(TOTAL, P): 143_652_554}),
)  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda m: f"{m.name}-{m.network}")
def test_exactly_this_trap_is_named(mistake: Mistake) -> None:
    text = table_text(mistake.network, mistake.columns, mistake.cells)
    found = checked(text, mistake.network, **mistake.options)
    assert [f.name for f in found.findings] == [mistake.name]
    explained = {(c.entry, c.column) for c in found.findings[0].cells}
    assert explained == set(mistake.cells)
    assert {(c.entry, c.column) for c in found.cells if c.is_wrong} == set(mistake.cells)
    assert all(c.trap == found.findings[0].title for c in found.cells if c.is_wrong)


def test_every_trap_is_tried() -> None:
    assert {m.name for m in MISTAKES} == {t.name for t in TRAPS} | {ANOTHER, SLIP.name}


@pytest.mark.parametrize("biases", [True, False])
@pytest.mark.parametrize("totals", [True, False])
def test_a_vgg16_table_handed_in_for_vgg19(biases: bool, totals: bool) -> None:
    text = table_text("vgg16", convention=Convention(biases=biases),
                      without=() if totals else (22,))  # fmt: skip
    found = checked(text, "vgg19")
    assert [f.title for f in found.findings] == ["vgg16 in place of vgg19"]
    assert [c.layer for c in found.cells if c.verdict == "missing"] == (
        ["CONV3-256"] * 2 + ["CONV3-512"] * 4)  # fmt: skip
    assert len(found.findings[0].cells) == 6 + 2 * totals


def test_a_vgg16_table_with_biases_makes_both_mistakes() -> None:
    text = table_text("vgg16", convention=Convention(biases=True))
    found = checked(text, "vgg19", biases=False)
    assert [f.title for f in found.findings] == ["biases included", "vgg16 in place of vgg19"]
    assert [len(f.cells) for f in found.findings] == [16, 6 + 2]


def test_the_other_inception_module() -> None:
    text = table_text("inception-naive", ("output", "operations"))
    found = checked(text, "inception-reduced")
    assert "inception-naive in place of inception-reduced" in [f.title for f in found.findings]


def test_two_mistakes_are_both_named() -> None:
    cells: dict[tuple[int, Quantity], object] = {
        (3, "parameters"): 614_656, (6, "parameters"): 1_327_488, (7, "parameters"): 884_992,
        (1, "output"): "54x54x96"}  # fmt: skip
    found = checked(table_text("alexnet", ("output", "parameters"), cells), "alexnet")
    assert [f.name for f in found.findings] == ["groups ignored", "output size off by one"]
    assert "Look first at conv2 (line 5)" in " ".join(found.notes())


def test_a_whole_column_is_said_to_be_one() -> None:
    text = table_text("vgg19", BOTH, convention=Convention(biases=True))
    found = checked(text, "vgg19", biases=False)
    assert [f.name for f in found.findings] == ["biases included"]
    assert "biases included: the whole column Parameters (Compute)." in " ".join(found.notes())


@pytest.mark.parametrize("text", [294_913, "3", "1M", "12345"])
def test_an_unusual_mistake_gets_no_name(text: object) -> None:
    found = checked(table_text("vgg19", BOTH, {(7, "parameters"): text}), "vgg19")
    assert found.findings == ()
    assert "Look first at CONV3-256" in " ".join(found.notes())


# --- results --------------------------------------------------------------------------------------


def test_the_verdict_for_machines() -> None:
    data = json.loads(checked(table_text("alexnet", BOTH, {(3, P): 614_656}), "alexnet").json())
    assert (data["verdict"], data["right"], data["of"]) == ("wrong", 25, 26)
    assert data["traps"][0]["name"] == "groups ignored"
    assert data["traps"][0]["cells"] == [{"layer": "conv2", "column": "parameters"}]
    assert (data["biases"], data["count"], data["network"]) == (True, "macs", "alexnet")
    bad = [row for row in data["rows"] if row["verdict"] == "wrong"]
    assert bad == [{
        "line": 5, "layer": "conv2", "column": "parameters", "given": "614,656",
        "expected": "(5*5*48)*256 + 256 = 307,456", "verdict": "wrong", "remark": "groups ignored",
    }]  # fmt: skip


def test_only_what_is_not_right() -> None:
    found = checked(table_text("vgg19", BOTH, {(3, A): "", (5, P): 1}), "vgg19")
    rows = found.graded_table(only_wrong=True).records()
    assert [(r["layer"], r["verdict"]) for r in rows] == [
        ("POOL2", "empty"), ("CONV3-128", "wrong")]  # fmt: skip
    assert len(found.graded_table().rows) == 52
    assert next(found.notes()) == "50 of 52 cells are right, 1 wrong, 1 empty."


@pytest.mark.parametrize("name", ["resnet50", "lenet5", "alexnet", "inception-naive"])
def test_a_table_of_another_kind_of_network_is_refused(name: str) -> None:
    with pytest.raises(BadData, match=f"does not look like a table of {name}"):
        checked(table_text("vgg19"), name)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.text(max_size=12), min_size=4, max_size=4))
def test_no_cell_is_too_strange(texts: list[str]) -> None:
    cells: dict[tuple[int, Quantity], object] = {
        (1, "activations"): texts[0], (2, "parameters"): texts[1],
        (TOTAL, "activations"): texts[2], (22, "parameters"): texts[3]}  # fmt: skip
    found = checked(table_text("vgg19", BOTH, cells), "vgg19")
    assert found.graded >= 48
    assert found.graded_table().text()
