from __future__ import annotations

import pytest
import torch
from torch import nn

from epochlab.errors import BadOption, BadShape
from epochlab.networks.mobilenet_v1 import BLOCKS, MobileNetV1
from tests.networks.counting import counts
from tests.networks.per_layer import measure


def on_meta(width: float = 1) -> nn.Module:
    with torch.device("meta"):
        return MobileNetV1(width=width).build((3, 224, 224), 1000)


@pytest.mark.parametrize(
    ("width", "millions_of_parameters", "millions_of_macs"),
    [(1, 4.2, None), (0.75, 2.6, 325), (0.5, 1.3, 149), (0.25, 0.5, 41)],
)
def test_sizes_as_published(
    width: float, millions_of_parameters: float, millions_of_macs: int | None
) -> None:
    """Table 6 of the paper; the work at width 1 is given differently in different places."""
    with torch.device("meta"):
        size, work = counts(MobileNetV1(width=width), (3, 224, 224), 1000)
    assert round(size / 1e6, 1) == millions_of_parameters
    if millions_of_macs is not None:
        assert int(work / 1e6) == millions_of_macs


def test_size_and_work_by_arithmetic() -> None:
    """The sums over the table of the architecture, written out."""
    size, work, channels, side = 3 * 9 * 32 + 2 * 32, 3 * 9 * 32 * 112**2, 32, 112
    for after, stride in BLOCKS:
        side //= stride
        size += 9 * channels + 2 * channels + channels * after + 2 * after
        work += (9 * channels + channels * after) * side**2
        channels = after
    assert side == 7
    with torch.device("meta"):
        assert counts(MobileNetV1(), (3, 224, 224), 1000) == (
            size + 1024 * 1000 + 1000, work + 1024 * 1000,
        )  # fmt: skip


def test_order_and_output_of_layers() -> None:
    found = measure(on_meta(), (3, 224, 224))
    names = ["conv1", "bn1", "act1", *(f"block{n}" for n in range(1, 14)), "avgpool", "flatten"]
    assert [name for name, _ in on_meta().named_children()] == [*names, "fc"]
    assert [found[f"block{n}"].output[:2] for n in (1, 2, 4, 6, 12, 13)] == [
        (64, 112), (128, 56), (256, 28), (512, 14), (1024, 7), (1024, 7),
    ]  # fmt: skip


def test_width_multiplies_all_channels() -> None:
    found = measure(on_meta(0.25), (3, 224, 224))
    assert [found[f"block{n}"].output[0] for n in (1, 2, 4, 6, 12)] == [16, 32, 64, 128, 256]
    assert found["conv1"].output[0] == 8
    tiny = MobileNetV1(width=0.001).build((3, 8, 8), 2)
    assert tiny.get_submodule("conv1").out_channels == 1
    with pytest.raises(BadOption, match="above 0"):
        MobileNetV1(width=0)


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 33, 17), (1, 1, 1)])
def test_images_of_any_size_fit(shape: tuple[int, ...]) -> None:
    module = MobileNetV1(width=0.25).build(shape, 5).eval()
    assert module(torch.zeros(2, *shape)).shape == (2, 5)


def test_flat_samples_are_refused() -> None:
    with pytest.raises(BadShape, match="it takes images"):
        MobileNetV1().build((64,), 10)
