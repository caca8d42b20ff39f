from __future__ import annotations

import torch
from torch.nn import functional

from epochlab.layers.swish import Swish


def test_equals_silu() -> None:
    x = torch.cat([torch.linspace(-100, 100, 2001), torch.randn(1000)])
    assert (Swish()(x) - functional.silu(x)).abs().max() <= 1e-6


def test_gradient() -> None:
    x = torch.linspace(-8, 8, 33, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(Swish(), (x,))
    (own,) = torch.autograd.grad(Swish()(x).sum(), x)
    (theirs,) = torch.autograd.grad(functional.silu(x).sum(), x)
    torch.testing.assert_close(own, theirs, rtol=0, atol=1e-12)


def test_is_neither_relu_nor_monotonous() -> None:
    low, lower = Swish()(torch.tensor([-1.0, -6.0])).tolist()
    assert low < lower < 0
