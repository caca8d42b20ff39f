"""Training beside validation: curves of both, and the best weights read back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from epochlab.datasets import Data, Split
from epochlab.evidence import Claim, Evidence, Figure
from epochlab.figures.lines import Lines
from epochlab.studies._arms import averaged, epoch_curves
from epochlab.studies._threads import one_thread
from epochlab.table import Column, Table
from epochlab.train.run import Run

if TYPE_CHECKING:
    from torch import nn

Arms = Mapping[str, Sequence[Run]]


def split_figure(arms: Arms, what: Literal["accuracy", "loss"], data: Data, caption: str) -> Figure:
    """A panel per arm: training and validation over epochs, with the range over seeds."""
    form = ".2%" if what == "accuracy" else ".4f"
    columns = {"training": f"running_{what}", "validation": f"validation_{what}"}
    rows = []
    for row in averaged(epoch_curves(arms, columns), ("arm", "epoch"), tuple(columns)):
        rows += [{"arm": row["arm"], "epoch": row["epoch"], "split": split, what: row[split],
                  "lowest seed": row[f"{split}, lowest"], "highest seed": row[f"{split}, highest"]}
                 for split in columns]  # fmt: skip
    return Figure(
        table=Table.of(f"Training and validation {what}", rows, name=f"split-{what}", columns=(
            "arm", "epoch", "split", *(Column(name=n, format=form) for n in (
                what, "lowest seed", "highest seed"))), tier=data.tier),
        drawing=Lines(x="epoch", y=what, color="split", panel="arm",
                      band=("lowest seed", "highest seed")),
        caption=caption,
    )  # fmt: skip


def arms_figure(arms: Arms, drops: Sequence[int], data: Data) -> Figure:
    """Validation accuracy of the arms in one plot, with the epochs after which the rate drops."""
    curves = epoch_curves(arms, {"validation accuracy": "validation_accuracy"})
    ends = ("lowest seed", "highest seed")
    rows = [
        {**row, ends[0]: row["validation accuracy, lowest"],
         ends[1]: row["validation accuracy, highest"]}
        for row in averaged(curves, ("arm", "epoch"), ("validation accuracy",))
    ]  # fmt: skip
    return Figure(
        table=Table.of("Validation accuracy of the arms", rows, name="arms", columns=(
            "arm", "epoch", *(Column(name=n, format=".2%") for n in (
                "validation accuracy", *ends))), tier=data.tier),
        drawing=Lines(x="epoch", y="validation accuracy", color="arm", band=ends,
                      vertical=tuple((float(epoch), "drop") for epoch in drops)),
        caption="Until the first drop the arms are one and the same run, seed by seed. At a drop "
                "the noise of the large steps goes away and the accuracy jumps; after it the "
                "falling rate moves the weights so little that the curve is almost flat, while "
                "that of the constant rate stays rough to the end. A drop that comes while the "
                "curve still climbs steeply ends the learning too early, and the arm stays behind: "
                "then decay_epochs is too short.",
    )  # fmt: skip


def gap_figure(arms: Arms, limit: float, data: Data) -> Figure:
    """Training minus validation accuracy over epochs, mean over seeds."""
    columns = {"training": "running_accuracy", "validation": "validation_accuracy"}
    rows = [{"arm": row["arm"], "epoch": row["epoch"], "gap": row["training"] - row["validation"]}
            for row in averaged(epoch_curves(arms, columns), ("arm", "epoch"), tuple(columns))
            if None not in (row["training"], row["validation"])]  # fmt: skip
    return Figure(
        table=Table.of("Training minus validation accuracy", rows, name="gap", columns=(
            "arm", "epoch", Column(name="gap", format=".2%")), tier=data.tier),
        drawing=Lines(x="epoch", y="gap", color="arm",
                      horizontal=((0.0, ""), (limit, f"{100 * limit:g} points"))),
        caption="Below zero at first, because training accuracy is averaged over an epoch in which "
                "the network still improves. A gap that keeps growing is overfitting.",
    )  # fmt: skip


def best_checkpoint_evidence(arms: Arms, data: Data) -> Iterator[Evidence]:
    """Read every run's best weights back and score them again."""
    rows = []
    for arm, runs in arms.items():
        for run in runs:
            logged = [row["validation_accuracy"] for row in run.epochs
                      if "validation_accuracy" in row]  # fmt: skip
            if not logged or data.validation is None:
                continue
            network, device = run.network("best"), run.trial.device
            rows.append({
                "arm": arm, "seed": run.trial.seed, "best epoch": run.best_epoch["epoch"],
                "highest in the log": max(logged),
                "read back": accuracy(network, data.validation, data, device),
                "test accuracy of these weights": accuracy(network, data.test, data, device),
            })  # fmt: skip
    yield Table.of("The best weights, read back", rows, name="best-weights", columns=(
        "arm", "seed", "best epoch", *(Column(name=n, format=".2%") for n in (
            "highest in the log", "read back", "test accuracy of these weights")),
    ), tier=data.tier, notes=(
        "Chosen by validation accuracy, which flatters the choice a little; the test accuracy is "
        "what may be expected of new images.",
    ))  # fmt: skip
    gaps = [abs(row["read back"] - row["highest in the log"]) for row in rows]
    if gaps:
        yield Claim(
            statement="The weights saved as best are those with the highest validation accuracy.",
            rule="scored again after reading them back, they reach exactly the log's highest value",
            verdict="supported" if max(gaps) == 0 else "not supported",
            numbers={"largest difference": max(gaps), "runs": len(gaps)},
        )  # fmt: skip


def accuracy(network: nn.Module, split: Split, data: Data, device: str) -> float:
    """Share of correct predictions in evaluation mode, on the device of the run."""
    from epochlab.train.batches import Scaling
    from epochlab.train.engines.eager import predictions

    outcomes = predictions(network.to(device), split, Scaling.of(data, device))
    with one_thread():
        hits = sum(int((outputs.argmax(1) == targets).sum()) for outputs, targets in outcomes)
    return hits / len(split)
