from __future__ import annotations

import pytest
import torch

from epochlab.errors import BadOption, BadShape
from epochlab.networks.rpn_head import RpnHead
from tests.networks.counting import counts


def test_maps_of_scores_and_offsets() -> None:
    head = RpnHead().build((512, 37, 62), 2)
    with torch.no_grad():
        scores, offsets = head(torch.zeros(1, 512, 37, 62))
    assert scores.shape == (1, 18, 37, 62)
    assert offsets.shape == (1, 36, 37, 62)
    assert scores[0].numel() == 2 * 20_646  # two per anchor


@pytest.mark.parametrize(("anchors", "hidden", "channels"), [(9, 512, 512), (3, 256, 256)])
def test_size_by_arithmetic(anchors: int, hidden: int, channels: int) -> None:
    with torch.device("meta"):
        size, work = counts(RpnHead(anchors=anchors, hidden=hidden), (channels, 5, 6))
    weights = 9 * channels * hidden + hidden * 6 * anchors
    assert size == weights + hidden + 6 * anchors
    assert work == 5 * 6 * weights


def test_outputs_have_no_effect() -> None:
    one, other = (RpnHead().build((16, 4, 4), outputs).state_dict() for outputs in (2, 1000))
    assert {k: v.shape for k, v in one.items()} == {k: v.shape for k, v in other.items()}
    assert list(one) == [f"{n}.{k}" for n in ("conv", "scores", "offsets")
                         for k in ("weight", "bias")]  # fmt: skip


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 224, 224), (4, 8, 8)])
def test_images_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(BadShape, match=r"rpn_head cannot take .*feature map.*512 x 38 x 50"):
        RpnHead().build(shape, 10)
    assert RpnHead().build((5, *shape[1:]), 10) is not None


def test_flat_samples_and_no_anchors_are_refused() -> None:
    with pytest.raises(BadShape, match="cannot take samples of shape 512"):
        RpnHead().build((512,), 10)
    with pytest.raises(BadOption, match="at least 1"):
        RpnHead(anchors=0)
