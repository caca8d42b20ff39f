"""From arrays in memory to normalised batches; training order and keys come from counters."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from epochlab.augment import Augmentation
from epochlab.datasets import Data, Split
from epochlab.randomness import key, keys, permutation
from epochlab.train.trial import Trial

EVALUATION_BATCH = 500


@dataclass(frozen=True)
class Scaling:
    """Turns raw inputs and targets into what the network sees: x * factor - shift."""

    factor: Tensor
    shift: Tensor
    target_mean: float
    target_std: float

    @classmethod
    def of(cls, data: Data, device: str) -> Scaling:
        """Zero mean and unit deviation per channel; images arrive as bytes 0..255."""
        mean, std = torch.tensor(data.input_mean), torch.tensor(data.input_std)
        levels = 255.0 if data.train.inputs.dtype == np.uint8 else 1.0
        shape = (1, -1) + (1,) * (len(data.input_shape) - 1)
        return cls(
            (1 / (levels * std)).reshape(shape).to(device),
            (mean / std).reshape(shape).to(device),
            data.target_mean,
            data.target_std,
        )

    def inputs(self, raw: NDArray[np.generic]) -> Tensor:
        """[batch, ...] bytes or floats -> float32 on the device."""
        values = torch.from_numpy(raw).to(self.factor.device, torch.float32)
        return in_layout(values.mul_(self.factor).sub_(self.shift))

    def targets(self, raw: NDArray[np.generic]) -> Tensor:
        """Class numbers as they are; regression targets standardised."""
        values = torch.from_numpy(raw).to(self.factor.device)
        if values.dtype == torch.int64:
            return values
        return (values - self.target_mean) / self.target_std


def in_layout(inputs: Tensor) -> Tensor:
    """Images with the channels of a pixel side by side, in which convolutions run faster."""
    return inputs.contiguous(memory_format=torch.channels_last) if inputs.ndim == 4 else inputs


class TrainingBatches:
    """The batches of one epoch by number; any of them can be made without the ones before."""

    def __init__(self, trial: Trial, split: Split, scaling: Scaling, epoch: int) -> None:
        self.split, self.scaling = split, scaling
        self.size = trial.batch_size(epoch)
        self.order = permutation(key(trial.seed, "order", epoch), len(split))
        self.base = key(trial.seed, "augment", epoch)
        self.pixels = [a for a in trial.augment if a.acts_on == "pixels"]
        self.values = [a for a in trial.augment if a.acts_on == "values"]

    def __len__(self) -> int:
        return -(-len(self.order) // self.size)

    def __getitem__(self, number: int) -> tuple[Tensor, Tensor]:
        """Inputs and targets of one batch, augmented and normalised."""
        index = self.order[number * self.size : (number + 1) * self.size]
        raw, targets = self.split.inputs[index], self.split.targets[index]
        if not (self.pixels or self.values):
            return self.scaling.inputs(raw), self.scaling.targets(targets)
        image_keys = keys(self.base, index)
        raw, targets, image_keys = _augmented(self.pixels, raw, targets, image_keys)
        inputs = self.scaling.inputs(raw)
        if not self.values:
            return inputs, self.scaling.targets(targets)
        plain = inputs.contiguous().numpy()
        changed, targets, _ = _augmented(self.values, plain, targets, image_keys)
        return in_layout(torch.from_numpy(changed)), self.scaling.targets(targets)


def _augmented(
    steps: list[Augmentation],
    images: NDArray[np.generic],
    targets: NDArray[np.generic],
    image_keys: NDArray[np.uint64],
) -> tuple[NDArray[np.generic], NDArray[np.generic], NDArray[np.uint64]]:
    """Apply the steps in order; one that makes several copies gives each copy its own key."""
    for number, step in enumerate(steps):
        if step.copies > 1:
            images, targets = images.repeat(step.copies, 0), targets.repeat(step.copies, 0)
            copy_number = np.tile(np.arange(step.copies), len(image_keys))
            image_keys = keys(number, copy_number) ^ image_keys.repeat(step.copies)
        images = step.apply(images, image_keys)
    return images, targets, image_keys


def evaluation_batches(split: Split, scaling: Scaling) -> Iterator[tuple[Tensor, Tensor]]:
    """All samples of a split in their order, never augmented."""
    for start in range(0, len(split), EVALUATION_BATCH):
        part = slice(start, start + EVALUATION_BATCH)
        raw = np.array(split.inputs[part])  # a copy: memory-mapped arrays are read-only
        yield scaling.inputs(raw), scaling.targets(np.array(split.targets[part]))
