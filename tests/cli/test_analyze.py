"""The command analyze: what it counts, the memory of a step, and what it refuses."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import nn

from epochlab.cost.memory import step_memory
from epochlab.networks.simple_nn import SimpleNN
from epochlab.optimizers.adam import Adam

from .own_networks import NETS, records, said, total
from .test_mistakes import refused
from .test_startup import HEAVY


@pytest.fixture(autouse=True)
def nets(tmp_path: Path) -> Iterator[None]:
    """A file with networks of one's own; its module is forgotten afterwards."""
    (tmp_path / "nets.py").write_text(NETS)
    yield
    for name in ("nets", "epochlab_outside_nets"):
        sys.modules.pop(name, None)


# --- what is counted ------------------------------------------------------------------------------


def test_the_sheet_numbers_of_vgg19(capsys: pytest.CaptureFixture[str]) -> None:
    row = total("analyze vgg19", capsys)
    assert (row["layer"], row["parameters"], row["MACs"]) == ("TOTAL", 143_667_240, 19_632_062_464)
    row = total("analyze vgg19 --no-biases --folded --count flops --no-backward", capsys)
    assert row["parameters"] == 143_652_544
    assert row["activations"] == 16_391_656
    assert row["FLOPs"] == 39_264_124_928
    assert "backward FLOPs" not in row
    text = said("analyze vgg19 --rounded --no-backward", capsys)
    assert "3.2M" in text
    assert "Biases are left out" in said("analyze vgg19 --no-biases", capsys)


def test_full_count_of_vgg19(capsys: pytest.CaptureFixture[str]) -> None:
    rows = records("compare vgg19 vgg16 --per-kind --count full", capsys)
    (row,) = (r for r in rows if (r["share of"], r["kind of layer"])
              == ("full FLOPs", "convolution"))  # fmt: skip
    assert round(100 * row["vgg19"], 4) == 99.3213


def test_input_outputs_and_batch(capsys: pytest.CaptureFixture[str]) -> None:
    one = total("analyze resnet20", capsys)
    assert (one["parameters"], one["MACs"]) == (269_722, 40_551_040)
    many = total("analyze resnet20 --batch 7", capsys)
    assert (many["parameters"], many["MACs"]) == (269_722, 7 * 40_551_040)
    assert total("analyze resnet20 --outputs 100", capsys)["parameters"] == 269_722 + 90 * 65
    for way in ("3x64x64", "3X64X64", "3,64,64", "float32:3x64x64"):
        larger = total(f"analyze resnet20 --input {way}", capsys)
        assert larger["MACs"] == 4 * (40_551_040 - 640) + 640


