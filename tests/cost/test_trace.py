"""The tracer: exact counts of random stacks, attribution, sharing, mistakes, and what it leaves."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from epochlab.cost import Cost, trace
from epochlab.cost.counting import Rule
from epochlab.cost.rules import BY_NAME
from epochlab.errors import CannotTrace

# --- brute force ----------------------------------------------------------------------------------


@st.composite
def stacks(draw: Any) -> tuple[nn.Sequential, tuple[int, int, int], int]:
    """A random stack of layers, one sample's shape, and a batch size."""
    channels, side = draw(st.integers(1, 4)), draw(st.integers(5, 10))
    shape = (channels, side, side)
    layers: list[nn.Module] = []
    for _ in range(draw(st.integers(1, 5))):
        kind = draw(st.sampled_from(["conv", "transposed", "norm", "relu", "pool"]))
        if kind == "conv":
            groups = draw(st.sampled_from([g for g in range(1, channels + 1) if not channels % g]))
            out = groups * draw(st.integers(1, 3))
            kernel = draw(st.integers(1, min(3, side)))
            stride, padding = draw(st.integers(1, 2)), draw(st.integers(0, 1))
            layers.append(nn.Conv2d(channels, out, kernel, stride, padding, groups=groups,
                                    bias=draw(st.booleans())))  # fmt: skip
            channels, side = out, (side + 2 * padding - kernel) // stride + 1
        elif kind == "transposed":
            out, kernel = draw(st.integers(1, 3)), draw(st.integers(1, 3))
            layers.append(nn.ConvTranspose2d(channels, out, kernel, bias=draw(st.booleans())))
            channels, side = out, side + kernel - 1
        elif kind == "norm":
            layers.append(nn.BatchNorm2d(channels))
        elif kind == "relu":
            # Overwriting what another ReLU has to keep is a mistake that PyTorch refuses.
            overwrite = not (layers and isinstance(layers[-1], nn.ReLU)) and draw(st.booleans())
            layers.append(nn.ReLU(inplace=overwrite))
        elif side >= 2:
            layers.append(nn.MaxPool2d(2))
            side //= 2
    layers += [nn.Flatten(), nn.Linear(channels * side * side, draw(st.integers(1, 5)))]
    return nn.Sequential(*layers), shape, draw(st.integers(1, 3))


def products(layer: nn.Module, before: Tensor, after: Tensor) -> int:
    """Multiply-accumulates of one layer, counted one output (or input) position at a time."""
    if isinstance(layer, nn.ConvTranspose2d):
        images, channels, height, width = before.shape
        return sum(
            layer.out_channels * math.prod(layer.kernel_size)
            for _ in range(images) for _ in range(channels) for _ in range(height * width)
        )  # fmt: skip
    if isinstance(layer, nn.Conv2d):
        images, channels, height, width = after.shape
        return sum(
            layer.in_channels // layer.groups * math.prod(layer.kernel_size)
            for _ in range(images) for _ in range(channels) for _ in range(height * width)
        )  # fmt: skip
    if isinstance(layer, nn.Linear):
        return sum(layer.in_features for _ in range(after.numel()))
    return 0


@settings(deadline=None, max_examples=60)
@given(stacks())
def test_parameters_macs_and_activations_equal_brute_force(
    stack: tuple[nn.Sequential, tuple[int, int, int], int],
) -> None:
    network, shape, batch = stack
    cost = trace(network, shape, batch=batch)
    value = torch.randn(batch, *shape)
    network.eval()
    with torch.no_grad():
        for name, layer in network.named_children():
            before, value = value, layer(value.clone())
            row = cost.layer(name)
            assert row.macs == products(layer, before, value)
            assert row.parameters == sum(p.numel() for p in layer.parameters())
            assert row.output_shape == tuple(value.shape)
            assert row.activations == value.numel()
    assert cost.parameters == sum(p.numel() for p in network.parameters())
    assert not cost.uncounted


