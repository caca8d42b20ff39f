from __future__ import annotations

import torch
from torch.nn import functional

from epochlab.layers.region_proposal import RegionProposalHead


def test_head_is_its_equation() -> None:
    torch.manual_seed(0)
    head = RegionProposalHead(5, hidden=7, anchors=3)
    x = torch.randn(2, 5, 4, 6)
    h = functional.conv2d(x, head.conv.weight, head.conv.bias, padding=1).clamp(min=0)
    scores, offsets = head(x)
    torch.testing.assert_close(scores, functional.conv2d(h, head.scores.weight, head.scores.bias))
    torch.testing.assert_close(
        offsets, functional.conv2d(h, head.offsets.weight, head.offsets.bias)
    )
    assert scores.shape == (2, 6, 4, 6)
    assert offsets.shape == (2, 12, 4, 6)