@pytest.mark.parametrize("words", [
    "--input left=2x3x32x32 --input right=2x3x32x32", "--input 3x32x32 --input 3x32x32 --batch 2",
])  # fmt: skip
def test_two_inputs(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    rows = records(f"analyze nets.py:TwoTowers {words}", capsys)
    assert [r["layer"] for r in rows if r["kind"] == "convolution"] == [
        "tower.0", "tower.0 (call 2)",
    ]  # fmt: skip
    assert [r["MACs"] for r in rows if r["kind"] == "convolution"] == [2 * 15 * 15 * 27 * 16] * 2
    assert rows[-1]["parameters"] == 27 * 16 + 16 + 2 * 16 * 15 * 15 + 1


@pytest.mark.parametrize("words", ["int64:40 --batch 8", "tokens=int64:8x40"])
def test_whole_numbers_as_input(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    rows = {r["layer"]: r for r in records(f"analyze nets.py:Tagger --input {words}", capsys)}
    assert rows["rnn"]["MACs"] == 8 * 40 * 4 * 256 * (128 + 256)
    assert rows["embedding"]["parameters"] == 5000 * 128
    assert rows["out"]["MACs"] == 8 * 40 * 256 * 17


def test_modules_without_layers_of_their_own(capsys: pytest.CaptureFixture[str]) -> None:
    rows = records("analyze nets:functional --input 3x32x32", capsys)
    assert [(r["kind"], r["parameters"], r["MACs"]) for r in rows[:-1]] == [
        ("convolution", 216, 30 * 30 * 27 * 8), ("activation", 0, 0),
    ]  # fmt: skip
    rows = records("analyze nets:encoder --input 50x256", capsys)
    attention = 50 * 256 * 768 + 2 * 8 * 50 * 50 * 32 + 50 * 256 * 256
    assert rows[-1]["MACs"] == 2 * (attention + 2 * 50 * 256 * 1024)


def test_what_is_not_counted_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    words = "analyze nets.py:Uncountable --input 8x8 --batch 1"
    text = said(words, capsys)
    assert "Not counted, forward: cholesky_inverse (1x)" in text
    assert "lower bounds" in text
    refused([*words.split(), "--strict"], capsys, "cholesky_inverse", "no counting rule")
    text = said("compare nets.py:Uncountable nets.py:square --input 8x8 --per-kind", capsys)
    assert "Not counted in Uncountable, so in no share of MACs: cholesky_inverse" in text
    rows = records("compare nets.py:Uncountable nets.py:square --input 8x8", capsys)
    assert [r["uncounted"] for r in rows] == ["cholesky_inverse", ""]


def test_the_heaviest_layers(capsys: pytest.CaptureFixture[str]) -> None:
    everything = records("analyze alexnet", capsys)
    rows = records("analyze alexnet --top 3", capsys)
    assert rows[-1] == everything[-1]
    heaviest = sorted(everything[:-1], key=lambda r: -r["MACs"])[:3]
    assert rows[:-1] == heaviest
    share = sum(r["MACs"] for r in heaviest) / everything[-1]["MACs"]
    text = said("analyze alexnet --top 3", capsys)
    assert f"The 3 layers with most MACs, of {len(everything) - 1} layers: {share:.2%}" in text
    assert records("analyze alexnet --top 999", capsys) == everything
    assert [r["layer"] for r in records("analyze alexnet --top 2 --details field", capsys)] == [
        r["layer"] for r in heaviest[:2]
    ]


@pytest.mark.parametrize(("details", "column", "value"), [
    ("short", "share", 86_704_128 / 19_632_062_464),
    ("memory", "written", 4 * 64 * 224 * 224),
    ("field", "receptive field", "3 x 3, jump 1"),
    ("formulas", "formula of MACs", "3*3*3*64 weights * 224*224 positions"),
    ("all", "formula of parameters", "3*3*3*64 + 64 biases"),
])  # fmt: skip
def test_details(
    details: str, column: str, value: object, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = records(f"analyze vgg19 --details {details}", capsys)
    assert rows[0][column] == value


def test_training_counts_what_runs_in_training(capsys: pytest.CaptureFixture[str]) -> None:
    words = "analyze mlp:hidden=10,hidden_dropout=0.5 --count full --input 4"
    assert total(f"{words} --training", capsys) != total(words, capsys)


def test_whole_numbers_of_the_inputs_are_ones(capsys: pytest.CaptureFixture[str]) -> None:
    words = "analyze nets.py:Masked --input ids=int64:1x12 --input mask=bool:1x12"
    assert total(words, capsys)["MACs"] == 12 * 16 * 32
    assert total(f"{words} --real", capsys)["MACs"] == 12 * 16 * 32


def test_real_numbers_decide_a_branch(capsys: pytest.CaptureFixture[str]) -> None:
    assert total("analyze nets.py:Branches --input 4 --real", capsys)["MACs"] in (0, 4 * 4)
    assert "real numbers" in said("analyze nets.py:Branches --input 4 --real", capsys)
    assert total("analyze lenet5 --real", capsys)["MACs"] == total("analyze lenet5", capsys)["MACs"]


# --- memory of a training step --------------------------------------------------------------------


def test_step_memory_is_the_second_table(capsys: pytest.CaptureFixture[str]) -> None:
    words = "analyze nets.py:plain --input 20 --batch 16 --optimizer adam"
    rows = {r["part"]: r["bytes"] for r in records(f"{words} --memory", capsys)}
    parameters = 20 * 30 + 30 + 30 * 5 + 5
    assert rows["parameters"] == 4 * parameters
    assert rows["optimizer state"] == 8 * parameters
    text = said(words, capsys)
    first, second = text.split("\n\n")
    assert first.startswith("plain: cost by layer [exact]")
    assert second.startswith("plain: memory of a training step, batch 16 [predicted]")
    assert "Optimizer: adam. Loss: cross-entropy." in second
    assert said(f"{words} --markdown", capsys).count("**plain: ") == 2


def test_the_largest_batch_fits_and_the_next_does_not(capsys: pytest.CaptureFixture[str]) -> None:
    text = said("analyze simple_nn --optimizer adam --fits 40MB --top 1", capsys)
    batch = int(text.partition("fits into 40MB: ")[2].partition(".")[0].replace(",", ""))
    module = SimpleNN().build((3, 32, 32), 10)
    peaks = [step_memory(module, (3, 32, 32), batch=b, optimizer=Adam()).peak_bytes
             for b in (batch, batch + 1)]  # fmt: skip
    assert peaks[0] <= 40_000_000 < peaks[1]


def test_memory_where_cross_entropy_does_not_fit(capsys: pytest.CaptureFixture[str]) -> None:
    text = said("analyze nets.py:Pair --input 4 --memory --fits 1MiB", capsys)
    assert "Loss: mean of all outputs" in text
    assert "fits into 1MiB: " in text


# --- mistakes -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("words", "parts"), [
    ("analyze", ["NETWORK"]),
    ("analyze vg16", ["Did you mean 'vgg16'"]),
    ("analyze vgg17", ["11, 13, 16, 19"]),
    ("analyze vgg19 --input 3x16x16", ["16 x 16", "at least 32"]),
    ("analyze vgg19 --input 1x3x224x224", ["1 x 3 x 224 x 224", "channels x height x width"]),
    ("analyze vgg19 --input x=3x224x224", ["vgg19 takes one input"]),
    ("analyze vgg19 --input int64:3x224x224", ["vgg19 takes one input"]),
    ("analyze vgg19 --input 3x224xa", ["'3x224xa'", "whole number", "3x224x224"]),
    ("analyze vgg19 --input 3x0x224", ["'3x0x224'", "at least 1"]),
    ("analyze vgg19 --input int65:3x224", ["'int65'", "Did you mean 'int64'"]),
    ("analyze vgg19 --batch 0", ["--batch is 0", "at least 1"]),
    ("analyze vgg19 --outputs -3", ["--outputs is -3"]),
    ("analyze vgg19 --batch two", ["--batch", "'two'"]),
    ("analyze vgg19 --top 0", ["--top is 0"]),
    ("analyze vgg19 --tpo 3", ["Did you mean '--top'"]),
    ("analyze vgg19 --details fields", ["--details", "field"]),
    ("analyze vgg19 --figure net.gif", ["net.gif", ".svg"]),
    ("analyze lenet5 --figure no/such/folder/net.svg", ["no/such/folder/net.svg", "No such file"]),
    ("analyze vgg19 --fits much", ["'much'", "16GB"]),
    ("analyze lenet5 --fits 1kB", ["1 kB", "smaller network"]),
    ("analyze torch.nn:Identity --input 3 --memory", ["no parameters to train", "--memory"]),
    ("analyze vgg19 --optimizer adm", ["Did you mean 'adam'"]),
    ("analyze lenet5 --optimizer sgd:momentun=0.9", ["Did you mean 'momentum'"]),
    ("analyze nets.py:plain", ["what its input looks like", "--input", "(input)"]),
    ("analyze nets.py:plian --input 20", ["Did you mean 'plain'"]),
    ("analyze nets.py:plain --input 21", ["1x21", "input shape"]),
    ("analyze nets.py:plain --input 20 --outputs 3", ["--outputs is for components"]),
    ("analyze nets.py:TwoTowers", ["(left, right, scale=None)"]),
    ("analyze nets.py:TwoTowers --input 3x32x32", ["'right'", "(left, right, scale=None)"]),
    ("analyze nets.py:TwoTowers --input left=1x3x32x32 --input rihgt=1x3x32x32",
     ["'rihgt'", "(left, right, scale=None)"]),
    ("analyze nets.py:TwoTowers --input left=1x3x32x32 --input 3x32x32", ["all of them"]),
    ("analyze nets.py:TwoTowers --input left=1x3x32x32 --input left=1x3x32x32", ["twice"]),
    ("analyze nets.py:TwoTowers --input left=1x3x32x32 --input right=1x3x32x32 --batch 4",
     ["--batch", "have one already"]),
    ("analyze nets.py:Branches --input 4", ["asks for the value of a number", "branch"]),
    ("compare vgg19", ["One network alone", "epochlab analyze vgg19"]),
    ("compare vgg19 vg16", ["Did you mean 'vgg16'"]),
    ("compare vgg19 lenet5 --input 1x28x28", ["28 x 28", "at least 32"]),
])  # fmt: skip
def test_mistakes(words: str, parts: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    refused(words.split(), capsys, *parts)


def test_broken_imports(capsys: pytest.CaptureFixture[str]) -> None:
    Path("broken.py").write_text("import not_there_at_all\n")
    refused(["analyze", "broken.py:Net", "--input", "3"], capsys, "broken.py", "not_there_at_all")
    refused(["analyze", "broken:Net", "--input", "3"], capsys, "broken", "not_there_at_all")
    refused(["analyze", "no.such:Net", "--input", "3"], capsys, "no module 'no.such'")


@pytest.mark.parametrize("words", ["analyze --help", "compare --help", "analyze x --tpo 3"])
def test_help_and_refused_options_do_not_import_torch(words: str) -> None:
    code = """
import sys
from epochlab.cli import main
try:
    main(sys.argv[1:])
except SystemExit:  # argparse leaves so after its help
    pass
print(" ".join(sorted({name.partition(".")[0] for name in sys.modules})))
"""
    done = subprocess.run(
        [sys.executable, "-c", code, *words.split()], capture_output=True, text=True, check=True
    )
    modules = set(done.stdout.splitlines()[-1].split())
    assert "epochlab" in modules
    assert modules & HEAVY == set()


def test_modules_are_left_alone(capsys: pytest.CaptureFixture[str]) -> None:
    """What the user's file built has its numbers and its mode afterwards."""
    Path("kept.py").write_text(
        "from torch import nn\nnet = nn.Sequential(nn.Linear(2, 2), nn.Dropout())\n"
    )
    try:
        said("analyze kept.py:net --input 2 --memory --optimizer adam", capsys)
        net: nn.Module = sys.modules["epochlab_outside_kept"].net
        assert net.training
        assert all(p.device == torch.device("cpu") and p.grad is None for p in net.parameters())
    finally:
        sys.modules.pop("epochlab_outside_kept", None)
