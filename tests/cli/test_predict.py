"""The command predict: tables, published K80 times, figures, what comes next, mistakes."""

from __future__ import annotations

import csv
import io
import json
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from epochlab.cli import main
from epochlab.cli._predict_options import MODELS
from epochlab.predict import calibrated
from epochlab.predict.collectives import SCHEMES
from epochlab.predict.setting import MODELS as STEP_MODELS
from epochlab.table import FORMATS
from tests.predict.numbers import THIS_TOML

from .own_networks import NETS, records, said
from .test_mistakes import refused
from .test_startup import HEAVY

SMALL = "predict resnet20 --on k80,v100"


@pytest.fixture(autouse=True)
def nets(tmp_path: Path) -> Iterator[None]:
    """A file with networks of one's own; its module is forgotten afterwards."""
    (tmp_path / "nets.py").write_text(NETS)
    yield
    for name in ("nets", "epochlab_outside_nets"):
        sys.modules.pop(name, None)


@pytest.fixture
def this(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that was measured, and not calibrated."""
    folder = tmp_path / "my hardware"
    folder.mkdir()
    (folder / "this.toml").write_text(THIS_TOML)
    monkeypatch.setenv("EPOCHLAB_HARDWARE", str(folder))


# --- theoretical times of the K80 -----------------------------------------------------------------

# N-14: time F / P and throughput P / F, as printed: 1 and 2 FLOP per MAC at 8.73 TFLOP/s, then the
# time with 2 on one of the two GPUs at 4.37.
K80_TIMES = {
    "vgg16": (15_470_264_320, "1.7721", "564.3", "3.5442", "282.2", "7.0802"),
    "googlenet": (1_582_671_872, "0.1813", "5,516", "0.3626", "2,758", "0.7243"),
    "resnet50:version=v1": (3_857_973_248, "0.4419", "2,262.8", "0.8838", "1,131.4", "1.7657"),
    "vgg19": (19_632_062_464, "2.2488", "444.7", "4.4976", "222.3", "8.9849"),
}


def as_printed(value: float, printed: str) -> str:
    """With as many decimals as were printed."""
    return f"{value:,.{len(printed.partition('.')[2])}f}"


@pytest.mark.parametrize("network", K80_TIMES)
def test_theoretical_times_of_the_k80(network: str, capsys: pytest.CaptureFixture[str]) -> None:
    macs, *printed = K80_TIMES[network]
    at_peak = f"predict {network} --model ideal"
    (board,) = records(f"{at_peak} --on k80_board --peak 8.73e12", capsys)
    cells = [board[key] for key in ("time, 1/MAC", "rate, 1/MAC", "time, 2/MAC", "rate, 2/MAC")]
    gpu = records(f"{at_peak} --on k80 --clock boost", capsys)[0]
    cells.append(gpu["time, 2/MAC"])
    assert [as_printed(v, p) for v, p in zip(cells, printed, strict=True)] == printed
    # The same with the operations typed in, in either convention.
    for typed in (f"--macs {macs}", f"--flops {2 * macs}"):
        (row,) = records(f"predict {typed} --on k80_board --peak 8.73e12", capsys)
        assert row == board


def test_both_clocks_and_both_conventions(capsys: pytest.CaptureFixture[str]) -> None:
    rows = records("predict vgg16 --on k80_board,k80 --model ideal", capsys)
    found = [(r["device"], r["clock"], r["peak"], round(r["time, 2/MAC"], 4)) for r in rows]
    macs = K80_TIMES["vgg16"][0]
    peaks = (("k80_board", "base", 5.6), ("k80_board", "boost", 8.74), ("k80", "base", 2.8),
             ("k80", "boost", 4.37))  # fmt: skip
    assert found == [(name, clock, peak, round(2 * macs / peak / 1e9, 4))
                     for name, clock, peak in peaks]  # fmt: skip
    assert all(row["time, 2/MAC"] == 2 * row["time, 1/MAC"] for row in rows)
    text = said("predict vgg16 --on k80_board,k80 --model ideal", capsys)
    assert "15,470,264,320 multiply-accumulates" in text
    assert "AnandTech" in text


def test_typed_operations_beside_the_network(capsys: pytest.CaptureFixture[str]) -> None:
    text = " ".join(said("predict vgg16 --on k80 --flops 30.94e9", capsys).split())
    assert "epochlab counts 15,470,264,320 multiply-accumulates, +0.00% of the given" in text
    assert "-3.31%" in said("predict vgg16 --on k80 --macs 16e9", capsys)


# --- a step ---------------------------------------------------------------------------------------


def test_a_step_on_two_devices(capsys: pytest.CaptureFixture[str]) -> None:
    text = said(f"{SMALL} --batch 32 --samples 50000 --epochs 10", capsys)
    assert text.startswith("resnet20: a training step [predicted]")
    joined = " ".join(text.split())
    for part in ("percent of peak 0.62 (computing), 0.72 (communication)",
                 "FLOP: 2 per multiply-accumulate", "10 epochs of 50,000 samples",
                 "0.45 USD per hour (on-demand), read 2026-11", "Least time: v100, batch 32",
                 "Least cost:", "Next: epochlab predict resnet20"):  # fmt: skip
        assert part in joined, part
    rows = records(f"{SMALL} --batch 32 --samples 50000 --epochs 10", capsys)
    assert [row["device"] for row in rows] == ["k80", "v100"]
    for row in rows:
        parts = row["forward"] + row["backward"] + row["update"]
        assert row["step"] == pytest.approx(parts, rel=1e-12)
        assert row["samples/s"] == pytest.approx(32_000 / row["step"], rel=1e-12)
        assert row["epoch"] == pytest.approx(1563 * row["step"] / 1000, rel=1e-12)
        assert row["fit"] == "fits"


@pytest.mark.parametrize("form", FORMATS)
def test_every_format(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = said(f"{SMALL} --format {form}", capsys)
    assert "k80" in text
    assert ("Next:" in text) is (form == "text")
    if form == "csv":
        assert [row["device"] for row in csv.DictReader(io.StringIO(text))] == ["k80", "v100"]


def test_what_if(capsys: pytest.CaptureFixture[str]) -> None:
    words = f"{SMALL} --batch 32,64,128 --workers 1,2,4,8 --link ethernet10"
    rows = records(words, capsys)
    assert len(rows) == 2 * 3 * 4
    best = [row for row in rows if row["best"] == "*"]
    assert 0 < len(best) < len(rows)
    for row in best:
        assert not any(o["a million samples"] <= row["a million samples"]
                       and o["cost"] < row["cost"] for o in rows)  # fmt: skip
    text = said(words, capsys)
    assert "speed-up" in text
    assert "Weak scaling" in text


def test_paleos_own_network_and_scheme(capsys: pytest.CaptureFixture[str]) -> None:
    words = ("predict paleo:alex_v2 --on k80_board --clock base --batch 256 --workers 1,2,4,8 "
             "--link ethernet20 --scheme tree --revision 2016-12")  # fmt: skip
    steps = [round(row["step"], 3) for row in records(f"{words} --scaling strong", capsys)]
    assert steps == [421.585, 435.904, 554.85, 726.11]
    steps = [round(row["step"], 3) for row in records(f"{words} --ppp 0.62,0.72", capsys)]
    assert steps == [421.585, 645.158, 868.731, 1092.304]


def test_layers(capsys: pytest.CaptureFixture[str]) -> None:
    rows = records("predict paleo:alex_v2 --on k80_board --clock base --batch 128 --ppp ideal "
                   "--layers", capsys)  # fmt: skip
    conv2 = next(row for row in rows if row["layer"] == "conv2")
    # The authors' program prints 9.4934 and 18.9867 for computing, 0.1885 and 0.4056 for moving.
    assert round(conv2["forward compute"], 4) == 9.4934
    assert round(conv2["backward compute"], 4) == 18.9867
    assert round(conv2["forward read"] + conv2["forward write"], 4) == 0.1885
    assert round(conv2["backward read"] + conv2["backward write"], 4) == 0.4056
    roof = records("predict resnet20 --on v100 --model roofline --layers", capsys)
    assert roof[0]["bound by"] in ("compute", "memory")
    text = said("predict resnet20 --on v100 --layers", capsys)
    assert "each layer by PALEO" in text
    assert text.index("a training step") < text.index("each layer by PALEO")


def test_a_network_of_ones_own(capsys: pytest.CaptureFixture[str]) -> None:
    (row,) = records("predict nets.py:plain --on t4 --input 20 --batch 16", capsys)
    assert row["batch"] == 16
    (row,) = records("predict nets.py:functional --on t4 --input 3x8x8", capsys)
    assert row["device"] == "t4"


def test_a_network_larger_than_the_memory(capsys: pytest.CaptureFixture[str]) -> None:
    words = "predict vgg16 --on k80 --batch 512"
    (row,) = records(words, capsys)
    assert row["fit"] == f"needs {row['memory']:.3g} GB of 12 GB"
    assert 0 < row["largest batch"] < 512
    assert "Nothing fits" in said(words, capsys)


@pytest.mark.usefixtures("this")
def test_this_machine(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def fake(module: Any, input_shape: Any, *, batch: int, threads: int | None) -> Any:
        asked.append((batch, threads))
        return SimpleNamespace(forward_s=0.01, backward_s=0.02, update_s=0.005, low_s=0.03,
                               high_s=0.04)  # fmt: skip

    monkeypatch.setattr(calibrated, "calibrated_step", fake)
    (row,) = records("predict lenet5 --batch 8", capsys)
    assert (row["device"], row["low"], row["high"]) == ("this", 30, 40)
    assert row["step"] == pytest.approx(35)
    text = said("predict lenet5 --batch 8 --threads 3", capsys)
    assert "this, batch 8: 35 ms a step (30 ms to 40 ms)" in text
    assert "this: this machine, 3 threads; no price known (on-demand)." in text
    assert asked[-1] == (8, 3)
    asked.clear()
    rows = records("predict lenet5 --batch 8 --on k80,this", capsys)
    assert [(r["device"], r["model"], r["low"]) for r in rows] == [
        ("k80", "paleo", None), ("this", "calibrated", 30),
    ]  # fmt: skip
    assert asked == [(8, None)]
    refused(["predict", "lenet5", "--layers"], capsys, "--model paleo")
    assert records("predict lenet5 --on this --model roofline --layers", capsys)


@pytest.mark.usefixtures("this")
def test_a_machine_without_calibration(capsys: pytest.CaptureFixture[str]) -> None:
    refused(["predict", "lenet5"], capsys, "epochlab measure --calibrate")


def test_without_a_measured_machine_common_devices_stand_for_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    rows = records("predict lenet5", capsys)
    assert [row["device"] for row in rows] == ["t4", "v100", "a100"]


# --- beside the table -----------------------------------------------------------------------------


@pytest.mark.parametrize(("more", "title", "names"), [
    ("--workers 1,2,4 --link ethernet10", "speed-up over workers", ("ideal", "v100")),
    ("--workers 1,2 --link ethernet10 --scaling weak,strong --batch 64,128",
     "speed-up over workers", ("strong", "k80, batch 64")),
    ("--batch 8,16,32", "samples per second over the batch", ("k80", "v100")),
    ("--workers 4 --link ethernet10", "the parts of a step", ("communication", "forward")),
    ("", "the parts of a step", ("backward", "update")),
])  # fmt: skip
def test_figures(
    more: str, title: str, names: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    text = said(f"{SMALL} {more} --figure step.svg", capsys)
    assert "Figure: step.svg" in text
    svg = Path("step.svg").read_text(encoding="utf-8")
    for part in (title, "predicted", *names):
        assert part in svg, part
    assert ("communication" in svg) is ("communication" in names)


@pytest.mark.parametrize("words", ["predict resnet20 --on k80,v100",
    "predict resnet20 --on k80 --workers 1,2 --link pcie3 --samples 1000 --figure a.svg",
    "predict resnet20 --on k80 --model ideal", "predict --flops 1e9 --on k80",
    "predict nets.py:plain --on t4 --input 20"])  # fmt: skip
def test_what_is_said_to_come_next_runs(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = said(words, capsys)
    following = text[text.index("Next: ") + 6 :].split("\n")
    commands = [shlex.split(line) for line in following if line.strip()]
    assert commands
    for command in commands:
        assert command[:2] == ["epochlab", "predict"]
        assert main(command[1:]) == 0, command


def test_the_json_has_units_and_the_label(capsys: pytest.CaptureFixture[str]) -> None:
    document = json.loads(said(f"{SMALL} --json", capsys))
    assert document["label"] == "predicted"
    assert document["units"]["step"] == "ms"
    assert document["units"]["cost"] == "USD"


def test_help_is_quick_and_names_every_scheme_and_model(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert not imported_by_help() & HEAVY
    with pytest.raises(SystemExit):
        main(["predict", "--help"])
    text = " ".join(capsys.readouterr().out.replace("-\n", "-").split()).replace("- ", "-")
    aliases = {"parameter-servers", "one-to-all"}  # the help has servers and star
    for scheme in {*SCHEMES, "servers", "butterfly-mixing"} - aliases:
        assert scheme in text, scheme
    assert set(MODELS) == {*STEP_MODELS, "ideal"}
    assert all(model in text for model in MODELS)


def imported_by_help() -> set[str]:
    """argparse leaves by SystemExit, which is a success here."""
    code = """
import sys
from epochlab.cli import main
try:
    main(["predict", "--help"])
except SystemExit:
    print(*{name.partition(".")[0] for name in sys.modules})
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split())


