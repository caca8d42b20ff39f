from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from epochlab.errors import BadOption, BadShape
from epochlab.networks.resnet import ResNet
from tests.networks.per_layer import measure


def on_meta(shape: tuple[int, ...] = (3, 224, 224), **options: Any) -> nn.Module:
    with torch.device("meta"):
        return ResNet(**options).build(shape, 1000)


@pytest.mark.parametrize("depth", [18, 34, 50, 101, 152])
def test_depth_counts_layers_on_the_longest_path(depth: Any) -> None:
    module = on_meta(depth=depth)
    on_path = [
        name for name, m in module.named_modules()
        if isinstance(m, (nn.Conv2d, nn.Linear)) and "downsample" not in name
    ]  # fmt: skip
    assert len(on_path) == depth


@pytest.mark.parametrize(("depth", "channels"), [(18, 64), (50, 256)])
def test_groups_halve_the_image_and_double_the_channels(depth: Any, channels: int) -> None:
    found = measure(on_meta(depth=depth), (3, 224, 224))
    outputs = [found[name].output for name in ("act1", "maxpool", "layer1", "layer2", "layer3")]
    assert outputs == [
        (64, 112, 112), (64, 56, 56), (channels, 56, 56), (2 * channels, 28, 28),
        (4 * channels, 14, 14),
    ]  # fmt: skip
    assert found["layer4"].output == (8 * channels, 7, 7)


def test_stem_for_small_images_keeps_their_size() -> None:
    module = on_meta((3, 32, 32), depth=18, stem="cifar")
    found = measure(module, (3, 32, 32))
    assert "maxpool" not in found
    assert [found[f"layer{n}"].output[1] for n in (1, 2, 3, 4)] == [32, 16, 8, 4]
    assert tuple(module.state_dict()["conv1.weight"].shape) == (64, 3, 3, 3)


@pytest.mark.parametrize(
    ("depth", "number", "shapes"),
    [
        (18, 122, {
            "conv1.weight": (64, 3, 7, 7), "bn1.running_mean": (64,),
            "layer1.0.conv1.weight": (64, 64, 3, 3), "layer1.1.bn2.weight": (64,),
            "layer2.0.conv1.weight": (128, 64, 3, 3),
            "layer2.0.downsample.0.weight": (128, 64, 1, 1), "layer2.0.downsample.1.bias": (128,),
            "layer4.1.conv2.weight": (512, 512, 3, 3), "fc.weight": (1000, 512), "fc.bias": (1000,),
        }),
        (50, 320, {
            "conv1.weight": (64, 3, 7, 7), "layer1.0.conv1.weight": (64, 64, 1, 1),
            "layer1.0.conv2.weight": (64, 64, 3, 3), "layer1.0.conv3.weight": (256, 64, 1, 1),
            "layer1.0.downsample.0.weight": (256, 64, 1, 1), "layer1.2.bn3.running_var": (256,),
            "layer3.5.conv2.weight": (256, 256, 3, 3),
            "layer4.0.downsample.0.weight": (2048, 1024, 1, 1), "fc.weight": (1000, 2048),
        }),
    ],
)  # fmt: skip
def test_names_are_the_common_ones(
    depth: Any, number: int, shapes: dict[str, tuple[int, ...]]
) -> None:
    state = {key: tuple(value.shape) for key, value in on_meta(depth=depth).state_dict().items()}
    assert len(state) == number
    assert {key: state[key] for key in shapes} == shapes
    # layer1 of the shallow networks changes no shape; everywhere else the first block does.
    projected = {key.partition(".downsample")[0] for key in state if ".downsample." in key}
    assert projected == {f"layer{n}.0" for n in range(2 if depth == 18 else 1, 5)}


def test_versions_differ_in_the_place_of_the_stride_alone() -> None:
    v1, later = on_meta(version="v1"), on_meta(version="v1.5")
    assert {k: v.shape for k, v in v1.state_dict().items()} == {
        k: v.shape for k, v in later.state_dict().items()
    }

    def strides(module: nn.Module) -> dict[str, int]:
        return {
            name: m.stride[0] for name, m in module.named_modules()
            if isinstance(m, nn.Conv2d) and m.stride[0] > 1
        }  # fmt: skip

    common = {"conv1": 2} | {f"layer{n}.0.downsample.0": 2 for n in (2, 3, 4)}
    assert strides(v1) == common | {f"layer{n}.0.conv1": 2 for n in (2, 3, 4)}
    assert strides(later) == common | {f"layer{n}.0.conv2": 2 for n in (2, 3, 4)}


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 33, 17), (1, 1, 1)])
@pytest.mark.parametrize("stem", ["imagenet", "cifar"])
def test_images_of_any_size_fit(shape: tuple[int, ...], stem: Any) -> None:
    module = ResNet(depth=18, stem=stem).build(shape, 5).eval()
    assert module(torch.zeros(2, *shape)).shape == (2, 5)


def test_flat_samples_and_other_depths_are_refused() -> None:
    with pytest.raises(BadShape, match="it takes images"):
        ResNet().build((64,), 10)
    with pytest.raises(BadOption, match="allowed are 18, 34, 50, 101, 152"):
        ResNet(depth=20)  # type: ignore[arg-type]
