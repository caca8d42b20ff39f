"""Show one run (settings, scores, time, machine), or the figures of one piece of hardware."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from epochlab import hardware
from epochlab.cli._options import Parser, add_format, add_store, show
from epochlab.errors import BadOption, UnknownName
from epochlab.hardware._tables import every_figure
from epochlab.table import Column, Table

if TYPE_CHECKING:
    from epochlab.train.run import Run

PARTS = ("epochs", "settings", "time", "machine")


def main(words: list[str]) -> None:
    """`epochlab show RUN [--part PART]`, `epochlab show HARDWARE`."""
    parser = Parser("show", __doc__ or "")
    parser.add_argument(
        "run",
        help="the first digits of a run's key ('epochlab runs' lists them), "
        "or a device or link ('epochlab list hardware'), or its TOML file",
    )
    parser.add_argument("--part", choices=PARTS, default=None, help="only this table of the run")
    add_store(parser)
    add_format(parser)
    given = parser.parse_strictly(words)
    if hardware.is_known(given.run):
        if given.part:
            raise BadOption(
                f"'{given.run}' is hardware; --part chooses a table of a run. A run whose key "
                "begins so is named by more of its digits."
            )
        show(every_figure(hardware.load(given.run)), given.format)
        return
    run = _run(given.run, given.store)
    parts = [given.part] if given.part else (PARTS if given.format == "text" else PARTS[:1])
    makers = {"epochs": _epochs, "settings": _settings, "time": _time, "machine": _machine}
    for number, part in enumerate(parts):
        if number:
            print()
        show(makers[part](run), given.format)


def _run(start: str, store: str | None) -> Run:
    """The run whose key begins so; a mistyped piece of hardware is told its nearest match."""
    from epochlab.train.run import load_run
    from epochlab.train.store import Store

    try:
        return load_run(Store.at(store), start)
    except UnknownName as error:
        near = hardware.nearest_name(start)
        if near is None:
            raise
        raise BadOption(f"{error} Hardware with a name like it: '{near}'.") from error


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
    from epochlab.train.trial import flat_settings

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
