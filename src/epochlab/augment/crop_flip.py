"""Random shift by padding and cropping, and random mirroring: the simple augmentation for CIFAR."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from epochlab.augment import Augmentation
from epochlab.component import CountOrZero
from epochlab.randomness import integers


@dataclass(frozen=True, kw_only=True)
class CropFlip(Augmentation):
    """Pad every image with black, cut the old size out at a random place, mirror every second one.

        out[c, y, x] = padded[c, y + dy, x' + dx],   dy, dx uniform on 0 .. 2*padding,
        x' = x, or width - 1 - x with probability 1/2

    Streams of an image's key: 0 gives dy, 1 gives dx, 2 decides whether it is mirrored.

        >>> import numpy as np
        >>> from epochlab.augment.crop_flip import CropFlip
        >>> image = np.arange(9, dtype=np.uint8).reshape(1, 1, 3, 3)
        >>> CropFlip(padding=1).apply(image, np.array([5], np.uint64))[0, 0].tolist()
        [[0, 0, 0], [0, 2, 1], [0, 5, 4]]

    Reference: K. He, X. Zhang, S. Ren, J. Sun: "Deep residual learning for image recognition",
    CVPR 2016, section 4.2.
    """

    padding: CountOrZero = 4
    "black pixels added on every side, and so the largest shift"
    flip: bool = True
    "mirror left and right with probability 1/2"

    acts_on: ClassVar[Literal["pixels", "values"]] = "pixels"

    def apply(self, images: NDArray[np.generic], keys: NDArray[np.uint64]) -> NDArray[np.generic]:
        out = images
        if self.padding:
            n, channels, height, width = images.shape
            pad, places = self.padding, 2 * self.padding + 1
            padded = np.zeros((n, channels, height + 2 * pad, width + 2 * pad), images.dtype)
            padded[:, :, pad : pad + height, pad : pad + width] = images
            windows = np.lib.stride_tricks.sliding_window_view(padded, (height, width), axis=(2, 3))
            down, right = integers(keys, 0, places), integers(keys, 1, places)
            out = windows[np.arange(n), :, down, right]
        if self.flip:
            mirrored = np.flatnonzero(integers(keys, 2, 2))
            out[mirrored] = out[mirrored][..., ::-1]
        return np.ascontiguousarray(out)
