"""The priors that recorded runs left behind, read from `prior.toml`."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from epochlab.forecast.scheduled import Prior

FILE = Path(__file__).with_name("prior.toml")
NUMBERS = ("bend", "bend_spread", "drop", "drop_spread", "together", "walk", "noise")
FACTORS = ("stretch", "value_stretch")


def shipped(kind: str, file: Path = FILE) -> Prior:
    """The prior of one kind of curve ('train loss', 'held-out error', ...)."""
    content: Mapping[str, Any] = tomllib.loads(file.read_text(encoding="utf-8"))
    table = content[kind.replace(" ", "-")]
    given: dict[str, Any] = {name: float(table[name]) for name in NUMBERS}
    for name in FACTORS:
        given[name] = tuple(tuple(map(float, factors)) for factors in table[name])
    return Prior(**given)


def written(priors: Mapping[str, Prior], head: str) -> str:
    """The file's text; every line of `head` becomes a comment."""
    lines = [f"# {line}".rstrip() for line in head.splitlines()]
    for kind, prior in priors.items():
        lines += ["", f"[{kind.replace(' ', '-')}]"]
        lines += [f"{name} = {getattr(prior, name):.6g}" for name in NUMBERS]
        for name in FACTORS:
            rows = ", ".join(f"[{r:g}, {a:.4g}, {b:.4g}]" for r, a, b in getattr(prior, name))
            lines.append(f"{name} = [{rows}]")
    return "\n".join(lines) + "\n"
