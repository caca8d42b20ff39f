"""Whole passes: what is run, on what, and that the module stays as it was."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from epochlab.cost.outputs import opened
from epochlab.errors import BadOption, BadShape
from epochlab.measure import Effort, time_forward, time_step, time_training
from epochlab.measure.passes import loss_for
from epochlab.measure.stopwatch import CpuStopwatch

from .fakes import FakeClock, Takes

QUICK = Effort(limit_s=0.2, least=6)
EXACT = Effort(limit_s=1e6, least=6, sample_s=1e-9)


class Spy(nn.Module):
    """Notes the mode in which it is run."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 3)
        self.seen: set[tuple[bool, bool, bool]] = set()

    def forward(self, x: Tensor) -> Tensor:
        self.seen.add((self.training, torch.is_grad_enabled(), torch.is_inference_mode_enabled()))
        return self.linear(x)

    def __deepcopy__(self, memo: Any) -> Spy:
        twin = Spy()
        twin.seen = self.seen
        return twin


def test_forward_runs_in_evaluation_mode_without_gradients() -> None:
    spy = Spy()
    time_forward(spy, torch.zeros(2, 4), effort=QUICK)
    assert spy.seen == {(False, False, True)}
    assert spy.training
    assert spy.linear.training


def test_training_runs_a_copy_in_training_mode() -> None:
    spy = Spy().eval()
    with torch.no_grad():
        time_training(spy, torch.zeros(2, 4), effort=QUICK)
    assert spy.seen == {(True, True, False)}
    assert not spy.training


def test_nothing_of_the_module_changes() -> None:
    module = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(8, 3))
    before = {key: value.clone() for key, value in module.state_dict().items()}
    x = torch.randn(5, 1, 4, 4)
    time_forward(module, x, effort=QUICK)
    time_step(module, x, effort=QUICK,
              optimizer=lambda parameters: torch.optim.SGD(parameters, lr=0.1))  # fmt: skip
    after = module.state_dict()
    assert all(torch.equal(value, after[key]) for key, value in before.items())
    assert all(parameter.grad is None for parameter in module.parameters())


def test_the_parts_of_a_step_are_exact_on_a_fake_clock() -> None:
    clock = FakeClock()

    class Update(torch.optim.SGD):
        def step(self, closure: Any = None) -> None:
            clock.work(0.5)

    def loss(outputs: Tensor) -> Tensor:
        clock.work(0.25)
        return outputs.sum()

    found = time_training(
        Takes(clock, 2.0), torch.ones(1, 1), loss=loss, effort=EXACT, watch=CpuStopwatch(clock),
        optimizer=lambda parameters: Update(list(parameters), lr=0.1),
    )  # fmt: skip
    assert found.forward.median_s == 2.0
    assert found.forward_backward.median_s == 2.25
    assert found.step.median_s == 2.75
    alone = time_step(
        Takes(clock, 2.0), torch.ones(1, 1), loss=loss, effort=EXACT, watch=CpuStopwatch(clock),
        optimizer=lambda parameters: Update(list(parameters), lr=0.1),
    )  # fmt: skip
    assert alone.median_s == 2.75
    assert (found.backward_s, found.update_s) == (0.25, 0.5)


def test_a_step_updates_with_the_gradients_of_one_pass() -> None:
    seen: list[float] = []

    class Update(torch.optim.SGD):
        def step(self, closure: Any = None) -> None:
            (weight,) = self.param_groups[0]["params"]
            seen.append(weight.grad.item())

    module = nn.Linear(1, 1, bias=False)
    time_step(module, torch.full((3, 1), 2.0), loss=lambda outputs: outputs.sum(), effort=QUICK,
              optimizer=lambda parameters: Update(list(parameters), lr=0.1))  # fmt: skip
    assert set(seen) == {6.0}  # gradients are given back before each pass, not summed up


def test_inputs_as_a_list_and_by_name() -> None:
    class Pair(nn.Module):
        def forward(self, left: Tensor, right: Tensor) -> Tensor:
            return left + 2 * right

    a, b = torch.ones(2, 2), torch.ones(2, 2)
    assert time_forward(Pair(), [a, b], effort=QUICK).median_s > 0
    assert time_forward(Pair(), {"right": a, "left": b}, effort=QUICK).median_s > 0


def test_loss_of_any_outputs() -> None:
    scores = torch.randn(4, 3, requires_grad=True)
    loss = loss_for(scores)
    assert loss(scores).item() == loss(scores).item()  # classes are drawn once
    pixels = torch.randn(2, 5, 3, 3)
    outputs = {"scores": scores, "more": (pixels, torch.randn(()), torch.ones(3, dtype=int))}
    value = loss_for(outputs)(outputs)
    assert value.shape == ()
    assert value.requires_grad
    with pytest.raises(BadOption, match="no floating tensor"):
        loss_for((torch.ones(2, dtype=torch.int64),))


def test_tensors_in_anything() -> None:
    a, b = torch.ones(1), torch.ones(2)
    assert [t.numel() for t in opened({"x": [a, (b,)], "y": 3})] == [1, 2]


def test_a_wrong_shape_is_told() -> None:
    with pytest.raises(BadShape, match=r"Linear was given 2x5 .* cannot be multiplied"):
        time_forward(nn.Linear(4, 3), torch.zeros(2, 5), effort=QUICK)
    with pytest.raises(BadShape, match="Check the input shape"):
        time_training(nn.Linear(4, 3), torch.zeros(2, 5), effort=QUICK)


def test_nothing_to_train() -> None:
    with pytest.raises(BadOption, match="no parameter that is trained"):
        time_step(nn.ReLU(), torch.zeros(2, 5), effort=QUICK)


def test_threads_are_used_and_noted() -> None:
    timing = time_forward(nn.Linear(4, 3), torch.zeros(2, 4), threads=1, effort=QUICK)
    assert timing.threads == 1
    with pytest.raises(BadOption, match="from 1 to"):
        time_forward(nn.Linear(4, 3), torch.zeros(2, 4), threads=0)
