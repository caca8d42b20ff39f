"""PALEO's view of any module: the same layers as the authors', nothing lost in silence."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from epochlab.component import make
from epochlab.cost import trace_network
from epochlab.errors import BadShape, CannotTrace
from epochlab.layers.dropout import Dropout as OwnDropout
from epochlab.networks import Network
from epochlab.predict.paleo import (
    REVISIONS,
    Convolution,
    Dropout,
    InnerProduct,
    PaleoNetwork,
    Pooling,
    paleo_device,
    paleo_layers,
    paleo_network,
    paleo_time,
)
from epochlab.predict.paleo.formulas import backward_work, departures, forward_work
from epochlab.registry import load_class, names


def component(name: str, **options: Any) -> Network:
    found = make(load_class("networks", name), options)
    assert isinstance(found, Network)
    return found


def as_module(described: PaleoNetwork) -> nn.Sequential:
    """The authors' network as PyTorch has it: SAME becomes rows and columns on each side."""
    parts: list[nn.Module] = []
    for layer in described.layers:
        if isinstance(layer, Convolution):
            around = 0 if layer.padding == "VALID" else (layer.kernel[0] - 1) // 2
            channels = (layer.input[2], layer.output[2])
            parts += [nn.Conv2d(*channels, layer.kernel, layer.stride, around), nn.ReLU()]
        elif isinstance(layer, Pooling):
            parts.append(nn.MaxPool2d(layer.kernel, layer.stride))
        else:
            parts.append(nn.Dropout())
    return nn.Sequential(*parts)


@pytest.mark.parametrize("name", ["nin", "alex_v2", "vgg16"])
def test_modules_have_the_cost_of_the_authors_description(name: str) -> None:
    known = paleo_network(name)
    with torch.device("meta"):
        module = as_module(known)
    found = paleo_layers(module, (3, 224, 224))
    assert len(found.layers) == len(known.layers)
    assert found.parameters == known.parameters
    assert set(found.without_cost) == {
        f"{place} (relu)" for place, part in enumerate(module) if isinstance(part, nn.ReLU)
    }
    for ours, theirs in zip(found.layers, known.layers, strict=True):
        assert (ours.input, ours.output, ours.kind) == (theirs.input, theirs.output, theirs.kind)
        for revision in REVISIONS:
            assert departures(ours, revision) == ()
            assert forward_work(ours, 7, revision) == forward_work(theirs, 7, revision)
            assert backward_work(ours, 7, revision) == backward_work(theirs, 7, revision)


@pytest.mark.parametrize("name", names("networks"))
def test_operations_of_our_networks_are_those_of_the_cost_analysis(name: str) -> None:
    network = component(name)
    found = paleo_layers(network)
    cost = trace_network(
        network, network.natural_input, network.natural_outputs, backward=False, fields=False
    )
    weighted = [layer for layer in found.layers if isinstance(layer, (Convolution, InnerProduct))]
    flops = sum(forward_work(layer, 1, "master")[0].flops for layer in weighted)
    assert flops == 2 * cost.macs
    assert found.name == name
    step = paleo_time(found, device=paleo_device("TITAN_X"), batch=32)
    assert step.iteration_s > 0
    # Every row of the analysis that makes numbers is a layer here, or is said to cost nothing.
    heard = " ".join((*(layer.name for layer in found.layers), *found.without_cost))
    for row in cost.layers:
        if row.operators and row.kind not in ("reshape", "identity"):
            assert row.name.partition("/")[0] in heard, row.name


@pytest.mark.parametrize(
    ("name", "options", "parameters", "first"),
    [("vgg", {"depth": 16}, 138_357_544, "features.0"), ("alexnet", {}, 60_965_224, "conv1"),
     ("googlenet", {}, 6_998_552, "conv1"), ("resnet", {"depth": 50}, 25_530_472, "conv1")],
)  # fmt: skip
def test_large_networks(name: str, options: dict[str, Any], parameters: int, first: str) -> None:
    found = paleo_layers(component(name, **options))
    assert found.parameters == parameters
    fed = [layer.name for layer in found.layers if getattr(layer, "fed_by_data", False)]
    assert fed == [first]


