"""Whether two arms generalise alike: a verdict that absence of a difference alone cannot give."""

from __future__ import annotations

from collections.abc import Sequence

from epochlab.evidence import Claim, Verdict, paired_interval
from epochlab.studies._arms import mean

MARGIN = 0.01  # of accuracy, as a share: one point
LEAST_SEEDS = 3


def similar(
    statement: str,
    a: Sequence[float],
    b: Sequence[float],
    *,
    names: tuple[str, str],
    decisive: bool = True,
) -> tuple[Claim, str]:
    """The claim that two accuracies, paired by seed, are equivalent, and the verdict in a word.

    Similar (supported) where the 95 % interval of the mean difference lies within MARGIN on both
    sides; different (not supported) where it excludes 0 and the mean exceeds MARGIN; not decided
    otherwise, with fewer than 3 seeds, and where `decisive` is False.
    """
    differences = [x - y for x, y in zip(a, b, strict=True)]
    interval, centre = paired_interval(differences), mean(differences)
    word = "not decided"
    verdict: Verdict = "inconclusive"
    if decisive and interval is not None and len(differences) >= LEAST_SEEDS:
        low, high = interval
        if low >= -MARGIN and high <= MARGIN:
            word, verdict = "similar", "supported"
        elif abs(centre) > MARGIN and (low > 0 or high < 0):
            word, verdict = "different", "not supported"
    return Claim(
        statement=statement,
        rule=f"similar (supported): the 95 % interval of the mean difference lies within "
             f"{100 * MARGIN:g} point of test accuracy on both sides; different (not supported): "
             f"it excludes 0 and the mean exceeds {100 * MARGIN:g} point; at least "
             f"{LEAST_SEEDS} seeds",
        verdict=verdict,
        numbers={f"test accuracy, {names[0]}": mean(a), f"test accuracy, {names[1]}": mean(b),
                 "mean difference": centre},
        seeds=len(differences), interval=interval,
    ), word  # fmt: skip
