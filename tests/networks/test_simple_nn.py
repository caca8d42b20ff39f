from __future__ import annotations

import math
from statistics import mean

import pytest
import torch
from torch import nn
from torch.nn import functional

from epochlab.errors import BadShape
from epochlab.layers.swish import Swish
from epochlab.networks.simple_nn import SimpleNN
from tests.networks.counting import counts, parameters


def test_size_and_work() -> None:
    assert counts(SimpleNN(), (3, 32, 32)) == (82_030, 716_328)
    assert counts(SimpleNN(batch_norm=True), (3, 32, 32)) == (82_078, 716_328)


def test_size_of_each_layer() -> None:
    module = SimpleNN().build((3, 32, 32), 10)
    sizes = {name: parameters(layer) for name, layer in module.named_children()}
    assert {name: size for name, size in sizes.items() if size} == {
        "conv1": 608, "conv2": 1_168, "fc1": 69_240, "fc2": 10_164, "fc3": 850,
    }  # fmt: skip


def test_swish_replaces_every_relu() -> None:
    layers = list(SimpleNN(activation="swish").build((3, 32, 32), 10).modules())
    assert sum(isinstance(layer, Swish) for layer in layers) == 4
    assert not any(isinstance(layer, nn.ReLU) for layer in layers)


def test_normalisation_stands_before_the_activation() -> None:
    order = [n for n, _ in SimpleNN(batch_norm=True).build((3, 32, 32), 10).named_children()]
    assert order[:8] == ["conv1", "bn1", "act1", "pool1", "conv2", "bn2", "act2", "pool2"]


def test_untrained_loss_is_that_of_guessing() -> None:
    losses = []
    for seed in range(20):
        torch.manual_seed(seed)
        module = SimpleNN().build((3, 32, 32), 10)
        targets = torch.randint(10, (256,))
        with torch.no_grad():
            losses.append(functional.cross_entropy(module(torch.randn(256, 3, 32, 32)), targets))
    assert abs(mean(map(float, losses)) - math.log(10)) < 0.03


def test_flat_and_small_samples_are_refused() -> None:
    with pytest.raises(BadShape, match="it takes images"):
        SimpleNN().build((3072,), 10)
    assert SimpleNN().build((3, 12, 12), 10)(torch.zeros(1, 3, 12, 12)).shape == (1, 10)
    with pytest.raises(BadShape, match=r"11 x 32 pixels: pool2 .*at least 12"):
        SimpleNN().build((3, 11, 32), 10)
