"""The command compare, and how it and analyze show their tables and figures."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from epochlab.table import FORMATS

from .own_networks import NETS, records, said


@pytest.fixture(autouse=True)
def nets(tmp_path: Path) -> Iterator[None]:
    """A file with networks of one's own; its module is forgotten afterwards."""
    (tmp_path / "nets.py").write_text(NETS)
    yield
    for name in ("nets", "epochlab_outside_nets"):
        sys.modules.pop(name, None)


# --- how it is shown ------------------------------------------------------------------------------

SHOWN = (
    "analyze vgg19", "analyze resnet50", "analyze vgg16 --details all", "analyze resnet50 --top 4",
    "analyze googlenet --details formulas", "analyze resnet20 --details memory --count full",
    "analyze nets.py:Tagger --input int64:40 --details formulas", "analyze lenet5 --memory",
    "analyze nets.py:long_names --input 4", "compare alexnet vgg19 resnet50 lenet5 squeezenet",
    "compare vgg16 vgg19 resnet50 --per-kind --count full",
)  # fmt: skip


@pytest.mark.parametrize("columns", [80, 100, 120])
@pytest.mark.parametrize("words", SHOWN)
def test_text_fits_into_a_terminal(
    words: str, columns: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    text = said(words, capsys)
    body, _, following = text.rpartition("Next: ")
    assert "epochlab " in following
    too_long = [line for line in body.splitlines() if len(line) > columns]
    assert too_long == []


def test_what_is_left_out_is_said_and_nowhere_else_left_out(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    text = said("analyze vgg19", capsys)
    assert "Left out to fit 80 columns: backward MACs" in text
    rows = list(csv.DictReader(io.StringIO(said("analyze vgg19 --csv", capsys))))
    assert rows[0]["backward MACs"] == "86704128"
    monkeypatch.setenv("COLUMNS", "400")
    text = said("analyze vgg19 --details all", capsys)
    assert "Left out" not in text
    assert "formula of parameters" in text


def test_long_names_keep_both_ends(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    text = said("analyze nets.py:long_names --input 4", capsys)
    (line,) = (line for line in text.splitlines() if "linear" in line)
    name = line.split()[0]
    assert name.startswith("transformer_e")
    assert name.endswith("long_name")
    assert "..." in name
    full = records("analyze nets.py:long_names --input 4", capsys)[0]["layer"]
    assert full.startswith(name.partition("...")[0])
    assert full.endswith(name.partition("...")[2])


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("words", ["analyze lenet5", "compare lenet5 simple_nn"])
def test_every_format(form: str, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = said(f"{words} --format {form}", capsys)
    assert "lenet5" in text or form == "csv"
    assert ("Next: " in text) is (form == "text")


@pytest.mark.parametrize(("ending", "begin"), [
    ("svg", b"<svg"), ("png", b"\x89PNG"), ("pdf", b"%PDF"), ("html", b"<!doctype html>"),
])  # fmt: skip
@pytest.mark.parametrize("words", ["analyze lenet5 --memory", "compare lenet5 simple_nn"])
def test_figures(words: str, ending: str, begin: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("altair", reason="needs the extra 'report'")
    text = said(f"{words} --figure out.{ending}", capsys)
    assert f"Figure: out.{ending}" in text
    content = Path(f"out.{ending}").read_bytes()
    assert content.startswith(begin)
    if ending == "html":
        page = content.decode()
        assert "lenet5" in page
        assert f"epochlab {words} --figure out.html" in page
        titles = ["lenet5: cost by layer", "lenet5: memory of a training step, batch 1"]
        if words.startswith("compare"):
            titles = ["Networks side by side"]
        assert all(f"{title} <small" in page for title in titles)
        assert 'src="http' not in page


def test_the_next_commands_work(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("altair", reason="needs the extra 'report'")
    for words in (
        "analyze lenet5 --batch 2",
        "analyze nets.py:plain --input 20",
        "analyze vgg:depth=11,batch_norm --input 3x64x64",
        "compare lenet5 simple_nn",
    ):
        following = said(words, capsys).rpartition("Next: ")[2]
        for line in following.splitlines():
            command = line.rpartition("epochlab ")[2]
            assert said(command, capsys)


# --- compare --------------------------------------------------------------------------------------


def test_networks_side_by_side(capsys: pytest.CaptureFixture[str]) -> None:
    rows = records("compare alexnet vgg19 resnet50 lenet5", capsys)
    assert [(r["network"], r["parameters"], r["MACs"]) for r in rows] == [
        ("alexnet", 60_965_224, 724_406_816), ("vgg19", 143_667_240, 19_632_062_464),
        ("resnet50", 25_557_032, 4_089_184_256), ("lenet5", 61_706, 416_520),
    ]  # fmt: skip
    rows = records("compare mlp:hidden=8 nets.py:plain --input 20", capsys)
    assert [r["parameters"] for r in rows] == [20 * 8 + 8 + 8 * 10 + 10, 785]


def test_networks_of_one_name_are_told_apart(capsys: pytest.CaptureFixture[str]) -> None:
    Path("other.py").write_text("from torch import nn\nplain = nn.Linear(20, 2)\n")
    try:
        rows = records("compare nets.py:plain other.py:plain --input 20", capsys)
        assert [r["network"] for r in rows] == ["nets.py:plain", "other.py:plain"]
        rows = records("compare lenet5 simple_nn lenet5 --per-kind", capsys)
        assert list(rows[0])[2:] == ["lenet5 (1)", "simple_nn", "lenet5 (3)"]
    finally:
        sys.modules.pop("epochlab_outside_other", None)


@pytest.mark.parametrize("words", ["", "--no-biases", "--count flops", "--count full"])
def test_shares_add_up(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    rows = records(f"compare alexnet resnet20 lenet5 --per-kind {words}", capsys)
    for name in ("alexnet", "resnet20", "lenet5"):
        for what in {r["share of"] for r in rows}:
            shares = [r[name] for r in rows if r["share of"] == what]
            assert sum(shares) == pytest.approx(1, abs=1e-12)
