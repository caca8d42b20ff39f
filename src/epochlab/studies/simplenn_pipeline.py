"""Does a small image classifier's whole pipeline work, and what does decaying the rate change?"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from epochlab.component import Count, NotNegative, Positive, Share, ShareBelowOne
from epochlab.datasets import Data, Dataset
from epochlab.datasets.cifar10 import Cifar10
from epochlab.datasets.lookalike import Lookalike
from epochlab.errors import BadOption
from epochlab.evidence import Evidence, Note, better, threshold
from epochlab.networks.simple_nn import SimpleNN
from epochlab.optimizers.sgd import Sgd
from epochlab.schedules.step_decay import StepDecay
from epochlab.studies import Study, _long_jobs, _network_checks, _pipeline_checks, _split_curves
from epochlab.studies._arms import mean, run_arms
from epochlab.table import Column, Table
from epochlab.train.lab import Lab
from epochlab.train.run import Run
from epochlab.train.trial import Trial

CONSTANT, STEPS = "no decay", "step decay"
GAP = 0.05  # training accuracy above validation accuracy by more than this is called overfitting


@dataclass(frozen=True, kw_only=True)
class SimplennPipeline(Study):
    """Check every part of the pipeline, then train with a constant and with a falling rate."""

    data: Dataset = field(default_factory=lambda: Cifar10(validation=5000))
    "what to train on; it needs a validation split"
    lr: Positive = 0.01
    "learning rate, at the beginning"
    momentum: ShareBelowOne = 0.9
    "of stochastic gradient descent"
    weight_decay: NotNegative = 1e-4
    "L2 strength, in the gradient"
    batch: Count = 128
    "samples per step"
    epochs: Count = 30
    "passes over the training data"
    decay: Positive = 0.1
    "factor on the rate at each drop (DECAY)"
    decay_epochs: Count = 10
    "epochs from one drop to the next (DECAY_EPOCHS)"
    target: Share = 0.65
    "validation accuracy that must be exceeded"
    start_seeds: Count = 20
    "untrained networks scored for the initial loss"
    device: Literal["cpu", "cuda"] = "cpu"
    "where the arithmetic runs"

    question: ClassVar[str] = (
        "Is every part of the training pipeline right, how well does SimpleNN then do, and what "
        "does decaying the learning rate change?"
    )
    covers: ClassVar[tuple[str, ...]] = (
        "E661-L1.0", "E661-L1.T1", "E661-L1.a", "E661-L1.b", "E661-L1.c", "E661-L1.d",
        "E661-L1.e", "E661-L1.f", "E661-L1.g", "E661-L1.h", "E661-L1.Z", "E661-N3", "E661-N4",
        "E661-N5", "E661-APX",
    )  # fmt: skip
    expectation: ClassVar[str] = (
        "The loss begins at the logarithm of the number of classes. Training accuracy keeps "
        "rising; validation accuracy rises with it, then levels off, and validation loss turns "
        "upwards: the network begins to remember its training images. With step decay both jump "
        "up at the first drop and then hardly move, because small steps settle into the nearest "
        "valley. A loss that begins elsewhere points to labels, inputs or the output layer; "
        "validation accuracy far above training accuracy points to a network that is left in "
        "training mode, or to validation images in the training split."
    )
    references: ClassVar[tuple[str, ...]] = (
        "A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009.",
        "X. Glorot, Y. Bengio, Understanding the difficulty of training deep feedforward neural "
        "networks, AISTATS 2010.",
    )
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "smoke": {"data": Cifar10(validation=1000, train_samples=1024, test_samples=1000),
                  "epochs": 2, "decay_epochs": 1, "decisive": False},
        "laptop": {"seeds": 3},
        "paper": {"seeds": 3},
        "lookalike": {"data": Lookalike(kind="cifar", size=5000, validation=1000, difficulty=1.0),
                      "epochs": 15, "decay_epochs": 8, "seeds": 3},
    }  # fmt: skip

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.data.validation:
            raise BadOption(
                "simplenn-pipeline: the data have no validation split, on which everything here is "
                "judged. Give --data.validation, for example 5000."
            )

    def evidence(self, lab: Lab) -> Iterator[Evidence]:
        """Checks, curves, verdicts, and what a long job on a foreign machine needs."""
        data = lab.data(self.data)
        trials = self.trials()
        first = trials[CONSTANT]
        yield from self._checks(first, data)
        yield from _pipeline_checks.initial_loss_evidence(first, data, self.start_seeds)
        arms = run_arms(lab, trials, self.seeds)
        yield _pipeline_checks.loader_table(first, data, arms)
        drops = tuple(range(self.decay_epochs, self.epochs, self.decay_epochs))
        yield _split_curves.split_figure(arms, "accuracy", data, (
            "Training accuracy is the running one of the epoch, while the weights still move; "
            "validation accuracy is measured after it. The distance between the two is what the "
            "network has learned about its training images alone."
        ))  # fmt: skip
        yield _split_curves.split_figure(arms, "loss", data, (
            "Where validation loss rises again while training loss goes on falling, the network "
            "becomes surer of its mistakes: overfitting shows here before it shows in accuracy."
        ))  # fmt: skip
        yield _split_curves.gap_figure(arms, GAP, data)
        yield _split_curves.arms_figure(arms, drops, data)
        yield self._results(arms)
        yield _rates_table(arms)
        yield from _gap_notes(arms)
        yield from self._best(lab, data, arms)
        yield from self._verdicts(data, arms)
        yield from self._long_jobs(lab, data, arms)

    def trials(self) -> dict[str, Trial]:
        """A constant rate, and one that drops."""
        falling = StepDecay(start=self.lr, factor=self.decay, every_epochs=self.decay_epochs)
        return {
            name: Trial(
                network=SimpleNN(), data=self.data, batch=self.batch, epochs=self.epochs,
                optimizer=Sgd(lr=rate, momentum=self.momentum, weight_decay=self.weight_decay),
                evaluate=("validation",), device=self.device,
            )
            for name, rate in ((CONSTANT, self.lr), (STEPS, falling))
        }  # fmt: skip

    def _checks(self, trial: Trial, data: Data) -> Iterator[Evidence]:
        """Network, preprocessing, splits and device, before anything is trained."""
        network = trial.network.build(data.input_shape, data.outputs)
        yield _network_checks.layer_table(network, data.input_shape, data.outputs)
        yield from _network_checks.sanity_evidence(network, data.input_shape, data.outputs)
        yield from _pipeline_checks.preprocessing_evidence(data)
        yield _pipeline_checks.splits_table(data)
        yield _pipeline_checks.device_table(trial, data)
        yield Note(text=(
            f"Loss and optimizer: cross-entropy, which is minus the logarithm of the probability "
            f"given to the true class, averaged over the batch; stochastic gradient descent with "
            f"rate {self.lr:g}, momentum {self.momentum:g}, weight decay {self.weight_decay:g}, "
            f"batches of {self.batch}, {self.epochs} epochs. After each epoch the network is "
            "switched to evaluation mode and scored on the validation split without gradients; "
            "whenever that score is the best so far, the weights are saved."
        ))  # fmt: skip

    def _results(self, arms: Mapping[str, Sequence[Run]]) -> Table:
        rows = []
        for arm, runs in arms.items():
            for run in runs:
                best = run.best_epoch
                rows.append({
                    "arm": arm, "seed": run.trial.seed,
                    "training accuracy": run.final("train_accuracy"),
                    "validation accuracy": run.final("validation_accuracy"),
                    "gap": run.final("train_accuracy") - run.final("validation_accuracy"),
                    "best validation accuracy": best.get("validation_accuracy", math.nan),
                    "in epoch": best.get("epoch"), "training time": run.training_s,
                    "spoiled": run.spoiled,
                })  # fmt: skip
        percent = ("training accuracy", "validation accuracy", "gap", "best validation accuracy")
        return Table.of(
            "Accuracy at the end, and at its best",
            rows,
            name="results",
            columns=(
                "arm",
                "seed",
                *(Column(name=n, format=".2%") for n in percent),
                "in epoch",
                Column(name="training time", unit="s", format=".1f"),
                "spoiled",
            ),
            notes=("At the end: full passes in evaluation mode, with the last weights.",),
        )

    def _best(self, lab: Lab, data: Data, arms: Mapping[str, Sequence[Run]]) -> Iterator[Evidence]:
        """The saved best weights really are those of the best epoch in the log."""
        if lab.planning:
            return
        yield from _split_curves.best_checkpoint_evidence(arms, data)

    def _verdicts(self, data: Data, arms: Mapping[str, Sequence[Run]]) -> Iterator[Evidence]:
        best = {arm: [run.best_epoch.get("validation_accuracy", math.nan) for run in runs]
                for arm, runs in arms.items()}  # fmt: skip
        last = {arm: [run.final("validation_accuracy") for run in runs]
                for arm, runs in arms.items()}  # fmt: skip
        for arm in arms:
            yield threshold(
                f"SimpleNN exceeds {self.target:.0%} validation accuracy with {arm}.",
                best[arm], self.target, quantity="best validation accuracy",
                decisive=self.decisive and data.tier == "real",
            )  # fmt: skip
        if data.tier != "real":
            yield Note(kind="warning", text=(
                f"The target of {self.target:.0%} is one for photographs; on {data.name} it says "
                "nothing and stays undecided."
            ))  # fmt: skip
        for name, values in (("the last epoch", last), ("its best epoch", best)):
            yield better(
                f"Step decay raises the validation accuracy of {name}.",
                values[STEPS], values[CONSTANT], names=(STEPS, CONSTANT),
                quantity="validation accuracy", decisive=self.decisive,
                resolution=1 / len(data.validation or data.test),
            )  # fmt: skip

    def _long_jobs(
        self, lab: Lab, data: Data, arms: Mapping[str, Sequence[Run]]
    ) -> Iterator[Evidence]:
        yield _long_jobs.guide_table("simplenn-pipeline")
        if not lab.planning:
            yield _long_jobs.plan_table(lab, arms)
            yield from _long_jobs.cut_claim(arms[STEPS][0].trial, data)


def _rates_table(arms: Mapping[str, Sequence[Run]]) -> Table:
    """The learning rates that the runs recorded, stretch by stretch."""
    rows: list[dict[str, Any]] = []
    for arm, runs in arms.items():
        before = None
        for row in runs[0].steps:
            if before is None or not math.isclose(row["lr"], before):
                rows.append({"arm": arm, "from epoch": row["epoch"], "from step": row["step"],
                             "learning rate": row["lr"]})  # fmt: skip
            before = row["lr"]
    return Table.of("Learning rates as recorded", rows, name="rates", columns=(
        "arm", "from epoch", Column(name="from step", format=","),
        Column(name="learning rate", format=".3g"),
    ))  # fmt: skip


def _gap_notes(arms: Mapping[str, Sequence[Run]]) -> Iterator[Note]:
    """What the distance between training and validation accuracy says."""
    for arm, runs in arms.items():
        train = mean([run.final("train_accuracy") for run in runs])
        held = mean([run.final("validation_accuracy") for run in runs])
        numbers = f"With {arm} training accuracy is {train:.2%} and validation accuracy {held:.2%}"
        if train - held > GAP:
            yield Note(kind="warning", text=(
                f"{numbers} at the end, a gap of {100 * (train - held):.1f} points: the network "
                "remembers training images. More varied images (augmentation), a stronger weight "
                "decay or fewer epochs are the cures; the saved best weights already are the last "
                "of these."
            ))  # fmt: skip
        else:
            yield Note(text=(
                f"{numbers} at the end, a gap of {100 * (train - held):.1f} points; up to "
                f"{100 * GAP:.0f} points is not called overfitting here."
            ))  # fmt: skip
