"""Tables of timings: every number from the timing, nothing spoiled without a word."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from epochlab.cost import trace
from epochlab.hardware import Device, Figure
from epochlab.measure import (
    Calibration,
    Effort,
    LayersTiming,
    OperatorShape,
    OperatorTiming,
    Timing,
    chosen_operators,
    time_call,
    time_layers,
)
from epochlab.measure.stopwatch import CpuStopwatch
from epochlab.measure.tables import (
    calibration_table,
    difference_table,
    kinds_table,
    layers_table,
    passes_table,
    roofline_table,
)

from .fakes import FakeClock, FixedWatch, Takes

COST = trace(nn.Sequential(nn.Linear(10, 5)), (10,), batch=4, name="net")


def device(peak: float = 1600.0) -> Device:
    figure = Figure(value=peak, source="a test", date="2026-11-21", spread=0.01)
    return Device(name="this", kind="cpu", title="a chip", peak_fp32_flops_per_s=figure,
                  bandwidth_bytes_per_s=replace(figure, value=100.0))  # fmt: skip


def timed(seconds: float) -> Timing:
    return time_call(lambda: None, watch=FixedWatch(seconds), effort=Effort(limit_s=1e3, least=6))


def spoiled() -> Timing:
    clock = FakeClock(others=1.0)

    def call() -> None:
        clock.work(1.0)
        clock.wait(1.0)

    return time_call(call, watch=CpuStopwatch(clock), effort=Effort(limit_s=10, least=6))


def layered(training: bool = False) -> LayersTiming:
    clock = FakeClock()

    class Linear(nn.Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            clock.work(0.5)
            return super().forward(x)

    net = nn.Sequential(Linear(10, 5), nn.Sequential(Takes(clock, 0.25), nn.Identity()))
    return time_layers(net, torch.ones(4, 10), watch=CpuStopwatch(clock), training=training,
                       name="net", effort=Effort(limit_s=1e3, least=6, sample_s=1e-9))  # fmt: skip


def test_passes() -> None:
    table = passes_table({"forward": timed(0.5)}, COST, device(), {"update (difference)": 0.125})
    first, second = table.records()
    assert (first["what"], first["median"], first["lower quartile"]) == ("forward", 500.0, 500.0)
    assert first["per second"] == 8.0
    assert first["of peak"] == 2 * 4 * 50 / 0.5 / 1600
    assert first["state"] == "ok"
    assert (second["what"], second["median"], second["of peak"]) == (
        "update (difference)", 125.0, None,
    )  # fmt: skip
    text = table.text()
    assert "Batch 4, input 4x10, 1 thread." in text
    assert "Reading the clock adds 500 ms to a pass" in text
    assert "Peak of 1 thread: 1.6 kFLOP/s (measured 2026-11-21, spread 1.0 %)" in text
    assert "spoiled" not in text.lower()
    assert "disturbed by other work" not in text


def test_without_peaks_there_is_no_percent_and_the_table_says_why() -> None:
    table = passes_table({"forward": timed(0.5)}, COST, None, {})
    assert table.records()[0]["of peak"] is None
    assert "'epochlab measure' measures them" in table.text()


def test_training_counts_backward() -> None:
    names = ("forward", "forward, training", "forward + backward", "training step")
    table = passes_table({name: timed(1.0) for name in names}, COST, device(), {})
    assert COST.backward_macs == 200  # gradients of the weights alone: the input has none
    assert [row["of peak"] for row in table.records()] == [0.25, 0.25, 0.5, 0.5]


def test_a_spoiled_pass_is_marked_in_row_and_note() -> None:
    table = passes_table({"forward": spoiled()}, COST, device(), {"update (difference)": 1.0})
    assert [row["state"] for row in table.records()] == ["spoiled", "spoiled"]
    text = table.text()
    assert "SPOILED: most samples were disturbed" in text
    assert "samples were disturbed by other work, and repeated" in text
    assert "Other processes kept up to 1.0 cores busy" in text
    assert "SPOILED" in table.json()
    assert "spoiled" in table.csv()


def test_layers() -> None:
    table = layers_table(layered(), device())
    first, second, _ = table.records()
    assert (first["layer"], first["kind"], first["in place"], first["alone"]) == (
        "0", "linear", 500.0, 500.0,
    )  # fmt: skip
    assert first["share"] == pytest.approx(0.5 / 0.75)
    work = 2 * 200 + 20  # products, and a bias for each output
    assert first["GFLOP/s"] == pytest.approx(work / 0.5 / 1e9)
    assert first["of peak"] == pytest.approx(work / 0.5 / 1600)
    assert second["layer"] == "1.0"
    assert "backward" not in first


def test_layers_in_training_have_backward() -> None:
    table = layers_table(layered(training=True), None)
    assert {"backward", "backward alone"} <= {column.name for column in table.columns}
    assert "this machine's peaks" in table.text().lower()


def test_kinds() -> None:
    rows = {row["kind"]: row for row in kinds_table(layered(), device()).records()}
    assert rows["linear"]["layers"] == 1
    assert rows["linear"]["in place"] == 500.0
    moved = 4 * (40 + 50 + 5 + 20)
    assert rows["linear"]["GB/s"] == pytest.approx(moved / 0.5 / 1e9)
    assert rows["linear"]["of bandwidth"] == pytest.approx(moved / 0.5 / 100)
    assert rows["linear"]["FLOP per byte"] == pytest.approx(420 / moved)


def test_the_difference_adds_up() -> None:
    timing = layered(training=True)
    rows = difference_table(timing).records()
    assert sum(row["time"] for row in rows[:4]) == pytest.approx(rows[4]["time"], rel=1e-12)
    assert rows[4]["of the whole"] == 1.0
    backward = [row["time"] for row in rows if row["part"].startswith("backward")]
    assert backward[0] + backward[1] == pytest.approx(backward[2])
    assert "SPOILED" not in difference_table(timing).text()


def test_spoiled_layers_are_marked_everywhere() -> None:
    timing = replace(layered(), passes_spoiled=True)
    assert {row["state"] for row in layers_table(timing, device()).records()} == {"spoiled"}
    for table in (layers_table(timing, None), kinds_table(timing, None), difference_table(timing),
                  roofline_table(timing)):  # fmt: skip
        assert "SPOILED" in table.text()


def test_the_roofline_has_the_layers_that_compute() -> None:
    rows = roofline_table(layered()).records()
    assert [row["layer"] for row in rows] == ["0", "1.0"]
    assert rows[0]["speed"] == pytest.approx(420 / 0.5 / 1e9)


def test_calibration() -> None:
    shape = OperatorShape(kind="convolution", in_channels=4, out_channels=4, side=4)
    operator = next(one for one in chosen_operators([shape], []) if one.name == "convolution")
    assert operator.flops == 2 * 4 * 4 * 16
    seconds = operator.flops / 800
    one = OperatorTiming(operator=operator, threads=1, near_s=seconds, far_s=seconds, spread=0.1)
    slow = replace(one, near_s=2 * seconds, far_s=2 * seconds, spoiled=True)
    found = Calibration(threads=1, operators=(one, slow), networks=())
    (row,) = calibration_table(found, device()).records()
    assert (row["operator"], row["forms"], row["spoiled"]) == ("convolution", 2, 1)
    assert (row["lowest of peak"], row["highest of peak"]) == (0.25, 0.5)
    assert (row["shortest"], row["longest"]) == (1000 * seconds, 2000 * seconds)
    table = calibration_table(found, None)
    assert table.records()[0]["median of peak"] is None
    assert "'epochlab measure' measures them" in table.text()
