"""Step times by three models: published rows, hand-made bounds, scaling, and what is refused."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from epochlab.cost import trace
from epochlab.errors import BadData, BadOption, UnknownName, UserError
from epochlab.hardware import Device, Figure, Link, load_device, load_link
from epochlab.networks.lenet5 import Lenet5
from epochlab.networks.mlp import Mlp
from epochlab.networks.resnet_cifar import ResNetCifar
from epochlab.predict import calibrated
from epochlab.predict.bounds import peak_table, roofline, roofline_table
from epochlab.predict.collectives import Channel, all_reduce_seconds
from epochlab.predict.layer_parts import layer_parts, layer_table
from epochlab.predict.paleo import (
    REVISIONS,
    PercentOfPeak,
    paleo_device,
    paleo_layers,
    paleo_network,
    paleo_time,
)
from epochlab.predict.setting import NUMBER_BYTES, SCHEMES, Setting, exchange_seconds
from epochlab.predict.step_time import StepTime, step_time
from epochlab.predict.workload import counted_text, workload_of

from .numbers import THIS_TOML


def figure(value: float) -> Figure:
    return Figure(value=value, source="a test", date="2026")


PLAIN = Device(name="plain", kind="gpu", title="made up", peak_fp32_flops_per_s=figure(1e12),
               peak_fp16_flops_per_s=figure(4e12),
               bandwidth_bytes_per_s=figure(1e11))  # fmt: skip
LATE = Link(name="late", title="made up", bandwidth_bytes_per_s=figure(1e10),
            latency_s=figure(20e-6))  # fmt: skip


# --- PALEO ----------------------------------------------------------------------------------------

# AlexNet v2 on the K80 board at base clock, 20 Gbit/s, TensorFlow, batch 256, in ms, for 1, 2, 4,
# 8, 16, 32, 64, 128 workers: the authors' precompute.json.
PUBLISHED = {
    ("one-to-all", "weak"): "421.585 645.158 1092.304 1986.596 3775.179 7352.347 14506.681 "
                            "28815.349",
    ("tree", "weak"): "421.585 645.158 868.731 1092.304 1315.877 1539.45 1763.023 1986.596",
    ("butterfly", "weak"): "421.585 533.372 645.158 756.945 868.731 980.518 1092.304 1204.091",
    ("one-to-all", "strong"): "421.585 435.904 778.423 1620.402 3382.828 6946.917 14094.712 "
                              "28400.111",
    ("tree", "strong"): "421.585 435.904 554.85 726.11 923.526 1134.021 1351.054 1571.358",
    ("butterfly", "strong"): "421.585 324.118 331.277 390.75 476.38 575.088 680.336 788.852",
}  # fmt: skip


@pytest.mark.parametrize(("scheme", "scaling"), PUBLISHED)
def test_rows_that_the_authors_published(scheme: str, scaling: str) -> None:
    network = paleo_network("alex_v2")
    found = [
        step_time(network, None, "k80_board", clock="base", batch=256, workers=2**power,
                  link="ethernet20", scheme=scheme, scaling=scaling, revision="2016-12").step_s
        for power in range(8)
    ]  # fmt: skip
    printed = PUBLISHED[scheme, scaling].split()
    assert [round(1000 * s, 3) for s in found] == [float(text) for text in printed]


@pytest.mark.parametrize("revision", REVISIONS)
@pytest.mark.parametrize("network", [paleo_network("inception_v3"), paleo_network("alex_v2"),
    paleo_layers(Lenet5()), paleo_layers(ResNetCifar(depth=20), training=True)],
    ids=lambda network: network.name)  # fmt: skip
def test_parts_of_a_layer_add_up_to_its_time(network: Any, revision: Any) -> None:
    device = paleo_device("K40")
    step = paleo_time(network, device=device, batch=32, ppp_compute=0.62, revision=revision)
    for row in step.rows:
        passes = layer_parts(row.layer, 32, device, percent=0.62, revision=revision)
        for parts, whole in zip(passes, (row.forward, row.backward), strict=True):
            assert parts.compute_s == whole.compute
            assert math.isclose(parts.read_s + parts.write_s, whole.io, rel_tol=1e-12)
    table = layer_table(network, 32, device, percent=0.62, revision=revision)
    assert table.rows[-1][0] == "TOTAL"
    assert math.isclose(table.records()[-1]["total"], 1000 * step.iteration_s, rel_tol=1e-12)


def test_a_matrix_product_reads_two_matrices_and_writes_the_third() -> None:
    layer = paleo_layers(nn.Linear(1000, 10), (1000,)).layers[0]
    device = replace(paleo_device("K80"), clock_hz=None)
    forward, backward = layer_parts(layer, 100, device, percent=1.0, revision="master")
    x, w, y = 100 * 1000, 1000 * 10, 100 * 10
    unit_s = 4 / 480e9 * 1e9 / 2**30
    assert math.isclose(forward.read_s, (x + w) * unit_s, rel_tol=1e-12)
    assert math.isclose(forward.write_s, y * unit_s, rel_tol=1e-12)
    # Gradient of x from those of y and w; gradient of w from x and that of y.
    assert math.isclose(backward.read_s, (y + w + x + y) * unit_s, rel_tol=1e-12)
    assert math.isclose(backward.write_s, (x + w) * unit_s, rel_tol=1e-12)


def test_percent_of_peak_by_name_and_by_number() -> None:
    def at(percent: Any) -> StepTime:
        return step_time(Lenet5(), None, PLAIN, batch=8, workers=2, link="ethernet10",
                         percent_of_peak=percent)  # fmt: skip

    assert at(None) == at("tensorflow") == at(PercentOfPeak(compute=0.62, communication=0.72))
    ideal, caffe = at("ideal"), at("Caffe")
    assert math.isclose(caffe.forward_s, ideal.forward_s / 0.21, rel_tol=1e-12)
    assert math.isclose(caffe.communication_s, ideal.communication_s / 0.56, rel_tol=1e-12)
    assert caffe.update_s == ideal.update_s  # PALEO charges updates at the peak
    with pytest.raises(UnknownName, match="Did you mean 'mxnet'"):
        at("mxnt")


def test_numbers_of_two_bytes_move_in_half_of_the_time() -> None:
    steps = [step_time(Mlp(hidden=(64,)), (1, 8, 8), PLAIN, batch=8, workers=4, link="ethernet10",
                       precision=precision, percent_of_peak="ideal", model=model)
             for model in ("paleo", "roofline") for precision in ("fp32", "fp16")]  # fmt: skip
    for full, half in (steps[:2], steps[2:]):
        assert math.isclose(half.communication_s, full.communication_s / 2, rel_tol=1e-12)
        # Compute is a quarter, moving a half.
        assert full.forward_s / 4 < half.forward_s <= full.forward_s / 2
    assert {size for name, size in NUMBER_BYTES.items() if "32" in name} == {4}


def test_clock_chooses_the_peak() -> None:
    base, boost = (step_time(paleo_network("vgg16"), None, "k80", batch=64, clock=clock,
                             model="paleo") for clock in ("base", "boost"))  # fmt: skip
    assert base.forward_s > boost.forward_s > base.forward_s * 2.8 / 4.37


def test_what_costs_nothing_is_named() -> None:
    step = step_time(ResNetCifar(depth=20), None, PLAIN, batch=8)
    assert any("batch_norm (19)" in note and "relu (19)" in note for note in step.notes)
    assert counted_text(("a.b (relu)", "c (relu)", "softmax", "d (add, mul)")) == (
        "relu (2), softmax, add, mul"
    )


# --- roofline -------------------------------------------------------------------------------------


def test_bounds_of_a_linear_layer_by_hand() -> None:
    cost = trace(nn.Linear(1000, 500), (1000,), batch=2, training=True)
    (row,) = roofline(cost, peak_flops_per_s=1e12, bandwidth_bytes_per_s=1e9)
    x, parameters, y = 2 * 1000, 1000 * 500 + 500, 2 * 500
    assert row.forward.flops == 2 * 2 * 1000 * 500
    assert row.forward.moved_bytes == 4 * (x + parameters + y)
    assert row.forward.memory_s == row.forward.seconds == 4 * (x + parameters + y) / 1e9
    assert (row.forward.by, row.forward.compute_s) == ("memory", 2e6 / 1e12)
    # Fed by the data: only the gradient of the weights, from x and the gradient of y.
    assert row.backward.flops == 2 * 2 * 1000 * 500
    assert row.backward.moved_bytes == 4 * (y + x + parameters)


def test_bounds_of_each_kind_of_layer_by_hand() -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), nn.ReLU(), nn.Conv2d(4, 4, 1),
                           nn.MaxPool2d(2), nn.Flatten())  # fmt: skip
    cost = trace(module, (3, 8, 8), batch=2, training=True)
    rows = roofline(cost, peak_flops_per_s=1e12, bandwidth_bytes_per_s=1e12, number_bytes=2)
    image, inside, pooled = 2 * 3 * 8 * 8, 2 * 4 * 6 * 6, 2 * 4 * 3 * 3
    conv, relu, mixing, pool, flat = (row.backward.moved_bytes for row in rows)
    assert conv == 2 * (inside + image + 3 * 3 * 3 * 4)
    assert relu == 2 * 2 * inside
    assert mixing == 2 * (inside + 2 * inside + 2 * (4 * 4 + 4))
    assert (pool, flat) == (2 * (inside + pooled), 0)
    assert [row.backward.flops for row in rows] == [2 * layer.backward_macs
                                                    for layer in cost.layers]  # fmt: skip
    table = roofline_table(rows, "five", "plain")
    assert table.column("layer") == ["0", "1", "2", "3", "4", "TOTAL"]
    total = table.records()[-1]
    assert math.isclose(total["forward"], 1000 * sum(row.forward.seconds for row in rows))


def test_a_sum_hands_its_gradient_on() -> None:
    cost = trace(ResNetCifar(depth=20).build((3, 32, 32), 10), (3, 32, 32), training=True)
    rows = roofline(cost, peak_flops_per_s=1e12, bandwidth_bytes_per_s=1e12)
    sums = [row for row in rows if row.layer.kind == "add"]
    assert len(sums) == 9
    assert all(row.forward.moved_bytes > 0 == row.backward.moved_bytes for row in sums)


def test_the_roofline_step_is_the_sum_of_its_bounds() -> None:
    step = step_time(Lenet5(), None, PLAIN, batch=8, model="roofline")
    module = Lenet5().build((1, 28, 28), 10)
    cost = trace(module, (1, 28, 28), batch=8, training=True)
    rows = roofline(cost, peak_flops_per_s=1e12, bandwidth_bytes_per_s=1e11)
    assert step.forward_s == math.fsum(row.forward.seconds for row in rows)
    assert step.backward_s == math.fsum(row.backward.seconds for row in rows)
    assert step.update_s == 3 * 4 * cost.parameters / 1e11
    assert "lower bound" in step.notes[0]
    half = step_time(Lenet5(), None, PLAIN, batch=8, model="roofline",
                     percent_of_peak=PercentOfPeak(compute=0.5))  # fmt: skip
    assert math.isclose(half.step_s, 2 * step.step_s, rel_tol=1e-12)
    assert "no lower bound" in half.notes[0]


def test_operators_that_cannot_be_counted_are_named() -> None:
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(8, 8)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.fc(x).detach().cholesky_inverse()

    step = step_time(Odd(), (8,), PLAIN, batch=8, model="roofline")
    assert any("Not counted" in note and "cholesky_inverse" in note for note in step.notes)


# --- operations over peak -------------------------------------------------------------------------


def test_operations_over_peak_with_both_clocks_and_conventions() -> None:
    table = peak_table("five", 1e9, [load_device("k80"), load_device("v100")], batches=(1, 10))
    rows = {(r["device"], r["clock"], r["batch"]): r for r in table.records()}
    assert list(rows) == [("k80", "base", 1), ("k80", "base", 10), ("k80", "boost", 1),
                          ("k80", "boost", 10), ("v100", "-", 1), ("v100", "-", 10)]  # fmt: skip
    row = rows["k80", "boost", 10]
    assert row["time, 1/MAC"] == 1000 * 10 * 1e9 / 4.37e12
    assert row["time, 2/MAC"] == 1000 * 20 * 1e9 / 4.37e12
    assert (row["rate, 1/MAC"], row["rate, 2/MAC"]) == (4370.0, 2185.0)
    only = peak_table("five", 1e9, [load_device("k80")], clocks=("base",))
    assert only.column("clock") == ["base"]
    for wrong in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(BadOption, match="above 0"):
            peak_table("five", wrong, [PLAIN])
    with pytest.raises(UnknownName, match="Did you mean 'boost'"):
        peak_table("five", 1e9, [PLAIN], clocks=("bost",))  # type: ignore[arg-type] # wrong


# --- several workers ------------------------------------------------------------------------------


def test_exchange_is_that_of_the_collectives() -> None:
    over = Channel(bandwidth_bytes_per_s=0.72e10, latency_s=20e-6)
    inside = Channel(bandwidth_bytes_per_s=0.72 * 150e9)
    for scheme in SCHEMES:
        if scheme == "butterfly-mixing":
            continue
        made = Setting(device=PLAIN, batch=8, workers=8, link=LATE, scheme=scheme, servers=2,
                       per_node=4, inside=load_link("nvlink2"))  # fmt: skip
        known = all_reduce_seconds(scheme, 94_089_000, 8, over, servers=2, per_node=4,
                                   inside=inside)  # fmt: skip
        assert exchange_seconds(made, 94_089_000, 8) == known, scheme
    mixing = Setting(device=PLAIN, batch=8, workers=8, link=LATE, scheme="butterfly-mixing")
    assert exchange_seconds(mixing, 94_089_000, 8) == over.send(94_089_000)
    assert exchange_seconds(mixing, 94_089_000, 1) == 0


def test_the_ring_of_the_requirements() -> None:
    made = Setting(device=PLAIN, batch=8, workers=8, link=LATE, percent="ideal")
    assert round(1000 * exchange_seconds(made, 94_089_000, 8), 3) == 16.746


def test_gradients_of_a_module_are_those_of_its_trained_parameters() -> None:
    module = Mlp(hidden=(16,)).build((1, 8, 8), 10)
    trained = sum(p.numel() for p in module.parameters())
    module.requires_grad_(False)
    module[-1].requires_grad_(True)  # type: ignore[index] # a Sequential
    frozen = sum(p.numel() for p in module[-1].parameters())  # type: ignore[index]
    both = [step_time(m, (1, 8, 8), PLAIN, batch=4, workers=2, link="ethernet10",
                      model="roofline", percent_of_peak="ideal")
            for m in (Mlp(hidden=(16,)).build((1, 8, 8), 10), module)]  # fmt: skip
    assert [s.communication_s for s in both] == [4 * n / 1.25e9 for n in (trained, frozen)]


@pytest.mark.parametrize("scheme", ["ring", "parameter-servers"])
def test_weak_scaling(scheme: str) -> None:
    def on(workers: int) -> StepTime:
        return step_time(ResNetCifar(depth=20), None, PLAIN, batch=64, workers=workers,
                         link="ethernet10", scheme=scheme, servers=2)  # fmt: skip

    one, eight = on(1), on(8)
    assert (one.speedup, one.efficiency, one.slowdown) == (1, 1, 1)
    assert (eight.own_batch, eight.samples) == (64, 512)
    assert eight.forward_s == one.forward_s
    assert eight.one_worker_s == one.step_s
    assert eight.slowdown == eight.step_s / one.step_s > 1
    assert math.isclose(eight.efficiency, one.step_s / eight.step_s, rel_tol=1e-12)
    assert math.isclose(eight.speedup, eight.samples_per_s / one.samples_per_s, rel_tol=1e-12)


def test_strong_scaling() -> None:
    def on(workers: int) -> StepTime:
        return step_time(ResNetCifar(depth=20), None, PLAIN, batch=256, workers=workers,
                         link="ethernet10", scaling="strong")  # fmt: skip

    steps = {n: on(n) for n in (1, 2, 4, 8, 16, 3)}
    assert [s.own_batch for s in steps.values()] == [256, 128, 64, 32, 16, 86]
    assert {s.samples for s in steps.values()} == {256}
    assert steps[1].speedup == 1
    for n, step in steps.items():
        assert step.one_worker_s == steps[1].step_s
        assert step.speedup == steps[1].step_s / step.step_s
        assert math.isclose(step.efficiency, step.speedup / n)
        # The forms of the requirements: 60,000 samples in 235 steps, whatever the workers.
        assert step.epoch_s(60_000) == 235 * step.step_s


def test_short_name_of_parameter_servers() -> None:
    step = step_time(Lenet5(), None, PLAIN, batch=8, workers=4, link="ethernet10",
                     scheme="servers", servers=2)  # fmt: skip
    assert step.scheme == "parameter-servers"


# --- this machine ---------------------------------------------------------------------------------


@pytest.fixture
def this(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that was measured, and not calibrated."""
    folder = tmp_path / "my hardware"
    folder.mkdir()
    (folder / "this.toml").write_text(THIS_TOML)
    monkeypatch.setenv("EPOCHLAB_HARDWARE", str(folder))


