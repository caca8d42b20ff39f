"""How well does a small convolutional network do, and can it be trusted as saved?"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from epochlab.component import Count, Positive, ShareBelowOne
from epochlab.datasets import Data, Dataset
from epochlab.datasets.digits import Digits
from epochlab.datasets.fashion_mnist import FashionMnist
from epochlab.evidence import Claim, Evidence, Figure, Note, threshold
from epochlab.figures.heat import Heat
from epochlab.figures.lines import Lines
from epochlab.networks import Network
from epochlab.networks.fashion_cnn import FashionCnn
from epochlab.networks.mlp import Mlp
from epochlab.optimizers.sgd import Sgd
from epochlab.starts.xavier import Xavier
from epochlab.studies import Study
from epochlab.studies._arms import epoch_curves, run_arms, spread
from epochlab.studies._arms import mean as mean_of
from epochlab.studies._outputs import Judged, judge, mistakes_figure
from epochlab.table import Column, Table
from epochlab.train.lab import Lab
from epochlab.train.record import machine, versions
from epochlab.train.run import Run
from epochlab.train.trial import Trial


@dataclass(frozen=True, kw_only=True)
class FirstModel(Study):
    """Train the base network with plain settings, and look at what it gets wrong."""

    data: Dataset = field(default_factory=FashionMnist)
    "what to train on"
    network: Network = field(default_factory=FashionCnn)
    "the literal reading: two 3x3 convolutions of 16 channels without padding or pooling, 100, 10"
    variants: bool = False
    "also train the readings with padding and with pooling"
    lr: Positive = 0.01
    "learning rate"
    momentum: ShareBelowOne = 0.9
    "of stochastic gradient descent"
    batch: Count = 64
    "samples per step"
    epochs: Count = 12
    "passes over the training data"
    target: ShareBelowOne = 0.87
    "test accuracy that must be exceeded"

    question: ClassVar[str] = (
        "How well does a small convolutional network do, and can it be trusted as saved?"
    )
    covers: ClassVar[tuple[str, ...]] = (
        "CS6886-1", "CS6886-3", "CS6886-4", "CS6886-5", "CS6886-6", "CS6886-6a", "CS6886-6b",
        "CS6886-6c", "CS6886-6d", "CS6886-7", "CS6886-8", "CS6886-9", "CS6886-I3",
    )  # fmt: skip
    expectation: ClassVar[str] = (
        "The loss falls steeply in the first epoch and then slowly; training accuracy goes on "
        "rising after test accuracy has levelled off, because a network with more weights than "
        "images can remember what it saw. If the loss stays at its first value, the learning rate "
        "is too small or labels and images do not belong together."
    )
    references: ClassVar[tuple[str, ...]] = (
        "H. Xiao, K. Rasul, R. Vollgraf, Fashion-MNIST: a Novel Image Dataset for Benchmarking "
        "Machine Learning Algorithms, 2017, arXiv:1708.07747.",
        "X. Glorot, Y. Bengio, Understanding the difficulty of training deep feedforward neural "
        "networks, AISTATS 2010.",
    )
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "smoke": {"data": FashionMnist(train_samples=1024, test_samples=1000), "epochs": 2,
                  "variants": True, "decisive": False},
        "laptop": {"seeds": 3},
        "paper": {"seeds": 3, "epochs": 15, "variants": True},
        "digits": {"data": Digits(), "network": Mlp(hidden=(64,)), "batch": 32, "epochs": 30},
    }  # fmt: skip

    def evidence(self, lab: Lab) -> Iterator[Evidence]:
        """Curves, accuracies, mistakes, and the proof that the saved network is the trained one."""
        arms = run_arms(lab, self._arms(), self.seeds)
        data = lab.data(self.data)
        base = arms["base"]
        yield _summary(base[0], data)
        yield self._loss_figure(base)
        yield Figure(
            table=Table.of("Accuracy by epoch", epoch_curves({"base": base}, {
                "test accuracy": "test_accuracy", "training accuracy": "running_accuracy",
            }), columns=("epoch", "seed", Column(name="training accuracy", format=".2%"),
                         Column(name="test accuracy", format=".2%")), name="accuracy"),
            drawing=Lines(x="epoch", y=("training accuracy", "test accuracy"), dash="seed",
                          y_title="accuracy"),
            caption="Training accuracy is that of the running epoch, while the weights still move; "
                    "test accuracy is measured after it.",
        )  # fmt: skip
        yield _accuracies(arms)
        judged = None if lab.planning else judge(base[0], data)
        if judged is not None:
            yield _confusion(judged, data)
            yield mistakes_figure(judged, data)
            yield _explorer_note(base[0])
        yield from self._claims(lab, base, judged)
        yield _environment(base[0])

    def _arms(self) -> dict[str, Trial]:
        arms = {"base": self.trial(self.network)}
        if self.variants:
            arms |= {
                "padded": self.trial(FashionCnn(padding="same")),
                "pooled after the second convolution": self.trial(FashionCnn(pool="second")),
                "padded and pooled": self.trial(FashionCnn(padding="same", pool="both")),
            }
        return arms

    def trial(self, network: Network) -> Trial:
        """Training of one network with the study's settings, on the CPU."""
        return Trial(
            network=network, data=self.data, start=Xavier(distribution="uniform"),
            optimizer=Sgd(lr=self.lr, momentum=self.momentum), batch=self.batch,
            epochs=self.epochs, evaluate=("test",),
        )  # fmt: skip

    def _loss_figure(self, runs: Sequence[Run]) -> Figure:
        rows = [{"step": row["step"], "training loss": row["loss"], "seed": str(run.trial.seed)}
                for run in runs for row in run.steps]  # fmt: skip
        return Figure(
            table=Table.of("Loss by step", rows, name="loss",
                           columns=("step", Column(name="training loss", format=".4f"), "seed")),
            drawing=Lines(x="step", y="training loss", color="seed",
                          smooth=max(1, len(runs[0].steps) // 100)),
            caption="Cross-entropy of each step's batch, and its mean over neighbouring steps.",
        )  # fmt: skip

    def _claims(self, lab: Lab, runs: Sequence[Run], judged: Judged | None) -> Iterator[Claim]:
        if judged is not None:
            same = judged.accuracy == runs[0].final("test_accuracy")
            yield Claim(
                statement="The network that was saved is the one that was trained.",
                rule="weights read back from the file give exactly the recorded test accuracy",
                verdict="supported" if same else "not supported",
                numbers={"recorded": runs[0].final("test_accuracy"), "read back": judged.accuracy},
            )  # fmt: skip
        real = lab.data(self.data).tier == "real"
        yield threshold(
            f"The network exceeds {self.target:.0%} test accuracy.",
            [run.final("test_accuracy") for run in runs], self.target,
            quantity="test accuracy", decisive=self.decisive and real,
        )  # fmt: skip


def _summary(run: Run, data: Data) -> Table:
    """Layers of the network with their parameters, and the untrained loss beside its theory."""
    from epochlab.train.state import build_network

    network = build_network(run.trial, data)
    rows: list[dict[str, Any]] = []
    for name, parameter in network.named_parameters():
        shape = " x ".join(map(str, parameter.shape))
        rows.append({"parameter": name, "shape": shape, "numbers": parameter.numel()})
    total = sum(row["numbers"] for row in rows)
    rows.append({"parameter": "total", "shape": "", "numbers": total})
    untrained = f"Untrained test loss {run.start['test_loss']:.4f}"
    chance = f"ln {data.outputs} = {math.log(data.outputs):.4f} for guessing"
    columns = ("parameter", "shape", Column(name="numbers", format=","))
    return Table.of("Parameters of the network", rows, columns=columns, label="exact",
                    notes=(f"{untrained}; {chance}.",), name="parameters")  # fmt: skip


def _accuracies(arms: Mapping[str, Sequence[Run]]) -> Table:
    rows = []
    for arm, runs in arms.items():
        test = [run.final("test_accuracy") for run in runs]
        rows.append({
            "network": arm, "training accuracy": mean_of([r.final("train_accuracy") for r in runs]),
            "test accuracy": mean_of(test), "deviation": spread(test),
            "training time": mean_of([r.training_s for r in runs]),
            "spoiled timings": sum(r.spoiled for r in runs),
        })  # fmt: skip
    return Table.of("Final accuracy", rows, name="accuracies", columns=(
        "network", Column(name="training accuracy", format=".2%"),
        Column(name="test accuracy", format=".2%"), Column(name="deviation", format=".2%"),
        Column(name="training time", unit="s", format=".1f"), "spoiled timings",
    ), notes=(
        "Full passes in evaluation mode after the last step; the deviation is that of the test "
        "accuracy between seeds; the time is that of one run, evaluation excluded.",
    ))  # fmt: skip


def _confusion(judged: Judged, data: Data) -> Figure:
    counts = np.zeros((len(data.classes), len(data.classes)), dtype=np.int64)
    np.add.at(counts, (judged.labels, judged.predicted), 1)
    rows = [{"true class": data.classes[i], "predicted class": data.classes[j],
             "images": int(counts[i, j])}
            for i in range(len(counts)) for j in range(len(counts))]  # fmt: skip
    return Figure(
        table=Table.of("Confusion of the first seed's network", rows, name="confusion"),
        drawing=Heat(x="predicted class", y="true class", value="images"),
        caption=_worst_pair(counts, data),
    )  # fmt: skip


def _worst_pair(counts: NDArray[np.int64], data: Data) -> str:
    """Caption that names the two classes which are confused most, both ways together."""
    both = np.triu(counts + counts.T, 1)
    i, j = np.unravel_index(int(both.argmax()), both.shape)
    return (
        "Test images by true and predicted class; off the diagonal are the mistakes. The pair "
        f"most often confused is {data.classes[i]} and {data.classes[j]}, in {both[i, j]} of "
        f"{both.sum()} mistakes."
    )


def _explorer_note(run: Run) -> Note:
    return Note(text=(
        f"To look at every test image, faceted by true and predicted class and coloured by "
        f"confidence: epochlab explore {run.key[:8]}"
    ))  # fmt: skip


def _environment(run: Run) -> Table:
    record = run.record or {"machine": machine(), "versions": versions(), "threads": "-"}
    facts = {**record["machine"], **record["versions"], "threads per run": record["threads"],
             "device": run.trial.device}  # fmt: skip
    return Table.of("Environment of the runs", [{"fact": k, "value": str(v)}
                    for k, v in facts.items()], name="environment")  # fmt: skip
