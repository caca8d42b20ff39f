"""SqueezeNet: few parameters through 1x1 filters, and late poolings, in both of its versions."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from epochlab.networks import Network
from epochlab.networks._shapes import Window, image_shape, sides_after

if TYPE_CHECKING:
    from torch import nn

FIRES = ((16, 64), (16, 64), (32, 128), (32, 128), (48, 192), (48, 192), (64, 256), (64, 256))


@dataclass(frozen=True, kw_only=True)
class SqueezeNet(Network):
    """One convolution, eight fire modules, a 1x1 convolution to the outputs, ReLU, mean.

    A fire module goes down to s channels and up to e channels of 1x1 and e of 3x3 filters; (s, e)
    are (16, 64) twice, (32, 128) twice, (48, 192) twice and (64, 256) twice. Poolings take the
    maximum of 3x3 pixels, every 2 pixels, rounded up. Half of the values before the last
    convolution are dropped while training. There is no fully connected layer.

        version  first convolution     poolings after
        1.0      7x7 to 96 channels    the first convolution, fire 4, fire 8
        1.1      3x3 to 64 channels    the first convolution, fire 3, fire 5

    The modules are fire 2 to fire 9. Version 1.0 shrinks the image late, so that much of its work
    is done on large images; 1.1 shrinks it earlier and costs less than half.
    Made for 3 x 224 x 224 images; from 21 (1.0) or 17 pixels (1.1) on, others fit as well. The
    names of the weights are those of the weight files in wide use (features.0.weight,
    features.3.squeeze.weight ... classifier.1.bias).

        >>> import torch
        >>> def size(version):
        ...     with torch.device("meta"):
        ...         network = SqueezeNet(version=version).build((3, 224, 224), 1000)
        ...     return sum(p.numel() for p in network.parameters())
        >>> size("1.0"), size("1.1")
        (1248424, 1235496)

    Reference: F. N. Iandola et al., SqueezeNet: AlexNet-level accuracy with 50x fewer parameters
    and <0.5MB model size, 2016, arXiv:1602.07360, Table 1; version 1.1 is from the authors' code.
    """

    version: Literal["1.0", "1.1"] = "1.0"
    "1.0: as in the paper; 1.1: smaller first convolution, earlier poolings"

    @property
    def natural_input(self) -> tuple[int, ...]:
        return (3, 224, 224)

    @property
    def natural_outputs(self) -> int:
        return 1000

    def build(self, input_shape: tuple[int, ...], outputs: int) -> nn.Module:
        """Layers: features (first convolution, poolings, fire modules), classifier, flatten.

        Raises BadShape for samples that are not images, or are too small.
        """
        from torch import nn

        from epochlab.layers.fire import Fire

        channels, height, width = image_shape("squeezenet", input_shape)
        kernel, first, pooled = (7, 96, (4, 8)) if self.version == "1.0" else (3, 64, (3, 5))
        # A pooling of 3x3 that is rounded up needs only 2x2 pixels.
        pools = [
            Window(f"pool{number}, which may reach a pixel over the border,", 2, 2)
            for number in (1, 2, 3)
        ]
        sides_after("squeezenet", (height, width), [Window("conv1", kernel, 2), *pools])
        features: list[nn.Module] = [
            nn.Conv2d(channels, first, kernel, stride=2),
            nn.ReLU(),
            nn.MaxPool2d(3, stride=2, ceil_mode=True),
        ]
        channels = first
        for number, (squeeze, expand) in enumerate(FIRES, 2):
            fire = Fire(channels, squeeze=squeeze, one=expand, three=expand)
            features.append(fire)
            channels = fire.out_channels
            if number in pooled:
                features.append(nn.MaxPool2d(3, stride=2, ceil_mode=True))
        classifier = nn.Sequential(
            nn.Dropout(0.5), nn.Conv2d(channels, outputs, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1)
        )
        return nn.Sequential(
            OrderedDict(
                features=nn.Sequential(*features), classifier=classifier, flatten=nn.Flatten()
            )
        )
