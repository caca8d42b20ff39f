"""List the runs in the store: what each trained, how it ended, its scores and time."""

from __future__ import annotations

from typing import Any

from epochlab.cli._options import Parser, add_format, add_store, show
from epochlab.table import Column, Table
from epochlab.train.run import Run
from epochlab.train.store import Store


def main(words: list[str]) -> None:
    """`epochlab runs`."""
    parser = Parser("runs", __doc__ or "")
    add_store(parser)
    add_format(parser)
    given = parser.parse_strictly(words)
    store = Store.at(given.store)
    rows = [_row(Run.load(store.run_folder(key))) for key in store.run_keys()]
    columns = (
        "run", "status", "network", "data", "optimizer", "seed", "epochs",
        Column(name="validation", format=".4f"), Column(name="test", format=".4f"),
        Column(name="training", unit="s", format=".2f"),
    )  # fmt: skip
    show(Table.of(f"Runs in {store.folder}", rows, columns=columns, notes=(
        "Scores are accuracies, or root mean squared errors for regression.",
        "Next: epochlab show RUN   epochlab diff RUN RUN   epochlab track",
    )), given.format)  # fmt: skip


def _row(run: Run) -> dict[str, Any]:
    last = run.end or (run.epochs[-1] if run.epochs else {})

    def score(split: str) -> Any:
        return next((v for k, v in last.items()
                     if k in (f"{split}_accuracy", f"{split}_rmse")), None)  # fmt: skip

    def stem(part: object) -> str:
        return type(part).__module__.rpartition(".")[2]

    return {
        "run": run.key[:12], "status": run.status, "network": stem(run.trial.network),
        "data": stem(run.trial.data), "optimizer": stem(run.trial.optimizer),
        "seed": run.trial.seed, "epochs": run.trial.epochs, "validation": score("validation"),
        "test": score("test"), "training": run.training_s,
    }  # fmt: skip
