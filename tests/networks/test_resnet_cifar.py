from __future__ import annotations

import lzma
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from epochlab.errors import BadOption, BadShape
from epochlab.layers.residual import SubsampleAndPad
from epochlab.layers.swish import Swish
from epochlab.networks.resnet_cifar import ResNetCifar
from tests.networks.counting import counts, parameters

CIFAR = (3, 32, 32)


@pytest.mark.parametrize(
    ("depth", "size_a", "work_a", "size_b", "work_b"),
    [
        (20, 269_722, 40_551_040, 272_474, 40_813_184),
        (32, 464_154, 68_862_592, 466_906, 69_124_736),
        (44, 658_586, 97_174_144, 661_338, 97_436_288),
        (50, 755_802, 111_329_920, 758_554, 111_592_064),
        (56, 853_018, 125_485_696, 855_770, 125_747_840),
    ],
)
def test_size_and_work(depth: int, size_a: int, work_a: int, size_b: int, work_b: int) -> None:
    assert counts(ResNetCifar(depth=depth, shortcut="A"), CIFAR) == (size_a, work_a)
    assert counts(ResNetCifar(depth=depth, shortcut="B"), CIFAR) == (size_b, work_b)
    assert counts(ResNetCifar(depth=depth, shortcut="none"), CIFAR) == (size_a, work_a)


@pytest.mark.parametrize(("depth", "size"), [(110, 1_727_962), (1202, 19_421_274)])
def test_size_of_the_very_deep(depth: int, size: int) -> None:
    with torch.device("meta"):
        assert parameters(ResNetCifar(depth=depth).build(CIFAR, 10)) == size


def test_depth_counts_layers_on_the_longest_path() -> None:
    module = ResNetCifar(depth=32).build(CIFAR, 10)
    assert sum(isinstance(m, (nn.Conv2d, nn.Linear)) for m in module.modules()) == 32


@given(st.integers(1, 2000))
def test_other_depths_name_the_nearest(depth: int) -> None:
    allowed = range(8, 2100, 6)
    if depth in allowed:
        assert ResNetCifar(depth=depth).depth == depth
        return
    with pytest.raises(BadOption) as caught:
        ResNetCifar(depth=depth)
    neighbours = [d for d in allowed if abs(d - depth) < 6] or [8]
    assert str(caught.value).endswith(f"Nearest allowed: {' and '.join(map(str, neighbours))}.")


def test_depth_eighteen_in_full() -> None:
    with pytest.raises(BadOption, match=r"depth is 18; .* Nearest allowed: 14 and 20\."):
        ResNetCifar(depth=18)


def test_groups_halve_the_image_and_double_the_channels() -> None:
    module = ResNetCifar(depth=8, width=6).build(CIFAR, 10)
    shapes = []
    x = torch.zeros(2, *CIFAR)
    for name, layer in module.named_children():
        x = layer(x)
        if name.startswith("layer"):
            shapes.append(tuple(x.shape[1:]))
    assert shapes == [(6, 32, 32), (12, 16, 16), (24, 8, 8)]


def test_option_a_has_two_shortcuts_that_change_the_shape() -> None:
    module = ResNetCifar().build(CIFAR, 10)
    assert sum(isinstance(m, SubsampleAndPad) for m in module.modules()) == 2


def test_swish_replaces_every_relu() -> None:
    layers = list(ResNetCifar(depth=8, activation="swish").build(CIFAR, 10).modules())
    assert sum(isinstance(layer, Swish) for layer in layers) == 7
    assert not any(isinstance(layer, nn.ReLU) for layer in layers)


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 33, 17), (1, 1, 1)])
def test_images_of_any_size_fit(shape: tuple[int, ...]) -> None:
    module = ResNetCifar(depth=8).build(shape, 5).eval()
    assert module(torch.zeros(2, *shape)).shape == (2, 5)


def test_flat_samples_are_refused() -> None:
    with pytest.raises(BadShape, match="it takes images"):
        ResNetCifar().build((64,), 10)


# --- published weights ---------------------------------------------------------------------------


def data_folder() -> Path:
    folder = os.environ.get("EPOCHLAB_DATA")
    if not folder:
        pytest.skip("EPOCHLAB_DATA is not set; the published weights lie in a folder beside it")
    return Path(folder)


def published(depth: int) -> dict[str, Tensor]:
    found = sorted((data_folder().parent / "weights").glob(f"resnet{depth}-*.th"))
    if not found:
        pytest.skip(f"no published weights of depth {depth} in a folder beside EPOCHLAB_DATA")
    saved = torch.load(found[0], map_location="cpu", weights_only=True)
    return {k.removeprefix("module."): v for k, v in saved["state_dict"].items()}


@pytest.mark.parametrize("depth", [20, 32, 44, 56])
def test_published_weights_fit_exactly(depth: int) -> None:
    weights = published(depth)
    module = ResNetCifar(depth=depth).build(CIFAR, 10)
    module.load_state_dict(weights, strict=True)
    # Not the same by luck: every value arrived. Files this old do not count the batches.
    state = module.state_dict()
    assert all(torch.equal(state[key], value) for key, value in weights.items())
    assert {key.rpartition(".")[2] for key in state.keys() - weights} <= {"num_batches_tracked"}


def test_published_weights_predict_well() -> None:
    weights = published(20)
    file = data_folder() / "cifar10" / "test_batch.bin.xz"
    if not file.is_file():
        pytest.skip("EPOCHLAB_DATA has no cifar10/test_batch.bin.xz")
    with lzma.open(file) as stream:
        records = np.frombuffer(stream.read(500 * 3073), np.uint8).reshape(500, 3073)
    images = torch.from_numpy(records[:, 1:].reshape(-1, *CIFAR) / np.float32(255))
    # The source's scaling: mean and deviation of ImageNet, not of CIFAR-10.
    mean = torch.tensor([0.485, 0.456, 0.406]).reshape(3, 1, 1)
    deviation = torch.tensor([0.229, 0.224, 0.225]).reshape(3, 1, 1)
    module = ResNetCifar(depth=20).build(CIFAR, 10).eval()
    module.load_state_dict(weights, strict=True)
    with torch.no_grad():
        guesses = module((images - mean) / deviation).argmax(1).numpy()
    # 45 of these 500 are wrong, 827 of all 10,000 (8.27 %, as published).
    assert abs(int((guesses != records[:, 0]).sum()) - 45) <= 2
