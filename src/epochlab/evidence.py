"""Evidence: what a study yields - figures, tables, claims and notes - as plain data."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

from epochlab.table import Label, Table

if TYPE_CHECKING:
    import altair

Verdict = Literal["supported", "not supported", "inconclusive", "indicated"]


class Drawing(Protocol):
    """How a figure's table becomes a picture; the classes in `epochlab.figures` do."""

    def draw(self, table: Table) -> altair.TopLevelMixin:
        """An altair chart of the table, its title left to the report."""
        ...


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A picture: its data as a table, and how to draw it."""

    table: Table
    drawing: Drawing
    caption: str = ""
    "what one should see in it"

    @property
    def title(self) -> str:
        return self.table.title


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A statement that was put to the test: the rule, the numbers, and what came out."""

    statement: str
    rule: str
    "when it counts as supported, in words"
    verdict: Verdict
    numbers: dict[str, float] = field(default_factory=dict)
    seeds: int = 1
    interval: tuple[float, float] | None = None
    "95 % interval of the paired difference"
    label: Label = "measured"

    def text(self) -> str:
        numbers = ", ".join(f"{k} = {v:.4g}" for k, v in self.numbers.items())
        band = "" if self.interval is None else (
            f"; paired 95 % interval {self.interval[0]:.4g} to {self.interval[1]:.4g}"
        )  # fmt: skip
        return (
            f"{self.verdict.upper()}: {self.statement} [{self.label}]\n"
            f"  rule: {self.rule}\n  {numbers}{band}; seeds: {self.seeds}"
        )

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(self.text())}</pre>"


@dataclass(frozen=True, kw_only=True)
class Note:
    """A paragraph of explanation; its numbers are taken from runs by the study that writes it."""

    text: str
    kind: Literal["explanation", "skipped", "warning"] = "explanation"


Evidence = Figure | Table | Claim | Note


def paired_interval(differences: Sequence[float]) -> tuple[float, float] | None:
    """Student's 95 % interval of the mean of paired differences; None with fewer than two."""
    n = len(differences)
    if n < 2:
        return None
    mean = math.fsum(differences) / n
    variance = math.fsum((d - mean) ** 2 for d in differences) / (n - 1)
    half = _student_975(n - 1) * math.sqrt(variance / n)
    return mean - half, mean + half


def better(
    statement: str,
    a: Sequence[float],
    b: Sequence[float],
    *,
    names: tuple[str, str],
    quantity: str,
    decisive: bool = True,
    resolution: float = 0.0,
) -> Claim:
    """The claim that `a` is larger than `b`, values paired by seed.

    Supported with at least 3 seeds, a mean difference above twice its standard error and a paired
    95 % interval that excludes 0; not supported when the same holds the other way round.
    'Indicated' when only the interval fails, which is wide with few seeds, or with fewer than 3.
    Inconclusive otherwise, and always where `decisive` is False (runs too small). A difference
    that is no larger than `resolution`, what one sample more or less makes, decides nothing: seeds
    that agree by chance would have no standard error.
    """
    differences = [x - y for x, y in zip(a, b, strict=True)]
    n = len(differences)
    mean = math.fsum(differences) / n
    interval = paired_interval(differences)
    error = 0.0
    if n > 1:
        error = math.sqrt(math.fsum((d - mean) ** 2 for d in differences) / (n - 1) / n)
    verdict: Verdict = "inconclusive"
    clear = abs(mean) > max(2 * error, resolution)
    if decisive and n >= 3 and clear and interval is not None:
        if interval[0] > 0 or interval[1] < 0:
            verdict = "supported" if mean > 0 else "not supported"
        elif mean > 0:
            verdict = "indicated"
    elif decisive and n < 3 and mean > resolution:
        verdict = "indicated"
    return Claim(
        statement=statement,
        rule="at least 3 seeds, a mean difference of more than twice its standard error, and a "
        "paired 95 % interval without 0; indicated where only the interval fails",
        verdict=verdict,
        numbers={
            f"{quantity}, {names[0]}": math.fsum(a) / n,
            f"{quantity}, {names[1]}": math.fsum(b) / n,
            "mean difference": mean,
            "standard error": error,
        },
        seeds=n,
        interval=interval,
    )


def threshold(
    statement: str, values: Sequence[float], above: float, *, quantity: str, decisive: bool = True
) -> Claim:
    """The claim that every value (one per seed) lies strictly above a threshold."""
    lowest = min(values)
    verdict: Verdict = "inconclusive" if not decisive else (
        "supported" if lowest > above else "not supported"
    )  # fmt: skip
    return Claim(
        statement=statement,
        rule=f"{quantity} strictly above {above:g} with every seed",
        verdict=verdict,
        numbers={f"lowest {quantity}": lowest, "threshold": above},
        seeds=len(values),
    )


# 97.5 % points of Student's t for 1..30 degrees of freedom (Abramowitz & Stegun, table 26.10;
# a test compares them with scipy), so that a report needs no statistics package.
_T = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160,
      2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056,
      2.052, 2.048, 2.045, 2.042)  # fmt: skip


def _student_975(freedom: int) -> float:
    return _T[freedom - 1] if freedom <= len(_T) else 1.96 + 2.5 / freedom


def plain_claim(claim: Claim) -> dict[str, Any]:
    """A claim as JSON data."""
    return {
        "statement": claim.statement, "rule": claim.rule, "verdict": claim.verdict,
        "numbers": claim.numbers, "seeds": claim.seeds, "label": claim.label,
        "interval": None if claim.interval is None else list(claim.interval),
    }  # fmt: skip
