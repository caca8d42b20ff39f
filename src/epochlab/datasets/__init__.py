"""Data sets: each file reads one set into arrays; splitting and scaling happen here for all."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from epochlab.component import Component, Count, CountOrZero
from epochlab.datasets._scaling import PixelSums, pixel_sums
from epochlab.errors import BadOption
from epochlab.randomness import key, permutation


@dataclass(frozen=True)
class Split:
    """Samples of one split.

    inputs: uint8 [n, channels, height, width] for images, float32 [n, features] else;
    targets: int64 [n] class numbers, or float32 [n, outputs] for regression.
    Both may be read-only and shared between processes; indexing with numbers gives a writable copy.
    """

    inputs: NDArray[np.generic]
    targets: NDArray[np.generic]

    def __len__(self) -> int:
        return len(self.targets)

    def take(self, index: NDArray[np.int64] | slice) -> Split:
        return Split(self.inputs[index], self.targets[index])


@dataclass(frozen=True)
class Data:
    """A data set in memory, with what is known about it."""

    name: str
    task: Literal["classification", "regression"]
    train: Split
    test: Split
    classes: tuple[str, ...]
    "names in label order; empty for regression"
    source: str
    licence: str
    tier: Literal["real", "look-alike"]
    checksums: tuple[tuple[str, str], ...] = ()
    "(file name, SHA-256) of what was read"
    validation: Split | None = None
    input_mean: tuple[float, ...] = (0.0,)
    "per channel, on the scale 0..1 for images; taken from the training split"
    input_std: tuple[float, ...] = (1.0,)
    target_mean: float = 0.0
    "regression targets are standardised with these while training; errors are given in their unit"
    target_std: float = 1.0
    train_sums: PixelSums | None = None
    "pixel sums of `train`, where they are known"
    reference: str = ""
    "what its authors ask to cite"
    notes: tuple[str, ...] = ()
    "what else is worth knowing, one sentence each"

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one sample."""
        return tuple(self.train.inputs.shape[1:])

    @property
    def outputs(self) -> int:
        """Number of classes, or of regression targets."""
        return len(self.classes) if self.classes else int(self.train.targets.shape[1])

    def split(self, name: str) -> Split | None:
        """'train', 'validation' or 'test'."""
        found: Split | None = getattr(self, name)
        return found


@dataclass(frozen=True, kw_only=True)
class Dataset(Component):
    """Reads a set and prepares its splits.

    The validation split is drawn from the training data by `split_seed`, the rest keeps its order;
    limits then take the first samples. Mean and deviation come from the training split alone.
    """

    validation: CountOrZero = 0
    "samples taken out of the training data for validation"
    split_seed: int = 0
    "decides which samples those are"
    train_samples: Count | None = None
    "use only so many training samples"
    test_samples: Count | None = None
    "use only so many test samples"

    folder_name: ClassVar[str] = ""
    "name of the set's folder below the data folder"

    def read(self) -> Data:
        """The complete set as its authors split it. Raises BadData."""
        raise NotImplementedError

    def load(self) -> Data:
        """The set with its splits, limits and scaling. Raises BadData or BadOption."""
        data = self.read()
        if self.validation >= len(data.train):
            raise BadOption(
                f"Validation asks for {self.validation} samples; {data.name} has {len(data.train)} "
                "training samples, and some must be left to train on."
            )
        if self.validation:
            order = permutation(key(self.split_seed, "validation"), len(data.train))
            held, kept = np.sort(order[: self.validation]), np.sort(order[self.validation :])
            data = replace(
                data,
                validation=data.train.take(held),
                train=data.train.take(kept),
                train_sums=None,
            )
        if self.train_samples is not None and self.train_samples != len(data.train):
            train = _first(data.train, self.train_samples, f"training samples of {data.name}")
            data = replace(data, train=train, train_sums=None)
        if self.test_samples is not None:
            test = _first(data.test, self.test_samples, f"test samples of {data.name}")
            data = replace(data, test=test)
        return _with_scaling(data)


def _first(split: Split, size: int, what: str) -> Split:
    """The first samples of a split; asking for more than there are is a mistake."""
    if size > len(split):
        raise BadOption(
            f"{size} {what} were asked for; there are {len(split)}. Give at most that number, or "
            "leave the option out to use all."
        )
    return split.take(slice(size))


def _with_scaling(data: Data) -> Data:
    """Input mean and deviation per channel, and those of the targets for regression."""
    if data.train.inputs.dtype == np.uint8:
        sums = data.train_sums or pixel_sums(data.train.inputs.astype(np.uint8, copy=False))
        # A channel without any variation is shifted, not scaled.
        std = tuple(s if s > 0 else 1.0 for s in sums.std())
        data = replace(data, train_sums=sums, input_mean=sums.mean(), input_std=std)
    if data.task == "regression":
        targets = data.train.targets.astype(np.float64)
        data = replace(data, target_mean=float(targets.mean()), target_std=float(targets.std()))
    return data
