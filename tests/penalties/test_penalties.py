"""Penalties: the gradient that is added is the derivative of the value that is reported."""

from __future__ import annotations

import doctest
import importlib
import subprocess
import sys

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from epochlab.component import options
from epochlab.errors import BadOption
from epochlab.optimizers.sgd import Sgd
from epochlab.penalties.l1 import L1
from epochlab.penalties.l2 import L2
from epochlab.plain import from_plain, to_plain
from epochlab.registry import load_class, names, summary

NAMES = names("penalties")
every_name = pytest.mark.parametrize("name", NAMES)

strengths = st.floats(0, 10)
penalties = st.one_of(
    strengths.map(lambda s: L1(strength=s)),
    strengths.map(lambda s: L2(strength=s)),
    strengths.map(lambda s: L2(strength=s, halved=False)),
)
# Away from 0, where the absolute value has a corner.
weights = st.lists(
    st.floats(0.01, 5) | st.floats(-5, -0.01), min_size=1, max_size=12
).map(lambda values: torch.tensor(values, dtype=torch.float64))  # fmt: skip


def added_gradient(penalty, w):
    g = torch.zeros_like(w)
    penalty.add_gradient(w, g)
    return g


@given(penalty=penalties, w=weights)
def test_gradient_equals_autograd_of_the_value(penalty, w):
    w.requires_grad_(True)
    (expected,) = torch.autograd.grad(penalty.value(w), w)
    assert torch.allclose(added_gradient(penalty, w.detach()), expected, rtol=1e-14, atol=0)


@given(penalty=penalties, w=weights)
def test_gradient_equals_finite_differences(penalty, w):
    h = 1e-4
    for i, slope in enumerate(added_gradient(penalty, w).tolist()):
        up, down = w.clone(), w.clone()
        up[i] += h
        down[i] -= h
        difference = (penalty.value(up) - penalty.value(down)).item() / (2 * h)
        assert slope == pytest.approx(difference, rel=1e-6, abs=1e-7)


@given(penalty=penalties, w=weights)
def test_gradient_is_added_and_the_weights_stay(penalty, w):
    before, g = w.clone(), torch.ones_like(w)
    penalty.add_gradient(w, g)
    # A fused multiply-add rounds once where the sum written here rounds twice.
    assert torch.allclose(g, 1 + added_gradient(penalty, w), rtol=1e-14, atol=1e-14)
    assert torch.equal(w, before)


def test_values_by_hand():
    w = torch.tensor([[3.0, -4.0], [0.0, 1.0]], dtype=torch.float64)
    assert L1(strength=0.5).value(w).item() == 4.0
    assert L2(strength=0.5).value(w).item() == 6.5
    assert L2(strength=0.5, halved=False).value(w).item() == 13.0
    assert L1(strength=0.5).value(w).shape == torch.Size([])


def test_l1_does_not_push_a_weight_that_is_zero():
    assert added_gradient(L1(strength=2.0), torch.zeros(3)).tolist() == [0.0, 0.0, 0.0]


def test_l2_takes_the_same_steps_as_weight_decay_of_its_strength():
    w, decayed = torch.tensor([1.0, -2.0]), torch.tensor([1.0, -2.0])
    for t in range(1, 20):
        g = torch.tensor([0.3, 0.1])
        L2(strength=0.25).add_gradient(w, g)
        Sgd(lr=0.1).step(w, g, {}, 0.1, t)
        Sgd(lr=0.1, weight_decay=0.25).step(decayed, torch.tensor([0.3, 0.1]), {}, 0.1, t)
    assert torch.equal(w, decayed)


@every_name
def test_strength_must_be_given_and_not_negative(name):
    cls = load_class("penalties", name)
    with pytest.raises(TypeError, match="strength"):
        cls()
    with pytest.raises(BadOption, match="at least 0"):
        cls(strength=-1.0)


@every_name
def test_is_documented_with_a_true_example(name):
    cls = load_class("penalties", name)
    assert "Reference:" in cls.__doc__
    assert [o.name for o in options(cls) if not o.help] == []
    assert summary("penalties", name).endswith(".")
    assert from_plain(to_plain(cls(strength=0.1))) == cls(strength=0.1)
    result = doctest.testmod(importlib.import_module(f"epochlab.penalties.{name}"))
    assert result.attempted > 0
    assert result.failed == 0


def test_importing_the_folder_does_not_import_torch():
    imports = "; ".join(f"import epochlab.penalties.{name}" for name in NAMES)
    code = f"import sys; {imports}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
