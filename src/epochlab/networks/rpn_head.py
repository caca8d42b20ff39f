"""Region proposal head: scores and boxes for each anchor, on the feature map of a backbone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from epochlab.component import Count
from epochlab.errors import BadShape
from epochlab.networks import Network
from epochlab.networks._shapes import image_shape, shape_text

if TYPE_CHECKING:
    from torch import nn

MOST_COLOURS = 4  # samples with more channels than red, green, blue, alpha are no images


@dataclass(frozen=True, kw_only=True)
class RpnHead(Network):
    """conv 3x3 with ReLU, then side by side conv 1x1 to 2k scores and conv 1x1 to 4k offsets.

    It slides over the last feature map that a detector shares, for example 512 x 38 x 50, and has
    k anchors at each position: boxes of 3 areas and 3 shapes for k = 9. Each gets two scores
    (background, object) and four offsets, so the 1x1 convolutions have 18 and 36 channels.

        >>> import torch
        >>> with torch.device("meta"):
        ...     network = RpnHead().build((512, 38, 50), outputs=9)
        >>> sum(p.numel() for p in network.parameters())
        2387510

    Reference: S. Ren, K. He, R. Girshick, J. Sun, Faster R-CNN: Towards Real-Time Object Detection
    with Region Proposal Networks, NIPS 2015, arXiv:1506.01497, section 3.1.
    """

    hidden: Count = 512
    "channels between the 3x3 and the 1x1 convolutions: 512 for VGG16 as backbone, 256 for ZF"
    anchors: Count = 9
    "k, boxes per position"

    @property
    def natural_input(self) -> tuple[int, ...]:
        return (512, 37, 62)

    def build(self, input_shape: tuple[int, ...], outputs: int) -> nn.Module:
        """Layers: conv, act, scores, offsets.

        The module maps [batch, *input_shape] to a pair of maps, not to classes: it is there to be
        analysed and to be part of a detector. Anchors alone decide how many numbers come out, so
        `outputs` has no effect. Raises BadShape for samples that are not feature maps; images are
        refused, because a trial on them would train a head without its backbone.
        """
        from epochlab.layers.region_proposal import RegionProposalHead

        channels, _, _ = image_shape("rpn_head", input_shape)
        if channels <= MOST_COLOURS:
            raise BadShape(
                f"rpn_head cannot take samples of shape {shape_text(input_shape)}: these are "
                "images, and it takes the feature map of a backbone, for example 512 x 38 x 50. It "
                "is one part of a detector and cannot be trained on its own; for images choose "
                "another network, for example resnet."
            )
        return RegionProposalHead(channels, hidden=self.hidden, anchors=self.anchors)
