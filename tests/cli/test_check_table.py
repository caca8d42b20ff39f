"""`epochlab check-table` as a student and an instructor use it."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from epochlab.cli import main
from epochlab.table import FORMATS


def said(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["check-table", *words]) == 0
    return capsys.readouterr().out


def refused(words: list[str], capsys: pytest.CaptureFixture[str], *parts: str) -> None:
    assert main(["check-table", *words]) == 2
    text = " ".join(capsys.readouterr().err.split())
    assert text.count("error: ") == 1
    for part in parts:
        assert part in text, text


def test_from_the_blank_table_to_all_right(capsys: pytest.CaptureFixture[str]) -> None:
    blank = said(["--network", "vgg19", "--blank"], capsys)
    assert blank.splitlines()[:2] == [
        "Layer,Number of Activations (Memory),Parameters (Compute)", "Input,,"]  # fmt: skip
    Path("mine.csv").write_text(blank)
    empty = json.loads(said(["mine.csv", "--network", "vgg19", "--json"], capsys))
    assert (empty["verdict"], empty["right"], empty["of"]) == ("incomplete", 0, 46)
    Path("mine.csv").write_text(said(["--network", "vgg19", "--solution", "--csv"], capsys))
    full = json.loads(said(["mine.csv", "--network", "vgg19", "--json"], capsys))
    assert (full["verdict"], full["right"], full["of"]) == ("right", 52, 52)
    assert "52 of 52 cells are right (22 of them rounded). All right." in said(
        ["mine.csv", "--network", "vgg19"], capsys)  # fmt: skip


def test_a_mistake_is_shown_with_its_name(capsys: pytest.CaptureFixture[str]) -> None:
    Path("mine.md").write_text(
        "| Layer | Parameters |\n|---|---|\n| conv1 | 34,944 |\n| conv2 | 614,656 |\n"
        "| conv3 | 885,120 |\n| conv4 | 1,327,488 |\n| conv5 | 884,992 |\n"
        "| fc6 | 37,752,832 |\n| fc7 | 16,781,312 |\n| fc8 | 4,097,000 |\n"
        "| TOTAL | 62,378,344 |\n"
    )
    text = said(["mine.md", "--network", "alexnet"], capsys)
    line = next(line for line in text.splitlines() if "conv2" in line)
    assert line.split() == [
        "4", "conv2", "parameters", "614,656", "(5*5*48)*256", "+", "256", "=", "307,456",
        "wrong", "groups", "ignored"]  # fmt: skip
    assert "groups ignored: Parameters of conv2, conv4, conv5, TOTAL." in text
    assert max(map(len, text.splitlines())) <= 120
    wrong = said(["mine.md", "--network", "alexnet", "--wrong", "--csv"], capsys)
    rows = list(csv.DictReader(io.StringIO(wrong)))
    assert [row["layer"] for row in rows] == ["conv2", "conv4", "conv5", "TOTAL"]
    assert {row["remark"] for row in rows} == {"groups ignored"}
    assert said(["mine.md", "--network", "alexnet:towers=ungrouped"], capsys).count("right") > 9


def test_every_format(capsys: pytest.CaptureFixture[str]) -> None:
    Path("mine.csv").write_text("Layer,MACs\n3x3 conv 192,452984832\n5x5 conv 96,1\n")
    words = ["mine.csv", "--network", "inception-naive"]
    texts = {form: said([*words, "--format", form], capsys) for form in FORMATS}
    assert len(set(texts.values())) == len(FORMATS)
    assert all("629" in text for text in texts.values())


def test_standard_input(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("Layer,Params\nconv1,156\nconv2,2416\n"))
    text = said(["-", "--network", "lenet5"], capsys)
    assert text.startswith("standard input checked against lenet5")
    assert "2 of 5 cells are right" in text


def test_conventions_can_be_demanded(capsys: pytest.CaptureFixture[str]) -> None:
    Path("mine.csv").write_text(said(
        ["--network", "vgg16", "--solution", "--biases", "--csv"], capsys))  # fmt: skip
    seen = json.loads(said(["mine.csv", "--network", "vgg16", "--json"], capsys))
    assert (seen["verdict"], seen["biases"]) == ("right", True)
    strict = said(["mine.csv", "--network", "vgg16", "--no-biases", "--json"], capsys)
    assert [trap["name"] for trap in json.loads(strict)["traps"]] == ["biases included"]
    Path("mine.csv").write_text(said(
        ["--network", "vgg16", "--solution", "--count", "flops", "--columns", "operations",
         "--csv"], capsys))  # fmt: skip
    assert json.loads(said(["mine.csv", "--network", "vgg16", "--json"], capsys))["count"] == (
        "flops")  # fmt: skip


def test_the_solution_in_full_and_for_another_input(capsys: pytest.CaptureFixture[str]) -> None:
    text = said(["--network", "alexnet", "--solution", "--exact", "--input", "3x224x224"], capsys)
    assert "54*54*96 = 279,936" in text
    assert "towers=ungrouped" in text
    assert "4096*10 + 10 = 40,970" in said(
        ["--network", "alexnet", "--outputs", "10", "--solution"], capsys)  # fmt: skip


@pytest.mark.parametrize(("words", "parts"), [
    (["mine.csv"], ["--network vgg19"]),
    (["--network", "vgg19"], ["--blank"]),
    (["nothing.csv", "--network", "vgg19"], ["There is no file 'nothing.csv'"]),
    (["mine.csv", "--network", "vvg19x"], ["no network named 'vvg19x'"]),
    (["mine.csv", "--network", "vgg19"], ["does not look like a table of vgg19", "--blank"]),
    (["words.csv", "--network", "vgg19"], ["no heading that says"]),
    (["mine.csv", "--network", "vgg19", "--input", "big"], ["--input is 'big'", "3x224x224"]),
    (["mine.csv", "--network", "vgg19", "--input", "3,8,8"], ["8 x 8", "at least 32"]),
    (["mine.csv", "--network", "vgg19", "--input", "x=3x8x8"], ["one sample, channels first"]),
    (["mine.csv", "--network", "vgg19", "--outputs", "0"], ["at least 1"]),
    (["--network", "vgg19", "--blank", "--columns", "paramters"], ["Did you mean 'parameters'"]),
    (["mine.csv", "--network", "vgg19", "--count", "gflops"], ["--count"]),
    (["mine.csv", "--netwrok", "vgg19"], ["--netwrok", "Did you mean '--network'"]),
])  # fmt: skip
def test_mistakes(words: list[str], parts: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    Path("mine.csv").write_text("Layer,Params\nlstm1,4\nlstm2,5\nattention,6\n")
    Path("words.csv").write_text("a,b\nc,d\n")
    refused(words, capsys, *parts)
