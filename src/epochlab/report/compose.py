"""From a study that was run to its report: settings, runs behind it, machine, what to beware of."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from epochlab.evidence import Evidence, Figure
from epochlab.plain import to_plain
from epochlab.report.content import Report
from epochlab.studies import Study
from epochlab.table import Label, Table, Tier
from epochlab.train import record
from epochlab.train.lab import Lab
from epochlab.train.run import Run
from epochlab.units import bytes_text


def compose(
    study: Study, *, name: str, preset: str, command: str, lab: Lab, evidence: Sequence[Evidence],
    seconds: float,
) -> Report:  # fmt: skip
    """The report of a study whose evidence was just collected with `lab`.

    `seconds` is what this command took; the report gives the time that the runs took in all.
    """
    runs = list(lab.asked.values())
    return Report(
        title=name,
        study=name,
        question=study.question,
        preset=preset,
        command=command,
        settings=_settings(study),
        evidence=tuple(_with_tier(piece, lab) for piece in evidence),
        expectation=study.expectation,
        covers=study.covers,
        references=study.references,
        seeds=tuple(sorted({run.trial.seed for run in runs})),
        seconds=math.fsum(run.total_s for run in runs) or seconds,
        machine=_machine(runs),
        versions=tuple(record.versions().items()),
        flags=tuple(_flags(runs)),
        generated_at=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    )


def _with_tier(piece: Evidence, lab: Lab) -> Evidence:
    """Evidence from generated look-alike data says so on every figure and table."""
    tiers = {lab.data(run.trial.data).tier for run in lab.asked.values()}
    if "look-alike" not in tiers:
        return piece
    tier: Tier = "mixed" if "real" in tiers else "look-alike"
    if isinstance(piece, Figure):
        return dataclasses.replace(piece, table=dataclasses.replace(piece.table, tier=tier))
    return dataclasses.replace(piece, tier=tier) if isinstance(piece, Table) else piece


def _settings(study: Study) -> Table:
    """Every factor of the study, components in one line each."""
    plain = to_plain(study)
    del plain["component"]
    rows = [{"setting": key.replace("_", " "), "value": _text(value)}
            for key, value in plain.items()]  # fmt: skip
    return Table.of("Settings", rows, label="exact", name="settings")


def _text(value: Any) -> str:
    if isinstance(value, dict):
        name = value["component"].partition("/")[2]
        options = ", ".join(f"{k} {_text(v)}" for k, v in value.items()
                            if k != "component" and v not in (None, [], False))  # fmt: skip
        return f"{name} ({options})" if options else name
    if isinstance(value, list):
        return ", ".join(map(_text, value)) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _machine(runs: Sequence[Run]) -> Table:
    """Facts of the machine, or machines, on which the runs were made."""
    made: dict[str, dict[str, Any]] = {}
    for run in runs:
        facts = run.record
        if facts:
            made.setdefault(str(facts["machine"]), facts)
    found = list(made.values()) or [{"machine": record.machine(), "threads": "-"}]
    rows = []
    for number, facts in enumerate(found, 1):
        prefix = f"{number}: " if len(found) > 1 else ""
        for key, value in facts["machine"].items():
            if key == "memory_bytes":
                key, value = "memory", bytes_text(value)
            rows.append({"fact": f"{prefix}{key}", "value": str(value)})
        rows.append({"fact": f"{prefix}threads per run", "value": str(facts["threads"])})
    label: Label = "measured"
    return Table.of("Machine", rows, label=label, name="machine")


def _flags(runs: Sequence[Run]) -> list[str]:
    """What a careful reader must know about the runs."""
    flags = []
    older = sum(record.is_older(run.record) for run in runs)
    if older:
        flags.append(
            f"{older} of {len(runs)} runs were made by an older source of epochlab or of a "
            "component's own file; delete them from the store to train them anew."
        )
    others = sum(run.record.get("versions") not in (None, record.versions()) for run in runs)
    if others:
        flags.append(f"{others} of {len(runs)} runs were made with other package versions.")
    machines = {str(run.record.get("machine")) for run in runs if run.record}
    if len(machines) > 1:
        flags.append(f"The runs were made on {len(machines)} machines: do not compare their times.")
    spoiled = sum(run.spoiled for run in runs)
    if spoiled:
        flags.append(f"The timing of {spoiled} of {len(runs)} runs was spoiled by other processes "
                     "on the cores; losses and scores are not touched by that.")  # fmt: skip
    diverged = sum(run.status == "diverged" for run in runs)
    if diverged:
        flags.append(f"{diverged} of {len(runs)} runs diverged.")
    return flags
