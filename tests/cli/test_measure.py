"""The command measure: the machine, networks, layers, figures, formats, mistakes."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from torch import nn

from epochlab.cli import main
from epochlab.hardware import load_device
from epochlab.measure import (
    OperatorShape,
    SampleNetwork,
    chosen_operators,
    load_calibration,
)
from epochlab.measure.guard import cores
from epochlab.table import FORMATS

from .own_networks import NETS, said

FAST = "--time-limit 0.05"
MORE_NETS = """
class NoParameters(nn.Module):
    def forward(self, x):
        return x + 1

class Either(nn.Module):
    def __init__(self):
        super().__init__()
        self.left, self.right = nn.Linear(4, 4), nn.Linear(4, 4)
    def forward(self, x):
        return self.left(x) if x.sum() > 0 else self.right(x)
"""


@pytest.fixture(autouse=True)
def nets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A file with networks of one's own, and a folder for the machine's figures."""
    (tmp_path / "nets.py").write_text(NETS + MORE_NETS)
    (tmp_path / "hardware").mkdir()
    monkeypatch.setenv("EPOCHLAB_HARDWARE", str(tmp_path / "hardware"))
    yield
    for name in ("nets", "epochlab_outside_nets"):
        sys.modules.pop(name, None)


@pytest.fixture
def measured(tmp_path: Path) -> None:
    """A machine that has been measured, its figures made up."""
    from epochlab.hardware import Device, Figure, OnThreads
    from epochlab.measure import save_device
    from epochlab.train.record import machine

    figure = Figure(value=1e12, source="a test", date="2026-11-21", spread=0.01)
    some = {"peak_fp32_flops_per_s": figure, "bandwidth_bytes_per_s": figure}
    save_device(Device(
        name="this", kind="cpu", title=f"{machine()['processor']}, {cores()} cores", **some,
        on_threads=tuple(OnThreads(threads=n, **some) for n in sorted({1, cores()})),
    ))  # fmt: skip


def refused(words: str, capsys: pytest.CaptureFixture[str], *parts: str) -> None:
    assert main(words.split()) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    text = " ".join(captured.err.split())
    assert text.startswith("error: ")
    assert "Traceback" not in text
    for part in parts:
        assert part in text


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


# --- the machine ----------------------------------------------------------------------------------


