"""Augmentation: random changes of whole batches of training images, decided by counters."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from epochlab.component import Component

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Augmentation(Component):
    """Changes a batch; every random choice is a pure function of the image's key.

    Every component draws from streams of its own (crop_flip 0 to 15, cutout 16 to 31), so that two
    of them under one key choose independently. The numbers are part of what a run means: a compiled
    engine uses the same ones.
    """

    acts_on: ClassVar[Literal["pixels", "values"]] = "pixels"
    "'pixels': uint8 before normalisation; 'values': float32 after it"
    copies: ClassVar[int] = 1
    "instances that leave for each image that enters"

    def apply(self, images: NDArray[np.generic], keys: NDArray[np.uint64]) -> NDArray[np.generic]:
        """[batch, channels, height, width] -> the same, changed (input may be overwritten).

        `keys` holds one 64-bit key per image, different in every epoch; draw from it with
        `epochlab.randomness.integers`. Equal keys give equal changes on every engine.
        """
        raise NotImplementedError