@settings(deadline=None, max_examples=60)
@given(stacks())
def test_backward_is_once_for_the_weights_and_once_for_the_inputs(
    stack: tuple[nn.Sequential, tuple[int, int, int], int],
) -> None:
    network, shape, batch = stack
    cost = trace(network, shape, batch=batch)
    # Nothing before the first layer with weights asks for the gradient of its inputs.
    first = next(row.name for row in cost.layers if row.parameters)
    for row in cost.layers:
        assert row.backward_macs == row.macs * (1 if row.name == first else 2)
    assert cost.unbooked_backward_macs == 0


@settings(deadline=None, max_examples=40)
@given(stacks())
def test_forward_and_backward_equal_pytorchs_counter_on_a_real_step(
    stack: tuple[nn.Sequential, tuple[int, int, int], int],
) -> None:
    network, shape, batch = stack
    # That counter takes the weights' gradient of a grouped convolution for an ungrouped one's.
    assume(all(getattr(layer, "groups", 1) == 1 for layer in network))
    cost = trace(network, shape, batch=batch)
    network.eval()
    with FlopCounterMode(display=False) as counter:
        network(torch.randn(batch, *shape)).sum().backward()
    assert 2 * (cost.macs + cost.backward_macs) == counter.get_total_flops()


# --- what belongs to whom -------------------------------------------------------------------------


class Block(nn.Module):
    """Two convolutions and a sum."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(4, 4, 3, padding=1)
        self.second = nn.Conv2d(4, 4, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(x + self.second(functional.relu(self.first(x))))


def test_operations_between_layers_have_rows_of_their_own() -> None:
    cost = trace(nn.Sequential(Block(), nn.Flatten()), (4, 6, 6))
    names = [(layer.name, layer.call, layer.kind) for layer in cost.layers]
    assert names == [
        ("0.first", 0, "convolution"), ("0/relu", 0, "activation"),
        ("0.second", 0, "convolution"), ("0/add", 0, "add"), ("0/relu", 1, "activation"),
        ("1", 0, "reshape"),
    ]  # fmt: skip
    # The first convolution needs no gradient of the network's input.
    assert [cost.layer(n).backward_macs // cost.layer(n).macs for n in ("0.first", "0.second")] == [
        1, 2,
    ]  # fmt: skip


class Shared(nn.Module):
    """One layer used twice."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(torch.tanh(self.layer(x)))


def test_a_shared_layer_works_twice_and_is_stored_once() -> None:
    cost = trace(Shared(), (8,))
    assert cost.parameters == 72 and cost.macs == 128
    first, second = cost.layer("layer", 0), cost.layer("layer", 1)
    assert (first.parameters, first.shared, second.parameters, second.shared) == (
        72,
        False,
        0,
        True,
    )


class Functional(nn.Module):
    """Weights in the network itself, used by functions."""

    def __init__(self) -> None:
        super().__init__()
        self.kernel = nn.Parameter(torch.randn(4, 3, 3, 3))
        self.weight = nn.Parameter(torch.randn(5, 4))
        self.bias = nn.Parameter(torch.randn(5))
        self.spare = nn.Parameter(torch.randn(7))

    def forward(self, x: Tensor) -> Tensor:
        x = functional.conv2d(x, self.kernel).mean((2, 3))
        return functional.linear(x, self.weight, self.bias)


def test_functional_layers_count_with_their_parameters() -> None:
    cost = trace(Functional(), (3, 6, 6))
    assert cost.layer("convolution").macs == 4 * 3 * 9 * 16
    assert cost.layer("convolution").weights == 108
    product = cost.layer("addmm")
    assert (product.macs, product.weights, product.biases) == (20, 20, 5)
    unused = cost.layer("(unused)")
    assert (unused.parameters, unused.parameters_formula) == (7, "spare")
    assert cost.parameters == 108 + 25 + 7


def test_attention_is_one_row_with_its_four_products() -> None:
    cost = trace(nn.MultiheadAttention(16, 4, batch_first=True), inputs=[torch.empty(2, 5, 16)] * 3)
    (row,) = cost.layers
    projections, scores = 4 * 16 * 16 * 10, 2 * 2 * 4 * 5 * 5 * 4
    assert row.kind == "attention" and row.macs == projections + scores
    assert row.parameters == 4 * (16 * 16 + 16)