def test_the_machine_is_measured_saved_and_shown(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("epochlab.measure.peaks.SIZES", (64, 128))
    monkeypatch.setattr("epochlab.measure.peaks._far_beyond_caches_bytes", lambda device: 1 << 20)
    text = said(f"measure {FAST}", capsys)
    assert "[measured]" in text
    assert "peak_bf16_flops_per_s, on 1 thread" in text
    assert "Saved: " in text
    assert "Next: epochlab show this" in text
    device = load_device("this")
    assert {one.threads for one in device.on_threads} >= {1, cores()}
    shown = said("show this --csv", capsys)
    assert "spread" in shown.splitlines()[0]
    assert rows_of(shown)[0]["figure"] == "peak_fp32_flops_per_s"
    assert float(rows_of(shown)[0]["value"]) == device.peak().value
    assert "this" in said("list hardware", capsys)
    one = said(f"measure --threads 1 --json {FAST}", capsys)
    assert json.loads(one)["label"] == "measured"
    assert [part.threads for part in load_device("this").on_threads] == [1]


@pytest.mark.usefixtures("measured")
def test_operators_are_calibrated(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    few = [OperatorShape(kind="linear", in_channels=4, out_channels=3),
           OperatorShape(kind="activation", in_channels=3, out_channels=3, side=4)]  # fmt: skip
    monkeypatch.setattr("epochlab.measure.operators.designed_shapes", lambda: few)
    tiny = SampleNetwork(name="tiny", make=lambda: nn.Linear(3, 2), input_shape=(3,), batches=(1,))
    monkeypatch.setattr("epochlab.measure.calibration.sample_networks", lambda: [tiny])
    text = said(f"measure --calibrate --threads 1 {FAST}", capsys)
    assert "this_operators.json" in text
    assert "Next: epochlab predict" in text
    found = load_calibration(1)
    assert [one.operator for one in found.operators] == chosen_operators(few, [tiny])
    assert [one.network for one in found.networks] == ["tiny"]


# --- networks -------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("words", ["measure mlp --batch 4", "measure mlp --layers --threads 1"])
def test_every_format(form: str, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = said(f"{words} {FAST} --format {form}", capsys)
    assert "mlp" in text or form == "csv"
    assert ("Next: " in text) is (form == "text")


def test_forward_alone_and_training(capsys: pytest.CaptureFixture[str]) -> None:
    rows = rows_of(said(f"measure lenet5 --batch 2 {FAST} --csv", capsys))
    assert [row["what"] for row in rows] == ["forward"]
    rows = rows_of(said(f"measure lenet5 --batch 2 --training {FAST} --csv", capsys))
    assert [row["what"] for row in rows] == [
        "forward", "forward, training", "forward + backward", "training step",
        "backward (difference)", "update (difference)",
    ]  # fmt: skip
    assert all(float(row["median [ms]"]) > 0 for row in rows[:4])


def test_own_networks_and_inputs_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    text = said(f"measure nets.py:Tagger --input int64:7 --training {FAST}", capsys)
    assert "input 1x7" in text
    words = "nets.py:TwoTowers --input left=2x3x32x32 --input right=2x3x32x32"
    text = said(f"measure {words} --layers {FAST}", capsys)
    assert "tower.0 (call 2)" in text
    assert "Batch 2" in text


def test_a_branch_on_the_data_is_followed_with_real_numbers(
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = said(f"measure nets.py:Either --input 4 --layers {FAST} --part difference", capsys)
    assert "Either: the sum of layers and the whole" in text
    assert "Either: time of a pass" in said(f"measure nets.py:Either --input 4 {FAST}", capsys)


def test_layers_kinds_and_difference(capsys: pytest.CaptureFixture[str]) -> None:
    text = said(f"measure lenet5 --layers {FAST}", capsys)
    for title in ("time by layer", "percent of peak by kind of layer", "the sum of layers"):
        assert f"lenet5: {title}" in text
    assert "'epochlab measure' measures them" in " ".join(text.split())
    assert "Next: epochlab measure\n" in text
    one = said(f"measure lenet5 --layers --part difference {FAST}", capsys)
    assert "time by layer" not in one
    rows = rows_of(said(f"measure lenet5 --layers --part difference {FAST} --csv", capsys))
    times = [float(row["time [ms]"]) for row in rows]
    assert sum(times[:4]) == pytest.approx(times[4], rel=1e-9)


@pytest.mark.usefixtures("measured")
def test_percent_of_peak_of_the_measured_machine(capsys: pytest.CaptureFixture[str]) -> None:
    text = said(f"measure lenet5 --threads 1 {FAST}", capsys)
    assert "Peak of 1 thread: 1 TFLOP/s (measured 2026-11-21, spread 1.0 %)" in text
    (row,) = rows_of(said(f"measure lenet5 --threads 1 {FAST} --csv", capsys))
    assert 0 < float(row["of peak"]) < 1


@pytest.mark.usefixtures("measured")
@pytest.mark.parametrize("columns", [80, 100, 120])
@pytest.mark.parametrize("words", ["lenet5 --training", "lenet5 --layers --training"])
def test_text_fits_into_a_terminal(
    words: str, columns: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    body = said(f"measure {words} {FAST}", capsys).partition("Next: ")[0]
    assert [line for line in body.splitlines() if len(line) > columns] == []


@pytest.mark.usefixtures("measured")
@pytest.mark.parametrize(("ending", "begin"), [("svg", b"<svg"), ("html", b"<!doctype html>")])
def test_roofline(ending: str, begin: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("altair", reason="needs the extra 'report'")
    text = said(f"measure lenet5 --layers --figure roof.{ending} {FAST}", capsys)
    assert f"Figure: roof.{ending}" in text
    content = Path(f"roof.{ending}").read_bytes()
    assert content.startswith(begin)
    assert b"flat roof: fp32 peak, 1 TFLOP/s" in content


# --- mistakes -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("words", "parts"), [
    ("measure lenet", ["network", "Did you mean 'lenet5'"]),
    ("measure lenet5 --batch 0", ["--batch is 0", "at least 1"]),
    ("measure lenet5 --threads 0", ["threads is 0", f"from 1 to {cores()}"]),
    ("measure --threads 100000", ["threads is 100000", "cores that this process may use"]),
    ("measure --calibrate --threads -1", ["threads is -1"]),
    ("measure lenet5 --time-limit 0", ["--time-limit is 0", "above 0"]),
    ("measure lenet5 --time-limit nan", ["--time-limit is nan"]),
    ("measure lenet5 --input 3x0x4", ["--input is '3x0x4'"]),
    ("measure alexnet --input 3x8x8", ["cannot take images of 8 x 8"]),
    ("measure nets.py:Tagger", ["say what its input looks like"]),
    ("measure nets.py:Pair --input 5", ["was given 1x5"]),
    ("measure lenet5 --part kinds", ["give --layers as well"]),
    ("measure lenet5 --figure roof.png", ["give --layers as well"]),
    ("measure lenet5 --layers --figure roof.gif", ["must end in one of"]),
    ("measure lenet5 --layers --figure roof.png", ["A roofline needs this machine's peaks"]),
    ("measure --batch 4", ["--batch is for a network"]),
    ("measure --layers", ["--layers is for a network"]),
    ("measure lenet5 --calibrate", ["leave NETWORK out"]),
    ("measure --calibrate --device cuda", ["for the CPU"]),
    ("measure lenet5 --layer", ["Did you mean '--layers'"]),
    ("measure nets.py:NoParameters --input 4 --training", ["no parameter that is trained"]),
    ("measure nets.py:NoParameters --input 4 --layers", ["has no layers"]),
])  # fmt: skip
def test_mistakes(words: str, parts: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    refused(words, capsys, *parts)


@pytest.mark.skipif("__import__('torch').cuda.is_available()", reason="there is a CUDA device")
def test_no_cuda_device(capsys: pytest.CaptureFixture[str]) -> None:
    refused("measure lenet5 --device cuda", capsys, "sees no CUDA device")


def test_help_does_not_import_torch() -> None:
    code = (
        "import sys; from epochlab.cli import main\n"
        "try: main(['measure', '--help'])\n"
        "except SystemExit as end: assert end.code == 0\n"
        "print(*sorted({'torch', 'altair', 'rich', 'numpy'} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "epochlab measure resnet20" in done.stdout
    assert done.stderr.strip() == ""
