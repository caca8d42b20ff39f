from __future__ import annotations

import torch
from torch.nn import functional

from epochlab.layers.fire import Fire


def test_fire_is_its_equation() -> None:
    torch.manual_seed(0)
    module = Fire(6, squeeze=2, one=3, three=4)
    x = torch.randn(2, 6, 5, 7)
    s = functional.conv2d(x, module.squeeze.weight, module.squeeze.bias).clamp(min=0)
    one = functional.conv2d(s, module.expand1x1.weight, module.expand1x1.bias)
    three = functional.conv2d(s, module.expand3x3.weight, module.expand3x3.bias, padding=1)
    torch.testing.assert_close(module(x), torch.cat([one, three], 1).clamp(min=0))
    assert module.out_channels == module(x).shape[1] == 7


def test_parameters_of_the_first_module_of_squeezenet() -> None:
    size = sum(p.numel() for p in Fire(96, squeeze=16, one=64, three=64).parameters())
    assert size == (96 * 16 + 16) + (16 * 64 + 64) + (9 * 16 * 64 + 64)
