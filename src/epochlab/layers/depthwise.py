"""Depthwise-separable convolutions: the blocks of MobileNet and of MobileNetV2."""

from __future__ import annotations

from collections import OrderedDict

from torch import Tensor, nn


class DepthwiseSeparable(nn.Sequential):
    """A 3x3 convolution in each channel on its own, then a 1x1 convolution over the channels.

    Batch normalisation and ReLU follow both. Maps [batch, in_channels, h, w] to [batch, channels,
    ceil(h / stride), ceil(w / stride)]; the first convolution carries the stride. Per output pixel
    it costs 9 in_channels + in_channels * channels multiply-accumulates, where a 3x3 convolution
    costs 9 in_channels * channels: 9 channels / (9 + channels) times as many.

        >>> import torch
        >>> block = DepthwiseSeparable(64, 128, stride=2)
        >>> block(torch.zeros(1, 64, 8, 8)).shape
        torch.Size([1, 128, 4, 4])
        >>> block.depthwise.weight.numel() + block.pointwise.weight.numel(), 3 * 3 * 64 * 128
        (8768, 73728)

    Reference: A. G. Howard et al., MobileNets: Efficient Convolutional Neural Networks for Mobile
    Vision Applications, 2017, arXiv:1704.04861, section 3.1.
    """

    def __init__(self, in_channels: int, channels: int, stride: int = 1) -> None:
        depthwise = nn.Conv2d(
            in_channels, in_channels, 3, stride=stride, padding=1, groups=in_channels, bias=False
        )
        super().__init__(
            OrderedDict(
                depthwise=depthwise,
                bn1=nn.BatchNorm2d(in_channels),
                act1=nn.ReLU(),
                pointwise=nn.Conv2d(in_channels, channels, 1, bias=False),
                bn2=nn.BatchNorm2d(channels),
                act2=nn.ReLU(),
            )
        )


def conv_bn_relu6(
    in_channels: int, channels: int, kernel: int, stride: int = 1, groups: int = 1
) -> nn.Sequential:
    """Convolution that shrinks the image by its stride only, batch normalisation, ReLU up to 6."""
    conv = nn.Conv2d(
        in_channels,
        channels,
        kernel,
        stride=stride,
        padding=kernel // 2,
        groups=groups,
        bias=False,
    )
    return nn.Sequential(conv, nn.BatchNorm2d(channels), nn.ReLU6())


class InvertedResidual(nn.Module):
    """x + F(x): 1x1 up to `expand` times the channels, 3x3 in each channel, 1x1 down to `channels`.

    The first is left out for expand = 1. Batch normalisation follows each convolution, ReLU up to 6
    all but the last. x is added only where the shape stays the same. Maps [batch, in_channels, h,
    w] to [batch, channels, ceil(h / stride), ceil(w / stride)]. Weights have the names of the
    weight files in wide use.

        >>> import torch
        >>> InvertedResidual(24, 32, stride=2, expand=6)(torch.zeros(1, 24, 8, 8)).shape
        torch.Size([1, 32, 4, 4])

    Reference: M. Sandler, A. Howard, M. Zhu, A. Zhmoginov, L.-C. Chen, MobileNetV2: Inverted
    Residuals and Linear Bottlenecks, CVPR 2018, arXiv:1801.04381, section 3.
    """

    def __init__(self, in_channels: int, channels: int, stride: int, expand: int) -> None:
        super().__init__()
        wide = in_channels * expand
        parts: list[nn.Module] = [conv_bn_relu6(in_channels, wide, 1)] if expand != 1 else []
        parts += [
            conv_bn_relu6(wide, wide, 3, stride, groups=wide),
            nn.Conv2d(wide, channels, 1, bias=False),
            nn.BatchNorm2d(channels),
        ]
        self.conv = nn.Sequential(*parts)
        self.adds = stride == 1 and in_channels == channels

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv(x)
        return x + y if self.adds else y

    def extra_repr(self) -> str:
        return f"adds={self.adds}"
