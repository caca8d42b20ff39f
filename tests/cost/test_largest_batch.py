"""The largest batch that fits: exact by the model, and clear where there is none."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from epochlab.cost.memory import largest_batch, step_memory
from epochlab.errors import BadOption
from epochlab.networks.resnet_cifar import ResNetCifar
from epochlab.optimizers.adam import Adam


@pytest.mark.parametrize("limit", [40_000, 123_456, 1_000_000, 98_765_432])
@pytest.mark.parametrize("optimizer", [None, torch.optim.Adam])
def test_the_largest_batch_fits_and_the_next_does_not(limit: int, optimizer: Any) -> None:
    module = nn.Sequential(nn.Linear(10, 60), nn.ReLU(), nn.Linear(60, 4))

    def peak(batch: int) -> int:
        return step_memory(module, (10,), batch=batch, optimizer=optimizer).peak_bytes

    answer = largest_batch(module, (10,), memory_bytes=limit, optimizer=optimizer)
    assert peak(answer) <= limit < peak(answer + 1)


def test_the_largest_batch_at_its_very_edge() -> None:
    module = ResNetCifar(depth=8).build((3, 16, 16), 10)
    edge = step_memory(module, (3, 16, 16), batch=37).peak_bytes
    assert largest_batch(module, (3, 16, 16), memory_bytes=edge) == 37
    assert largest_batch(module, (3, 16, 16), memory_bytes=edge - 1) == 36


def test_batches_of_one_that_cannot_be_trained_on_are_passed_over() -> None:
    module = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6))
    edge = step_memory(module, (4,), batch=2).peak_bytes
    assert largest_batch(module, (4,), memory_bytes=edge) == 2


def test_given_inputs_are_scaled_along_their_first_axis() -> None:
    x, targets = torch.zeros(7, 5, dtype=torch.int64), torch.zeros(7, 5, 4)

    def loss(outputs: Tensor, targets: Tensor) -> Tensor:
        return (outputs * targets).sum()

    module = nn.Embedding(10, 4)
    answer = largest_batch(module, inputs=x, targets=targets, loss=loss, memory_bytes=50_000)
    peaks = [
        step_memory(module, inputs=torch.zeros(b, 5, dtype=torch.int64),
                    targets=torch.zeros(b, 5, 4), loss=loss).peak_bytes
        for b in (answer, answer + 1)
    ]  # fmt: skip
    assert peaks[0] <= 50_000 < peaks[1]


class Deaf(nn.Module):
    """Its outputs do not depend on the batch."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(2, 2))

    def forward(self, x: Tensor) -> Tensor:
        return self.weight


def test_a_device_that_is_too_small_is_told_what_is_missing() -> None:
    with pytest.raises(BadOption, match=r"a batch of 1 needs .*, the device has 1 kB\..*optimizer"):
        largest_batch(nn.Linear(8, 40), (8,), memory_bytes=1000, optimizer=Adam())


def test_memory_that_does_not_grow_has_no_largest_batch() -> None:
    inputs = torch.zeros(1, 0)
    with pytest.raises(BadOption, match="does not grow with the batch"):
        largest_batch(Deaf(), inputs=inputs, memory_bytes=10**6, loss=Tensor.sum)


@pytest.mark.parametrize("memory", [0, -5, 1.5, "16 GB"])
def test_memory_is_a_whole_number_of_bytes(memory: Any) -> None:
    with pytest.raises(BadOption, match="memory_bytes"):
        largest_batch(nn.Linear(8, 40), (8,), memory_bytes=memory)
