"""Does a learning rate that rises and falls in cycles train better than one that stays?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from epochlab.component import Count
from epochlab.datasets.digits import Digits
from epochlab.datasets.fashion_mnist import FashionMnist
from epochlab.errors import BadOption
from epochlab.evidence import Evidence, Figure, Note, better
from epochlab.figures.lines import Lines
from epochlab.networks.mlp import Mlp
from epochlab.optimizers.sgd import Sgd
from epochlab.schedules.cyclical import Cyclical
from epochlab.studies._arms import averaged, epoch_curves, mean, run_arms, spread
from epochlab.studies._cyclical_trace import keras_names, trace_claim, trace_figure
from epochlab.studies._rate_limits import Band, counted
from epochlab.studies._rate_policies import (
    NO_BAND,
    Mode,
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

MAIN: Final = "exp_range"
MODES: tuple[Mode, ...] = (MAIN, "triangular", "triangular2")
CURVES = {
    ("training", "loss"): "running_loss", ("validation", "loss"): "validation_loss",
    ("training", "accuracy"): "running_accuracy", ("validation", "accuracy"): "validation_accuracy",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class CyclicalLr(RatePolicyStudy):
    """Train with each policy from the same initial weights, on the same batches."""

    epochs: Count = 24
    "passes over the training data, at least: an arm is lengthened to the end of its cycle"
    half_cycles: tuple[Count, ...] = (2, 4, 8)
    "other half cycles with which exp_range is tried, in epochs"

    question: ClassVar[str] = (
        "Does a learning rate that rises and falls in cycles train better than one that stays?"
    )
    covers: ClassVar[tuple[str, ...]] = (
        "HW3B-P1.0", "HW3B-P1.2", "HW3B-P1.R1", "HW3B-P1.R2",
    )  # fmt: skip
    expectation: ClassVar[str] = (
        "The validation error rises to a hump where the rate is high and is lowest where a cycle "
        "ends at lr_min; because the swing of exp_range shrinks, each hump is smaller than the one "
        "before. At a constant lr_max the error stays ragged to the end. If the cycles cannot be "
        "seen in the curves, the limits lie too close together or too low: repeat the range test. "
        "If the loss leaps up near the top of the first cycle and never comes back, lr_max is too "
        "high. If training and validation loss part while the rate is low, the network has begun "
        "to remember single images, and more cycles will not help."
    )
    references: ClassVar[tuple[str, ...]] = (
        "L. N. Smith, Cyclical Learning Rates for Training Neural Networks, WACV 2017, "
        "arXiv:1506.01186.",
        "Keras learning rate finder, PyImageSearch, 5 August 2019, "
        "pyimagesearch.com/2019/08/05/keras-learning-rate-finder.",
    )
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "smoke": {"data": FashionMnist(validation=500, train_samples=1024, test_samples=512),
                  "range_data": FashionMnist(train_samples=512, test_samples=512),
                  "range_epochs": 1, "epochs": 4, "half_cycle": 1, "half_cycles": (1, 2, 4),
                  "decisive": False},
        "laptop": {"data": FashionMnist(validation=5000, train_samples=10_000), "seeds": 3},
        "paper": {"seeds": 3, "range_seeds": 3},
        "digits": {"data": Digits(validation=300), "network": Mlp(hidden=(64,)), "batch": 32,
                   "range_epochs": 8, "seeds": 3, "decisive": False},
    }  # fmt: skip

    def evidence(self, lab: Lab) -> Iterator[Evidence]:
        """The band, four curves, the trace of the rate, policies side by side, and claims."""
        data = self.checked_data(lab)
        if data.validation is None:
            raise BadOption(
                "cyclical-lr draws validation curves, but no samples are set aside for them "
                f"(option 'validation' of the data set is {self.data.validation}). Give "
                "--data.validation, for example a twelfth of the training samples."
            )
        limits = self.band(lab)
        if limits is None:
            yield Note(text=NO_BAND, kind="warning")
            return
        steps = self.steps_per_epoch(lab)
        arms = self.arms(limits, steps)
        runs = run_arms(lab, arms, self.seeds)
        yield limits_note(limits)
        yield _policies_table(arms, steps, self.height_left)
        yield self._curves_figure(runs[MAIN])
        yield trace_figure(runs[MAIN][0], self.height_left)
        yield self._comparison(runs, {n: n for n in runs if "half cycle" not in n}, "policies")
        yield self._comparison(runs, self._half_cycle_names(), "half-cycles")
        yield _scores(runs)
        for name in runs:
            if note := divergence_note(name, runs[name], data.outputs):
                yield note
        yield trace_claim(runs[MAIN], steps)
        for name in runs:
            if name.startswith("constant"):
                yield better(
                    f"Cyclical learning with exp_range ends at a higher test accuracy than a "
                    f"{name}.",
                    final_accuracies(runs[MAIN], data.outputs),
                    final_accuracies(runs[name], data.outputs),
                    names=(MAIN, name), quantity="test accuracy", decisive=self.decisive,
                    resolution=1 / len(data.test),
                )  # fmt: skip
        yield keras_names(arms[MAIN], self.range_test().lowest, self.range_test().highest)

    def arms(self, limits: Band, steps_per_epoch: int) -> dict[str, Trial]:
        """Trials by name: exp_range first, then the other policies, then other half cycles."""
        epochs = to_end_of_cycle(self.epochs, self.half_cycle)
        made: dict[str, Trial] = {
            mode: self.cyclical(
                limits, steps_per_epoch, epochs=epochs, half_cycle=self.half_cycle, mode=mode,
                evaluate=("validation", "test") if mode == MAIN else ("validation",),
            ) for mode in MODES
        }  # fmt: skip
        for name, rate in _constant_rates(limits).items():
            made[name] = Trial(
                network=self.network, data=self.data, batch=self.batch, epochs=epochs,
                optimizer=Sgd(lr=rate, momentum=self.momentum), evaluate=("validation",),
            )  # fmt: skip
        for half in self._other_half_cycles():
            made[f"{MAIN}, half cycle {half}"] = self.cyclical(
                limits, steps_per_epoch, epochs=to_end_of_cycle(self.epochs, half),
                half_cycle=half, evaluate=("validation",),
            )  # fmt: skip
        return made

    def _other_half_cycles(self) -> list[int]:
        return [h for h in dict.fromkeys(self.half_cycles) if h != self.half_cycle]

    def _half_cycle_names(self) -> dict[str, str]:
        """Arm -> what the legend calls it, shortest half cycle first."""
        named = {h: f"{MAIN}, half cycle {h}" for h in self._other_half_cycles()}
        named[self.half_cycle] = MAIN
        return {named[h]: counted(h, "epoch") for h in sorted(named)}

    def _cycle_ends(self, epochs: int) -> tuple[tuple[float, str], ...]:
        return tuple((float(end), "") for end in range(0, epochs, 2 * self.half_cycle)[1:])

    def _curves_figure(self, runs: Sequence[Run]) -> Figure:
        columns = {" ".join(curve): name for curve, name in CURVES.items()}
        records = averaged(epoch_curves({MAIN: runs}, columns), ("epoch",), tuple(columns))
        rows = [
            {"epoch": r["epoch"], "split": split, "quantity": quantity,
             "value": r[f"{split} {quantity}"],
             "lowest": r[f"{split} {quantity}, lowest"],
             "highest": r[f"{split} {quantity}, highest"]}
            for split, quantity in CURVES for r in records
        ]  # fmt: skip
        return Figure(
            table=Table.of("Training and validation with exp_range", rows, name="curves", columns=(
                "epoch", "split", "quantity", *(Column(name=n, format=".4f")
                                                for n in ("value", "lowest", "highest")),
            )),
            drawing=Lines(x="epoch", y="value", color="split", dash="quantity",
                          band=("lowest", "highest"), y_title="loss, and accuracy as a share",
                          vertical=self._cycle_ends(runs[0].trial.epochs)),
            caption=f"Mean over {counted(len(runs), 'seed')}. Training values are those of the "
                    "running epoch, while the weights still move; validation values are measured "
                    "after it. Dashed rules: a cycle ends, the rate is at lr_min.",
        )  # fmt: skip

    def _comparison(
        self, runs: Mapping[str, Sequence[Run]], names: Mapping[str, str], what: str
    ) -> Figure:
        arm = "policy" if what == "policies" else "half cycle"
        chosen = {shown: runs[name] for name, shown in names.items()}
        curves = [
            {**r, "validation error": 1 - r["validation accuracy"]}
            for r in epoch_curves(chosen, {"validation accuracy": "validation_accuracy"}, arm)
        ]
        values = ("validation accuracy", "validation error")
        rows = [
            {**r, "lowest": r["validation error, lowest"],
             "highest": r["validation error, highest"]}
            for r in averaged(curves, (arm, "epoch"), values)
        ]  # fmt: skip
        longer = {
            shown: found[0].trial.epochs for shown, found in chosen.items()
            if found[0].trial.epochs != runs[MAIN][0].trial.epochs
        }  # fmt: skip
        caption = (
            "Each policy after every epoch, from the same initial weights on the same batches. The "
            "error is drawn on a logarithmic axis, so that its end can be read."
            if what == "policies" else
            "exp_range with shorter and longer half cycles. The humps are the tops of the cycles."
        )  # fmt: skip
        for shown, epochs in longer.items():
            caption += f" A half cycle of {shown} trains for {epochs} epochs, to its cycle's end."
        return Figure(
            table=Table.of(
                "Validation accuracy of the policies" if what == "policies"
                else "Validation accuracy by length of the cycle", rows, name=what,
                columns=(arm, "epoch", *(Column(name=n, format=".2%")
                                         for n in (*values, "lowest", "highest"))),
            ),
            drawing=Lines(x="epoch", y="validation error", color=arm, log_y=True,
                          band=("lowest", "highest"), y_title="validation error (1 - accuracy)"),
            caption=caption,
        )  # fmt: skip


def _constant_rates(limits: Band) -> dict[str, float]:
    """Names and values of the rates that stay; one arm where the best rate is lr_max."""
    if limits.best is None:
        return {"constant lr_max": limits.high}
    if limits.best == limits.high:
        return {"constant lr_max = best rate": limits.high}
    return {"constant lr_max": limits.high, "constant best rate": limits.best}


def _policies_table(
    arms: Mapping[str, Trial], steps_per_epoch: int, height_left: float
) -> Table:  # fmt: skip
    """What each arm does, from its trial."""
    rows = []
    for name, trial in arms.items():
        rate = trial.optimizer.lr
        row: dict[str, Any] = {"policy": name, "epochs": trial.epochs,
                               "steps": trial.epochs * steps_per_epoch}  # fmt: skip
        if isinstance(rate, Cyclical):
            half = rate.half_cycle_steps or 0
            row |= {"lowest rate": rate.low, "highest rate": rate.high, "half cycle": half,
                    "half cycle in epochs": half // steps_per_epoch,
                    "cycles": row["steps"] / (2 * half),
                    "gamma": rate.gamma if rate.mode == "exp_range" else None}  # fmt: skip
        else:
            row |= {"lowest rate": rate, "highest rate": rate}
        rows.append(row)
    return Table.of("The policies", rows, name="settings", label="exact", columns=(
        "policy", Column(name="lowest rate", format=".3g"),
        Column(name="highest rate", format=".3g"), "half cycle in epochs",
        Column(name="half cycle", unit="steps", format=","), Column(name="cycles", format="g"),
        "epochs", Column(name="steps", format=","), Column(name="gamma", format=".8g"),
    ), notes=(
        "Every cyclical policy is trained to the end of a cycle, where the rate is back at its "
        "lowest. gamma is chosen so that the swing of exp_range has "
        f"{height_left:.0%} of its height left after the last step.",
    ))  # fmt: skip


def _scores(runs: Mapping[str, Sequence[Run]]) -> Table:
    rows = []
    for name, found in runs.items():
        test = [run.final("test_accuracy") for run in found if not run.diverged]
        rows.append({
            "policy": name, "epochs": found[0].trial.epochs,
            "training loss": final_mean(found, "train_loss"),
            "validation accuracy": final_mean(found, "validation_accuracy"),
            "test accuracy": final_mean(found, "test_accuracy"),
            "deviation": spread(test) if len(test) == len(found) else None,
            "training time": mean([run.training_s for run in found]),
            "spoiled timings": sum(run.spoiled for run in found),
        })  # fmt: skip
    return Table.of("Final scores by policy", rows, name="scores", columns=(
        "policy", "epochs", Column(name="training loss", format=".4f"),
        Column(name="validation accuracy", format=".2%"),
        Column(name="test accuracy", format=".2%"), Column(name="deviation", format=".2%"),
        Column(name="training time", unit="s", format=".1f"), "spoiled timings",
    ), notes=(
        f"Full passes in evaluation mode after the last step, mean over "
        f"{counted(len(runs[MAIN]), 'seed')}; the deviation is that of the test accuracy "
        "between seeds; the time is that of one run, evaluation excluded.",
    ))  # fmt: skip
