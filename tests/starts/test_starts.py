"""Starts: bounds and moments of the weights, what is set and what is left, and seeds."""

from __future__ import annotations

import doctest
import importlib
import subprocess
import sys

import pytest
import torch
from torch import nn

from epochlab.component import options
from epochlab.plain import from_plain, to_plain
from epochlab.registry import load_class, names, summary
from epochlab.starts.kaiming import Kaiming
from epochlab.starts.normal import Normal
from epochlab.starts.pytorch import Pytorch
from epochlab.starts.xavier import Xavier

NAMES = names("starts")
every_name = pytest.mark.parametrize("name", NAMES)

# (layer, fan_in, fan_out): channels times kernel; groups leave each output fewer inputs.
LAYERS = [
    (lambda: nn.Linear(300, 200), 300, 200),
    (lambda: nn.Linear(300, 200, bias=False), 300, 200),
    (lambda: nn.Conv2d(30, 80, 5), 30 * 25, 80 * 25),
    (lambda: nn.Conv2d(64, 128, 3, groups=4), 16 * 9, 128 * 9),
    (lambda: nn.Conv1d(64, 128, 7), 64 * 7, 128 * 7),
]


def seeded(number: int) -> torch.Generator:
    return torch.Generator().manual_seed(number)


def network() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Sequential(nn.ReLU(), nn.GroupNorm(2, 8)),
        nn.Flatten(), nn.Linear(32, 16), nn.LayerNorm(16), nn.Linear(16, 4, bias=False),
    )  # fmt: skip


def assert_moments(weight, std, distribution):
    """Within five standard errors of mean 0 and the wanted deviation."""
    n = weight.numel()
    assert abs(weight.mean().item()) < 5 * std / n**0.5
    kurtosis = 1.8 if distribution == "uniform" else 3.0
    error = std * ((kurtosis - 1) / (4 * n)) ** 0.5
    assert weight.std().item() == pytest.approx(std, abs=5 * error)
    bound = 3**0.5 * std
    if distribution == "uniform":
        assert 0.99 * bound < weight.abs().max().item() <= bound * (1 + 1e-6)
    else:
        assert weight.abs().max().item() > 1.5 * bound


@pytest.mark.parametrize(("make", "fan_in", "fan_out"), LAYERS)
@pytest.mark.parametrize("distribution", ["uniform", "normal"])
@pytest.mark.parametrize("gain", [1.0, 5 / 3])
def test_xavier_bound_and_moments(make, fan_in, fan_out, distribution, gain):
    layer = make()
    Xavier(distribution=distribution, gain=gain).apply(layer, seeded(0))
    bound = gain * (6 / (fan_in + fan_out)) ** 0.5
    assert_moments(layer.weight.detach(), bound / 3**0.5, distribution)


@pytest.mark.parametrize(("make", "fan_in", "fan_out"), LAYERS)
@pytest.mark.parametrize("distribution", ["uniform", "normal"])
@pytest.mark.parametrize("fan", ["in", "out"])
@pytest.mark.parametrize("slope", [0.0, 0.5])
def test_kaiming_moments(make, fan_in, fan_out, distribution, fan, slope):
    layer = make()
    Kaiming(distribution=distribution, fan=fan, negative_slope=slope).apply(layer, seeded(0))
    std = (2 / (1 + slope**2) / (fan_in if fan == "in" else fan_out)) ** 0.5
    assert_moments(layer.weight.detach(), std, distribution)


@pytest.mark.parametrize(("make", "fan_in", "fan_out"), LAYERS)
def test_normal_moments(make, fan_in, fan_out):
    layer = make()
    Normal(std=0.03).apply(layer, seeded(0))
    assert_moments(layer.weight.detach(), 0.03, "normal")


