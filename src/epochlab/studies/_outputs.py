"""A trained network's outputs on the test images, and pictures of what it gets wrong."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from epochlab.datasets import Data
from epochlab.evidence import Figure
from epochlab.figures.images import Images, picture
from epochlab.table import Column, Table
from epochlab.train.run import Run


@dataclass(frozen=True)
class Judged:
    """Per test image: true label, predicted label, and the probability given to each."""

    labels: NDArray[np.int64]
    predicted: NDArray[np.int64]
    confidence: NDArray[np.float64]
    "probability of the predicted class"
    probability: NDArray[np.float64]
    "probability of the true class"

    @property
    def accuracy(self) -> float:
        return float((self.labels == self.predicted).sum()) / len(self.labels)


def judge(run: Run, data: Data, which: str = "model") -> Judged:
    """Read the saved weights back and judge every test image."""
    import torch

    from epochlab.train.batches import Scaling
    from epochlab.train.engines.eager import predictions

    network, scaling = run.network(which), Scaling.of(data, "cpu")
    outputs = [(o, t) for o, t in predictions(network, data.test, scaling)]
    shares = torch.cat([o for o, _ in outputs]).double().softmax(1).numpy()
    labels = torch.cat([t for _, t in outputs]).numpy()
    # The argmax of the raw outputs, as in training: equal numbers then have the same winner.
    predicted = torch.cat([o.argmax(1) for o, _ in outputs]).numpy()
    each = np.arange(len(labels))
    return Judged(labels, predicted, shares[each, predicted], shares[each, labels])


def mistakes_figure(judged: Judged, data: Data, count: int = 24) -> Figure:
    """The test images that the network is most confidently wrong about."""
    wrong = np.flatnonzero(judged.labels != judged.predicted)
    worst = wrong[np.argsort(-judged.confidence[wrong], kind="stable")][:count]
    rows = [
        {
            "image": picture(np.asarray(data.test.inputs[i], dtype=np.uint8)),
            "caption": f"{data.classes[judged.labels[i]]}, not {data.classes[judged.predicted[i]]}",
            "test image": int(i), "confidence": float(judged.confidence[i]),
        }
        for i in worst
    ]  # fmt: skip
    return Figure(
        table=Table.of("Most confident mistakes", rows, name="mistakes", columns=(
            "image", "caption", "test image", Column(name="confidence", format=".1%"),
        )),
        drawing=Images(image="image", caption="caption", size_px=116, per_row=6),
        caption=f"Of {len(wrong)} wrong answers those given with the highest probability. Look for "
                "labels that a person would dispute, too.",
    )  # fmt: skip
