"""Rules of operators that no layer stack of the other tests uses, against arithmetic by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from epochlab.cost import trace
from epochlab.cost.counting import FREE, rule_of
from epochlab.cost.rules import BY_NAME, MOVES_DATA


class Call(nn.Module):
    """A function as a module."""

    def __init__(self, function: Callable[..., Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *inputs: Tensor) -> Tensor:
        return self.function(*inputs)


def counts(function: Callable[..., Any], *shapes: tuple[int, ...]) -> tuple[int, int]:
    cost = trace(Call(function), inputs=[torch.empty(shape) for shape in shapes])
    assert not cost.uncounted
    return cost.macs, cost.count("full") - 2 * cost.macs


@pytest.mark.parametrize(
    "function,shapes,macs",
    [
        (torch.mv, ((3, 4), (4,)), 12),
        (torch.dot, ((5,), (5,)), 5),
        (torch.bmm, ((2, 3, 4), (2, 4, 5)), 2 * 3 * 4 * 5),
        (torch.matmul, ((2, 3, 4), (4, 5)), 2 * 3 * 4 * 5),
        (torch.addmv, ((3,), (3, 4), (4,)), 12),
        (torch.baddbmm, ((2, 3, 5), (2, 3, 4), (2, 4, 5)), 2 * 3 * 4 * 5),
        (lambda a, b: torch.einsum("bij,bkj->bik", a, b), ((2, 3, 4), (2, 5, 4)), 120),
        (functional.bilinear, ((2, 3), (2, 4), (5, 3, 4)), 2 * 5 * 4 * 3 + 2 * 5 * 4),
        (lambda x, w: functional.conv1d(x, w, groups=2), ((1, 4, 9), (6, 2, 3)), 36 * 7),
        (functional.conv3d, ((1, 2, 4, 4, 4), (3, 2, 2, 2, 2)), 48 * 27),
        (functional.conv_transpose2d, ((1, 2, 3, 3), (2, 5, 2, 2)), 2 * 5 * 4 * 9),
        (functional.scaled_dot_product_attention, ((2, 3, 5, 4),) * 3, 2 * 2 * 3 * 5 * 5 * 4),
        (torch.cdist, ((30, 8), (40, 8)), 30 * 40 * 10),
    ],
)
def test_products(
    function: Callable[..., Any], shapes: tuple[tuple[int, ...], ...], macs: int
) -> None:
    assert counts(function, *shapes)[0] == macs


@pytest.mark.parametrize(
    "function,shape,other",
    [
        (torch.relu, (2, 3), 6),
        (lambda x: x + x, (2, 3), 6),
        (lambda x: x.sum(), (2, 3), 6),
        (lambda x: x.softmax(-1), (2, 3), 30),
        (lambda x: functional.max_pool2d(x, 2), (1, 1, 4, 4), 3 * 4),
        (lambda x: functional.avg_pool2d(x, 2), (1, 1, 4, 4), 4 * 4),
        (lambda x: functional.adaptive_avg_pool2d(x, 2), (1, 1, 4, 4), 16),
        (lambda x: functional.interpolate(x, scale_factor=2.0), (1, 1, 4, 4), 0),
        (lambda x: functional.interpolate(x, scale_factor=2.0, mode="bilinear"), (1, 1, 4, 4),
         7 * 64),
        (lambda x: torch.cat([x, x]).transpose(0, 1).contiguous(), (2, 3), 0),
        (lambda x: functional.layer_norm(x, (3,)), (2, 3), 6 * 6),
        (lambda x: torch.fft.fft(torch.complex(x, x)), (8,), 5 * 8 * 3),
    ],
)  # fmt: skip
def test_other_operations(function: Callable[..., Any], shape: tuple[int, ...], other: int) -> None:
    assert counts(function, shape) == (0, other)


def test_attention_in_one_operator_counts_as_taken_apart() -> None:
    layer = nn.TransformerEncoderLayer(16, 4, 24, batch_first=True)
    attention = nn.MultiheadAttention(16, 4, batch_first=True)
    x = torch.randn(2, 5, 16)
    for module, inputs, used in (
        (layer, (x,), "_transformer_encoder_layer_fwd"),
        (attention, (x, x, x), "_native_multi_head_attention"),
    ):
        at_once = trace(module, inputs=inputs, real=True, backward=False)
        assert used in {name for row in at_once.layers for name in row.operators}
        assert at_once.macs == trace(module, inputs=inputs).macs
        assert not at_once.uncounted


def test_products_of_groups_use_every_row_once() -> None:
    rows, matrices = torch.empty(12, 8, device="meta"), torch.empty(3, 8, 5, device="meta")
    out = torch.empty(12, 5, device="meta")
    assert BY_NAME["_grouped_mm"].count((rows, matrices), out).macs == 12 * 8 * 5
    side, other = torch.empty(8, 12, device="meta"), torch.empty(12, 5, device="meta")
    out = torch.empty(3, 8, 5, device="meta")
    assert BY_NAME["_grouped_mm"].count((side, other), out).macs == 8 * 12 * 5


def test_no_operator_is_both_counted_and_free() -> None:
    assert not set(BY_NAME) & MOVES_DATA


def test_names_in_the_rules_are_operators_that_exist() -> None:
    missing = [
        name for name in (*BY_NAME, *MOVES_DATA)
        if "::" not in name and not hasattr(torch.ops.aten, name)
        and not hasattr(torch.ops.aten, f"{name}_")
    ]  # fmt: skip
    assert missing == []


def test_rules_are_found_by_name_by_tag_or_not_at_all() -> None:
    aten = torch.ops.aten
    assert rule_of(aten.add_.Tensor) is BY_NAME["add"]
    assert rule_of(aten.view.default) is FREE and rule_of(aten.clone.default) is FREE
    pointwise = rule_of(aten.erfinv.default)
    assert pointwise is not None and pointwise.kind == "elementwise"
    assert rule_of(aten.linalg_qr.default) is None
