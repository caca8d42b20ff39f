from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from epochlab.errors import BadOption, BadShape
from epochlab.layers.fire import Fire
from epochlab.networks.squeezenet import SqueezeNet
from tests.networks.per_layer import measure


def on_meta(version: Any) -> nn.Module:
    with torch.device("meta"):
        return SqueezeNet(version=version).build((3, 224, 224), 1000)


@pytest.mark.parametrize(
    ("version", "fires", "pools", "sides"),
    [
        ("1.0", [3, 4, 5, 7, 8, 9, 10, 12], [2, 6, 11], [109, 54, 27, 13]),
        ("1.1", [3, 4, 6, 7, 9, 10, 11, 12], [2, 5, 8], [111, 55, 27, 13]),
    ],
)
def test_places_of_modules_and_poolings(
    version: Any, fires: list[int], pools: list[int], sides: list[int]
) -> None:
    found = measure(on_meta(version), (3, 224, 224))
    features = on_meta(version).get_submodule("features")
    assert [int(n) for n, m in features.named_children() if isinstance(m, Fire)] == fires
    assert [int(n) for n, m in features.named_children() if isinstance(m, nn.MaxPool2d)] == pools
    assert [found[f"features.{place}"].output[1] for place in (0, *pools)] == sides
    assert found["features"].output == (512, 13, 13)


@pytest.mark.parametrize(("version", "first"), [("1.0", (96, 3, 7, 7)), ("1.1", (64, 3, 3, 3))])
def test_names_are_the_common_ones(version: Any, first: tuple[int, ...]) -> None:
    state = {key: tuple(value.shape) for key, value in on_meta(version).state_dict().items()}
    assert len(state) == 2 * (1 + 8 * 3 + 1)
    assert state["features.0.weight"] == first
    assert list(state)[2:8] == [
        f"features.3.{layer}.{kind}"
        for layer in ("squeeze", "expand1x1", "expand3x3") for kind in ("weight", "bias")
    ]  # fmt: skip
    assert state["features.3.squeeze.weight"] == (16, first[0], 1, 1)
    assert state["features.3.expand3x3.weight"] == (64, 16, 3, 3)
    assert state["features.12.expand3x3.weight"] == (256, 64, 3, 3)
    assert state["classifier.1.weight"] == (1000, 512, 1, 1)


@pytest.mark.parametrize(("version", "least"), [("1.0", 21), ("1.1", 17)])
def test_smallest_images(version: Any, least: int) -> None:
    module = SqueezeNet(version=version).build((1, least, 40), 5).eval()
    assert module(torch.zeros(2, 1, least, 40)).shape == (2, 5)
    with pytest.raises(RuntimeError, match="too small"):
        module(torch.zeros(2, 1, least - 1, 40))
    with pytest.raises(BadShape, match=rf"{least - 1} x 40 pixels: pool3, .*at least {least}"):
        SqueezeNet(version=version).build((1, least - 1, 40), 5)


def test_flat_samples_and_other_versions_are_refused() -> None:
    with pytest.raises(BadShape, match="it takes images"):
        SqueezeNet().build((64,), 10)
    with pytest.raises(BadOption, match=r"'1\.0', '1\.1'"):
        SqueezeNet(version="2.0")  # type: ignore[arg-type]