def test_layers_of_resnet_that_cost_nothing_are_named() -> None:
    found = paleo_layers(component("resnet", depth=50))
    free = found.without_cost
    assert "bn1 (batch_norm)" in free
    assert "layer1.0 (add)" in free
    assert len([name for name in free if "batch_norm" in name]) == 53
    step = paleo_time(found, device=paleo_device("K80"), batch=8)
    assert step.without_cost == free
    assert "charges nothing for: bn1 (batch_norm)" in step.table().text()
    assert step.departures == ()


# --- what a module may do -------------------------------------------------------------------------


class Functions(nn.Module):
    """Everything as functions, some arguments by name."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Parameter(torch.empty(4, 3, 3, 3))
        self.second = nn.Parameter(torch.empty(5, 36))

    def forward(self, x: Tensor) -> Tensor:
        x = functional.conv2d(input=x, weight=self.first, padding="same")
        x = functional.relu(x, inplace=True)
        x = functional.max_pool2d(x, kernel_size=2)
        x = functional.avg_pool2d(x, 2, stride=1)
        x = functional.dropout(x, training=self.training)
        x = functional.adaptive_avg_pool2d(x, (3, 3))
        return functional.linear(x.flatten(1), self.second).softmax(1)


def test_functions_count_as_layers_do() -> None:
    found = paleo_layers(Functions(), (3, 8, 8))
    assert [layer.name for layer in found.layers] == [
        "conv2d", "pooling", "pooling (call 2)", "dropout", "linear"
    ]  # fmt: skip
    conv, pool, average, dropout, linear = found.layers
    assert isinstance(conv, Convolution)
    assert (conv.padding, conv.output, conv.fed_by_data) == ("SAME", (8, 8, 4), True)
    assert isinstance(pool, Pooling) and isinstance(average, Pooling)
    assert (pool.stride, pool.output, average.output) == ((2, 2), (4, 4, 4), (3, 3, 4))
    assert (dropout.input, linear.input) == ((3, 3, 4), (1, 1, 36))
    # Averages of one number each are no work.
    assert found.without_cost == ("relu", "adaptive_avg_pool2d", "softmax")


def test_the_data_may_be_prepared_before_the_first_convolution() -> None:
    class Prepared(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.left, self.right = nn.Conv2d(3, 4, 1), nn.Conv2d(3, 4, 1)
            self.last = nn.Conv2d(4, 2, 1)

        def forward(self, x: Tensor) -> Tensor:
            x = (x - 0.5) / 0.25
            y: Tensor = self.last(self.left(x) + self.right(x))
            return y

    found = paleo_layers(Prepared(), (3, 8, 8))
    fed = {layer.name: layer.fed_by_data for layer in found.layers
           if isinstance(layer, Convolution)}  # fmt: skip
    assert fed == {"left": True, "right": True, "last": False}
    assert found.without_cost == ("sub", "div", "add")


def test_frozen_weights_are_described_as_trained_ones() -> None:
    first = nn.Conv2d(3, 4, 3)
    module = nn.Sequential(first, nn.Conv2d(4, 4, 3)).requires_grad_(False)
    found = paleo_layers(module, (3, 8, 8))
    assert [getattr(layer, "fed_by_data", None) for layer in found.layers] == [True, False]
    assert not first.weight.requires_grad


def test_shared_weights_are_counted_once() -> None:
    conv = nn.Conv2d(3, 3, 3, padding=1)
    found = paleo_layers(nn.Sequential(conv, nn.ReLU(), conv), (3, 8, 8))
    assert [layer.name for layer in found.layers] == ["0", "0 (call 2)"]
    assert [layer.parameters for layer in found.layers] == [84, 0]
    assert "earlier layer" in departures(found.layers[1], "master")[0]


def test_words_of_a_sentence_pass_a_linear_layer_one_by_one() -> None:
    found = paleo_layers(nn.Linear(10, 4), (7, 10))
    (layer,) = found.layers
    assert (layer.copies, layer.parameters) == (7, 44)
    assert forward_work(layer, 2, "master")[0].flops == 2 * 2 * 7 * 10 * 4


def test_adaptive_pooling_has_windows_that_cover_its_input() -> None:
    even = paleo_layers(nn.AdaptiveAvgPool2d(2), (3, 8, 8)).layers[0]
    assert isinstance(even, Pooling)
    assert (even.kernel, even.stride) == ((4, 4), (4, 4))
    assert departures(even, "master") == ()
    uneven = paleo_layers(nn.AdaptiveMaxPool2d(3), (3, 8, 8)).layers[0]
    assert isinstance(uneven, Pooling)
    assert (uneven.kernel, uneven.stride) == ((3, 3), (2, 2))


def test_our_own_dropout_is_a_dropout() -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 3), OwnDropout(0.5, "weight_scaling"))
    for training in (False, True):
        found = paleo_layers(module, (3, 8, 8), training=training)
        assert [layer.name for layer in found.layers] == ["0", "1"]
        assert isinstance(found.layers[1], Dropout)
        assert found.layers[1].input == (6, 6, 4)
        assert found.without_cost == ()


def test_layers_without_a_rule_are_named_with_their_function() -> None:
    module = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.ConvTranspose2d(4, 4, 3), nn.PReLU(), nn.Flatten(2),
        nn.LSTM(64, 8),
    )  # fmt: skip
    found = paleo_layers(module, (3, 8, 8))
    assert [layer.name for layer in found.layers] == ["0"]
    assert found.without_cost == ("1 (conv_transpose2d)", "2 (prelu)", "4 (lstm)")


def test_auxiliary_heads_run_in_training_alone() -> None:
    class Headed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.head = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 2, 1)

        def forward(self, x: Tensor) -> Any:
            y = self.body(x)
            return (y, self.head(y)) if self.training else y

    assert len(paleo_layers(Headed(), (3, 8, 8)).layers) == 1
    assert len(paleo_layers(Headed(), (3, 8, 8), training=True).layers) == 2


def test_the_module_is_left_as_it_was() -> None:
    conv, norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)
    module = nn.Sequential(conv, norm)
    before = conv.weight.detach().clone()
    paleo_layers(module, (3, 8, 8), training=False)
    assert module.training and norm.training
    assert torch.equal(conv.weight, before)
    assert not conv.weight.is_meta
    assert not conv._forward_hooks and not conv._forward_pre_hooks
    paleo_layers(module, (3, 8, 8), training=True)
    assert norm.num_batches_tracked is not None and int(norm.num_batches_tracked) == 0


# --- mistakes -------------------------------------------------------------------------------------


def test_wrong_shapes() -> None:
    conv = nn.Conv2d(3, 4, 3)
    with pytest.raises(CannotTrace, match="give input_shape"):
        paleo_layers(conv)
    bad: Any = ((3, 0, 8), (3, 8.5, 8), (3, -1, 8), (True, 8, 8))
    for wrong in bad:
        with pytest.raises(CannotTrace, match="must be a whole number above 0"):
            paleo_layers(conv, wrong)
    with pytest.raises(CannotTrace, match=r"Conv2d does not run on .*1, 4, 8, 8"):
        paleo_layers(conv, (4, 8, 8))
    with pytest.raises(BadShape):
        paleo_layers(component("alexnet"), (3, 5, 5))


def test_nothing_to_charge_for() -> None:
    with pytest.raises(CannotTrace, match=r"no layer that PALEO charges for.*0 \(relu\)"):
        paleo_layers(nn.Sequential(nn.ReLU()), (3, 8, 8))


def test_modules_that_need_numbers() -> None:
    class Asks(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x if x.sum() > 0 else -x

    with pytest.raises(CannotTrace, match="Asks does not run on tensors without numbers"):
        paleo_layers(Asks(), (3, 8, 8))
