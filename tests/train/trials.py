"""Small trials that between them use everything random and everything that carries state."""

from __future__ import annotations

from typing import Any

from epochlab.augment.crop_flip import CropFlip
from epochlab.augment.cutout import Cutout
from epochlab.datasets.lookalike import Lookalike
from epochlab.networks.mlp import Mlp
from epochlab.networks.simple_nn import SimpleNN
from epochlab.optimizers.sgd import Sgd
from epochlab.train.trial import Trial

PATTERNS = Lookalike(kind="cifar", size=300, validation=60, test_samples=60)


def busy_trial(**changes: Any) -> Trial:
    """Batch normalisation, augmentation, momentum, a last batch that is smaller."""
    settings: dict[str, Any] = {
        "network": SimpleNN(batch_norm=True), "data": PATTERNS, "batch": 32, "epochs": 3,
        "optimizer": Sgd(lr=0.02, momentum=0.9, weight_decay=1e-3),
        "augment": (CropFlip(), Cutout(size=8)), "seed": 3,
    }  # fmt: skip
    return Trial(**(settings | changes))


def quick_trial(**changes: Any) -> Trial:
    """A small network with dropout and batch normalisation on few samples."""
    settings: dict[str, Any] = {
        "network": Mlp(hidden=(16,), input_dropout=0.2, hidden_dropout=0.5, batch_norm=True),
        "data": Lookalike(kind="fashion", size=120), "batch": 16, "epochs": 2,
        "optimizer": Sgd(lr=0.05, momentum=0.9),
    }  # fmt: skip
    return Trial(**(settings | changes))
