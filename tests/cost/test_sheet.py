"""The course sheet's table: its pre-filled cells, every calculation, and the known totals."""

from __future__ import annotations

import math
import re
from pathlib import Path

import pytest

from epochlab.cost.exercise import exercise_of
from epochlab.cost.sheet import Convention, Entry, Sheet, cell_text
from epochlab.errors import BadOption, BadShape, UnknownName

# The table of the sheet as it is handed out: layer, activations, parameters.
HANDED_OUT = (
    ("Input", "224*224*3=150K", "0"),
    ("CONV3-64", "224*224*64=3.2M", "(3*3*3)*64 = 1,728"),
    ("CONV3-64", "224*224*64=3.2M", "(3*3*64)*64 = 36,864"),
    ("POOL2", "112*112*64=800K", "0"),
    ("CONV3-128", "", ""),
    ("CONV3-128", "", ""),
    ("POOL2", "56*56*128=400K", "0"),
    ("CONV3-256", "", ""),
    ("CONV3-256", "56*56*256=800K", "(3*3*256)*256 = 589,824"),
    ("CONV3-256", "", ""),
    ("CONV3-256", "", ""),
    ("POOL2", "", "0"),
    ("CONV3-512", "28*28*512=400K", "(3*3*256)*512 = 1,179,648"),
    ("CONV3-512", "", ""),
    ("CONV3-512", "28*28*512=400K", ""),
    ("CONV3-512", "", ""),
    ("POOL2", "", "0"),
    ("CONV3-512", "", ""),
    ("CONV3-512", "", ""),
    ("CONV3-512", "", ""),
    ("CONV3-512", "", ""),
    ("POOL2", "", "0"),
    ("FC", "4096", ""),
    ("FC", "4096", "4096*4096 = 16,777,216"),
    ("FC", "1000", ""),
    ("TOTAL", "", ""),
)
WITH, WITHOUT = Convention(biases=True), Convention(biases=False)


@pytest.fixture(scope="module")
def vgg19() -> Sheet:
    return exercise_of("vgg19").sheet()


@pytest.fixture(scope="module")
def alexnet() -> Sheet:
    return exercise_of("alexnet").sheet()


def test_the_cells_that_are_handed_out_come_out_identical(vgg19: Sheet) -> None:
    rows = vgg19.table().rows
    assert [row[0] for row in rows] == [row[0] for row in HANDED_OUT]
    shared = 0
    for made, handed in zip(rows, HANDED_OUT, strict=True):
        for ours, theirs in zip(made, handed, strict=True):
            if theirs:
                assert ours == theirs
                shared += 1
    assert shared == 26 + 11 + 11


def test_headings_of_the_sheet(vgg19: Sheet) -> None:
    heads = [column.name for column in vgg19.table().columns]
    assert heads == ["Layer", "Number of Activations (Memory)", "Parameters (Compute)"]


def test_totals_of_vgg19(vgg19: Sheet) -> None:
    assert vgg19.table().rows[-1] == ("TOTAL", "16,542,184", "143,652,544")
    assert vgg19.total("parameters", WITH) == 143_667_240
    assert vgg19.total("operations", WITHOUT) == 19_632_062_464
    assert vgg19.total("operations", Convention(count="flops")) == 39_264_124_928
    notes = " ".join(vgg19.table().notes)
    assert "66.17 MB" in notes
    assert "574.61 MB" in notes
    assert "86.06% of the parameters" in notes


def test_alexnet_layer_by_layer(alexnet: Sheet) -> None:
    wanted = {"conv1": 34_944, "conv2": 307_456, "conv3": 885_120, "conv4": 663_936,
              "conv5": 442_624, "fc6": 37_752_832, "fc7": 16_781_312, "fc8": 4_097_000}  # fmt: skip
    got = {e.label: e.value("parameters", WITH) for e in alexnet.entries if e.weights}
    assert got == wanted
    assert alexnet.total("parameters", WITH) == 60_965_224
    assert alexnet.total("operations", WITH) == 724_406_816
    row = dict(zip([c.name for c in alexnet.table().columns], alexnet.table().rows[3], strict=True))
    assert row == {
        "Layer": "conv2", "Filters": "256 of 5x5x48, stride 1, padding 2, 2 groups",
        "Output size": "(27 + 2*2 - 5)/1 + 1 = 27: 27x27x256",
        "Number of Activations (Memory)": "27*27*256=190K",
        "Parameters (Compute)": "(5*5*48)*256 + 256 = 307,456",
    }  # fmt: skip


def test_alexnet_names_its_variants() -> None:
    text = exercise_of("alexnet").variants(WITH)
    assert "towers=ungrouped 62,378,344" in text
    assert "towers=single 61,100,840" in text


@pytest.mark.parametrize(("name", "macs", "weights", "output"), [
    ("inception-naive", 1_115_684_864, 1_089_536, "32x32x672"),
    ("inception-reduced", 354_418_688, 346_112, "32x32x480"),
])  # fmt: skip
def test_inception_modules(name: str, macs: int, weights: int, output: str) -> None:
    sheet = exercise_of(name).sheet()
    assert sheet.total("operations", sheet.convention) == macs
    assert sheet.total("parameters", sheet.convention) == weights
    joined = sheet.entries[-1]
    assert (joined.label, cell_text(joined, "output", WITH, rounded=True)) == (
        "Concatenation", output)  # fmt: skip
    branches = sheet.entries[1:-1]
    assert sheet.total("activations", WITH) == sum(
        e.activations for e in (sheet.entries[0], *branches)
    )


