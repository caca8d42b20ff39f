"""Operators one by one: the designed set, what each costs, and the calibration file."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest
import torch

from epochlab.errors import BadData, BadOption, UnknownName
from epochlab.measure import (
    Effort,
    OperatorShape,
    OperatorTiming,
    calibration_path,
    designed_shapes,
    load_calibration,
    save_calibration,
    time_operator,
    time_operators,
)
from epochlab.measure.operators import Kind

QUICK = Effort(limit_s=0.1, least=6, warmup=1)
CONV = OperatorShape(kind="convolution", in_channels=4, out_channels=6, side=8, kernel=3, stride=2)


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EPOCHLAB_HARDWARE", str(tmp_path))
    return tmp_path


def test_the_designed_set_spans_what_networks_have() -> None:
    shapes = designed_shapes()
    assert 140 <= len(shapes) <= 170
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


def test_work_of_a_convolution() -> None:
    forward, backward = time_operator(CONV, threads=1, effort=QUICK)
    macs = 4 * 4 * 6 * 4 * 9  # outputs of 4x4, 6 of them, 4 channels, 3x3
    assert forward.flops == 2 * macs
    assert backward.flops == 2 * 2 * macs  # gradients of input and weights
    read, written = 4 * (4 * 8 * 8 + 6 * 4 * 9), 4 * 6 * 4 * 4
    assert forward.bytes == read + written
    assert backward.bytes == 2 * read + written
    assert (forward.phase, backward.phase) == ("forward", "backward")
    assert forward.threads == 1
    assert forward.median_s > 0
    assert forward.spread >= 0


def test_work_of_what_multiplies_nothing() -> None:
    shape = OperatorShape(kind="activation", in_channels=5, out_channels=5, side=4, batch=2)
    forward, backward = time_operator(shape, effort=QUICK)
    assert forward.flops == backward.flops == 2 * 5 * 16
    assert forward.bytes == 2 * 4 * 160
    assert backward.bytes == 3 * 4 * 160
    forward, backward = time_operator(replace(shape, kind="add"), effort=QUICK)
    assert forward.bytes == 3 * 4 * 160
    assert (backward.flops, backward.bytes) == (0, 0)  # the gradient is handed on


def test_stored_statistics_are_timed_forward_only() -> None:
    shape = OperatorShape(kind="batch normalisation", in_channels=5, out_channels=5, side=4,
                          training=False)  # fmt: skip
    assert [one.phase for one in time_operator(shape, effort=QUICK)] == ["forward"]


@pytest.mark.parametrize("kind", get_args(Kind))
def test_every_kind_is_timed(kind: Kind) -> None:
    side, kernel = (1 if kind == "linear" else 6), (2 if "pooling" in kind else 1)
    shape = OperatorShape(
        kind=kind, in_channels=4, out_channels=4, side=side, kernel=kernel, batch=2
    )
    found = time_operator(shape, effort=QUICK)
    assert [one.phase for one in found] == ["forward", "backward"]
    assert all(one.shape == shape for one in found)


def test_progress_is_told() -> None:
    told: list[tuple[str, float]] = []
    list(time_operators([CONV, replace(CONV, stride=1)], effort=QUICK,
                        tell=lambda *what: told.append(what)))  # fmt: skip
    assert told == [("convolution 3x3/2 4->6 at 8x8, batch 1", 0.0),
                    ("convolution 3x3 4->6 at 8x8, batch 1", 0.5)]  # fmt: skip


def test_in_words() -> None:
    depthwise = OperatorShape(kind="convolution", in_channels=8, out_channels=8, groups=8, kernel=3,
                              side=7)  # fmt: skip
    assert depthwise.text() == "convolution 3x3 8->8 in 8 groups at 7x7, batch 1"
    linear = OperatorShape(kind="linear", in_channels=8, out_channels=3, batch=4)
    assert linear.text() == "linear 8->3, batch 4"


# --- the file -------------------------------------------------------------------------------------


def timing(threads: int, seconds: float) -> OperatorTiming:
    return OperatorTiming(shape=CONV, phase="forward", flops=10, bytes=20, threads=threads,
                          median_s=seconds, spread=0.125)  # fmt: skip


def test_a_calibration_is_saved_and_loaded_as_it_was(own_folder: Path) -> None:
    found = time_operator(CONV, threads=1, effort=QUICK)
    path = save_calibration(found)
    assert path == calibration_path() == own_folder / "this_operators.json"
    assert load_calibration() == found
    content = json.loads(path.read_text())
    assert set(content) == {"form", "date", "machine", "versions", "rows"}


def test_other_numbers_of_threads_stay() -> None:
    save_calibration([timing(1, 1.0)])
    save_calibration([timing(2, 0.5)])
    save_calibration([timing(1, 2.0)])
    assert load_calibration() == [timing(2, 0.5), timing(1, 2.0)]


@pytest.mark.parametrize(("text", "said"), [
    ("{", "cannot be read as a calibration"), ("[]", "not a calibration of form 1"),
    ('{"form": 2, "rows": []}', "not a calibration of form 1"),
    ('{"form": 1}', "lacks something"), ('{"form": 1, "rows": [{"kind": "linear"}]}', "lacks"),
    ('{"form": 1, "rows": [3]}', "lacks something"),
])  # fmt: skip
def test_damaged_files(own_folder: Path, text: str, said: str) -> None:
    (own_folder / "this_operators.json").write_text(text)
    with pytest.raises(BadData, match=said):
        load_calibration()


def test_no_file_yet() -> None:
    with pytest.raises(BadData, match=r"does not exist.*epochlab measure --calibrate"):
        load_calibration()


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
