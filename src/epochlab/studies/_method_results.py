"""What the trained arms of a comparison of optimizers show: losses, ranks, accuracies, times."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from epochlab.evidence import Claim, Evidence, Figure, Note, better, paired_interval
from epochlab.figures.bars import Bars
from epochlab.figures.lines import Lines
from epochlab.studies._arms import averaged, epoch_curves, mean, spread
from epochlab.table import Column, Table
from epochlab.train.run import Run

LOG_FROM = 20  # the loss axis is logarithmic where losses differ by more than this factor
PLAIN, DROPOUT = "without dropout", "with dropout"
AS_TRAINED, EVALUATED = "as trained", "evaluation mode"

Methods = Mapping[str, Sequence[Run]]
Arms = Mapping[str, Methods]
"""'without dropout' and 'with dropout' -> method -> one run per seed."""


def as_trained(run: Run) -> float:
    """Mean loss of the last epoch's batches, dropout on and weights moving; NaN if it diverged."""
    return math.nan if run.diverged or not run.epochs else float(run.epochs[-1]["running_loss"])


def evaluated(run: Run) -> float:
    """Loss of the finished network on the training set, dropout off; NaN if it diverged."""
    return run.final("train_loss")


def epoch_s(runs: Sequence[Run]) -> float | None:
    """Mean training seconds per epoch, evaluation excluded; None where nothing was timed."""
    seconds = [run.training_s / len(run.epochs) for run in runs if run.epochs and run.training_s]
    return mean(seconds) if seconds else None


def ranked(methods: Methods) -> list[str]:
    """Methods by mean training loss in evaluation mode, lowest first, diverged ones last."""
    losses = {name: mean([evaluated(run) for run in runs]) for name, runs in methods.items()}
    return sorted(losses, key=lambda n: losses[n] if math.isfinite(losses[n]) else math.inf)


def _finished(methods: Methods) -> list[str]:
    """Ranked methods of which every run came to its end."""
    return [n for n in ranked(methods) if not any(run.diverged for run in methods[n])]


def loss_figure(arms: Arms) -> Figure:
    """Training loss over epochs: a panel per kind of network, a line style per kind of loss."""
    rows = []
    for kind, methods in arms.items():
        curves = epoch_curves(methods, {AS_TRAINED: "running_loss", EVALUATED: "train_loss"},
                              arm_name="method")  # fmt: skip
        for row in averaged(curves, ("method", "epoch"), (AS_TRAINED, EVALUATED)):
            rows += [{"network": kind, "method": row["method"], "epoch": row["epoch"],
                      "loss": loss, "training loss": row[loss], "lowest": row[f"{loss}, lowest"],
                      "highest": row[f"{loss}, highest"]}
                     for loss in (EVALUATED, AS_TRAINED)]  # fmt: skip
    known = [row["training loss"] for row in rows if (row["training loss"] or 0) > 0]
    return Figure(
        table=Table.of("Training loss by epoch", rows, name="training-loss", columns=(
            "network", "method", "epoch", "loss", Column(name="training loss", format=".4f"),
            Column(name="lowest", format=".4f"), Column(name="highest", format=".4f"),
        ), notes=("Mean over seeds, with the lowest and the highest seed.",)),
        drawing=Lines(x="epoch", y="training loss", color="method", dash="loss", panel="network",
                      log_y=bool(known) and max(known) > LOG_FROM * min(known)),
        caption="Evaluation mode: the whole training set after the epoch, dropout off. As trained: "
                "mean over the epoch's batches, dropout on and weights still moving. Without "
                "dropout the two differ only because the weights move on during the epoch, so "
                "evaluation mode lies a little lower; with dropout the gap is wide, because the "
                "thinned networks that are trained do worse than the full one that is used.",
    )  # fmt: skip


