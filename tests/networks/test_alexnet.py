from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from epochlab.errors import BadOption, BadShape
from epochlab.networks.alexnet import AlexNet


def on_meta(side: int = 227, outputs: int = 1000, **options: Any) -> nn.Module:
    with torch.device("meta"):
        return AlexNet(**options).build((3, side, side), outputs)


def convolutions(module: nn.Module) -> list[nn.Conv2d]:
    return [m for m in module.modules() if isinstance(m, nn.Conv2d)]


def test_towers_are_groups() -> None:
    assert [c.groups for c in convolutions(on_meta())] == [1, 2, 1, 2, 2]
    assert [c.groups for c in convolutions(on_meta(towers="ungrouped"))] == [1] * 5
    assert [c.groups for c in convolutions(on_meta(224, towers="single"))] == [1] * 5


def test_a_tower_does_not_see_the_other_in_the_second_convolution() -> None:
    conv2 = AlexNet(hidden=1).build((3, 67, 67), 2).get_submodule("conv2")
    x = torch.randn(1, 96, 7, 7, requires_grad=True)
    (gradient,) = torch.autograd.grad(conv2(x)[0, :128].sum(), x)
    seen = gradient[0].abs().sum((1, 2)) > 0
    assert seen.tolist() == [True] * 48 + [False] * 48


def test_order_of_layers() -> None:
    assert " ".join(name for name, _ in on_meta().named_children()) == (
        "conv1 act1 norm1 pool1 conv2 act2 norm2 pool2 conv3 act3 conv4 act4 conv5 act5 pool5 "
        "flatten fc6 act6 drop6 fc7 act7 drop7 fc8"
    )


def test_names_of_the_single_form_are_the_common_ones() -> None:
    shapes = {k: tuple(v.shape) for k, v in on_meta(224, towers="single").state_dict().items()}
    assert shapes == {
        "features.0.weight": (64, 3, 11, 11), "features.0.bias": (64,),
        "features.3.weight": (192, 64, 5, 5), "features.3.bias": (192,),
        "features.6.weight": (384, 192, 3, 3), "features.6.bias": (384,),
        "features.8.weight": (256, 384, 3, 3), "features.8.bias": (256,),
        "features.10.weight": (256, 256, 3, 3), "features.10.bias": (256,),
        "classifier.1.weight": (4096, 9216), "classifier.1.bias": (4096,),
        "classifier.4.weight": (4096, 4096), "classifier.4.bias": (4096,),
        "classifier.6.weight": (1000, 4096), "classifier.6.bias": (1000,),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("towers", "response_norm", "number"),
    [
        ("two", "published", 2), ("two", "never", 0), ("ungrouped", "published", 2),
        ("single", "published", 0), ("single", "always", 2), ("single", "never", 0),
    ],
)  # fmt: skip
def test_response_norm_on_request(towers: str, response_norm: str, number: int) -> None:
    module = on_meta(224, towers=towers, response_norm=response_norm)
    assert sum(isinstance(m, nn.LocalResponseNorm) for m in module.modules()) == number
    plain = on_meta(224, towers=towers, response_norm="never")
    assert list(module.state_dict()) == list(plain.state_dict())


def test_response_norm_stands_between_relu_and_pooling() -> None:
    module = on_meta(224, towers="single", response_norm="always").get_submodule("features")
    kinds = [type(m).__name__ for m in module.children()]
    assert kinds[:8] == ["Conv2d", "ReLU", "LocalResponseNorm", "MaxPool2d"] * 2


def test_response_norm_is_the_equation_of_the_paper() -> None:
    torch.manual_seed(0)
    norm = AlexNet(hidden=1).build((3, 67, 67), 2).get_submodule("norm1")
    x = 50 * torch.randn(1, 9, 2, 2).double()
    expected = torch.empty_like(x)
    for channel in range(9):
        near = x[:, max(0, channel - 2) : channel + 3]
        expected[:, channel] = x[:, channel] / (2 + 1e-4 * near.square().sum(1)) ** 0.75
    torch.testing.assert_close(norm(x), expected)


@pytest.mark.parametrize(("towers", "least"), [("two", 67), ("ungrouped", 67), ("single", 63)])
def test_smallest_images(towers: Any, least: int) -> None:
    module = AlexNet(towers=towers, hidden=8).build((1, least, least), 5).eval()
    assert module(torch.zeros(2, 1, least, least)).shape == (2, 5)
    message = rf"alexnet cannot take images of {least - 1} x 224 .*at least {least}"
    with pytest.raises(BadShape, match=message):
        AlexNet(towers=towers).build((1, least - 1, 224), 5)


def test_larger_images_fit() -> None:
    assert on_meta(299).get_submodule("fc6").in_features == 256 * 8 * 8
    assert on_meta(299, towers="single")(torch.zeros(1, 3, 299, 299, device="meta")).shape == (
        1,
        1000,
    )


def test_flat_samples_and_unknown_forms_are_refused() -> None:
    with pytest.raises(BadShape, match="it takes images"):
        AlexNet().build((64,), 10)
    with pytest.raises(BadOption, match="'two', 'ungrouped', 'single'"):
        AlexNet(towers="three")  # type: ignore[arg-type]
