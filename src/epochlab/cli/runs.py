"""List the runs in the store: what each trained, how it ended, its scores and time."""

from __future__ import annotations

from typing import Any

from epochlab.cli._options import Parser, add_format, add_store, show
from epochlab.table import Column, Table
from epochlab.train.store import RunFolder, Store
from epochlab.train.trial import flattened, telling_names


def main(words: list[str]) -> None:
    """`epochlab runs`."""
    parser = Parser("runs", __doc__ or "")
    add_store(parser)
    add_format(parser)
    given = parser.parse_strictly(words)
    store = Store.at(given.store)
    # The plain form says it all: a run whose component file is gone must not hide the others.
    folders = [store.run_folder(key) for key in store.run_keys()]
    settings = [flattened(folder.read_json("trial.json")) for folder in folders]
    names = telling_names(settings)
    rows = [_row(*facts) for facts in zip(folders, settings, names, strict=True)]
    columns = (
        "run", "status", "network", "data", "optimizer", "what differs",
        Column(name="validation", format=".4f"), Column(name="test", format=".4f"),
        Column(name="training", unit="s", format=".2f"),
    )  # fmt: skip
    show(Table.of(f"Runs in {store.folder}", rows, columns=columns, notes=(
        "Scores are accuracies, or root mean squared errors for regression.",
        "Next: epochlab show RUN   epochlab diff RUN RUN   epochlab track",
    )), given.format)  # fmt: skip


def _row(folder: RunFolder, settings: dict[str, Any], name: str) -> dict[str, Any]:
    rows, clock = folder.read_rows(), folder.read_rows("clock.jsonl")
    last: dict[str, Any] = next((r for r in reversed(rows) if r["row"] in ("end", "epoch")), {})

    def score(split: str) -> float | None:
        return last.get(f"{split}_accuracy", last.get(f"{split}_rmse"))

    return {
        "run": folder.key[:12],
        "status": folder.done()["status"] if folder.is_done else "stopped",
        "network": settings["network"], "data": settings["data"],
        "optimizer": settings["optimizer"], "what differs": name,
        "validation": score("validation"), "test": score("test"),
        "training": clock[-1]["training_s"] if clock else None,
    }  # fmt: skip
