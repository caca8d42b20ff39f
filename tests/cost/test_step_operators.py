"""The operators of a step: those that PyTorch really runs, with their forms."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode

from epochlab.cost.step_operators import (
    StepOperator,
    TensorForm,
    as_record,
    from_record,
    replay,
    step_operators,
)
from epochlab.errors import BadOption
from epochlab.networks.lenet5 import Lenet5
from epochlab.networks.resnet_cifar import ResNetCifar
from epochlab.optimizers.sgd import Sgd

NETWORKS = {
    "lenet5": (Lenet5().build((1, 28, 28), 10), (1, 28, 28)),
    "resnet20": (ResNetCifar(depth=20).build((3, 32, 32), 10), (3, 32, 32)),
    "recurrent": (nn.Sequential(nn.Flatten(1), nn.Linear(12, 6), nn.GELU(), nn.Dropout(0.3),
                                nn.LayerNorm(6), nn.Linear(6, 3)), (3, 4)),
}  # fmt: skip


class Seen(TorchDispatchMode):
    """What really runs: operators and the shapes that they are given."""

    def __init__(self) -> None:
        super().__init__()
        self.found: Counter[Any] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.namespace != "profiler":
            shapes = tuple(tuple(a.shape) for a in args if isinstance(a, Tensor))
            self.found[str(func), shapes] += 1
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("batch", [1, 3])
def test_a_forward_pass_runs_these_operators(name: str, batch: int) -> None:
    module, shape = NETWORKS[name]
    with torch.no_grad(), Seen() as seen:
        module.eval()(torch.zeros(batch, *shape))
    seen.found.pop(("aten.zeros.default", ()), None)
    listed: Counter[Any] = Counter()
    for one, times in step_operators(module, shape, batch=batch, loop="forward").items():
        given = tuple(a.shape for a in one.args if isinstance(a, TensorForm))
        listed[str(one.func), given] += times
    assert listed == seen.found


@pytest.mark.parametrize("name", NETWORKS)
def test_a_training_step_runs_these_operators(name: str) -> None:
    module, shape = NETWORKS[name]
    module.train()
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    x, targets = torch.zeros(2, *shape), torch.zeros(2, dtype=torch.int64)
    for _ in range(2):
        optimizer.zero_grad()
        with Seen() as seen:
            functional.cross_entropy(module(x), targets).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    listed: Counter[str] = Counter()
    for one, times in step_operators(module, shape, batch=2, optimizer=torch.optim.SGD).items():
        listed[str(one.func)] += times
    really: Counter[str] = Counter()
    for (operator, _), times in seen.found.items():
        really[operator] += times
    # What is saved for the backward pass is looked at, which takes a view each time.
    listed.pop("aten.detach.default"), really.pop("aten.detach.default")
    assert listed == really


def test_our_own_loop_keeps_channels_inside() -> None:
    module, shape = NETWORKS["resnet20"]
    found = step_operators(module, shape, batch=4, optimizer=Sgd(lr=0.1), loop="epochlab")
    inputs = [one.operands[0] for one in found if one.name == "convolution"]
    assert len(inputs) > 5
    assert all(form.channels_last for form in inputs)
    assert {one.phase for one in found} == {"data", "forward", "loss", "backward", "update",
                                            "scores"}  # fmt: skip


@pytest.mark.parametrize("name", NETWORKS)
def test_each_can_be_run_again_and_written_down(name: str) -> None:
    module, shape = NETWORKS[name]
    for one in step_operators(module, shape, batch=2, optimizer=torch.optim.SGD):
        assert from_record(json.loads(json.dumps(as_record(one)))) == one
        again = replay(one)
        again()
        results = again()
        made = [results] if isinstance(results, Tensor) else [
            t for t in results or () if isinstance(t, Tensor)]  # fmt: skip
        assert [tuple(t.shape) for t in made] == [form.shape for form in one.results]


def test_work_and_bytes() -> None:
    found = step_operators(nn.Linear(3, 2), (3,), batch=4, loop="forward")
    (product,) = [one for one in found if one.name == "addmm"]
    assert (product.macs, product.flops) == (4 * 3 * 2, 2 * 24 + 8)
    assert product.bytes == 4 * (2 + 4 * 3 + 3 * 2 + 4 * 2)


def test_expanded_operands_can_be_run_again() -> None:
    form = TensorForm((3, 2), (0, 1), torch.float32)
    one = StepOperator("", torch.ops.aten.mul.Tensor, (form, 2.0), (),
                       (TensorForm((3, 2), (2, 1), torch.float32),), 0, 6)  # fmt: skip
    assert replay(one)().shape == (3, 2)


def test_a_loop_that_is_not_known() -> None:
    with pytest.raises(BadOption, match=r"loop is 'forwards'.*nearest to it is 'forward'"):
        step_operators(nn.Linear(3, 2), (3,), loop="forwards")  # type: ignore[arg-type]
