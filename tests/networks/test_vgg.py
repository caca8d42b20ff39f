from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from epochlab.errors import BadOption, BadShape
from epochlab.networks.vgg import Vgg
from tests.networks.per_layer import measure


def on_meta(**options: Any) -> nn.Module:
    with torch.device("meta"):
        return Vgg(**options).build((3, 224, 224), 1000)


@pytest.mark.parametrize("depth", [11, 13, 16, 19])
@pytest.mark.parametrize("batch_norm", [False, True])
def test_depth_counts_layers_with_weights(depth: Any, batch_norm: bool) -> None:
    modules = list(on_meta(depth=depth, batch_norm=batch_norm).modules())
    assert sum(isinstance(m, (nn.Conv2d, nn.Linear)) for m in modules) == depth
    assert sum(isinstance(m, nn.BatchNorm2d) for m in modules) == (depth - 3) * batch_norm


@pytest.mark.parametrize(
    ("options", "last", "shape"),
    [
        ({"depth": 11}, "features.18.weight", (512, 512, 3, 3)),
        ({"depth": 13}, "features.22.weight", (512, 512, 3, 3)),
        ({"depth": 16}, "features.28.weight", (512, 512, 3, 3)),
        ({"depth": 19}, "features.34.weight", (512, 512, 3, 3)),
        ({"depth": 11, "batch_norm": True}, "features.26.running_var", (512,)),
        ({"depth": 16, "batch_norm": True}, "features.41.running_var", (512,)),
        ({"depth": 19, "batch_norm": True}, "features.50.running_var", (512,)),
    ],
)
def test_names_are_the_common_ones(
    options: dict[str, Any], last: str, shape: tuple[int, ...]
) -> None:
    state = {key: tuple(value.shape) for key, value in on_meta(**options).state_dict().items()}
    own = [key for key in state if key.startswith("features.") and "num_batches" not in key]
    assert list(state)[:2] == ["features.0.weight", "features.0.bias"]
    assert state["features.0.weight"] == (64, 3, 3, 3)
    assert own[-2 if not options.get("batch_norm") else -1] == last
    assert state[last] == shape
    assert [key for key in state if key.startswith("classifier.")] == [
        f"classifier.{place}.{kind}" for place in (0, 3, 6) for kind in ("weight", "bias")
    ]
    assert state["classifier.0.weight"] == (4096, 25088)


def test_normalisation_stands_before_relu() -> None:
    features = on_meta(batch_norm=True).get_submodule("features")
    kinds = [type(m).__name__ for m in features.children()]
    assert kinds[:7] == ["Conv2d", "BatchNorm2d", "ReLU"] * 2 + ["MaxPool2d"]


def test_normalisation_adds_two_parameters_per_channel() -> None:
    sizes = [sum(p.numel() for p in on_meta(batch_norm=b).parameters()) for b in (False, True)]
    assert sizes[1] - sizes[0] == 2 * (2 * 64 + 2 * 128 + 4 * 256 + 8 * 512)


def test_mean_changes_nothing_at_the_design_size() -> None:
    found = measure(on_meta(depth=11), (3, 224, 224))
    assert found["features"].output == found["avgpool"].output == (512, 7, 7)
    avgpool = Vgg(depth=11, hidden=1).build((3, 224, 224), 2).get_submodule("avgpool")
    x = torch.randn(1, 512, 7, 7)
    assert torch.equal(avgpool(x), x)


def test_smallest_images() -> None:
    module = Vgg(depth=11, hidden=8).build((1, 32, 33), 5).eval()
    assert module(torch.zeros(2, 1, 32, 33)).shape == (2, 5)
    with pytest.raises(BadShape, match=r"28 x 28 pixels: pool5 .*gets only 1 x 1.*at least 32"):
        Vgg().build((1, 28, 28), 10)


def test_flat_samples_and_other_depths_are_refused() -> None:
    with pytest.raises(BadShape, match="it takes images"):
        Vgg().build((64,), 10)
    with pytest.raises(BadOption, match="allowed are 11, 13, 16, 19"):
        Vgg(depth=18)  # type: ignore[arg-type]
