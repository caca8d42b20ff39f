"""Operators one by one: the designed set, what each costs, and the calibration file."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest
import torch
from torch import nn

from epochlab.cost.step_operators import StepOperator
from epochlab.errors import BadData, BadOption, UnknownName
from epochlab.measure import (
    Calibration,
    Effort,
    NetworkTiming,
    OperatorShape,
    OperatorTiming,
    SampleNetwork,
    calibrate,
    calibration_path,
    chosen_operators,
    designed_shapes,
    load_calibration,
    sample_networks,
    save_calibration,
    time_operators,
)
from epochlab.measure.operator_shapes import SCATTERED, Kind, scattered_shapes

QUICK = Effort(limit_s=0.1, least=6, warmup=1)
CONV = OperatorShape(kind="convolution", in_channels=4, out_channels=6, side=8, kernel=3, stride=2)


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EPOCHLAB_HARDWARE", str(tmp_path))
    return tmp_path


def test_the_designed_set_spans_what_networks_have() -> None:
    shapes = designed_shapes()[:-SCATTERED]
    assert len(shapes) > 150
    assert len(set(shapes)) == len(shapes)
    assert {shape.kind for shape in shapes} == set(get_args(Kind))
    convolutions = [shape for shape in shapes if shape.kind == "convolution"]
    assert {shape.kernel for shape in convolutions} == {1, 3, 5, 7, 11}
    assert {shape.stride for shape in convolutions} >= {1, 2}
    channels = {c for shape in convolutions for c in (shape.in_channels, shape.out_channels)}
    assert min(channels) <= 3
    assert max(channels) == 1024
    assert {min(s.side for s in convolutions), max(s.side for s in convolutions)} == {4, 224}
    assert {min(s.batch for s in shapes), max(s.batch for s in shapes)} == {1, 64}
    assert {s.groups == s.in_channels for s in convolutions if s.groups > 1} == {True}
    assert any(s.groups > 1 for s in convolutions)


def test_scattered_convolutions_reach_into_the_corners() -> None:
    shapes = scattered_shapes()
    assert shapes == scattered_shapes() == designed_shapes()[-SCATTERED:]
    assert {shape.kernel for shape in shapes} == {1, 3, 5, 7}
    assert max(shape.batch for shape in shapes) > 100
    assert max(shape.in_channels for shape in shapes) > 400
    assert max(shape.side for shape in shapes) > 100


@pytest.mark.parametrize("shape", designed_shapes(), ids=OperatorShape.text)
def test_each_of_them_runs(shape: OperatorShape) -> None:
    """On the meta device, where that costs nothing."""
    with torch.device("meta"):
        module, inputs = shape.build()
        out = module(*inputs)
    assert out.shape[0] == shape.batch
    assert out.shape[1] == shape.out_channels
    if shape.kind == "convolution" and shape.stride == 1:
        assert out.shape[2] == shape.side


def few_operators() -> list[StepOperator]:
    return chosen_operators([CONV, replace(CONV, kind="activation", out_channels=4, stride=1,
                                           kernel=1)], [])  # fmt: skip


def test_operators_of_a_layer_in_both_directions() -> None:
    found = chosen_operators([CONV], [])
    names = [one.name for one in found]
    assert names.count("convolution") == 1
    assert names.count("convolution_backward") == 1
    assert not any(one.is_view for one in found)
    macs = 4 * 4 * 6 * 4 * 9  # outputs of 4x4, 6 of them, 4 channels, 3x3
    by_name = {one.name: one for one in found}
    assert by_name["convolution"].macs == macs
    assert by_name["convolution_backward"].macs == 2 * macs  # gradients of input and weights


def test_operators_of_a_network_are_those_of_its_steps() -> None:
    network = SampleNetwork(name="tiny", make=lambda: nn.Linear(3, 2), input_shape=(3,),
                            batches=(1, 4))  # fmt: skip
    found = chosen_operators([], [network])
    rows = {one.operands[0].shape[0] for one in found if one.name == "_log_softmax"}
    assert rows == {1, 4}
    assert {"addmm", "mm", "add_"} <= {one.name for one in found}
    assert len(set(found)) == len(found)


def test_each_operator_is_timed() -> None:
    operators = few_operators()
    found = list(time_operators(operators, threads=1, effort=QUICK))
    assert [one.operator for one in found] == operators
    assert all(
        0 < one.near_s <= one.far_s and one.threads == 1 and one.spread >= 0 for one in found
    )


def test_progress_is_told() -> None:
    told: list[tuple[str, float]] = []
    operators = few_operators()
    list(time_operators(operators[:2], effort=QUICK, tell=lambda *what: told.append(what)))
    assert told == [(operators[0].name, 0.0), (operators[1].name, 0.5)]


def test_tiny_numbers_are_kept_again_afterwards() -> None:
    list(time_operators(few_operators()[:1], effort=QUICK))
    tiny = torch.tensor(1e-40)
    assert float(tiny * 1.0) > 0


def test_in_words() -> None:
    depthwise = OperatorShape(kind="convolution", in_channels=8, out_channels=8, groups=8, kernel=3,
                              side=7)  # fmt: skip
    assert depthwise.text() == "convolution 3x3 8->8 in 8 groups at 7x7, batch 1"
    linear = OperatorShape(kind="linear", in_channels=8, out_channels=3, batch=4)
    assert linear.text() == "linear 8->3, batch 4"


# --- the file -------------------------------------------------------------------------------------


def calibration(threads: int, seconds: float = 1.0) -> Calibration:
    return Calibration(
        threads=threads,
        operators=tuple(OperatorTiming(operator=one, threads=threads, near_s=seconds,
                                       far_s=2 * seconds, spread=0.125)
                        for one in few_operators()),
        networks=(NetworkTiming(network="tiny", batch=1, threads=threads, forward_s=seconds,
                                training_forward_s=2.0, forward_backward_s=3.0, step_s=4.0,
                                spread=0.5, spoiled=True),),
    )  # fmt: skip


def test_a_calibration_is_saved_and_loaded_as_it_was(own_folder: Path) -> None:
    found = calibration(1)
    path = save_calibration(found)
    assert path == calibration_path() == own_folder / "this_operators.json"
    assert load_calibration(1) == found
    assert found.spoiled == 1
    assert set(json.loads(path.read_text())) == {"form", "date", "machine", "versions",
                                                 "calibrations"}  # fmt: skip


def test_other_numbers_of_threads_stay() -> None:
    save_calibration(calibration(1, 1.0))
    save_calibration(calibration(2, 0.5))
    save_calibration(calibration(1, 2.0))
    assert load_calibration(1) == calibration(1, 2.0)
    assert load_calibration(2) == calibration(2, 0.5)
    with pytest.raises(BadData, match="calibrated for 1, 2 threads, not for 4"):
        load_calibration(4)


def test_networks_are_timed_as_a_whole() -> None:
    network = SampleNetwork(name="tiny", make=lambda: nn.Linear(3, 2), input_shape=(3,),
                            batches=(1, 4))  # fmt: skip
    found = calibrate(threads=1, effort=QUICK, shapes=[CONV], networks=[network])
    assert [(one.network, one.batch) for one in found.networks] == [("tiny", 1), ("tiny", 4)]
    assert all(one.step_s > 0 and one.forward_s > 0 for one in found.networks)
    assert {one.operator for one in found.operators} == set(chosen_operators([CONV], [network]))


@pytest.mark.parametrize("one", sample_networks(), ids=lambda one: one.name)
def test_sample_networks_are_the_same_every_time(one: SampleNetwork) -> None:
    first, second = one.build(), one.build()
    assert all(torch.equal(a, b) for a, b in
               zip(first.parameters(), second.parameters(), strict=True))  # fmt: skip
    with torch.no_grad():
        assert len(first.eval()(torch.zeros(1, *one.input_shape))) == 1


@pytest.mark.parametrize(("text", "said"), [
    ("{", "cannot be read as a calibration"), ("[]", "not a calibration of form 2"),
    ('{"form": 1, "rows": []}', "not a calibration of form 2"),
    ('{"form": 2}', "not a calibration of form 2"),
    ('{"form": 2, "calibrations": {"1": {}}}', "lacks something"),
    ('{"form": 2, "calibrations": {"1": {"operators": [3], "networks": []}}}', "lacks something"),
    ('{"form": 2, "calibrations": {"1": {"operators": [{"operator": {"operator": "aten.nosuch.x",'
     '"args": [], "named": {}}}], "networks": []}}}', "lacks something"),
])  # fmt: skip
def test_damaged_files(own_folder: Path, text: str, said: str) -> None:
    (own_folder / "this_operators.json").write_text(text)
    with pytest.raises(BadData, match=said):
        load_calibration(1)


def test_no_file_yet() -> None:
    with pytest.raises(BadData, match=r"does not exist.*epochlab measure --calibrate"):
        load_calibration(1)


# --- mistakes -------------------------------------------------------------------------------------


def test_shapes_that_cannot_be() -> None:
    with pytest.raises(UnknownName, match="Did you mean 'convolution'"):
        replace(CONV, kind="convolutoin")  # type: ignore[arg-type]
    with pytest.raises(BadOption, match="batch is 0"):
        replace(CONV, batch=0)
    with pytest.raises(BadOption, match="must divide both"):
        replace(CONV, groups=3)
    with pytest.raises(BadOption, match="as many channels behind"):
        replace(CONV, kind="activation")


def test_nothing_to_time() -> None:
    with pytest.raises(BadOption, match="nothing to time"):
        list(time_operators([]))