@pytest.mark.parametrize("layers,both", [(1, False), (2, True)])
def test_recurrent_layers(layers: int, both: bool) -> None:
    sides = 2 if both else 1
    for cell, gates in ((nn.RNN, 1), (nn.GRU, 3), (nn.LSTM, 4)):
        network = cell(6, 8, layers, batch_first=True, bidirectional=both)
        (row,) = trace(network, inputs=torch.empty(2, 7, 6)).layers
        weights = sum(
            gates * 8 * ((6 if layer == 0 else 8 * sides) + 8) * sides for layer in range(layers)
        )
        assert row.macs == weights * 7 * 2
        assert row.weights == weights and row.biases == layers * sides * 2 * gates * 8


def test_formulas_have_the_numbers_filled_in() -> None:
    cost = trace(nn.Sequential(nn.Conv2d(64, 64, 3, padding=1)), (64, 56, 56))
    row = cost.layer("0")
    assert row.formula == "3*3*64*64 weights * 56*56 positions"
    assert row.parameters_formula == "3*3*64*64 + 64 biases"
    assert eval(row.formula.replace("weights", "").replace("positions", "")) == row.macs


@settings(deadline=None, max_examples=30)
@given(stacks())
def test_every_formula_gives_its_number(
    stack: tuple[nn.Sequential, tuple[int, int, int], int],
) -> None:
    network, shape, batch = stack
    words = ("weights", "positions", "samples", "products", "rows", "biases")
    for row in trace(network, shape, batch=batch).layers:
        for text, value in ((row.formula, row.macs), (row.parameters_formula, row.parameters)):
            for word in words:
                text = text.replace(word, "")
            assert not text or eval(text) == value


# --- conventions ----------------------------------------------------------------------------------


def test_the_full_count_adds_biases_activations_and_comparisons() -> None:
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.MaxPool2d(2), nn.BatchNorm2d(2))
    cost = trace(network, (1, 6, 6))
    outputs = 2 * 4 * 4
    assert [layer.other_flops for layer in cost.layers] == [outputs, outputs, 3 * 8, 4 * 8]
    assert cost.count("flops") == 2 * cost.macs == 2 * 9 * outputs
    assert cost.count("full") == 2 * cost.macs + 2 * outputs + 24 + 32


def test_saved_bytes_are_what_autograd_keeps() -> None:
    network = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4), nn.Tanh())
    cost = trace(network, (8,), batch=3)
    # The input is not counted; ReLU keeps its output, which the next layer needs as well.
    assert [layer.saved_bytes for layer in cost.layers] == [0, 3 * 16 * 4, 0, 3 * 4 * 4]


# --- honesty --------------------------------------------------------------------------------------


