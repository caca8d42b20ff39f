"""Reading somebody's table: separators, headings, cells, names of layers, and what is no table."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from epochlab.cost.checking.cells import Number, read_cell
from epochlab.cost.checking.matching import read_label
from epochlab.cost.checking.reading import meaning, parse_table, read_table
from epochlab.errors import BadData

WANTED = [("Input", "150K", "0"), ("CONV3-64", "224*224*64=3.2M", "(3*3*3)*64 = 1,728")]


def rows(text: str) -> list[tuple[str, ...]]:
    return [(row.label, *row.cells.values()) for row in parse_table(text).rows]


# --- files ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", [
    'Layer,Activations,Parameters\nInput,150K,0\nCONV3-64,224*224*64=3.2M,"(3*3*3)*64 = 1,728"\n',
    "Layer,Activations,Parameters\nInput,150K,0\nCONV3-64,224*224*64=3.2M,(3*3*3)*64 = 1,728\n",
    "Layer;Activations;Parameters\nInput;150K;0\nCONV3-64;224*224*64=3.2M;(3*3*3)*64 = 1,728\n",
    "Layer\tActivations\tParameters\r\nInput\t150K\t0\r\n"
    "CONV3-64\t224*224*64=3.2M\t(3*3*3)*64 = 1,728\r\n",
    "\ufeffLayer, Activations, Parameters\n\nInput, 150K, 0\n"
    'CONV3-64, 224*224*64=3.2M, "(3*3*3)*64 = 1,728"\n',
    "| Layer | Activations | Parameters |\n|:--|--:|---|\n| Input | 150K | 0 |\n"
    "| **CONV3-64** | `224*224*64=3.2M` | (3*3*3)*64 = 1,728 |\n",
    "# My table\n\nSome words, and more.\n\nLayer | Activations | Parameters\n--- | --- | ---\n"
    "Input | 150K | 0\nCONV3-64 | 224*224*64=3.2M | (3*3*3)*64 = 1,728\n",
    "My table of VGG19,,\nLayer,Activations,Parameters\nInput,150K,0,,\n"
    'CONV3-64,224*224*64=3.2M,"(3*3*3)*64 = 1,728"\n,,\n',
    "Layer     Activations      Parameters\nInput     150K             0\n"
    "CONV3-64  224*224*64=3.2M  (3*3*3)*64 = 1,728\n",
    "vgg19\nLayer     Activations      Parameters\n--------  ---------------  ------------------\n"
    "Input     150K             0\nCONV3-64  224*224*64=3.2M  (3*3*3)*64 = 1,728\n"
    "A note that runs on below the table.\n",
])  # fmt: skip
def test_one_table_in_many_forms(text: str) -> None:
    assert rows(text) == WANTED


def test_the_summary_of_a_framework() -> None:
    table = parse_table(
        "____________________________________________________________\n"
        "Layer (type)            Output Shape              Param #\n"
        "============================================================\n"
        "input_1 (InputLayer)    [(None, 224, 224, 3)]     0\n"
        "____________________________________________________________\n"
        "block1_conv1 (Conv2D)   (None, 224, 224, 64)      1792\n"
        "============================================================\n"
        "Total params: 138,357,544\nTrainable params: 138,357,544\nNon-trainable params: 0\n"
    )
    assert [(r.label, r.cells["output"], r.cells["parameters"]) for r in table.rows] == [
        ("input_1 (InputLayer)", "[(None, 224, 224, 3)]", "0"),
        ("block1_conv1 (Conv2D)", "(None, 224, 224, 64)", "1792"),
        ("Total", "", "138,357,544"),
    ]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_encodings(encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes("Layer;Parameters\nCONV3-64;3·3·3·64\n".encode(encoding))
    (row,) = read_table(str(path)).rows
    assert row.cells == {"parameters": "3·3·3·64"}
    assert row.line == 2


def test_lines_are_those_of_the_file() -> None:
    table = parse_table('\n\nLayer,Parameters\nconv1,"34,\n944"\n\nconv2,1\n')
    assert [row.line for row in table.rows] == [5, 7]


def test_numbers_that_lost_their_quotes() -> None:
    assert rows("Layer,Activations,Parameters\nCONV3-64,3,211,264,36,864\n") == [
        ("CONV3-64", "3,211,264", "36,864")]  # fmt: skip
    with pytest.raises(BadData, match=r"line 2 has 5 cells under 3 headings.*in quotes"):
        parse_table("Layer,Activations,Parameters\nCONV3-256,802,816,294,912\n")
    with pytest.raises(BadData, match="line 2"):
        parse_table("Layer,Parameters\n" + ",".join(["1"] * 500))


@pytest.mark.parametrize(("text", "said"), [
    ("", "is empty"), ("\n\n  \n", "is empty"),
    ("Layer,Colour\nconv1,red\n", "no heading that says.*'Layer', 'Colour'"),
    ("conv1,34944\nconv2,307456\n", "no heading"),
    ("Layer,Parameters\n", "no row below"),
    ("Parameters\n3\n4\n", "only one column, 'Parameters'"),
    ("Layer Number of Activations Parameters\nInput 150K 0\n", "only one column"),
])  # fmt: skip
def test_what_is_no_table(text: str, said: str) -> None:
    with pytest.raises(BadData, match=said):
        parse_table(text)


def test_files_that_are_no_table(tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_text("Layer,Parameters\n")
    for name, content, said in (
        ("book.xlsx", b"PK\x03\x04rest", "spreadsheet.*as CSV"),
        ("zeros.csv", b"a\0b", "not a text file"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(BadData, match=said):
            read_table(str(tmp_path / name))
    with pytest.raises(BadData, match=r"There is no file.*Did you mean.*mine\.csv"):
        read_table(str(tmp_path / "mime.csv"))
    with pytest.raises(BadData, match="is a folder"):
        read_table(str(tmp_path))


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet=st.sampled_from("Layer Params,;\t|-\n\"'0123.Kx*=é"), max_size=120))
def test_any_text_is_a_table_or_refused(text: str) -> None:
    try:
        table = parse_table(text)
    except BadData as error:
        assert "the table" in str(error)
    else:
        assert table.rows
        assert table.headings


# --- headings -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("heading", "wanted"), [
    ("Number of Activations (Memory)", "activations"), ("Parameters (Compute)", "parameters"),
    ("Memory", "activations"), ("# params", "parameters"), ("Param #", "parameters"),
    ("Weights", "weights"), ("Biases", "biases"), ("Weights (no biases)", "weights"),
    ("MACs", "operations"), ("GFLOPs", "operations"), ("Convolutional operations", "operations"),
    ("Mult-Adds", "operations"), ("Output Shape", "output"), ("output size", "output"),
    ("Receptive field", "receptive field"), ("RF", "receptive field"), ("Neurons", "activations"),
    ("Paramters", "parameters"), ("Activatons", "activations"), ("Layer", None),
    ("Kernel size", None), ("Input shape", None), ("Calculation", None), ("Colour", None),
    ("Learnable parameters", "parameters"),
])  # fmt: skip
def test_meaning_of_headings(heading: str, wanted: str | None) -> None:
    assert meaning(heading) == wanted


def test_columns_that_are_not_graded_are_listed() -> None:
    table = parse_table("Layer,Kernel,Params,Remark\nconv1,11x11,34944,big\n")
    assert table.ignored == ("Kernel", "Remark")
    assert table.rows[0].cells == {"parameters": "34944"}


def test_the_column_of_names_needs_no_heading() -> None:
    assert rows(",Params\nconv1,1\nconv2,2\n") == [("conv1", "1"), ("conv2", "2")]
    assert rows("Params,MACs\n1,2\n") == [("", "1", "2")]


# --- cells ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("text", "value"), [
    ("3.2M", 3_200_000), ("150K", 150_000), ("150,528", 150_528), ("150k", 150_000),
    ("224*224*3=150K", 150_000), ("3·3·64·64", 36_864), ("1.8e9", 1_800_000_000),
    ("3.2 million", 3_200_000), ("3,2M", 3_200_000), ("150.528", 150_528),
    ("150 528", 150_528), ("150'528", 150_528), ("150_528", 150_528), ("1.5E+03", 1_500),
    ("(3*3*3)*64 = 1,728", 1_728), ("(3*3*3)64", 1_728), ("64(3*3*3)", 1_728), ("2^10", 1_024),
    ("3² * 64 * 64", 36_864), ("3x3x64x64", 36_864), ("7×7×512", 25_088), ("19.6 GMACs",
    19_600_000_000), ("19.6B", 19_600_000_000), ("12.8 MB", 12_800_000), ("0", 0), ("-", 0),
    ("none", 0), ("\\(3 \\times 3\\)", 9), ("(227-11)/4+1", 55), ("≈ 16.5M", 16_500_000),
    ("-(3-5)", 2), ("143.65M params", 143_650_000), ("1.8*10^9 FLOPs", 1_800_000_000),
    ("16,542,184.", 16_542_184), ("3*3*64*64 + 64 weights", 36_928), ("1/3", Fraction(1, 3)),
])  # fmt: skip
def test_numbers(text: str, value: int) -> None:
    if text.startswith("\\("):
        text = text[2:-2]
    found = read_cell(text)
    assert found.number is not None
    assert found.number.value == value


@pytest.mark.parametrize("text", ["", " ", "?", "n/a", "...", "NaN"])
def test_not_answered(text: str) -> None:
    assert read_cell(text).empty


@pytest.mark.parametrize("text", ["abc", "3..2", "((3", "3)", "1/0", "9^9999", "1e99", "3*", "M",
                                  "1,2,3", "x" * 5000, "9" * 5000, "2^2^2^2^2^2^9"])  # fmt: skip
def test_what_is_no_number(text: str) -> None:
    found = read_cell(text)
    assert found.number is None
    assert not found.empty


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet=st.sampled_from("0123456789.,+-*/^() xKMG=eE·²"), max_size=30))
def test_no_cell_breaks_the_reader(text: str) -> None:
    found = read_cell(text)
    assert found.text == text.strip()


@given(st.integers(1, 10**13))
def test_whole_numbers_come_back(value: int) -> None:
    for text in (str(value), f"{value:,}", f"{value:_}", f"{value:,}".replace(",", " ")):
        found = read_cell(text)
        assert found.number is not None
        assert found.number.value == value


@given(st.integers(10, 10**12), st.integers(2, 9))
def test_rounding_is_accepted_up_to_half_a_digit(value: int, digits: int) -> None:
    unit = Fraction(10) ** (len(str(value)) - digits)
    shown = round(Fraction(value) / unit) * unit
    assert Number(shown, (digits, digits)).rounds(value)
    for other in (shown + unit, shown - unit):
        halfway = 2 * abs(other - value) == unit
        assert Number(other, (digits, digits)).rounds(value) == halfway


def test_sizes() -> None:
    assert (55, 55, 96) in read_cell("(227 - 11)/4 + 1 = 55: 55x55x96").shapes
    assert (64, 224, 224) in read_cell("[-1, 64, 224, 224]").shapes
    assert (224, 224, 64) in read_cell("(None, 224, 224, 64)").shapes
    assert (4096,) in read_cell("4,096").shapes


# --- names of layers ------------------------------------------------------------------------------


@pytest.mark.parametrize(("text", "kind", "kernel", "filters"), [
    ("CONV3-64", "convolution", 3, 64), ("conv1_1", "convolution", None, None),
    ("3x3 conv, 192", "convolution", 3, 192), ("Conv2d 5×5, 96", "convolution", 5, 96),
    ("1x1 before 3x3, 64", "convolution", 1, 64), ("C1", "convolution", None, None),
    ("POOL2", "pooling", None, None), ("maxpool", "pooling", None, None),
    ("S2", "pooling", None, None), ("FC 4096", "linear", None, None), ("fc6", "linear", None, None),
    ("Dense", "linear", None, None), ("TOTAL", "total", None, None), ("Sum:", "total", None, None),
    ("ReLU", "silent", None, None), ("bn1", "batch normalisation", None, None),
    ("Input", "input", None, None), ("Filter concatenation", "concatenation", None, None),
    ("pool proj 1x1, 64", "after pooling", 1, None), ("Block 3", "", None, None),
])  # fmt: skip
def test_labels(text: str, kind: str, kernel: int | None, filters: int | None) -> None:
    label = read_label(text)
    assert (label.kind, label.kernel, label.filters) == (kind, kernel, filters)
