"""ResNet for small images: depth 6n + 2, three groups of n residual blocks."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from epochlab.component import Count
from epochlab.errors import BadOption
from epochlab.networks import Network
from epochlab.networks._shapes import image_shape

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, kw_only=True)
class ResNetCifar(Network):
    """conv 3x3, three groups of n blocks y = act(F(x) + shortcut(x)), mean over pixels, linear.

    F is two 3x3 convolutions with batch normalisation. The groups have w, 2w and 4w channels; the
    second and third halve the image. Shortcuts where the shape changes: A keeps every second pixel
    and adds channels of zeros, without parameters; B is a 1x1 convolution with batch
    normalisation; none leaves all shortcuts out, which gives the plain network of equal depth.

        >>> network = ResNetCifar(depth=20).build((3, 32, 32), 10)
        >>> sum(p.numel() for p in network.parameters())
        269722

    Reference: K. He, X. Zhang, S. Ren, J. Sun, Deep Residual Learning for Image Recognition, CVPR
    2016, arXiv:1512.03385, section 4.2.
    """

    depth: Count = 20
    "layers with weights on the longest path: 6n + 2, that is 8, 14, 20, 26, ..."
    shortcut: Literal["A", "B", "none"] = "A"
    "path around a block that changes the shape (A, B), or no shortcuts at all (none)"
    width: Count = 16
    "w, channels of the first group"
    activation: Literal["relu", "leaky_relu", "swish"] = "relu"
    "function after each normalisation"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.depth < 8 or self.depth % 6 != 2:
            below = (self.depth - 2) // 6 * 6 + 2
            close = f"{below} and {below + 6}" if below >= 8 else "8"
            raise BadOption(
                f"resnet_cifar: depth is {self.depth}; it must be 6n + 2 with n at least 1, since "
                "three groups of n blocks have two convolutions each. "
                f"Nearest allowed: {close}."
            )

    def build(self, input_shape: tuple[int, ...], outputs: int) -> nn.Module:
        """Layers: conv1, bn1, act1, layer1 ... layer3 (n blocks each), pool, flatten, linear.

        Images of any size fit. Raises BadShape for samples that are not images.
        """
        from torch import nn

        from epochlab.layers.activation import activation
        from epochlab.layers.residual import BasicBlock

        channels, _, _ = image_shape("resnet_cifar", input_shape)

        def group(before: int, after: int, stride: int) -> nn.Sequential:
            blocks = [BasicBlock(before, after, stride, self.shortcut, self.activation)]
            for _ in range((self.depth - 2) // 6 - 1):
                blocks.append(BasicBlock(after, after, 1, self.shortcut, self.activation))
            return nn.Sequential(*blocks)

        w = self.width
        return nn.Sequential(
            OrderedDict(
                conv1=nn.Conv2d(channels, w, 3, padding=1, bias=False),
                bn1=nn.BatchNorm2d(w),
                act1=activation(self.activation),
                layer1=group(w, w, 1),
                layer2=group(w, 2 * w, 2),
                layer3=group(2 * w, 4 * w, 2),
                pool=nn.AdaptiveAvgPool2d(1),
                flatten=nn.Flatten(),
                linear=nn.Linear(4 * w, outputs),
            )
        )
