"""A trace without numbers knows those that come from constants and from whole numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from epochlab.cost import trace
from epochlab.errors import CannotTrace

WIDTH = 6


class Decides(nn.Module):
    """Embeds whole numbers and lets a function of them pick what is worked on."""

    def __init__(self, choose: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.choose = choose
        self.embed = nn.Embedding(50, WIDTH)
        self.work = nn.Linear(WIDTH, 4)

    def forward(self, ids: Tensor) -> Tensor:
        chosen = self.choose(ids)
        values = self.embed(ids)
        if isinstance(chosen, bool):
            return self.work(values) if chosen else values
        if isinstance(chosen, int):
            return self.work(values[:, :chosen])
        return self.work(values[chosen])


def written_on_cpu(ids: Tensor) -> Tensor:
    """A mask on the CPU, as numpy would have it, into which known values go several times."""
    count = torch.zeros(ids.shape[1])
    count[torch.tensor([True] + [False] * (ids.shape[1] - 1))] = 1.0
    count.add_(1)
    count[-1] = ids.sum()
    count[ids[0] > 20] = 5.0
    return torch.nonzero(count > 1.5)[:, 0].to(ids.device) * 0


def written(ids: Tensor) -> Tensor:
    """A mask that is made, changed through a view, and used."""
    mask = torch.ones(ids.shape, dtype=torch.bool, device=ids.device)
    view = mask[:, 1:]
    view[ids[:, 1:] > 20] = False
    return mask


CPU_MASK = torch.tensor([False, True])
CHOICES: dict[str, Callable[[Tensor], Any]] = {
    "a mask": lambda ids: ids > 20,
    "positions of a mask": lambda ids: torch.nonzero(ids > 20, as_tuple=True),
    "a branch": lambda ids: bool((ids > 20).any()),
    "a branch on equality": lambda ids: torch.equal(ids, torch.zeros_like(ids)),
    "a size": lambda ids: int((ids[0] > 20).sum().clamp(min=1)),
    "a list of numbers": lambda ids: min(ids.shape[1], 1 + sum(ids[0].tolist()) % 3),
    "chosen by a list": lambda ids: bool((ids[:, [-1, 0]] > 20).all()),
    "through the processor": lambda ids: int(ids.max().cpu()) % ids.shape[1] + 1,
    "written through a view": written,
    "constants alone": lambda ids: torch.arange(ids.shape[1], device=ids.device)[None] % 2 == 0,
    "a table made in C": lambda ids: int(torch.tensor(2, device=ids.device)) % ids.shape[1] + 1,
    "no positions": lambda ids: bool((ids[:, []] > 20).any()),
    "a mask without axes": lambda ids: (ids > 20).any(),
    "a table given by name": lambda ids: int(torch.tensor(data=[1], device=ids.device, dtype=int)),
    "written on the processor": written_on_cpu,
    "as an array of numpy": lambda ids: int(np.flatnonzero(CPU_MASK.repeat(9).numpy())[0]),
    "positions on the processor": lambda ids: int(torch.nonzero(CPU_MASK).numpy()[0, 0]),
    "given by name": lambda ids: int(torch.add(input=ids, other=1).max()) % ids.shape[1] + 1,
    "another table made in C": lambda ids: int(ids.new_tensor([1, 2]).sum()) % ids.shape[1] + 1,
}  # fmt: skip


@pytest.mark.parametrize("choose", CHOICES.values(), ids=CHOICES)
@settings(deadline=None, max_examples=15)
@given(ids=st.lists(st.integers(0, 49), min_size=2, max_size=7))
def test_equal_to_a_run_with_real_numbers(choose: Callable[[Tensor], Any], ids: list[int]) -> None:
    module, inputs = Decides(choose), [torch.tensor([ids])]
    known, real = trace(module, inputs=inputs), trace(module, inputs=inputs, real=True)
    assert known.macs == real.macs
    assert known.backward_macs == real.backward_macs
    assert known.output_shapes == real.output_shapes


def test_whole_numbers_that_a_module_holds_are_known() -> None:
    class Holds(nn.Module):
        size: Tensor

        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("size", torch.tensor(3))
            self.work = nn.Linear(8, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.work(x[: int(self.size)])

    assert trace(Holds(), (8,), batch=5).macs == 3 * 8 * 2


@pytest.mark.parametrize(
    "spoil",
    [
        lambda mask, x: mask.copy_(x[:, 0] > 0),
        lambda mask, x: mask[:2].copy_(x[:2, 0] > 0),
        lambda mask, x: mask.logical_and_(x[:, 0] > 0),
    ],
)
def test_what_something_unknown_is_written_into_is_unknown(
    spoil: Callable[[Tensor, Tensor], Any],
) -> None:
    class Spoils(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            mask = torch.ones(len(x), dtype=torch.bool, device=x.device)
            view = mask[:]
            spoil(mask, x)
            return x[view]

    with pytest.raises(CannotTrace, match="asks for the value of a number"):
        trace(Spoils(), (3,), batch=4)
    assert trace(Spoils(), inputs=[torch.ones(4, 3)], real=True).output_shapes == ((4, 3),)


@pytest.mark.parametrize("later", [lambda t: t, lambda t: t * 2, lambda t: t.view(-1)[1:]])
def test_an_activation_written_into_a_tensor_on_the_cpu_is_unknown(
    later: Callable[[Tensor], Tensor],
) -> None:
    """The meta device has no numbers to write, so the tensor's old ones must not decide."""

    class Gathers(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            sums = torch.zeros(len(x))
            for row in range(len(x)):
                sums[row] = x[row].sum()
            return x if bool((later(sums) > 0).any()) else x[:1]

    with pytest.raises(CannotTrace, match="asks for the value of a number"):
        trace(Gathers(), (3,), batch=4)
    assert trace(Gathers(), inputs=[torch.ones(4, 3)], real=True).output_shapes == ((4, 3),)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda flags, x: flags.index_put_((CPU_MASK,), x[:1, 0]),
        lambda flags, x: flags.__setitem__(CPU_MASK, x[0, 0]),
        lambda flags, x: flags.__setitem__(slice(None), x[0, 0]),
        lambda flags, x: flags.copy_(x[0, :2]),
        lambda flags, x: flags.add_(torch.zeros(2).copy_(x[0, :2])),
    ],
)
def test_what_an_activation_went_into_cannot_pick(spoil: Callable[[Tensor, Tensor], Any]) -> None:
    class Picks(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            flags = torch.zeros(2)
            spoil(flags, x)
            return x[flags > 0]

    with pytest.raises(CannotTrace, match="asks for the value of a number"):
        trace(Picks(), (3,), batch=2)
    assert trace(Picks(), inputs=[torch.ones(2, 3)], real=True).macs == 0


def test_random_numbers_are_unknown() -> None:
    class Draws(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x[torch.rand(len(x), device=x.device) > 0.5]

    with pytest.raises(CannotTrace, match="asks for the value of a number"):
        trace(Draws(), (3,), batch=4)


def test_inputs_stay_as_they_were() -> None:
    class Writes(nn.Module):
        def forward(self, ids: Tensor) -> Tensor:
            return ids.add_(1)

    ids = torch.tensor([1, 2])
    trace(Writes(), inputs=[ids])
    assert ids.tolist() == [1, 2]


def test_a_table_says_that_it_counts_a_real_run() -> None:
    module = nn.Linear(3, 2)
    assert "real numbers" in trace(module, (3,), real=True).table().text()
    assert "real numbers" not in trace(module, (3,)).table().text()
