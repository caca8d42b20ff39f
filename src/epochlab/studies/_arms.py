"""What several studies do with arms: repeat over seeds, average, and lay out curves."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

from epochlab.train.lab import Lab
from epochlab.train.run import Run
from epochlab.train.trial import Trial


def over_seeds(trial: Trial, seeds: int) -> list[Trial]:
    """The same trial with seeds 0, 1, ...: equal seeds share weights and sample order."""
    return [dataclasses.replace(trial, seed=seed) for seed in range(seeds)]


def run_arms(lab: Lab, arms: Mapping[str, Trial], seeds: int) -> dict[str, list[Run]]:
    """All arms with all seeds, trained side by side: arm name -> one run per seed."""
    trials = [trial for arm in arms.values() for trial in over_seeds(arm, seeds)]
    runs = lab.run_all(trials)
    return {name: runs[number * seeds : (number + 1) * seeds] for number, name in enumerate(arms)}


def mean(values: Sequence[float]) -> float:
    """Arithmetic mean; NaN if any value is."""
    return math.fsum(values) / len(values)


def spread(values: Sequence[float]) -> float | None:
    """Sample standard deviation, None for a single value."""
    if len(values) < 2:
        return None
    centre = mean(values)
    return math.sqrt(math.fsum((v - centre) ** 2 for v in values) / (len(values) - 1))


def epoch_curves(
    arms: Mapping[str, Sequence[Run]], columns: Mapping[str, str], arm_name: str = "arm"
) -> list[dict[str, Any]]:
    """One record per arm, seed and epoch; `columns` maps a shown name to the row's own.

    A diverged run ends with one record of NaN, which figures draw at the upper edge.
    """
    records = []
    for arm, runs in arms.items():
        for run in runs:
            for row in run.epochs:
                shown = {name: row.get(key) for name, key in columns.items()}
                records.append(
                    {arm_name: arm, "seed": run.trial.seed, "epoch": row["epoch"], **shown}
                )
            if run.diverged:
                lost = dict.fromkeys(columns, math.nan)
                at = {"seed": run.trial.seed, "epoch": run.diverged["epoch"]}
                records.append({arm_name: arm, **at, **lost})
    return records


def averaged(
    records: Sequence[Mapping[str, Any]], group: Sequence[str], values: Sequence[str]
) -> list[dict[str, Any]]:
    """Mean over seeds of each value, with its lowest and highest, per combination of `group`."""
    buckets: dict[tuple[Any, ...], list[Mapping[str, Any]]] = {}
    for record in records:
        buckets.setdefault(tuple(record[g] for g in group), []).append(record)
    result = []
    for identity, bucket in buckets.items():
        made: dict[str, Any] = dict(zip(group, identity, strict=True))
        for name in values:
            found = [r[name] for r in bucket if r[name] is not None]
            made[name] = mean(found) if found else None
            made[f"{name}, lowest"] = min(found) if found else None
            made[f"{name}, highest"] = max(found) if found else None
        result.append(made)
    return result