def results_table(arms: Arms) -> Table:
    """One row per method and kind of network: losses, accuracy, epoch time."""
    rows = []
    for kind, methods in arms.items():
        for name, runs in methods.items():
            tests = [run.final("test_accuracy") for run in runs]
            rows.append({
                "network": kind, "method": name, "learning rate": runs[0].trial.optimizer.lr,
                "loss as trained": mean([as_trained(run) for run in runs]),
                "loss in evaluation mode": mean([evaluated(run) for run in runs]),
                "training accuracy": mean([run.final("train_accuracy") for run in runs]),
                "test accuracy": mean(tests), "deviation": spread(tests),
                "epoch time": epoch_s(runs), "spoiled timings": sum(run.spoiled for run in runs),
            })  # fmt: skip
    return Table.of("All arms", rows, name="results", columns=(
        "network", "method", Column(name="learning rate", format=".3g"),
        Column(name="loss as trained", format=".4f"),
        Column(name="loss in evaluation mode", format=".4f"),
        Column(name="training accuracy", format=".2%"), Column(name="test accuracy", format=".2%"),
        Column(name="deviation", format=".2%"), Column(name="epoch time", unit="s", format=".2f"),
        "spoiled timings",
    ), notes=("Training loss of the last epoch and of the finished network; the test set is looked "
              "at once, at the end. The deviation is that of the test accuracy between seeds.",
              device_note(arms)))  # fmt: skip


def device_note(arms: Arms) -> str:
    """Where the times were measured."""
    run = next(iter(arms[PLAIN].values()))[0]
    record = run.record
    if not record:
        return "Times: not measured yet."
    threads = record["threads"]
    return (
        f"Times: {record['machine']['processor']}, device {run.trial.device}, {threads} "
        f"thread{'s' if threads > 1 else ''} per run, evaluation excluded. A timing is spoiled "
        "where other processes took the core for more than a tenth of the time."
    )


def paired_table(arms: Arms) -> Table:
    """Per method: what dropout changes in loss and time, paired by seed."""
    rows = []
    for name, plain in arms[PLAIN].items():
        dropped = arms[DROPOUT][name]
        rises = [evaluated(b) - evaluated(a) for a, b in zip(plain, dropped, strict=True)]
        without_s, with_s = epoch_s(plain), epoch_s(dropped)
        rows.append({
            "method": name, "loss without": mean([evaluated(run) for run in plain]),
            "loss with, as trained": mean([as_trained(run) for run in dropped]),
            "loss with, evaluation mode": mean([evaluated(run) for run in dropped]),
            "increase": mean(rises), "95 % interval": interval_text(rises),
            "epoch without": without_s, "epoch with": with_s,
            "time ratio": with_s / without_s if with_s and without_s else None,
        })  # fmt: skip
    losses = ("loss without", "loss with, as trained", "loss with, evaluation mode", "increase")
    return Table.of("What dropout changes", rows, name="dropout", columns=(
        "method", *(Column(name=n, format=".4f") for n in losses), "95 % interval",
        Column(name="epoch without", unit="s", format=".2f"),
        Column(name="epoch with", unit="s", format=".2f"), Column(name="time ratio", format=".3f"),
    ), notes=("Without dropout the loss is that of evaluation mode; the increase compares both "
              "networks in evaluation mode.", device_note(arms)))  # fmt: skip


def interval_text(differences: Sequence[float]) -> str:
    """'0.10 to 0.20', or why there is none."""
    if not all(map(math.isfinite, differences)):
        return "diverged"
    interval = paired_interval(differences)
    return "one seed" if interval is None else f"{interval[0]:.4f} to {interval[1]:.4f}"


def ranking_table(arms: Arms) -> Table:
    """Methods by training loss, and how far each lies behind the one before it."""
    rows = []
    for kind, methods in arms.items():
        order = ranked(methods)
        for rank, (before, name) in enumerate(pairwise([order[0], *order]), 1):
            behind = [evaluated(b) - evaluated(a)
                      for a, b in zip(methods[before], methods[name], strict=True)]  # fmt: skip
            rows.append({
                "network": kind, "rank": rank, "method": name,
                "training loss": mean([evaluated(run) for run in methods[name]]),
                "behind the one before": None if rank == 1 else mean(behind),
                "95 % interval": "" if rank == 1 else interval_text(behind),
            })  # fmt: skip
    return Table.of("Ranking by training loss", rows, name="ranking", columns=(
        "network", "rank", "method", Column(name="training loss", format=".4f"),
        Column(name="behind the one before", format=".4f"), "95 % interval",
    ), notes=(
        "Loss of the finished network in evaluation mode; intervals are Student's, paired by seed. "
        "Where an interval contains 0, the two ranks could as well be exchanged.",
    ))  # fmt: skip


