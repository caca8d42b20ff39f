"""GoogLeNet: nine inception modules, 22 layers deep, the main branch without auxiliary heads."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from epochlab.networks import Network
from epochlab.networks._shapes import Window, image_shape, sides_after

if TYPE_CHECKING:
    from torch import nn

# Filters of each module: 1x1, 1x1 before 3x3, 3x3, 1x1 before 5x5, 5x5, 1x1 after the pooling.
MODULES = {
    "3a": (64, 96, 128, 16, 32, 32), "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64), "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64), "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128), "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class GoogLeNet(Network):
    """conv 7x7, conv 1x1, conv 3x3, nine inception modules in three stages, mean, linear.

    The stem brings 3 x 224 x 224 images to 192 x 28 x 28; maxima of 3x3 pixels, every 2 pixels and
    rounded up, stand around it and between the stages, so that the modules 3a to 5b work on 28,
    14 and 7 pixels per side. ReLU follows every convolution; 40 % of the 1024 means are dropped
    while training. This is the branch that predicts: the two auxiliary heads, which the authors
    used while training only, are not part of it. Images from 31 pixels on fit.

        >>> import torch
        >>> with torch.device("meta"):
        ...     network = GoogLeNet().build((3, 224, 224), 1000)
        >>> sum(p.numel() for p in network.parameters())
        6998552

    The form with batch normalisation that is in wide use has a 3x3 convolution in place of the 5x5
    one and 6,624,904 parameters; its weight files do not fit here.

    Reference: C. Szegedy et al., Going Deeper with Convolutions, CVPR 2015, arXiv:1409.4842,
    Table 1.
    """

    response_norm: bool = True
    "divide by the size of neighbouring channels after the first pooling and the third convolution"

    @property
    def natural_input(self) -> tuple[int, ...]:
        return (3, 224, 224)

    @property
    def natural_outputs(self) -> int:
        return 1000

    def build(self, input_shape: tuple[int, ...], outputs: int) -> nn.Module:
        """Layers: conv1 ... pool2, inception3a, inception3b, pool3 ... avgpool, flatten, drop, fc.

        Raises BadShape for samples that are not images, or are too small.
        """
        from torch import nn

        from epochlab.layers.inception import Inception

        channels, height, width = image_shape("googlenet", input_shape)
        # A pooling of 3x3 that is rounded up needs only 2x2 pixels.
        pools = [
            Window(f"pool{number}, which may reach a pixel over the border,", 2, 2)
            for number in range(1, 5)
        ]
        sides_after("googlenet", (height, width), [Window("conv1", 7, 2, 3), *pools])
        layers = self._stem(channels)
        channels = 192
        for name, (one, reduce3, three, reduce5, five, pool) in MODULES.items():
            if name in ("4a", "5a"):
                layers[f"pool{int(name[0]) - 1}"] = _pool()
            module = Inception(channels, one=one, reduce3=reduce3, three=three, reduce5=reduce5,
                               five=five, pool=pool)  # fmt: skip
            layers[f"inception{name}"] = module
            channels = module.out_channels
        layers |= OrderedDict(
            avgpool=nn.AdaptiveAvgPool2d(1),
            flatten=nn.Flatten(),
            drop=nn.Dropout(0.4),
            fc=nn.Linear(channels, outputs),
        )
        return nn.Sequential(layers)

    def _stem(self, channels: int) -> OrderedDict[str, nn.Module]:
        from torch import nn

        layers: OrderedDict[str, nn.Module] = OrderedDict(
            conv1=nn.Conv2d(channels, 64, 7, stride=2, padding=3),
            act1=nn.ReLU(),
            pool1=_pool(),
            norm1=nn.LocalResponseNorm(5),
            reduce2=nn.Conv2d(64, 64, 1),
            reduce2_act=nn.ReLU(),
            conv2=nn.Conv2d(64, 192, 3, padding=1),
            act2=nn.ReLU(),
            norm2=nn.LocalResponseNorm(5),
            pool2=_pool(),
        )
        if not self.response_norm:
            del layers["norm1"], layers["norm2"]
        return layers


def _pool() -> nn.Module:
    from torch import nn

    return nn.MaxPool2d(3, stride=2, ceil_mode=True)
