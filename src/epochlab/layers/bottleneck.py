"""Residual blocks of the deep networks for large images: two 3x3 layers, or a bottleneck."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from epochlab.errors import BadOption

StrideOn = Literal["1x1", "3x3"]


def projection(in_channels: int, channels: int, stride: int) -> nn.Sequential | None:
    """The path around a block that changes the shape: conv 1x1, bn. None where x itself fits."""
    if stride == 1 and in_channels == channels:
        return None
    conv = nn.Conv2d(in_channels, channels, 1, stride=stride, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(channels))


class TwoLayerBlock(nn.Module):
    """relu(F(x) + downsample(x)), where F is conv 3x3, bn, relu, conv 3x3, bn in this order.

    Maps [batch, in_channels, h, w] to [batch, width, ceil(h / stride), ceil(w / stride)]. The first
    convolution carries the stride. Weights have the names of the weight files in wide use.

        >>> import torch
        >>> TwoLayerBlock(64, 128, stride=2)(torch.zeros(1, 64, 8, 8)).shape
        torch.Size([1, 128, 4, 4])

    Reference: K. He, X. Zhang, S. Ren, J. Sun, Deep Residual Learning for Image Recognition, CVPR
    2016, arXiv:1512.03385, Figure 5 (left).
    """

    def __init__(self, in_channels: int, width: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, width, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.act1 = nn.ReLU()
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = projection(in_channels, width, stride)
        self.act2 = nn.ReLU()
        self.out_channels = width

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn2(self.conv2(self.act1(self.bn1(self.conv1(x)))))
        out: Tensor = self.act2(y + (x if self.downsample is None else self.downsample(x)))
        return out


class Bottleneck(nn.Module):
    """relu(F(x) + downsample(x)), where F is conv 1x1, conv 3x3, conv 1x1, each with bn.

    Maps [batch, in_channels, h, w] to [batch, 4 width, ceil(h / stride), ceil(w / stride)]: the
    first convolution goes down to `width` channels, the last up to four times as many; ReLU follows
    the first two. The stride is on the first 1x1 convolution as published ("1x1"), which then skips
    three of four pixels, or on the 3x3 convolution ("3x3"), which costs more and sees every pixel.

        >>> import torch
        >>> Bottleneck(256, 128, stride=2)(torch.zeros(1, 256, 8, 8)).shape
        torch.Size([1, 512, 4, 4])

    Reference: K. He, X. Zhang, S. Ren, J. Sun, Deep Residual Learning for Image Recognition, CVPR
    2016, arXiv:1512.03385, Figure 5 (right).
    """

    def __init__(
        self, in_channels: int, width: int, stride: int = 1, stride_on: StrideOn = "3x3"
    ) -> None:
        super().__init__()
        if stride_on not in ("1x1", "3x3"):
            raise BadOption(f"The stride is on {stride_on!r}; allowed are '1x1', '3x3'.")
        first, second = (stride, 1) if stride_on == "1x1" else (1, stride)
        self.conv1 = nn.Conv2d(in_channels, width, 1, stride=first, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.act1 = nn.ReLU()
        self.conv2 = nn.Conv2d(width, width, 3, stride=second, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.act2 = nn.ReLU()
        self.conv3 = nn.Conv2d(width, 4 * width, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * width)
        self.downsample = projection(in_channels, 4 * width, stride)
        self.act3 = nn.ReLU()
        self.out_channels = 4 * width

    def forward(self, x: Tensor) -> Tensor:
        y = self.act1(self.bn1(self.conv1(x)))
        y = self.act2(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        out: Tensor = self.act3(y + (x if self.downsample is None else self.downsample(x)))
        return out
