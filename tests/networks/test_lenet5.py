from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from epochlab.errors import BadOption, BadShape
from epochlab.layers.swish import Swish
from epochlab.networks.lenet5 import Lenet5
from tests.networks.counting import counts


@pytest.mark.parametrize("shape", [(1, 28, 28), (1, 32, 32), (1, 27, 32), (1, 8, 8)])
def test_size_of_the_modern_form(shape: tuple[int, ...]) -> None:
    assert counts(Lenet5(), shape)[0] == 61_706


@pytest.mark.parametrize("shape", [(1, 28, 28), (1, 32, 32)])
def test_work_of_the_modern_form(shape: tuple[int, ...]) -> None:
    assert counts(Lenet5(), shape)[1] == 416_520


def test_size_without_padding() -> None:
    assert counts(Lenet5(padding=False), (1, 28, 28))[0] == 44_426
    assert counts(Lenet5(padding=False), (1, 32, 32))[0] == 61_706


def test_padding_surrounds_small_images_with_zeros() -> None:
    torch.manual_seed(0)
    small = Lenet5().build((1, 28, 28), 10)
    large = Lenet5().build((1, 32, 32), 10)
    large.load_state_dict(small.state_dict())
    images = torch.rand(2, 1, 28, 28)
    surrounded = nn.functional.pad(images, (2, 2, 2, 2))
    torch.testing.assert_close(small(images), large(surrounded))


@pytest.mark.parametrize(
    ("options", "kind", "number"),
    [
        ({}, nn.ReLU, 4), ({"activation": "tanh"}, nn.Tanh, 4), ({"activation": "swish"}, Swish, 4),
        ({}, nn.MaxPool2d, 2), ({"pool": "average"}, nn.AvgPool2d, 2),
    ],
)  # fmt: skip
def test_options_choose_the_layers(
    options: dict[str, Any], kind: type[nn.Module], number: int
) -> None:
    module = Lenet5(**options).build((1, 28, 28), 10)
    assert sum(isinstance(layer, kind) for layer in module.modules()) == number


def test_names_of_the_weights() -> None:
    layers = ("conv1", "conv2", "fc1", "fc2", "fc3")
    expected = [f"{layer}.{kind}" for layer in layers for kind in ("weight", "bias")]
    assert list(Lenet5().build((1, 28, 28), 10).state_dict()) == expected


def test_flat_and_small_samples_are_refused() -> None:
    with pytest.raises(BadShape, match="shape 64; it takes images"):
        Lenet5().build((64,), 10)
    assert Lenet5(padding=False).build((1, 16, 16), 10)(torch.zeros(1, 1, 16, 16)).shape == (1, 10)
    with pytest.raises(BadShape, match=r"15 x 16 pixels.*at least 16.*padding to true"):
        Lenet5(padding=False).build((1, 15, 16), 10)


def test_unknown_options_are_refused() -> None:
    with pytest.raises(BadOption, match="'relu', 'tanh', 'swish'"):
        Lenet5(activation="gelu")  # type: ignore[arg-type]


def test_order_of_layers() -> None:
    assert [name for name, _ in Lenet5().build((1, 28, 28), 10).named_children()] == [
        "conv1", "act1", "pool1", "conv2", "act2", "pool2", "flatten",
        "fc1", "act3", "fc2", "act4", "fc3",
    ]  # fmt: skip
