from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from epochlab.errors import BadShape
from epochlab.layers.depthwise import InvertedResidual
from epochlab.networks.mobilenet_v2 import MobileNetV2, multiple_of_8
from tests.networks.per_layer import measure


def on_meta(width: float = 1) -> nn.Module:
    with torch.device("meta"):
        return MobileNetV2(width=width).build((3, 224, 224), 1000)


def test_names_are_the_common_ones() -> None:
    state = {key: tuple(value.shape) for key, value in on_meta().state_dict().items()}
    assert len(state) == 314
    shapes = {
        "features.0.0.weight": (32, 3, 3, 3), "features.0.1.running_mean": (32,),
        "features.1.conv.0.0.weight": (32, 1, 3, 3), "features.1.conv.1.weight": (16, 32, 1, 1),
        "features.1.conv.2.bias": (16,), "features.2.conv.0.0.weight": (96, 16, 1, 1),
        "features.2.conv.1.0.weight": (96, 1, 3, 3), "features.2.conv.2.weight": (24, 96, 1, 1),
        "features.2.conv.3.running_var": (24,), "features.17.conv.2.weight": (320, 960, 1, 1),
        "features.18.0.weight": (1280, 320, 1, 1), "features.18.1.weight": (1280,),
        "classifier.1.weight": (1000, 1280), "classifier.1.bias": (1000,),
    }  # fmt: skip
    assert {key: state[key] for key in shapes} == shapes


def test_output_and_additions_of_blocks() -> None:
    found = measure(on_meta(), (3, 224, 224))
    blocks = [layer for layer in found.values() if isinstance(layer.module, InvertedResidual)]
    assert [block.output[:2] for block in blocks] == [
        (16, 112), *[(24, 56)] * 2, *[(32, 28)] * 3, *[(64, 14)] * 4, *[(96, 14)] * 3,
        *[(160, 7)] * 3, (320, 7),
    ]  # fmt: skip
    adds = [isinstance(b.module, InvertedResidual) and b.module.adds for b in blocks]
    assert sum(adds) == 10


@pytest.mark.parametrize(
    ("width", "channels"),
    [
        (0.5, [16, 8, 16, 16, 32, 48, 80, 160, 1280]),
        (1.4, [48, 24, 32, 48, 88, 136, 224, 448, 1792]),
    ],
)
def test_width_multiplies_channels_in_steps_of_8(width: float, channels: list[int]) -> None:
    found = measure(on_meta(width), (3, 224, 224))
    ends = [found[f"features.{n}"].output[0] for n in (0, 1, 3, 6, 10, 13, 16, 17, 18)]
    assert ends == channels


@given(st.floats(0.01, 5000))
def test_multiples_of_8_are_near(channels: float) -> None:
    rounded = multiple_of_8(channels)
    assert rounded % 8 == 0
    assert rounded >= max(8, 0.9 * channels)
    assert rounded == 8 or rounded < channels + 8
    if channels >= 8 and channels % 8 == 0:
        assert rounded == channels


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 33, 17), (1, 1, 1)])
def test_images_of_any_size_fit(shape: tuple[int, ...]) -> None:
    module = MobileNetV2(width=0.25).build(shape, 5).eval()
    assert module(torch.zeros(2, *shape)).shape == (2, 5)


def test_flat_samples_are_refused() -> None:
    with pytest.raises(BadShape, match="it takes images"):
        MobileNetV2().build((64,), 10)
