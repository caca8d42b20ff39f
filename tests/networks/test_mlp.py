from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from epochlab.errors import BadOption
from epochlab.layers.dropout import Dropout
from epochlab.networks.linear import Linear
from epochlab.networks.mlp import Mlp
from tests.networks.counting import counts


def test_size_for_cifar() -> None:
    assert counts(Mlp(hidden=(1000, 1000)), (3, 32, 32)) == (4_084_010, 4_082_000)
    assert counts(Mlp(), (3072,))[0] == 4_084_010


@pytest.mark.parametrize(
    ("hidden", "size"),
    [
        ((16,), 65), ((512,), 2_049), ((128, 128), 17_025), ((128, 256), 33_665),
        ((256, 128), 33_793), ((256, 256), 66_817), ((16, 16, 16), 609), ((128, 128, 256), 50_177),
    ],
)  # fmt: skip
def test_sizes_for_two_inputs_and_one_output(hidden: tuple[int, ...], size: int) -> None:
    assert counts(Mlp(hidden=hidden), (2,), 1)[0] == size
    normalised = counts(Mlp(hidden=hidden, batch_norm=True), (2,), 1)[0]
    assert normalised == size + 2 * sum(hidden)


@pytest.mark.parametrize(
    ("hidden", "size"), [((256, 256), 67_841), ((16, 16), 401), ((128, 256, 128), 67_457)]
)
def test_sizes_with_normalisation(hidden: tuple[int, ...], size: int) -> None:
    assert counts(Mlp(hidden=hidden, batch_norm=True), (2,), 1)[0] == size


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(1, 40), max_size=5), st.integers(1, 50), st.integers(1, 9))
def test_size_formula(hidden: list[int], inputs: int, outputs: int) -> None:
    widths = [inputs, *hidden, outputs]
    size = sum((a + 1) * b for a, b in pairwise(widths))
    assert counts(Mlp(hidden=tuple(hidden)), (inputs,), outputs)[0] == size


def test_order_of_layers() -> None:
    network = Mlp(hidden=(5, 4), batch_norm=True, input_dropout=0.2, hidden_dropout=0.5,
                  dropout_form="weight_scaling")  # fmt: skip
    module = network.build((1, 2, 3), 2)
    assert [name for name, _ in module.named_children()] == [
        "flatten", "drop0", "fc1", "bn1", "act1", "drop1", "fc2", "bn2", "act2", "drop2", "fc3",
    ]  # fmt: skip
    drops = [layer for layer in module.modules() if isinstance(layer, Dropout)]
    assert [(d.rate, d.form) for d in drops] == [(0.2, "weight_scaling")] + [
        (0.5, "weight_scaling")
    ] * 2


def test_no_dropout_layers_unless_asked() -> None:
    assert not any(isinstance(m, Dropout) for m in Mlp(hidden=(3,)).build((2,), 1).modules())


def test_slope_of_leaky_relu() -> None:
    module = Mlp(hidden=(3,), activation="leaky_relu", leaky_slope=0.3).build((2,), 1)
    (leaky,) = [layer for layer in module.modules() if isinstance(layer, nn.LeakyReLU)]
    assert leaky.negative_slope == 0.3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hidden": (10, 0)}, "at least 1"),
        ({"hidden_dropout": 1.0}, "below 1"),
        ({"hidden": (), "batch_norm": True}, "no hidden layers"),
        ({"hidden": (), "hidden_dropout": 0.5}, "no hidden layers"),
    ],
)
def test_impossible_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(BadOption, match=message):
        Mlp(**options)


def test_linear_is_the_mlp_without_hidden_layers() -> None:
    torch.manual_seed(0)
    linear = Linear().build((3, 4, 4), 10)
    torch.manual_seed(0)
    mlp = Mlp(hidden=()).build((3, 4, 4), 10)
    mlp.load_state_dict(linear.state_dict(), strict=True)
    x = torch.randn(2, 3, 4, 4)
    assert torch.equal(linear(x), mlp(x))
    weight, bias = linear.state_dict().values()
    torch.testing.assert_close(linear(x), x.reshape(2, 48) @ weight.T + bias)
