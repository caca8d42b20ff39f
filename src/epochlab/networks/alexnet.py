"""AlexNet in three forms: two towers as published, the same without groups, and one column."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from epochlab.component import Count
from epochlab.networks import Network
from epochlab.networks._shapes import Window, image_shape, sides_after

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, kw_only=True)
class AlexNet(Network):
    """Five convolutions (11x11, 5x5, three of 3x3), three poolings, then h, h and the outputs.

    Poolings take the maximum of 3x3 pixels, every 2 pixels, after convolutions 1, 2 and 5; ReLU
    follows every layer with weights but the last; half of the units of both hidden layers are
    dropped while training. The forms differ in the convolutions:

        two        96, 256, 384, 384, 256 channels; 2, 4 and 5 see only the half of the channels
                   that lies on their own tower (groups of 1, 2, 1, 2, 2)
        ungrouped  the same channels, every convolution sees all of them
        single     64, 192, 384, 256, 256 channels, no groups: the one-column form of 2014

    The first two take 3 x 227 x 227 images (without padding only 227 pixels give 55 x 55 in the
    first layer), the last one, which pads its first layer by 2, takes 3 x 224 x 224. Larger and
    smaller images fit as well, down to 67 and 63 pixels. The names of the weights of `single` are
    those of the weight files in wide use (features.0.weight ... classifier.6.bias).

        >>> import torch
        >>> def size(towers, side):
        ...     with torch.device("meta"):
        ...         network = AlexNet(towers=towers).build((3, side, side), 1000)
        ...     return sum(p.numel() for p in network.parameters())
        >>> size("two", 227), size("ungrouped", 227), size("single", 224)
        (60965224, 62378344, 61100840)

    References: A. Krizhevsky, I. Sutskever, G. E. Hinton, ImageNet Classification with Deep
    Convolutional Neural Networks, NIPS 2012, section 3.5 and Figure 2; A. Krizhevsky, One weird
    trick for parallelizing convolutional neural networks, 2014, arXiv:1404.5997 (single).
    """

    towers: Literal["two", "ungrouped", "single"] = "two"
    "two as published; ungrouped: both towers see each other everywhere; single: the form of 2014"
    response_norm: Literal["published", "always", "never"] = "published"
    "divide by the size of neighbouring channels after ReLU 1 and 2; published: all but single"
    hidden: Count = 4096
    "h, units of each of the two hidden layers"

    @property
    def natural_input(self) -> tuple[int, ...]:
        return (3, 224, 224) if self.towers == "single" else (3, 227, 227)

    @property
    def natural_outputs(self) -> int:
        return 1000

    def build(self, input_shape: tuple[int, ...], outputs: int) -> nn.Module:
        """Layers: conv1, act1, norm1, pool1, conv2 ... conv5, act5, pool5, flatten, fc6 ... fc8.

        For towers 'single': features, avgpool, flatten, classifier. Raises BadShape for samples
        that are not images, or are too small.
        """
        channels, height, width = image_shape("alexnet", input_shape)
        build = self._single if self.towers == "single" else self._published
        return build(channels, (height, width), outputs)

    def _published(self, channels: int, sides: tuple[int, int], outputs: int) -> nn.Module:
        from torch import nn

        groups = 2 if self.towers == "two" else 1
        sides = sides_after("alexnet", sides, _windows(border=0))
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        for number, (before, after, kernel, stride, border, parts) in enumerate(
            (
                (channels, 96, 11, 4, 0, 1),
                (96, 256, 5, 1, 2, groups),
                (256, 384, 3, 1, 1, 1),
                (384, 384, 3, 1, 1, groups),
                (384, 256, 3, 1, 1, groups),
            ),
            1,
        ):
            layers[f"conv{number}"] = nn.Conv2d(
                before, after, kernel, stride=stride, padding=border, groups=parts
            )
            layers[f"act{number}"] = nn.ReLU()
            if number <= 2 and self.response_norm != "never":
                layers[f"norm{number}"] = _response_norm()
            if number in (1, 2, 5):
                layers[f"pool{number}"] = nn.MaxPool2d(3, stride=2)
        layers |= OrderedDict(
            flatten=nn.Flatten(),
            fc6=nn.Linear(256 * sides[0] * sides[1], self.hidden),
            act6=nn.ReLU(),
            drop6=nn.Dropout(0.5),
            fc7=nn.Linear(self.hidden, self.hidden),
            act7=nn.ReLU(),
            drop7=nn.Dropout(0.5),
            fc8=nn.Linear(self.hidden, outputs),
        )
        return nn.Sequential(layers)

    def _single(self, channels: int, sides: tuple[int, int], outputs: int) -> nn.Module:
        from torch import nn

        sides_after("alexnet", sides, _windows(border=2))
        features: OrderedDict[str, nn.Module] = OrderedDict()
        before, place = channels, 0
        for after, kernel, stride, border, pooled in (
            (64, 11, 4, 2, True), (192, 5, 1, 2, True), (384, 3, 1, 1, False),
            (256, 3, 1, 1, False), (256, 3, 1, 1, True),
        ):  # fmt: skip
            features[str(place)] = nn.Conv2d(before, after, kernel, stride=stride, padding=border)
            features[str(place + 1)] = nn.ReLU()
            if after in (64, 192) and self.response_norm == "always":
                # Without a number of its own, so that the names of the weights stay as they are.
                features[f"norm{place}"] = _response_norm()
            if pooled:
                features[str(place + 2)] = nn.MaxPool2d(3, stride=2)
            before, place = after, place + (3 if pooled else 2)
        classifier = nn.Sequential(
            nn.Dropout(0.5),
            nn.Linear(256 * 6 * 6, self.hidden),
            nn.ReLU(),
            nn.Dropout(0.5),
            nn.Linear(self.hidden, self.hidden),
            nn.ReLU(),
            nn.Linear(self.hidden, outputs),
        )
        return nn.Sequential(
            OrderedDict(
                features=nn.Sequential(features),
                avgpool=nn.AdaptiveAvgPool2d(6),
                flatten=nn.Flatten(),
                classifier=classifier,
            )
        )


def _windows(border: int) -> list[Window]:
    """What slides over the image, from the first convolution (padded by `border`) to the end."""
    return [
        Window("conv1", 11, 4, border), Window("pool1", 3, 2), Window("conv2", 5, 1, 2),
        Window("pool2", 3, 2), Window("conv3", 3, 1, 1), Window("conv4", 3, 1, 1),
        Window("conv5", 3, 1, 1), Window("pool5", 3, 2),
    ]  # fmt: skip


def _response_norm() -> nn.Module:
    """x / (2 + 0.0001 * sum of x^2 over 5 neighbouring channels)^0.75, section 3.3 of the paper."""
    from torch import nn

    # torch divides the sum by the number of channels, the paper does not.
    return nn.LocalResponseNorm(5, alpha=5 * 1e-4, beta=0.75, k=2.0)