class Odd(nn.Module):
    """Uses an operator that nobody counts."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.linalg.qr(x)[0]


def test_an_operator_without_a_rule_is_listed_never_a_silent_zero() -> None:
    cost = trace(Odd(), (4, 4))
    assert [(u.operator, u.times, u.phase) for u in cost.uncounted] == [
        ("linalg_qr", 1, "forward")
    ]  # fmt: skip
    assert "Not counted, forward: linalg_qr (1x)" in cost.table().text()
    with pytest.raises(CannotTrace, match="linalg_qr"):
        trace(Odd(), (4, 4), strict=True)


def test_the_module_is_left_as_it_was() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(), nn.Flatten())
    network.train()
    network[1].eval()
    before = {k: v.clone() for k, v in network.state_dict().items()}
    trace(network, (3, 6, 6), training=True)
    assert network.training and not network[1].training
    assert all(p.grad is None for p in network.parameters())
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name]) and not value.is_meta
    assert not network._forward_hooks and not nn.modules.module._global_forward_hooks


def test_frozen_layers_need_no_gradient() -> None:
    network = nn.Sequential(nn.Linear(4, 8), nn.Linear(8, 8), nn.Linear(8, 2))
    network[0].requires_grad_(False)
    network[1].requires_grad_(False)
    cost = trace(network, (4,))
    assert [layer.backward_macs for layer in cost.layers] == [0, 0, 16]


def test_large_networks_need_no_memory() -> None:
    with torch.device("meta"):
        network = nn.Sequential(*[nn.Linear(60_000, 60_000) for _ in range(100)])
    cost = trace(network, (60_000,))
    assert cost.macs == 100 * 60_000**2


# --- mistakes -------------------------------------------------------------------------------------


class Branch(nn.Module):
    """Control flow that depends on the data."""

    def forward(self, x: Tensor) -> Tensor:
        return x if x.sum() > 0 else -x


def test_a_mistake_of_the_counting_itself_is_not_called_the_users(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(args: Any, out: Any) -> Any:
        raise AssertionError("a rule is wrong")

    monkeypatch.setitem(BY_NAME, "relu", Rule("activation", broken))
    with pytest.raises(AssertionError, match="a rule is wrong"):
        trace(nn.ReLU(), (4,))


class Either(nn.Module):
    """One of two layers, as the data say."""

    def __init__(self) -> None:
        super().__init__()
        self.few, self.many = nn.Linear(4, 8), nn.Linear(4, 16)

    def forward(self, x: Tensor) -> Tensor:
        return self.few(x) if x.sum() > 0 else self.many(x)


def test_real_numbers_decide_where_the_data_do() -> None:
    network, ones = Either(), torch.ones(1, 4)
    with pytest.raises(CannotTrace, match="real=True"):
        trace(network, inputs=ones)
    assert trace(network, inputs=ones, real=True).macs == 32
    assert trace(network, inputs=-ones, real=True).macs == 64
    assert all(p.grad is None for p in network.parameters())
    with pytest.raises(CannotTrace, match="Build it on the CPU"):
        trace(network.to("meta"), inputs=ones, real=True)


@settings(deadline=None, max_examples=20)
@given(stacks())
def test_real_numbers_and_shapes_alone_count_the_same(
    stack: tuple[nn.Sequential, tuple[int, int, int], int],
) -> None:
    network, shape, batch = stack
    before = [b.clone() for b in network.buffers()]
    alone, real = trace(network, shape, batch=batch), trace(network, shape, batch=batch, real=True)
    for one, other in zip(alone.layers, real.layers, strict=True):
        assert (one.macs, one.backward_macs, one.other_flops, one.output_shape, one.field) == (
            other.macs, other.backward_macs, other.other_flops, other.output_shape, other.field,
        )  # fmt: skip
    assert all(map(torch.equal, before, network.buffers()))


class TwoInputs(nn.Module):
    """Needs two tensors."""

    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        return left + right


@pytest.mark.parametrize(
    "network,inputs,words",
    [
        (nn.Conv2d(3, 4, 3), {"input_shape": (1, 8, 8)}, "1x1x8x8.*Check the input shape"),
        (nn.LayerNorm(4), {"input_shape": (2, 8)}, "1x2x8.*Check the input shape"),
        (nn.BatchNorm1d(4), {"input_shape": (8,)}, "1x8.*Check the input shape"),
        (nn.Linear(3, 4), {"input_shape": (3, 0)}, "at least 1"),
        (Branch(), {"input_shape": (4,)}, "depends on weights or activations"),
        (TwoInputs(), {"input_shape": (4,)}, "does not take that.*right.*--input"),
        (nn.Linear(3, 4), {}, "either input_shape"),
        (nn.Linear(3, 4), {"inputs": {"inputs": torch.empty(3)}}, "does not take that"),
    ],
)
def test_mistakes_are_explained(network: nn.Module, inputs: dict[str, Any], words: str) -> None:
    with pytest.raises(CannotTrace, match=f"(?s){words}"):
        trace(network, **inputs)


def test_several_inputs_by_name_and_in_order() -> None:
    pair = (torch.empty(2, 4), torch.empty(2, 4))
    by_order = trace(TwoInputs(), inputs=pair)
    by_name = trace(TwoInputs(), inputs={"left": pair[0], "right": pair[1]})
    assert isinstance(by_order, Cost) and by_order.layers == by_name.layers
    assert by_order.input_shapes == ((2, 4), (2, 4))
