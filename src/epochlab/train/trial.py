"""A trial: everything that decides one training run, frozen and hashable."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from epochlab.augment import Augmentation
from epochlab.component import Component, Count, CountOrZero, make
from epochlab.datasets import Dataset
from epochlab.networks import Network
from epochlab.optimizers import Optimizer
from epochlab.optimizers.sgd import Sgd
from epochlab.penalties import Penalty
from epochlab.plain import canonical_json, from_plain
from epochlab.plain import to_plain as component_to_plain
from epochlab.schedules import Progress, Schedule
from epochlab.starts import Start
from epochlab.starts.pytorch import Pytorch

SplitName = Literal["train", "validation", "test"]


@dataclass(frozen=True, kw_only=True)
class Trial(Component):
    """The intent of one training run; its content hash is the run's key in the store."""

    network: Network
    "what is trained"
    data: Dataset
    "what it is trained on"
    optimizer: Optimizer = field(default_factory=Sgd)
    "how the weights move; its `lr` is a number or a schedule"
    batch: Count | Schedule = 64
    "samples per step: a number, or a schedule that is read at the start of each epoch"
    epochs: Count = 10
    "passes over the training data"
    start: Start = field(default_factory=Pytorch)
    "where the weights begin"
    penalties: tuple[Penalty, ...] = ()
    "terms added to the loss"
    augment: tuple[Augmentation, ...] = ()
    "random changes of the training images, in this order"
    seed: CountOrZero = 0
    "decides initial weights, sample order, augmentation and dropout"
    evaluate: tuple[SplitName, ...] = ("validation", "test")
    "splits evaluated after an epoch, those that the data has; all of them are at the end"
    evaluate_every: Count = 1
    "epochs between evaluations"
    device: Literal["cpu", "cuda"] = "cpu"
    "where the arithmetic runs; never chosen silently"

    @property
    def key(self) -> str:
        """SHA-256 of the canonical JSON of the trial, 64 hex digits."""
        return hashlib.sha256(canonical_json(to_plain(self)).encode()).hexdigest()

    def batch_size(self, epoch: int) -> int:
        """Samples per step in an epoch, counted from 0."""
        if isinstance(self.batch, Schedule):
            return max(1, round(self.batch.value(Progress(0, float(epoch), self.epochs))))
        return self.batch

    def steps_per_epoch(self, samples: int) -> list[int]:
        """Steps of each epoch; the last batch may be smaller."""
        return [math.ceil(samples / self.batch_size(e)) for e in range(self.epochs)]

    def learning_rate(self, at: Progress) -> float:
        """The step size for the step that follows `at`."""
        lr = self.optimizer.lr
        return lr.value(at) if isinstance(lr, Schedule) else lr


def to_plain(trial: Trial) -> dict[str, Any]:
    """The trial as JSON data, every default written out."""
    plain: dict[str, Any] = component_to_plain(trial)
    del plain["component"]
    return plain


def trial_from_plain(plain: dict[str, Any]) -> Trial:
    """Inverse of `to_plain`."""
    return make(Trial, {name: from_plain(value) for name, value in plain.items()})


def flat_settings(trial: Trial) -> dict[str, Any]:
    """Dotted option name -> value: 'optimizer' -> 'adam', 'optimizer.lr' -> 0.001, ..."""
    return flattened(to_plain(trial))


def flattened(plain: dict[str, Any]) -> dict[str, Any]:
    """`flat_settings` of a trial's plain form, which needs none of the trial's components."""
    return dict(_flat(plain, ""))


def telling_names(settings: Sequence[Mapping[str, Any]], parts: int = 3) -> list[str]:
    """What tells each of several trials from the others, from their flat settings.

    The settings with most variety come first, at most `parts` of them; trials that do not differ
    are named by network and data.
    """
    keys = dict.fromkeys(key for flat in settings for key in flat)
    variety = {key: len({str(flat.get(key)) for flat in settings}) for key in keys}
    differing = sorted((k for k in keys if variety[k] > 1), key=lambda k: -variety[k])[:parts]
    if not differing:
        return [f"{flat.get('network')} on {flat.get('data')}" for flat in settings]
    return [_shortened(flat, differing) for flat in settings]


def _shortened(flat: Mapping[str, Any], keys: Sequence[str]) -> str:
    shown = []
    for key in keys:
        value = flat.get(key)
        if value is not None:
            text = f"{value:.3g}" if isinstance(value, float) else str(value)
            shown.append(f"{key.rpartition('.')[2]} {text}")
    text = ", ".join(shown)
    return text if len(text) <= 44 else text[:43] + "…"


def _flat(plain: Any, prefix: str) -> list[tuple[str, Any]]:
    if isinstance(plain, dict):
        own = [(prefix, plain["component"].partition("/")[2])] if "component" in plain else []
        dot = f"{prefix}." if prefix else ""
        rest = [
            item
            for name, value in plain.items()
            if name != "component"
            for item in _flat(value, dot + name)
        ]
        return own + rest
    if isinstance(plain, list) and any(isinstance(item, dict) for item in plain):
        return [item for i, value in enumerate(plain) for item in _flat(value, f"{prefix}.{i}")]
    return [(prefix, plain)]