def test_the_same_module_at_28_pixels() -> None:
    naive = exercise_of("inception-naive", (256, 28, 28)).sheet()
    reduced = exercise_of("inception_reduced", (256, 28, 28)).sheet()
    assert naive.total("operations", WITH) == 854_196_224
    assert reduced.total("operations", WITH) == 271_351_808


def worked(text: str) -> int:
    """A calculation, by Python."""
    assert re.fullmatch(r"[\d*+/() .-]+|(?:floor|ceil)[\d*+/() .-]+", text), text
    value = eval(text, {"floor": math.floor, "ceil": math.ceil})
    assert value == int(value)
    return int(value)


@pytest.mark.parametrize("biases", [True, False])
@pytest.mark.parametrize("count", ["macs", "flops", "full"])
@pytest.mark.parametrize("name", ["vgg16", "alexnet", "googlenet", "inception-reduced", "lenet5"])
def test_every_calculation_gives_its_number(name: str, count: str, biases: bool) -> None:
    how = Convention(biases=biases, count=count)  # type: ignore[arg-type]
    sheet = exercise_of(name).sheet()
    seen = 0
    for entry in sheet.entries:
        for quantity in ("activations", "parameters", "weights", "operations"):
            formula = entry.formula(quantity, how)  # type: ignore[arg-type]
            if formula:
                assert worked(formula) == entry.value(quantity, how)  # type: ignore[arg-type]
                seen += 1
        if formula := entry.formula("output", how):
            assert worked(formula) == entry.sides[0]
            seen += 1
    assert seen > 20


def test_rounding_up_is_said() -> None:
    sheet = exercise_of("googlenet").sheet()
    pool = next(e for e in sheet.entries if e.label == "pool1")
    assert pool.formula("output", WITH) == "ceil((112 - 3)/2) + 1"
    assert pool.sides == (56, 56)


def test_the_total_is_the_sum_of_the_rows(vgg19: Sheet) -> None:
    for quantity in ("activations", "weights", "biases"):
        values = [e.value(quantity, WITH) for e in vgg19.entries]
        assert vgg19.total(quantity, WITH) == sum(v for v in values if isinstance(v, int))
    assert vgg19.total("output", WITH) is None


def test_a_blank_table_has_the_rows_and_nothing_else(vgg19: Sheet) -> None:
    blank = vgg19.blank()
    assert [row[0] for row in blank.rows] == [row[0] for row in vgg19.table().rows]
    assert {cell for row in blank.rows for cell in row[1:]} == {""}


def test_exact_numbers_on_request(vgg19: Sheet) -> None:
    exact = vgg19.table(rounded=False, convention=WITH, columns=("activations", "parameters"))
    assert exact.rows[1] == (
        "CONV3-64", "224*224*64 = 3,211,264", "(3*3*3)*64 + 64 = 1,792")  # fmt: skip


def test_receptive_fields_of_alexnet(alexnet: Sheet) -> None:
    fields = {e.label: e.field[0] for e in alexnet.entries if e.field}
    assert fields == {"conv1": 11, "pool1": 19, "conv2": 51, "pool2": 67, "conv3": 99,
                      "conv4": 131, "conv5": 163, "pool5": 195}  # fmt: skip


def test_batch_normalisation_has_rows_of_its_own() -> None:
    sheet = exercise_of("resnet20").sheet()
    assert sheet.total("parameters", WITH) == 269_722
    assert sum(e.kind == "batch normalisation" for e in sheet.entries) == 19


def test_rivals_differ_in_one_option() -> None:
    names = [name for name, _ in exercise_of("vgg19").rivals()]
    assert names == ["vgg11", "vgg13", "vgg16", "vgg19 with batch_norm=true"]
    assert [name for name, _ in exercise_of("inception-naive").rivals()] == ["inception-reduced"]


def test_own_modules_need_an_input_shape() -> None:
    with pytest.raises(BadOption, match="--input"):
        exercise_of("torch.nn:Flatten")
    with pytest.raises(UnknownName, match="vgg"):
        exercise_of("vggg19x")
    with pytest.raises(BadShape, match="256x32x32"):
        exercise_of("inception-naive", (256,))


def test_a_network_of_ones_own(tmp_path: Path) -> None:
    """Words in a row in place of images: linear layers work at every position."""
    (tmp_path / "own_words.py").write_text(
        "from torch import nn\n"
        "def words():\n"
        "    return nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.LayerNorm(32),\n"
        "                         nn.LSTM(32, 8, batch_first=True))\n"
    )
    sheet = exercise_of(f"{tmp_path / 'own_words.py'}:words", (10, 16)).sheet()
    assert [entry.label for entry in sheet.entries[1:]] == ["FC", "2", "3"]
    assert cell_text(sheet.entries[1], "operations", WITH, rounded=True) == "16*32 * 10 = 5,120"
    assert sheet.total("parameters", WITH) == 16 * 32 + 32 + 64 + 4 * 8 * (32 + 8 + 2)
    assert sheet.table().text()


def test_shapes_of_rows_without_a_picture() -> None:
    row = Entry(label="fc", kind="linear", input_shape=(8,), output_shape=(2,), weights=16,
                biases=2, activations=2, macs=16)  # fmt: skip
    assert cell_text(row, "parameters", WITH, rounded=True) == "8*2 + 2 = 18"
    assert cell_text(row, "operations", Convention(count="full"), rounded=True) == "2 * 8*2 = 32"
    assert cell_text(row, "output", WITH, rounded=True) == "2"
