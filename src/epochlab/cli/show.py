"""Show one run: its settings, scores per epoch, where its time went, and the machine."""

from __future__ import annotations

from typing import Any

from epochlab.cli._options import Parser, add_format, add_store, show
from epochlab.table import Column, Table
from epochlab.train.run import Run, load_run
from epochlab.train.store import Store
from epochlab.train.trial import flat_settings

PARTS = ("epochs", "settings", "time", "machine")


def main(words: list[str]) -> None:
    """`epochlab show RUN [--part PART]`."""
    parser = Parser("show", __doc__ or "")
    parser.add_argument("run", help="the first digits of a run's key ('epochlab runs' lists them)")
    parser.add_argument("--part", choices=PARTS, default=None, help="only this table")
    add_store(parser)
    add_format(parser)
    given = parser.parse_strictly(words)
    run = load_run(Store.at(given.store), given.run)
    parts = [given.part] if given.part else (PARTS if given.format == "text" else PARTS[:1])
    makers = {"epochs": _epochs, "settings": _settings, "time": _time, "machine": _machine}
    for number, part in enumerate(parts):
        if number:
            print()
        show(makers[part](run), given.format)


def _epochs(run: Run) -> Table:
    rows = [{k: v for k, v in row.items() if k not in ("row", "is_best")} for row in run.epochs]
    names = list(dict.fromkeys(k for row in rows for k in row))
    columns = [Column(name=n, format="" if n in ("epoch", "step") else ".4f") for n in names]
    notes = [f"Status: {run.status}."]
    if run.diverged:
        lost = run.diverged
        notes.append(f"The {lost['quantity']} became {lost['value']} at step {lost['step']}.")
    if run.end:
        scores = ", ".join(f"{k} {v:.4f}" for k, v in run.end.items() if isinstance(v, float))
        notes.append(f"At the end: {scores}.")
    return Table.of(f"Run {run.key[:12]}", rows, columns=columns, notes=tuple(notes))


def _settings(run: Run) -> Table:
    rows = [{"setting": k, "value": _text(v)} for k, v in flat_settings(run.trial).items()]
    return Table.of("Settings", rows, label="exact")


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(_text, value)) or "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    return "none" if value is None else str(value)


def _time(run: Run) -> Table:
    names = {
        "data_s": "data", "compute_s": "forward and backward", "update_s": "update",
        "warmup_s": "warm-up steps", "evaluate_s": "evaluation",
    }  # fmt: skip
    last = run.clock[-1] if run.clock else {}
    total = run.total_s
    rows = [{"part": text, "seconds": last.get(k, 0.0), "share": last.get(k, 0.0) / total}
            for k, text in names.items()] if total else []  # fmt: skip
    if total:
        rest = total - sum(row["seconds"] for row in rows)
        rows.append({"part": "journal, checkpoints, other", "seconds": rest, "share": rest / total})
        rows.append({"part": "total", "seconds": total, "share": 1.0})
    notes = ["Spoiled: other processes took the cores."] if run.spoiled else []
    return Table.of("Time", rows, notes=tuple(notes), columns=(
        "part", Column(name="seconds", unit="s", format=".3f"), Column(name="share", format=".1%"),
    ))  # fmt: skip


def _machine(run: Run) -> Table:
    record = run.record
    facts = {**record.get("machine", {}), **record.get("versions", {}),
             "threads": record.get("threads"), "source": str(record.get("source", ""))[:12],
             **{f"git {k}": v for k, v in record.get("git", {}).items()}}  # fmt: skip
    return Table.of("Machine and versions", [{"fact": k, "value": str(v)}
                                             for k, v in facts.items()])  # fmt: skip