# --- mistakes -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("words", "parts"), [
    ("vgg16 --on k81", ["Did you mean 'k80'", "my.toml"]),
    ("vgg16 --on ethernet10", ["is a link, not a device", "v100"]),
    ("vgg16 --on this", ["epochlab measure"]),
    ("vg16 --on k80", ["Did you mean 'vgg16'"]),
    ("--on k80", ["Name a network"]),
    ("paleo:vgg17 --on k80", ["Did you mean 'vgg16'", "inception_v3"]),
    ("paleo:vgg16 --on k80 --model roofline", ["only the model 'paleo'"]),
    ("paleo:vgg16 --on k80 --input 3x224x224", ["leave out --input"]),
    ("nets.py:plain --on k80", ["--input 3x224x224", "network of your own"]),
    ("nets.py:plain --on k80 --input 21", ["does not run"]),
    ("nets.py:Tagger --on k80 --input int64:12", ["plain numbers"]),
    ("nets.py:plain --on k80 --input 20 --outputs 5", ["--outputs is for components"]),
    ("vgg16 --on k80 --workers 2", ["--workers 2 needs --link", "ethernet10", "nvlink2"]),
    ("vgg16 --on k80 --workers 2 --link k80", ["is a gpu, not a link", "ethernet10"]),
    ("vgg16 --on k80 --workers 2 --link ethernet11", ["Did you mean 'ethernet1"]),
    ("vgg16 --on k80 --workers 2 --link pcie3 --scheme rng", ["Did you mean 'ring'"]),
    ("vgg16 --on k80 --scheme servers", ["needs --link"]),
    ("vgg16 --on k80 --scheme servers --link pcie3", ["--servers 2"]),
    ("vgg16 --on k80 --workers 2 --link pcie3 --scheme ring --servers 2", ["not for ring"]),
    ("vgg16 --on k80 --workers 4 --link pcie3 --scheme hierarchical", ["--per-node", "--inside"]),
    ("vgg16 --on k80 --workers 5 --link pcie3 --scheme hierarchical --per-node 2 --inside nvlink2",
     ["do not fill nodes of 2"]),
    ("vgg16 --on k80 --scaling week", ["Did you mean 'weak'"]),
    ("vgg16 --on k80 --batch 0", ["--batch is '0'", "8,32,128"]),
    ("vgg16 --on k80 --batch -8", ["--batch is '-8'"]),
    ("vgg16 --on k80 --batch nan", ["--batch is 'nan'"]),
    ("vgg16 --on k80 --batch 8,,9", ["--batch is '8,,9'"]),
    ("vgg16 --on k80 --workers 1.5", ["--workers is '1.5'"]),
    ("vgg16 --on k80 --samples 0", ["--samples is 0"]),
    ("vgg16 --on k80 --samples 5 --epochs nan", ["--epochs is nan"]),
    ("vgg16 --on k80 --epochs 5", ["--epochs needs --samples"]),
    ("vgg16 --on k80 --price free", ["preemptible"]),
    ("vgg16 --on k80 --model roof", ["Did you mean 'roofline'", "ideal"]),
    ("vgg16 --on k80 --model calibrated", ["'k80' cannot be predicted", "'this'"]),
    ("vgg16 --on k80 --threads 2", ["--on this"]),
    ("vgg16 --on k80 --ppp tensorflo", ["Did you mean 'tensorflow'", "0.62"]),
    ("vgg16 --on k80 --ppp 0.5,0.5,0.5", ["two for computing and communication"]),
    ("vgg16 --on k80 --ppp nan", ["compute is nan"]),
    ("vgg16 --on k80 --ppp 0,1", ["compute is 0"]),
    ("vgg16 --on k80 --revision 2017", ["Did you mean '2016-12'"]),
    ("vgg16 --on k80 --precision fp16", ["No peak of 'k80'", "fp32"]),
    ("vgg16 --on k80 --clock top", ["base, boost"]),
    ("vgg16 --on k80 --model ideal --clock top", ["base, boost"]),
    ("vgg16 --on k80,v100 --peak 1e12", ["one device"]),
    ("vgg16 --on k80 --peak nan", ["--peak is nan"]),
    ("--on k80 --flops -1", ["--flops is -1"]),
    ("--on k80 --flops inf", ["--flops is inf"]),
    ("--on k80 --flops 1e9 --macs 1e9", ["give one"]),
    ("--on k80 --model ideal", ["--flops 30.94e9"]),
    ("--on k80 --model paleo --flops 1e9", ["not for paleo"]),
    ("vgg16 --on k80 --model ideal --samples 5", ["--samples has no meaning"]),
    ("vgg16 --on k80 --model ideal --workers 5", ["--workers has no meaning"]),
    ("vgg16 --on k80 --layers --batch 1,2", ["one value to --batch"]),
    ("vgg16 --on k80 --figure step.gif", ["--figure is 'step.gif'"]),
    ("vgg16 --on k80 --worker 2", ["Did you mean '--workers'"]),
    ("vgg16 --on ,", ["--on is ','"]),
])  # fmt: skip
def test_mistakes(words: str, parts: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    refused(["predict", *words.split()], capsys, *parts)
