"""Cutout: a square of every training image, somewhere else each time, is set to zero."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from epochlab.augment import Augmentation
from epochlab.component import Count
from epochlab.errors import BadOption
from epochlab.randomness import integers


@dataclass(frozen=True, kw_only=True)
class Cutout(Augmentation):
    """Set size x size pixels of all channels to zero, the mean of normalised values.

        out[c, y, x] = 0 where top <= y < top + size and left <= x < left + size
        top = cy - size//2, left = cx - size//2,   (cy, cx) uniform over all pixels

    The square may hang over the border, as in the authors' code: a 16 x 16 square takes 19.14 % of
    a 32 x 32 image on average. With `inside`, its corner is uniform over the places where it fits,
    and it always takes 25 %.
    Streams of an image's key: 16 gives cy (or top), 17 gives cx (or left).

        >>> import numpy as np
        >>> from epochlab.augment.cutout import Cutout
        >>> image = np.ones((1, 1, 4, 4), np.float32)
        >>> Cutout(size=2, inside=True).apply(image, np.array([5], np.uint64))[0, 0].tolist()
        [[1.0, 1.0, 1.0, 1.0], [1.0, 0.0, 0.0, 1.0], [1.0, 0.0, 0.0, 1.0], [1.0, 1.0, 1.0, 1.0]]

    Reference: T. DeVries, G. W. Taylor: "Improved regularization of convolutional neural networks
    with cutout", arXiv 1708.04552 (2017).
    """

    size: Count = 16
    "side of the square, in pixels"
    inside: bool = False
    "keep the whole square inside the image"

    acts_on: ClassVar[Literal["pixels", "values"]] = "values"

    def apply(self, images: NDArray[np.generic], keys: NDArray[np.uint64]) -> NDArray[np.generic]:
        height, width = images.shape[2:]
        rows = self._hole(keys, 16, height)
        columns = self._hole(keys, 17, width)
        hole = rows[:, None, :, None] & columns[:, None, None, :]
        np.copyto(images, np.zeros((), images.dtype), where=hole)
        return images

    def _hole(self, keys: NDArray[np.uint64], stream: int, length: int) -> NDArray[np.bool_]:
        """[n, length]: which rows (or columns) of each image the square covers."""
        if self.inside:
            if self.size > length:
                raise BadOption(
                    f"Cutout: a square of {self.size} pixels cannot lie inside an image with a "
                    f"side of {length}. Give a size of at most {length}, or inside=False."
                )
            first = integers(keys, stream, length - self.size + 1)
        else:
            first = integers(keys, stream, length) - self.size // 2
        distance = np.arange(length) - first[:, None]
        return (distance >= 0) & (distance < self.size)
