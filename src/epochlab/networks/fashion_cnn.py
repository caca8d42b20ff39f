"""Small network for Fashion-MNIST: two convolutions, two fully connected layers, free sizes."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from epochlab.component import Count
from epochlab.errors import BadOption
from epochlab.networks import Network
from epochlab.networks._shapes import Window, image_shape, sides_after

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, kw_only=True)
class FashionCnn(Network):
    """conv k1 x k1 to c1 channels, conv k2 x k2 to c2 channels, n hidden units, the outputs.

    ReLU follows every layer with weights but the last. With no padding and no pooling, an image of
    side s has o1 = s - k1 + 1 and o2 = o1 - k2 + 1 pixels per side after the convolutions, and one
    sample of one channel costs

        o1^2 k1^2 c1 + o2^2 k2^2 c1 c2 + o2^2 c2 n + n outputs    multiply-accumulates.

    The defaults take the exercise literally; the options padding and pool give the other readings.

        >>> def size(**options):
        ...     network = FashionCnn(**options).build((1, 28, 28), 10)
        ...     return sum(p.numel() for p in network.parameters())
        >>> size(), size(padding="same"), size(pool="second"), size(pool="both")
        (925190, 1257990, 233990, 43590)

    Reference: the base network of a course exercise (CS6886, item 6).
    """

    kernel1: Count = 3
    "k1, side of the first convolution's kernel in pixels"
    kernel2: Count = 3
    "k2, side of the second convolution's kernel in pixels"
    channels1: Count = 16
    "c1, output channels of the first convolution"
    channels2: Count = 16
    "c2, output channels of the second convolution"
    hidden: Count = 100
    "n, units of the hidden layer"
    padding: Literal["valid", "same"] = "valid"
    "valid: no padding, images shrink by k - 1; same: zeros around, images keep their size"
    pool: Literal["none", "second", "both"] = "none"
    "after which convolutions the maximum of 2x2 pixels is taken"

    @property
    def natural_input(self) -> tuple[int, ...]:
        return (1, 28, 28)

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("kernel1", "kernel2"):
            size = getattr(self, name)
            if self.padding == "same" and size % 2 == 0:
                raise BadOption(
                    f"fashion_cnn: {name} is {size} and padding is 'same'; that needs an odd "
                    f"kernel, since zeros go equally on both sides. The nearest are {size - 1} and "
                    f"{size + 1}; padding 'valid' takes any size."
                )

    def build(self, input_shape: tuple[int, ...], outputs: int) -> nn.Module:
        """Layers: conv1, act1, pool1, conv2, act2, pool2, flatten, fc1, act3, fc2.

        Pooling appears only where it is asked for. Raises BadShape for samples that are not images,
        or are too small.
        """
        from torch import nn

        channels, height, width = image_shape("fashion_cnn", input_shape)
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        windows: list[Window] = []
        sizes = ((1, self.kernel1, self.channels1), (2, self.kernel2, self.channels2))
        for number, kernel, after in sizes:
            border = kernel // 2 if self.padding == "same" else 0
            layers[f"conv{number}"] = nn.Conv2d(channels, after, kernel, padding=border)
            windows.append(Window(f"conv{number}", kernel, padding=border))
            layers[f"act{number}"] = nn.ReLU()
            if self.pool == "both" or (self.pool == "second" and number == 2):
                layers[f"pool{number}"] = nn.MaxPool2d(2)
                windows.append(Window(f"pool{number}", 2, 2))
            channels = after
        height, width = sides_after(
            "fashion_cnn", (height, width), windows,
            "Or take smaller kernels, padding 'same' or fewer poolings.",
        )  # fmt: skip
        layers |= OrderedDict(
            flatten=nn.Flatten(),
            fc1=nn.Linear(channels * height * width, self.hidden),
            act3=nn.ReLU(),
            fc2=nn.Linear(self.hidden, outputs),
        )
        return nn.Sequential(layers)
