"""Verdicts follow their rules, and intervals are Student's."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from epochlab.evidence import better, paired_interval, threshold

NAMES = {"names": ("a", "b"), "quantity": "score"}


@given(st.lists(st.floats(-100, 100), min_size=2, max_size=60))
def test_interval_is_students(values: list[float]) -> None:
    interval = paired_interval(values)
    assert interval is not None
    n = len(values)
    mean = math.fsum(values) / n
    error = float(np.std(values, ddof=1)) / math.sqrt(n)
    half = stats.t.ppf(0.975, n - 1) * error
    near = 2e-3 * half + 1e-9
    assert interval[0] == pytest.approx(mean - half, abs=near)
    assert interval[1] == pytest.approx(mean + half, abs=near)


def test_one_value_has_no_interval() -> None:
    assert paired_interval([1.0]) is None


@pytest.mark.parametrize(("a", "b", "verdict"), [
    ([0.9, 0.91, 0.92], [0.8, 0.81, 0.83], "supported"),
    ([0.8, 0.81, 0.83], [0.9, 0.91, 0.92], "not supported"),
    ([0.9, 0.7, 0.95], [0.8, 0.81, 0.83], "inconclusive"),
    ([0.9, 0.93, 0.91], [0.88, 0.89, 0.905], "indicated"),  # 2.8 standard errors, 4.3 needed
    ([0.9, 0.91], [0.8, 0.81], "indicated"),
    ([0.8, 0.81], [0.9, 0.91], "inconclusive"),
    ([0.9], [0.8], "indicated"),
])  # fmt: skip
def test_better(a: list[float], b: list[float], verdict: str) -> None:
    assert better("a wins", a, b, **NAMES).verdict == verdict  # type: ignore[arg-type]


def test_small_runs_never_decide() -> None:
    claim = better("a wins", [9.0, 9.1, 9.2], [1.0, 1.1, 1.2], decisive=False, **NAMES)  # type: ignore[arg-type]
    assert claim.verdict == "inconclusive"


def test_a_single_sample_more_decides_nothing() -> None:
    """Three seeds that all differ by one test image of 100 have no standard error."""
    a, b = [0.91, 0.92, 0.93], [0.90, 0.91, 0.92]
    claim = better("a wins", a, b, resolution=0.0101, **NAMES)  # type: ignore[arg-type]
    assert claim.verdict == "inconclusive"


def test_threshold_is_strict() -> None:
    assert threshold("t", [0.88, 0.871], 0.87, quantity="q").verdict == "supported"
    assert threshold("t", [0.88, 0.87], 0.87, quantity="q").verdict == "not supported"
