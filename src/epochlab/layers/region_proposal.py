"""The head of a region proposal network: a score and a box for each anchor at each position."""

from __future__ import annotations

from torch import Tensor, nn


class RegionProposalHead(nn.Module):
    """h = relu(conv 3x3 of x); scores = conv 1x1 of h, offsets = conv 1x1 of h.

    Maps a feature map [batch, in_channels, h, w] to the pair (scores [batch, 2 k, h, w], offsets
    [batch, 4 k, h, w]): for each of k anchors two scores, background and object, and the four
    numbers that move and stretch the anchor to the object's box.

        >>> import torch
        >>> head = RegionProposalHead(512, hidden=512, anchors=9)
        >>> scores, offsets = head(torch.zeros(1, 512, 3, 4))
        >>> scores.shape, offsets.shape
        (torch.Size([1, 18, 3, 4]), torch.Size([1, 36, 3, 4]))

    Reference: S. Ren, K. He, R. Girshick, J. Sun, Faster R-CNN: Towards Real-Time Object Detection
    with Region Proposal Networks, NIPS 2015, arXiv:1506.01497, section 3.1.
    """

    def __init__(self, in_channels: int, *, hidden: int, anchors: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, hidden, 3, padding=1)
        self.act = nn.ReLU()
        self.scores = nn.Conv2d(hidden, 2 * anchors, 1)
        self.offsets = nn.Conv2d(hidden, 4 * anchors, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        h = self.act(self.conv(x))
        return self.scores(h), self.offsets(h)
