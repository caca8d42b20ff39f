from __future__ import annotations

import doctest

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from epochlab.errors import BadOption
from epochlab.layers import activation, dropout, residual, swish
from epochlab.layers.dropout import Dropout, Form

FORMS: tuple[Form, ...] = ("inverted", "weight_scaling")


@pytest.mark.parametrize("rate", [0.2, 0.5])
@pytest.mark.parametrize("form", FORMS)
def test_share_dropped(rate: float, form: Form) -> None:
    torch.manual_seed(0)
    dropped = (Dropout(rate, form)(torch.ones(1_000_000)) == 0).double().mean().item()
    assert abs(dropped - rate) < 0.01 * rate


@given(rate=st.floats(0, 0.95), seed=st.integers(0, 2**32))
def test_inverted_form_equals_torch(rate: float, seed: int) -> None:
    x = torch.linspace(-3, 3, 101)
    torch.manual_seed(seed)
    own = Dropout(rate)(x)
    torch.manual_seed(seed)
    torch.testing.assert_close(own, functional.dropout(x, rate), rtol=1e-6, atol=0)


@pytest.mark.parametrize("rate", [0.2, 0.5])
def test_factors(rate: float) -> None:
    x = torch.full((1000,), 3.0)
    inverted, scaling = Dropout(rate, "inverted"), Dropout(rate, "weight_scaling")
    assert inverted(x).unique().tolist() == pytest.approx([0, 3 / (1 - rate)])
    assert scaling(x).unique().tolist() == [0.0, 3.0]
    assert torch.equal(inverted.eval()(x), x)
    assert scaling.eval()(x).unique().item() == pytest.approx(3 * (1 - rate))


@pytest.mark.parametrize("form", FORMS)
def test_gradient_passes_where_values_pass(form: Form) -> None:
    x = torch.ones(200, requires_grad=True)
    out = Dropout(0.5, form)(x)
    out.sum().backward()
    assert x.grad is not None
    assert torch.equal(x.grad, out.detach())


@pytest.mark.parametrize("form", FORMS)
def test_masks_come_from_the_global_generator(form: Form) -> None:
    layer, x = Dropout(0.5, form), torch.ones(100)
    torch.manual_seed(5)
    first, second = layer(x), layer(x)
    torch.manual_seed(5)
    assert torch.equal(layer(x), first)
    assert not torch.equal(first, second)


@pytest.mark.parametrize("form", FORMS)
def test_rate_zero_changes_nothing(form: Form) -> None:
    x = torch.randn(50)
    assert torch.equal(Dropout(0.0, form)(x), x)
    assert torch.equal(Dropout(0.0, form).eval()(x), x)


@pytest.mark.parametrize("rate", [-0.1, 1.0, 1.5, float("nan")])
def test_impossible_rates_are_refused(rate: float) -> None:
    with pytest.raises(BadOption, match="at least 0 and below 1"):
        Dropout(rate)


def test_unknown_forms_are_refused() -> None:
    with pytest.raises(BadOption, match="allowed are inverted, weight_scaling"):
        Dropout(0.5, "gaussian")  # type: ignore[arg-type]


@pytest.mark.parametrize("module", [activation, dropout, residual, swish])
def test_examples_print_what_they_promise(module: object) -> None:
    result = doctest.testmod(module)  # type: ignore[arg-type]
    assert result.attempted > 0
    assert result.failed == 0