TORCH = [
    (Xavier(gain=2.0), lambda w, g: nn.init.xavier_uniform_(w, 2.0, generator=g)),
    (Xavier(distribution="normal"), lambda w, g: nn.init.xavier_normal_(w, generator=g)),
    (Kaiming(), lambda w, g: nn.init.kaiming_normal_(w, nonlinearity="relu", generator=g)),
    (Kaiming(distribution="uniform", fan="out", negative_slope=0.2),
     lambda w, g: nn.init.kaiming_uniform_(w, 0.2, "fan_out", generator=g)),
    (Normal(), lambda w, g: nn.init.normal_(w, 0.0, 0.01, generator=g)),
]  # fmt: skip


@pytest.mark.parametrize(("start", "theirs"), TORCH, ids=[type(s).__name__ for s, _ in TORCH])
@pytest.mark.parametrize("make", [layer[0] for layer in LAYERS])
def test_weights_equal_those_of_torch_init(start, theirs, make):
    layer, twin = make(), make()
    start.apply(layer, seeded(3))
    theirs(twin.weight, seeded(3))
    assert torch.allclose(layer.weight, twin.weight, rtol=1e-6, atol=0)


@pytest.mark.parametrize("start", [Xavier(bias=0.25), Kaiming(bias=0.25), Normal(bias=0.25)])
def test_sets_weights_and_biases_and_leaves_normalisation_alone(start):
    torch.manual_seed(5)
    module = network()
    before = {name: p.detach().clone() for name, p in module.named_parameters()}
    start.apply(module, seeded(0))
    for i, layer in enumerate(module.modules()):
        if isinstance(layer, (nn.BatchNorm2d, nn.GroupNorm, nn.LayerNorm)):
            assert torch.equal(layer.weight, torch.ones_like(layer.weight)), i
            assert torch.equal(layer.bias, torch.zeros_like(layer.bias)), i
        elif isinstance(layer, (nn.Conv2d, nn.Linear)) and layer.bias is not None:
            assert torch.equal(layer.bias, torch.full_like(layer.bias, 0.25))
    for name in ("0.weight", "4.weight", "6.weight"):
        assert not torch.equal(module.get_parameter(name), before[name])
    assert all(p.requires_grad and p.is_leaf for p in module.parameters())


@pytest.mark.parametrize("start", [Xavier(), Xavier(distribution="normal"), Kaiming(), Normal()])
def test_equal_generators_give_equal_weights_whatever_the_global_state(start):
    twins = []
    for global_seed in (1, 2):
        torch.manual_seed(global_seed)
        twins.append(network())
        state = torch.get_rng_state()
        start.apply(twins[-1], seeded(9))
        assert torch.equal(torch.get_rng_state(), state)
    first, second = (dict(twin.named_parameters()) for twin in twins)
    assert all(torch.equal(first[name], second[name]) for name in first)
    other = network()
    start.apply(other, seeded(10))
    assert not torch.equal(other.get_parameter("0.weight"), first["0.weight"])


def test_pytorch_leaves_the_network_and_the_generator_as_they_are():
    module, generator = network(), seeded(0)
    before = {name: p.detach().clone() for name, p in module.named_parameters()}
    state = generator.get_state()
    Pytorch().apply(module, generator)
    assert all(torch.equal(p, before[name]) for name, p in module.named_parameters())
    assert torch.equal(generator.get_state(), state)


@pytest.mark.parametrize(("make", "fan_in", "fan_out"), LAYERS)
def test_pytorchs_own_bound_is_what_the_docstring_says(make, fan_in, fan_out):
    torch.manual_seed(0)
    layer = make()
    for p in layer.parameters():
        assert 0.9 * fan_in**-0.5 < p.abs().max().item() <= fan_in**-0.5 * (1 + 1e-6)


@every_name
def test_is_documented_with_a_true_example(name):
    cls = load_class("starts", name)
    assert "Reference:" in cls.__doc__
    assert [o.name for o in options(cls) if not o.help] == []
    assert summary("starts", name).endswith(".")
    assert from_plain(to_plain(cls())) == cls()
    result = doctest.testmod(importlib.import_module(f"epochlab.starts.{name}"))
    assert result.attempted > 0
    assert result.failed == 0


def test_importing_the_folder_does_not_import_torch():
    imports = "; ".join(f"import epochlab.starts.{name}" for name in NAMES)
    code = f"import sys; {imports}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
