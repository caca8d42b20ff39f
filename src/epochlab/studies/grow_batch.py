"""Does doubling the batch at a fixed learning rate do what lowering the rate does?"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from epochlab.component import Count
from epochlab.datasets import Data
from epochlab.datasets.digits import Digits
from epochlab.datasets.fashion_mnist import FashionMnist
from epochlab.errors import BadOption
from epochlab.evidence import Evidence, Figure, Note
from epochlab.figures.lines import Lines
from epochlab.networks.mlp import Mlp
from epochlab.optimizers.sgd import Sgd
from epochlab.schedules.growing import Growing
from epochlab.schedules.step_decay import StepDecay
from epochlab.studies._arms import averaged, epoch_curves, mean, run_arms, spread
from epochlab.studies._batch_levels import Levels, few_steps_note, level_table, steps_claim
from epochlab.studies._equivalence import similar
from epochlab.studies._rate_limits import Band, counted
from epochlab.studies._rate_policies import (
    NO_BAND,
    RatePolicyStudy,
    divergence_note,
    final_accuracies,
    final_mean,
    limits_note,
    to_end_of_cycle,
)
from epochlab.table import Column, Table
from epochlab.train.lab import Lab
from epochlab.train.run import Run
from epochlab.train.trial import Trial

GROWING: Final = "growing batch"
HALVING: Final = "halving rate"
CYCLICAL: Final = "exp_range"


@dataclass(frozen=True, kw_only=True)
class GrowBatch(RatePolicyStudy):
    """Train at lr_max with a batch that doubles; beside it the cyclical rate and a halving one."""

    start_batch: Count = 32
    "samples per step on the first level"
    largest_batch: Count = 4096
    "samples per step on the last level; each level doubles the one before"
    every_epochs: Count = 3
    "epochs on each level; the other arms train for as many epochs in all"

    question: ClassVar[str] = (
        "Does doubling the batch at a fixed learning rate do what lowering the rate does, and "
        "does the network generalise as it does with a cyclical rate?"
    )
    covers: ClassVar[tuple[str, ...]] = ("HW3B-P1.3",)
    expectation: ClassVar[str] = (
        "The training loss falls from level to level: each doubling halves the noise of the "
        "steps, as halving the rate would, so the curves of 'growing batch' and 'halving rate' "
        "should lie on one another over the epochs while the first makes ever fewer steps. On the "
        "last levels an epoch has so few steps that the weights hardly move and the loss stands "
        "still. If the loss is already at its floor on the first levels, lr_max is small for this "
        "batch and there is no noise to take away; if it never leaves the untrained value, lr_max "
        "is too large for the smallest batch and the network died there: give a smaller --high."
    )
    references: ClassVar[tuple[str, ...]] = (
        "S. L. Smith, P.-J. Kindermans, C. Ying, Q. V. Le, Don't Decay the Learning Rate, "
        "Increase the Batch Size, ICLR 2018, arXiv:1711.00489.",
        "L. N. Smith, Cyclical Learning Rates for Training Neural Networks, WACV 2017, "
        "arXiv:1506.01186.",
    )
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "smoke": {"data": FashionMnist(validation=500, train_samples=4096, test_samples=512),
                  "range_data": FashionMnist(train_samples=512, test_samples=512),
                  "range_epochs": 1, "every_epochs": 1, "decisive": False},
        "laptop": {"data": FashionMnist(validation=5000, train_samples=25_000), "seeds": 3},
        "paper": {"seeds": 3, "range_seeds": 3},
        "digits": {"data": Digits(validation=300), "network": Mlp(hidden=(64,)), "batch": 32,
                   "start_batch": 8, "largest_batch": 1024, "range_epochs": 8, "seeds": 3,
                   "decisive": False},
    }  # fmt: skip

    def __post_init__(self) -> None:
        super().__post_init__()
        doublings = math.log2(self.largest_batch / self.start_batch)
        if doublings < 0 or not doublings.is_integer():
            raise BadOption(
                f"studies/grow_batch: the batch shall grow from {self.start_batch} to "
                f"{self.largest_batch} by doubling, but it never is {self.largest_batch}. Allowed "
                f"are {', '.join(str(self.start_batch * 2**k) for k in range(1, 8))}, ..."
            )
        if self.epochs != to_end_of_cycle(self.epochs, self.half_cycle):
            raise BadOption(
                f"studies/grow_batch: {counted(len(self.levels()), 'level')} of "
                f"{counted(self.every_epochs, 'epoch')} are {self.epochs} epochs, and the cyclical "
                f"arm, which trains as long, would end inside a cycle of {2 * self.half_cycle}. "
                "Change every_epochs or half_cycle so that the cycle divides the epochs."
            )

    def levels(self) -> list[int]:
        """Batch sizes from the smallest to the largest."""
        doublings = round(math.log2(self.largest_batch / self.start_batch))
        return [self.start_batch * 2**k for k in range(doublings + 1)]

    @property
    def epochs(self) -> int:
        """Passes over the training data, of every arm."""
        return len(self.levels()) * self.every_epochs

    def evidence(self, lab: Lab) -> Iterator[Evidence]:
        """Levels, loss over the batch size, accuracies over epochs and updates, and the verdict."""
        data = self.checked_data(lab)
        limits = self.band(lab)
        if limits is None:
            yield Note(text=NO_BAND, kind="warning")
            return
        arms = self.arms(limits, self.steps_per_epoch(lab))
        runs = run_arms(lab, arms, self.seeds)
        yield limits_note(limits)
        whole = len(lab.data(self.whole_data()).train)
        levels = Levels(tuple(self.levels()), self.every_epochs, len(data.train), whole)
        yield level_table(levels, limits.high, self.momentum)
        if warning := few_steps_note(levels):
            yield warning
        yield self._loss_figure(runs)
        yield _accuracy_figure(runs, "epoch")
        yield _accuracy_figure(runs, "updates")
        yield _scores(runs)
        for name in runs:
            if note := divergence_note(name, runs[name], data.outputs):
                yield note
        yield steps_claim(runs[GROWING], levels)
        yield from self._claims(runs, data)

    def arms(self, limits: Band, steps_per_epoch: int) -> dict[str, Trial]:
        """The growing batch, its twin in theory (a halving rate), and the cyclical rate."""
        growing = Growing(
            start=self.start_batch, factor=2, every_epochs=self.every_epochs,
            limit=self.largest_batch,
        )  # fmt: skip
        halving = StepDecay(start=limits.high, factor=0.5, every_epochs=self.every_epochs)
        return {
            GROWING: Trial(
                network=self.network, data=self.data, batch=growing, epochs=self.epochs,
                optimizer=Sgd(lr=limits.high, momentum=self.momentum), evaluate=("test",),
            ),
            HALVING: Trial(
                network=self.network, data=self.data, batch=self.start_batch, epochs=self.epochs,
                optimizer=Sgd(lr=halving, momentum=self.momentum), evaluate=("test",),
            ),
            CYCLICAL: self.cyclical(
                limits, steps_per_epoch, epochs=self.epochs, half_cycle=self.half_cycle
            ),
        }  # fmt: skip

    def _loss_figure(self, runs: Mapping[str, Sequence[Run]]) -> Figure:
        x, loss = "log2(batch size)", "training loss"
        shown = {name: runs[name] for name in (GROWING, HALVING)}
        records = []
        for record in epoch_curves(shown, {loss: "running_loss"}):
            level, within = divmod(record["epoch"] - 1, self.every_epochs)
            # A diverged run has no last epoch on its level: its cross stands where it was lost.
            if within == self.every_epochs - 1 or not math.isfinite(record[loss]):
                records.append({**record, "batch size": self.levels()[level]})
        rows = [
            {"arm": r["arm"], "batch size": r["batch size"], x: math.log2(r["batch size"]),
             loss: r[loss], "lowest": r[f"{loss}, lowest"], "highest": r[f"{loss}, highest"]}
            for r in averaged(records, ("arm", "batch size"), (loss,))
        ]  # fmt: skip
        return Figure(
            table=Table.of("Training loss against batch size", rows, name="loss-vs-batch", columns=(
                "arm", Column(name="batch size", format=","), Column(name=x, format="g"),
                *(Column(name=n, format=".4f") for n in (loss, "lowest", "highest")),
            )),
            drawing=Lines(x=x, y=loss, color="arm", band=("lowest", "highest"), points=True),
            caption=f"Mean loss of the last of {counted(self.every_epochs, 'epoch')} on each "
                    f"level, mean over {counted(self.seeds, 'seed')}. '{HALVING}' keeps the batch "
                    f"of {self.start_batch} and halves the rate when the other doubles the batch; "
                    "its points stand at the batch size that its rate corresponds to.",
        )  # fmt: skip

    def _claims(self, runs: Mapping[str, Sequence[Run]], data: Data) -> Iterator[Evidence]:
        accuracy = {name: final_accuracies(found, data.outputs) for name, found in runs.items()}
        for other, what in (
            (CYCLICAL, "The network trained with a growing batch generalises like the one with "
                       "the cyclical rate exp_range."),
            (HALVING, "Doubling the batch at a fixed rate generalises like halving the rate at a "
                      "fixed batch."),
        ):  # fmt: skip
            claim, word = similar(
                what, accuracy[GROWING], accuracy[other], names=(GROWING, other),
                decisive=self.decisive,
            )  # fmt: skip
            yield claim
            yield Note(text=(
                f"Generalisation of '{GROWING}' and '{other}': {word}. Mean test accuracies "
                f"{mean(accuracy[GROWING]):.2%} and {mean(accuracy[other]):.2%}, after "
                f"{_updates(runs[GROWING]):,} and {_updates(runs[other]):,} updates."
            ))  # fmt: skip


def _updates(runs: Sequence[Run]) -> int:
    return max(len(run.steps) for run in runs)


def _accuracy_figure(runs: Mapping[str, Sequence[Run]], x: str) -> Figure:
    """Test accuracy of all arms over 'epoch' or over 'updates'."""
    columns = {"test accuracy": "test_accuracy", "updates": "step"}
    curves = [
        {**r, "test error": 1 - r["test accuracy"]}
        for r in epoch_curves(runs, columns)
        if x == "epoch" or math.isfinite(r["updates"])
    ]
    rows = [
        {**r, "lowest": r["test error, lowest"], "highest": r["test error, highest"]}
        for r in averaged(curves, ("arm", "epoch"), (*columns, "test error"))
    ]
    shares = ("test accuracy", "test error", "lowest", "highest")
    return Figure(
        table=Table.of(
            f"Test accuracy over the {x if x == 'updates' else 'epochs'}", rows,
            name=f"accuracy-over-{x if x == 'updates' else 'epochs'}",
            columns=("arm", "epoch", Column(name="updates", format=",.0f"),
                     *(Column(name=n, format=".2%") for n in shares)),
        ),
        drawing=Lines(x=x, y="test error", color="arm", band=("lowest", "highest"), log_y=True,
                      y_title="test error (1 - accuracy)"),
        caption="At equal epochs every arm has seen every image equally often. The error is drawn "
                "on a logarithmic axis, so that its end can be read." if x == "epoch"
                else "The same points over the number of updates: what a machine that computes "
                     "large batches as fast as small ones would have to wait for.",
    )  # fmt: skip


def _scores(runs: Mapping[str, Sequence[Run]]) -> Table:
    rows = []
    for name, found in runs.items():
        finished = [run for run in found if not run.diverged]
        whole = len(finished) == len(found)
        rows.append({
            "arm": name, "updates": _updates(found),
            "training loss": final_mean(found, "train_loss"),
            "training accuracy": final_mean(found, "train_accuracy"),
            "test accuracy": final_mean(found, "test_accuracy"),
            "deviation": spread([r.final("test_accuracy") for r in finished]) if whole else None,
            "gap": mean([r.final("train_accuracy") - r.final("test_accuracy") for r in finished])
                   if whole else None,
            "training time": mean([run.training_s for run in found]),
            "spoiled timings": sum(run.spoiled for run in found),
        })  # fmt: skip
    percent = ("training accuracy", "test accuracy", "deviation", "gap")
    return Table.of("Final scores", rows, name="scores", columns=(
        "arm", Column(name="updates", format=","), Column(name="training loss", format=".4f"),
        *(Column(name=n, format=".2%") for n in percent),
        Column(name="training time", unit="s", format=".1f"), "spoiled timings",
    ), notes=(
        f"Full passes in evaluation mode after the last step, mean over "
        f"{counted(len(runs[GROWING]), 'seed')}; the deviation is that of the test accuracy "
        "between seeds; the gap is training minus test accuracy; the time is that of one run, "
        "evaluation excluded.",
    ))  # fmt: skip
