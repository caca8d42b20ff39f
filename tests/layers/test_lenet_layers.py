from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional

from epochlab.layers.lenet import CodeDistance, Squash, TableConv2d, TrainablePool


def test_squash_is_its_equation() -> None:
    x = torch.linspace(-5, 5, 11).double()
    expected = [1.7159 * math.tanh(2 / 3 * float(v)) for v in x]
    torch.testing.assert_close(Squash()(x), torch.tensor(expected).double())


def test_trainable_pool_is_its_equation() -> None:
    pool = TrainablePool(2)
    x = torch.arange(2 * 2 * 4 * 5.0).reshape(2, 2, 4, 5)
    torch.testing.assert_close(pool(x), functional.avg_pool2d(x, 2))  # how it starts
    with torch.no_grad():
        pool.coefficient.copy_(torch.tensor([2.0, -1.0]))
        pool.bias.copy_(torch.tensor([0.5, 3.0]))
    y = pool(x)
    assert y.shape == (2, 2, 2, 2)
    for sample in range(2):
        for row in range(2):
            for column in range(2):
                window = x[sample, :, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2]
                a, b = window.sum((1, 2)).tolist()
                assert y[sample, :, row, column].tolist() == [2 * a + 0.5, -b + 3]


def test_table_says_who_sees_whom() -> None:
    torch.manual_seed(0)
    table = [(0, 2), (1,), (0, 1, 2)]
    layer = TableConv2d(table, kernel=3)
    x = torch.randn(1, 3, 5, 5, requires_grad=True)
    for out, row in enumerate(table):
        (gradient,) = torch.autograd.grad(layer(x)[0, out].sum(), x)
        seen = gradient[0].abs().sum((1, 2)) > 0
        assert seen.tolist() == [channel in row for channel in range(3)]


def test_table_with_all_connections_is_a_convolution() -> None:
    torch.manual_seed(0)
    layer = TableConv2d([(0, 1, 2)] * 4, kernel=3)
    state = layer.state_dict()
    weight = torch.cat([state[f"maps.{i}.weight"] for i in range(4)])
    bias = torch.cat([state[f"maps.{i}.bias"] for i in range(4)])
    x = torch.randn(2, 3, 6, 6)
    torch.testing.assert_close(layer(x), functional.conv2d(x, weight, bias))


def test_code_distance_is_its_equation() -> None:
    torch.manual_seed(0)
    layer = CodeDistance(84, 10)
    x = torch.randn(3, 84)
    expected = torch.tensor([[-float(((r - c) ** 2).sum()) for c in layer.codes] for r in x])
    torch.testing.assert_close(layer(x), expected)
    assert torch.equal(layer(layer.codes).argmax(1), torch.arange(10))
    assert layer(layer.codes).diagonal().tolist() == [0.0] * 10


@pytest.mark.parametrize("classes", [2, 10, 1000])
def test_codes_are_fixed_signs_far_from_one_another(classes: int) -> None:
    torch.manual_seed(1)
    codes = CodeDistance(84, classes).codes
    assert codes.shape == (classes, 84)
    assert codes.abs().unique().tolist() == [1.0]
    torch.manual_seed(2)
    assert torch.equal(codes, CodeDistance(84, classes).codes)
    assert torch.equal(codes[:2], CodeDistance(84, 2).codes)  # a class keeps its code
    places = (84 - codes @ codes.T) / 2 + 84 * torch.eye(classes)  # in which two codes differ
    assert int(places.min()) >= (30 if classes <= 10 else 15)