@pytest.mark.usefixtures("this")
def test_this_machine_is_predicted_by_its_calibration(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def fake(module: nn.Module, input_shape: Any, *, batch: int, threads: int | None) -> Any:
        asked.append((type(module), input_shape, batch, threads))
        return SimpleNamespace(forward_s=batch, backward_s=2.0 * batch, update_s=1.0,
                               low_s=2.5 * batch, high_s=4.0 * batch)  # fmt: skip

    monkeypatch.setattr(calibrated, "calibrated_step", fake)
    step = step_time(Lenet5(), None, "this", batch=8, workers=4, link="ethernet1",
                     scaling="strong")  # fmt: skip
    assert (step.model, step.forward_s, step.backward_s, step.update_s) == ("calibrated", 2, 4, 1)
    exchange_s = 2 * 3 / 4 * 4 * 61_706 / (0.125e9 * 0.72)
    assert math.isclose(step.communication_s, exchange_s, rel_tol=1e-12)
    assert (step.low_s, step.high_s) == (5 + step.communication_s, 8 + step.communication_s)
    assert step.one_worker_s == 8 + 16 + 1
    assert [given[1:] for given in asked] == [((1, 28, 28), 2, None), ((1, 28, 28), 8, None)]
    named = step_time(Lenet5(), None, "this", batch=8, model="paleo")
    assert (named.model, named.low_s) == ("paleo", None)
    with pytest.raises(BadOption, match="fp32 only"):
        step_time(Lenet5(), None, "this", batch=8, precision="bf16")
    with pytest.raises(BadOption, match="model 'paleo'"):
        step_time(paleo_network("nin"), None, "this", batch=8)


@pytest.mark.usefixtures("this")
def test_a_machine_that_is_not_calibrated_says_what_to_do() -> None:
    with pytest.raises(BadData, match="epochlab measure --calibrate"):
        step_time(Lenet5(), None, "this", batch=8)


# --- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(("given", "text"), [
    ({"batch": 0}, "batch is 0"), ({"batch": 1.5}, "batch is 1.5"),
    ({"batch": math.nan}, "batch is nan"), ({"workers": -1}, "workers is -1"),
    ({"workers": 2}, "ethernet10"), ({"scheme": "rng"}, "Did you mean 'ring'"),
    ({"scaling": "week"}, "Did you mean 'weak'"), ({"model": "paelo"}, "Did you mean 'paleo'"),
    ({"model": "calibrated"}, "'this'"), ({"precision": "fp17"}, "Did you mean 'fp16'"),
    ({"clock": "top"}, "no clock named 'top'"), ({"revision": "2016"}, "Did you mean '2016-12'"),
    ({"revision": "2016", "model": "roofline"}, "Did you mean '2016-12'"),
    ({"scheme": "servers", "link": "ethernet10"}, "number of servers"),
    ({"scheme": "servers"}, "need a link"), ({"threads": 2}, "no figures for 2 threads"),
    ({"scheme": "hierarchical", "workers": 4, "link": "pcie3"}, "per_node"),
    ({"precision": "bf16"}, "No peak of 'plain'"),
])  # fmt: skip
def test_settings_that_are_refused(given: dict[str, Any], text: str) -> None:
    with pytest.raises(UserError, match=text):
        step_time(Lenet5(), None, PLAIN, **({"batch": 8} | given))


def test_devices_and_links_are_told_apart() -> None:
    with pytest.raises(BadOption, match="is a link, not a device"):
        step_time(Lenet5(), None, "ethernet10", batch=8)
    with pytest.raises(BadOption, match="is a gpu, not a link"):
        step_time(Lenet5(), None, "k80", batch=8, workers=2, link="k80")
    with pytest.raises(UnknownName, match="Did you mean 'k80'"):
        step_time(Lenet5(), None, "k81", batch=8)


def test_a_module_needs_its_input_and_paleos_layers_a_model_that_knows_them() -> None:
    with pytest.raises(BadOption, match="needs input_shape"):
        step_time(nn.Linear(3, 3), None, PLAIN, batch=8)
    with pytest.raises(BadOption, match="only the model 'paleo'"):
        step_time(paleo_network("nin"), None, PLAIN, batch=8, model="roofline")


def test_a_workload_is_described_once(monkeypatch: pytest.MonkeyPatch) -> None:
    load = workload_of(Lenet5())
    first = step_time(load, None, PLAIN, batch=8, model="roofline")
    monkeypatch.setattr("epochlab.cost.trace", None)
    assert step_time(load, None, PLAIN, batch=8, model="roofline") == first