def ranking_claims(arms: Arms, decisive: bool) -> Iterator[Evidence]:
    """Best against runner-up for each kind of network and loss, and dropout against none."""
    for kind, loss, of in ((PLAIN, "", evaluated), (DROPOUT, " (dropout off)", evaluated),
                           (DROPOUT, " (dropout on)", as_trained)):  # fmt: skip
        methods = {name: arms[kind][name] for name in _finished(arms[kind])}
        if len(methods) < 2:
            yield Note(kind="warning", text=(
                f"Fewer than two methods came to their end {kind}; there is nothing to rank."
            ))  # fmt: skip
            continue
        values = {name: [of(run) for run in runs] for name, runs in methods.items()}
        best, second = sorted(values, key=lambda name: mean(values[name]))[:2]
        yield better(
            f"{best} reaches the lowest training loss {kind}{loss}, ahead of {second}.",
            values[second], values[best], names=(second, best), quantity="training loss",
            decisive=decisive,
        )  # fmt: skip
    yield from _dropout_claim(
        arms, "Dropout raises the training loss (in evaluation mode, mean over the methods).",
        evaluated, "training loss", decisive,
    )  # fmt: skip


def accuracy_claims(arms: Arms, decisive: bool) -> Iterator[Evidence]:
    """Whether dropout raises test accuracy, over all methods."""
    yield from _dropout_claim(
        arms, "Dropout raises test accuracy (mean over the methods).",
        lambda run: run.final("test_accuracy"), "test accuracy", decisive,
    )  # fmt: skip


def _dropout_claim(
    arms: Arms, statement: str, of: Any, quantity: str, decisive: bool
) -> Iterator[Claim]:
    """With against without dropout, seed by seed, over the methods that finished in both."""
    both = [n for n in _finished(arms[PLAIN]) if n in _finished(arms[DROPOUT])]
    if not both:
        return
    by_seed = {
        kind: [mean([of(run) for run in seed_runs])
               for seed_runs in zip(*(arms[kind][name] for name in both), strict=True)]
        for kind in (PLAIN, DROPOUT)
    }  # fmt: skip
    yield better(statement, by_seed[DROPOUT], by_seed[PLAIN], names=(DROPOUT, PLAIN),
                 quantity=quantity, decisive=decisive)  # fmt: skip


def accuracy_figure(arms: Arms) -> Figure:
    """Test accuracy of all arms, with the lowest and the highest seed."""
    rows = []
    for name in arms[PLAIN]:
        for kind, methods in arms.items():
            tests = [run.final("test_accuracy") for run in methods[name]]
            rows.append({"method": name, "network": kind, "test accuracy": mean(tests),
                         "lowest seed": min(tests), "highest seed": max(tests)})  # fmt: skip
    return Figure(
        table=Table.of("Test accuracy", rows, name="test-accuracy", columns=(
            "method", "network", *(Column(name=n, format=".2%") for n in (
                "test accuracy", "lowest seed", "highest seed")))),
        drawing=Bars(x="method", y="test accuracy", color="network", low="lowest seed",
                     high="highest seed"),
        caption="Networks trained with dropout are evaluated with dropout off and the outputs "
                "scaled for it. The method with the lowest training loss need not be the best "
                "here: compare the ranking above. A network far below the others has not finished "
                "training rather than failed to generalise if its training accuracy is low, too.",
    )  # fmt: skip


def default_rate_table(tuned: Methods, default: Methods) -> Table:
    """Each method at its tuned and at its component's default rate, without dropout."""
    rows = [{
        "method": name, "tuned rate": tuned[name][0].trial.optimizer.lr,
        "default rate": runs[0].trial.optimizer.lr,
        "loss, tuned": mean([evaluated(run) for run in tuned[name]]),
        "loss, default": mean([evaluated(run) for run in runs]),
        "test accuracy, tuned": mean([run.final("test_accuracy") for run in tuned[name]]),
        "test accuracy, default": mean([run.final("test_accuracy") for run in runs]),
    } for name, runs in default.items()]  # fmt: skip
    return Table.of("Tuned against default rates, without dropout", rows, name="default-rates",
                    columns=("method", *(Column(name=n, format=".3g")
                                         for n in ("tuned rate", "default rate")),
                             *(Column(name=n, format=".4f")
                               for n in ("loss, tuned", "loss, default")),
                             *(Column(name=n, format=".2%")
                               for n in ("test accuracy, tuned", "test accuracy, default"))),
                    notes=("Default rates are PyTorch's, except for RMSProp+Nesterov, which no "
                           "framework ships; training loss in evaluation mode.",))  # fmt: skip
