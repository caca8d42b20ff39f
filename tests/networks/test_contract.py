"""What every network must do, collected from the folder."""

from __future__ import annotations

import ast
import doctest
import importlib
import re
import subprocess
import sys
import typing
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load, save
from torch import Tensor, nn
from torch.nn import functional

from epochlab.component import field_types, options
from epochlab.errors import BadShape
from epochlab.layers.activation import activation
from epochlab.networks import Network
from epochlab.registry import load_class, names, summary

NAMES = names("networks")
SHAPES = ((3, 32, 32), (1, 28, 28), (64,), (3, 96, 96), (3, 224, 224), (512, 6, 5))
OUTPUTS = 7
# What makes a network of 100 million weights small enough to be trained here.
SMALLER: dict[str, dict[str, Any]] = {"alexnet": {"hidden": 32}, "vgg": {"hidden": 32}}
# Parts of a detector: they return maps in place of one row of outputs per sample.
HEADS = {"rpn_head"}


def made(name: str, **options: Any) -> Network:
    network = load_class("networks", name)(**options)
    assert isinstance(network, Network)
    return network


def rows(outputs: Tensor | tuple[Tensor, ...]) -> Tensor:
    """All outputs of a sample as one row, whatever maps they come in."""
    maps = outputs if isinstance(outputs, tuple) else (outputs,)
    return torch.cat([one.flatten(1) for one in maps], 1)


def built(name: str) -> tuple[nn.Module, Tensor]:
    """The network, smaller where needed, and four random samples of the first fitting shape."""
    network = made(name, **SMALLER.get(name, {}))
    for shape in SHAPES:
        try:
            torch.manual_seed(1)
            return network.build(shape, OUTPUTS), torch.randn(4, *shape)
        except BadShape:
            continue
    raise AssertionError(f"{name} takes none of {SHAPES}")


def test_the_folder_holds_networks() -> None:
    assert {
        "alexnet", "fashion_cnn", "googlenet", "lenet5", "lenet5_classic", "linear", "mlp",
        "mobilenet_v1", "mobilenet_v2", "resnet", "resnet_cifar", "rpn_head", "simple_nn",
        "squeezenet", "vgg",
    } <= set(NAMES)  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_output_has_one_row_per_sample(name: str) -> None:
    module, inputs = built(name)
    for training in (True, False):
        outputs = module.train(training)(inputs)
        assert isinstance(outputs, Tensor) is (name not in HEADS)
        assert len(rows(outputs)) == 4
        assert isinstance(outputs, tuple) or outputs.shape == (4, OUTPUTS)
        assert torch.isfinite(rows(outputs)).all()


@pytest.mark.parametrize("name", NAMES)
def test_default_form_can_be_built_without_memory(name: str) -> None:
    """On the meta device, for the largest shape: what an analysis of its cost does."""
    for shape in ((3, 227, 227), (64,), (512, 6, 5)):
        try:
            with torch.device("meta"):
                module = made(name).build(shape, 1000)
        except BadShape:
            continue
        for tensor in (*module.parameters(), *module.buffers()):
            assert tensor.is_meta
        outputs = rows(module.train()(torch.zeros(2, *shape, device="meta")))
        assert outputs.is_meta
        assert outputs.shape[0] == 2
        assert name in HEADS or outputs.shape[1] == 1000
        outputs.sum().backward()
        return
    raise AssertionError(f"{name} takes no shape")


@pytest.mark.parametrize("name", NAMES)
def test_gradient_reaches_every_parameter(name: str) -> None:
    module, inputs = built(name)
    functional.cross_entropy(rows(module.train()(inputs)), torch.arange(4)).backward()
    for parameter_name, parameter in module.named_parameters():
        assert parameter.grad is not None, parameter_name
        assert torch.isfinite(parameter.grad).all(), parameter_name
        assert parameter.grad.abs().sum() > 0, parameter_name


@pytest.mark.parametrize("name", NAMES)
def test_same_seed_builds_the_same_weights(name: str) -> None:
    first, second = built(name)[0].state_dict(), built(name)[0].state_dict()
    assert list(first) == list(second)
    assert all(torch.equal(first[key], second[key]) for key in first)


@pytest.mark.parametrize("name", NAMES)
def test_weights_survive_safetensors(name: str) -> None:
    module, inputs = built(name)
    module.train()(inputs)  # moves the running statistics of normalisations, where there are any
    torch.manual_seed(2)
    other = made(name, **SMALLER.get(name, {})).build(tuple(inputs.shape[1:]), OUTPUTS)
    other.load_state_dict(load(save(module.state_dict())), strict=True)
    assert torch.equal(rows(module.eval()(inputs)), rows(other.eval()(inputs)))


@pytest.mark.parametrize("name", NAMES)
def test_no_lazy_layers(name: str) -> None:
    module, _ = built(name)
    assert not any(isinstance(p, nn.parameter.UninitializedParameter) for p in module.parameters())


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", [(), (0,), (3, 0, 32)])
def test_empty_samples_are_refused(name: str, shape: tuple[int, ...]) -> None:
    with pytest.raises(BadShape, match="cannot take samples"):
        made(name).build(shape, OUTPUTS)


@pytest.mark.parametrize("name", NAMES)
def test_everything_is_explained(name: str) -> None:
    cls = load_class("networks", name)
    assert re.fullmatch(r"\S.{10,98}\.", summary("networks", name))
    assert cls.__doc__ is not None
    assert ">>>" in cls.__doc__
    assert "Reference" in cls.__doc__
    for option in options(cls):
        assert option.help, option.name
        assert not option.required, option.name


@pytest.mark.parametrize("name", NAMES)
def test_examples_print_what_they_promise(name: str) -> None:
    result = doctest.testmod(importlib.import_module(f"epochlab.networks.{name}"))
    assert result.attempted > 0
    assert result.failed == 0


@pytest.mark.parametrize("name", NAMES)
def test_every_activation_on_offer_exists(name: str) -> None:
    kind = field_types(load_class("networks", name)).get("activation")
    for offered in typing.get_args(kind):
        assert isinstance(activation(offered), nn.Module)


def test_importing_networks_does_not_import_torch() -> None:
    modules = [f"epochlab.networks.{name}" for name in NAMES]
    code = (
        "import importlib, sys\n"
        f"for name in {modules!r}: importlib.import_module(name)\n"
        "print([m for m in ('torch', 'epochlab.layers') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", NAMES)
def test_networks_import_no_other_component(name: str) -> None:
    source = importlib.import_module(f"epochlab.networks.{name}").__file__
    tree = ast.parse(Path(str(source)).read_text(encoding="utf-8"))
    imported = [n.module or "" for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)]
    ours = [module for module in imported if module.startswith("epochlab.")]
    allowed = re.compile(r"epochlab\.(component|errors|layers\.\w+|networks|networks\._\w+)")
    assert [module for module in ours if not allowed.fullmatch(module)] == []
