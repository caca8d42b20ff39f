from __future__ import annotations

import pytest
import torch

from epochlab.errors import BadOption
from epochlab.layers.activation import activation


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("relu", [0.0, 0.0, 2.0]), ("leaky_relu", [-0.02, 0.0, 2.0]),
        ("tanh", [-0.9640276, 0.0, 0.9640276]), ("sigmoid", [0.1192029, 0.5, 0.8807971]),
        ("swish", [-0.2384058, 0.0, 1.7615942]),
    ],
)  # fmt: skip
def test_values(name: str, expected: list[float]) -> None:
    torch.testing.assert_close(activation(name)(torch.tensor([-2.0, 0, 2])), torch.tensor(expected))


def test_slope_below_zero() -> None:
    assert activation("leaky_relu", 0.5)(torch.tensor(-2.0)).item() == -1.0


def test_every_call_makes_a_new_module() -> None:
    assert activation("relu") is not activation("relu")


def test_unknown_names_list_what_is_allowed() -> None:
    with pytest.raises(BadOption) as caught:
        activation("leakyrelu")
    assert str(caught.value) == (
        "There is no activation named 'leakyrelu'. Did you mean 'leaky_relu'? "
        "Allowed: leaky_relu, relu, sigmoid, swish, tanh."
    )
