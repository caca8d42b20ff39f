"""A study from outside the package, for killing: dropout, normalisation, augmentation, momentum."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from epochlab.augment import Augmentation
from epochlab.augment.crop_flip import CropFlip
from epochlab.augment.cutout import Cutout
from epochlab.component import Count, NotNegative
from epochlab.datasets.lookalike import Lookalike
from epochlab.evidence import Evidence, Figure, better
from epochlab.figures.lines import Lines
from epochlab.networks.mlp import Mlp
from epochlab.networks.simple_nn import SimpleNN
from epochlab.optimizers.adam import Adam
from epochlab.optimizers.sgd import Sgd
from epochlab.studies import Study
from epochlab.table import Table
from epochlab.train.lab import Lab
from epochlab.train.trial import Trial

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

PATTERNS = Lookalike(kind="cifar", size=500, validation=100)


@dataclass(frozen=True, kw_only=True)
class Pause(Augmentation):
    """Changes nothing but takes its time, so that a fast machine does not outrun the kills."""

    seconds: NotNegative = 0.01
    "how long a batch takes"

    def apply(self, images: NDArray[np.generic], keys: NDArray[np.uint64]) -> NDArray[np.generic]:
        time.sleep(self.seconds)
        return images


@dataclass(frozen=True, kw_only=True)
class KilledStudy(Study):
    """Two networks with everything that carries state, over seeds."""

    epochs: Count = 40
    "passes"
    question: ClassVar[str] = "Does a kill leave a trace?"
    presets: ClassVar = {"laptop": {"seeds": 2}}

    def evidence(self, lab: Lab) -> Iterator[Evidence]:
        """Two runs per seed, one figure of their losses."""
        trials = [
            Trial(network=network, data=PATTERNS, optimizer=optimizer, seed=seed, batch=32,
                  augment=(CropFlip(), Cutout(size=8), Pause()), epochs=self.epochs)
            for seed in range(self.seeds)
            for network, optimizer in (
                (SimpleNN(batch_norm=True), Sgd(lr=0.02, momentum=0.9)),
                (Mlp(hidden=(64,), hidden_dropout=0.5, batch_norm=True), Adam()),
            )
        ]  # fmt: skip
        runs = lab.run_all(trials)
        rows = [{"step": row["step"], "loss": row["loss"], "run": run.key[:8]}
                for run in runs for row in run.steps]  # fmt: skip
        table = Table.of("Loss by step", rows, name="loss")
        yield Figure(table=table, drawing=Lines(x="step", y="loss", color="run"))
        scores = [run.final("validation_accuracy") for run in runs]
        yield better("Convolutions win.", scores[::2], scores[1::2], names=("conv", "mlp"),
                     quantity="validation accuracy")  # fmt: skip
