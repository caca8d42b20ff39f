"""The calibrated model finds the law that made its timings, and predicts networks by it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from epochlab.cost.step_operators import StepOperator, step_operators
from epochlab.errors import BadData
from epochlab.measure import (
    Calibration,
    NetworkTiming,
    OperatorTiming,
    SampleNetwork,
    chosen_operators,
    save_calibration,
)
from epochlab.networks.lenet5 import Lenet5
from epochlab.predict.calibrated import MachineModel, calibrated_step, fit_machine, this_machine
from epochlab.predict.operator_features import features
from epochlab.predict.operator_time import fit_operator_times

MULTIPLYING, OTHER, EACH_S = 1.2, 1.5, 5e-6


def law(operator: StepOperator) -> float:
    """Seconds of an operator by itself on a machine that is easy to understand."""
    return 2e-6 + operator.flops / 2e10 + operator.bytes / 1e10


def perceptron(wide: int) -> Callable[[], nn.Module]:
    return lambda: nn.Sequential(nn.Flatten(), nn.Linear(64, wide), nn.ReLU(), nn.Linear(wide, 10))


def convolutions(wide: int, side: int) -> Callable[[], nn.Module]:
    last = (side - 2) // 2 - 2
    return lambda: nn.Sequential(
        nn.Conv2d(1, wide, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(wide, 2 * wide, 3),
        nn.ReLU(), nn.Flatten(), nn.Linear(2 * wide * last**2, 10),
    )  # fmt: skip


NETWORKS = [
    *(SampleNetwork(name=f"perceptron {wide}", make=perceptron(wide), input_shape=(64,),
                    batches=(1, 64)) for wide in (16, 64, 300)),
    *(SampleNetwork(name=f"convolutions {wide}", make=convolutions(wide, side), batches=(1, 16),
                    input_shape=(1, side, side))
      for wide, side in ((4, 16), (12, 28), (40, 20), (24, 32))),
]  # fmt: skip


def whole(module: nn.Module, shape: tuple[int, ...], batch: int, loop: str) -> dict[str, float]:
    """Seconds per phase of a network whose operators follow the law, and what is between them."""
    options = {"loop": "forward"} if loop == "forward" else {"optimizer": torch.optim.SGD}
    seconds: dict[str, float] = {}
    for one, times in step_operators(module, shape, batch=batch, **options).items():  # type: ignore[arg-type]
        own = 0.0 if one.is_view else law(one) * (MULTIPLYING if one.macs else OTHER)
        seconds[one.phase] = seconds.get(one.phase, 0.0) + times * (own + EACH_S)
    return seconds


def calibration() -> Calibration:
    timed = []
    for network in NETWORKS:
        for batch in network.batches:
            module = network.build(real=False)
            alone = whole(module, network.input_shape, batch, "forward")
            step = whole(module, network.input_shape, batch, "plain")
            timed.append(NetworkTiming(
                network=network.name, batch=batch, threads=1, forward_s=sum(alone.values()),
                training_forward_s=step["forward"],
                forward_backward_s=step["forward"] + step["loss"] + step["backward"],
                step_s=sum(step.values()), spread=0.0,
            ))  # fmt: skip
    operators = [OperatorTiming(operator=one, threads=1, near_s=law(one), far_s=law(one),
                                spread=0.0) for one in chosen_operators([], NETWORKS)]  # fmt: skip
    return Calibration(threads=1, operators=tuple(operators), networks=tuple(timed))


@pytest.fixture(scope="module")
def model() -> MachineModel:
    return fit_machine(calibration(), NETWORKS)


def test_what_is_between_operators_is_found(model: MachineModel) -> None:
    for part in ("forward alone", "forward", "backward"):
        found = model.between[part]
        assert found.multiplying == pytest.approx(MULTIPLYING, rel=0.1)
        assert found.other == pytest.approx(OTHER, rel=0.25)
        assert found.each_s == pytest.approx(EACH_S, rel=0.25)
        assert found.error < 0.1


def test_a_network_that_it_never_saw(model: MachineModel) -> None:
    module, shape = Lenet5().build((1, 28, 28), 10), (1, 28, 28)
    for batch in (2, 32):
        step = model.step(module, shape, batch=batch)
        truth = whole(module, shape, batch, "plain")
        assert step.forward_s == pytest.approx(truth["forward"], rel=0.15)
        assert step.backward_s == pytest.approx(truth["loss"] + truth["backward"], rel=0.15)
        assert step.step_s == pytest.approx(sum(truth.values()), rel=0.1)
        assert step.low_s < step.step_s < step.high_s
        assert sum(step.by_operator.values()) == pytest.approx(step.step_s)


def test_a_forward_pass_alone(model: MachineModel) -> None:
    module, shape = Lenet5().build((1, 28, 28), 10), (1, 28, 28)
    found = model.step(module, shape, batch=4, loop="forward")
    truth = whole(module, shape, 4, "forward")
    assert found.forward_s == found.step_s == pytest.approx(sum(truth.values()), rel=0.1)
    assert (found.backward_s, found.update_s) == (0.0, 0.0)


def test_operators_of_a_family_too_small_for_itself() -> None:
    timings = [one for one in calibration().operators if features(one.operator)[0] != "convolution"]
    times = fit_operator_times(timings, far=True)
    assert "convolution" not in times.families
    found = step_operators(nn.Conv2d(4, 4, 3), (4, 20, 20), batch=2, loop="forward")
    (operator,) = [one for one in found if one.name == "convolution"]
    (seconds,), (deviation,) = times.seconds([operator])
    assert law(operator) / 5 < seconds < 5 * law(operator)
    assert deviation > 0


def test_families() -> None:
    module = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2),
                           nn.Conv2d(8, 8, 3), nn.ReLU(inplace=True), nn.Flatten(),
                           nn.Linear(8 * 25, 4))  # fmt: skip
    found = {features(one)[0] for one in step_operators(module, (3, 16, 16), batch=2)
             if not one.is_view}  # fmt: skip
    assert {
        "convolution", "convolution_backward", "convolution_backward of inputs too",
        "native_batch_norm by the batch", "native_batch_norm_backward by the batch",
        "number by number", "written over", "max_pool2d_with_indices", "matrix product",
    } <= found  # fmt: skip
    alone = {features(one)[0] for one in
             step_operators(module, (3, 16, 16), batch=2, loop="forward")}  # fmt: skip
    assert "native_batch_norm by what is stored" in alone


# --- this machine ---------------------------------------------------------------------------------


def test_this_machine_is_read_again_when_its_file_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EPOCHLAB_HARDWARE", str(tmp_path))
    monkeypatch.setattr("epochlab.predict.calibrated.sample_networks", lambda: NETWORKS)
    found = calibration()
    save_calibration(found)
    first = this_machine(1)
    assert this_machine(1) is first
    slower = tuple(
        replace(one, near_s=2 * one.near_s, far_s=2 * one.far_s) for one in found.operators
    )
    save_calibration(replace(found, operators=slower))
    assert this_machine(1) is not first
    step = calibrated_step(nn.Linear(64, 10), (64,), batch=4, threads=1)
    assert step.step_s > 0


def test_a_machine_that_was_not_calibrated() -> None:
    with pytest.raises(BadData, match="epochlab measure --calibrate"):
        calibrated_step(nn.Linear(3, 2), (3,), threads=1)


def test_too_little_to_predict_from() -> None:
    found = calibration()
    with pytest.raises(BadData, match="holds 2 whole networks; at least 6"):
        fit_machine(replace(found, networks=found.networks[:2]), NETWORKS)
    with pytest.raises(BadData, match="no operator timings"):
        fit_machine(replace(found, operators=()), NETWORKS)
