"""Repetition until the median is known: intervals, turns, limits, disturbed samples."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from epochlab.errors import BadOption
from epochlab.measure import Effort, time_call, time_in_turns
from epochlab.measure.stopwatch import CpuStopwatch
from epochlab.measure.timing import median_interval, quantile

from .fakes import FakeClock, FixedWatch


@pytest.mark.parametrize("n", [1, 2, 5, 6, 7, 8, 9, 15, 30, 100, 1000])
def test_the_interval_of_the_median_against_the_binomial(n: int) -> None:
    k = int(stats.binom.ppf(0.025, n, 0.5))  # smallest k with P(X <= k) >= 0.025
    found = median_interval(list(range(1, n + 1)))
    if k == 0:
        assert found is None
        return
    assert found == (k, n + 1 - k)
    assert 1 - 2 * stats.binom.cdf(k - 1, n, 0.5) >= 0.95
    assert 1 - 2 * stats.binom.cdf(k, n, 0.5) < 0.95


@given(st.lists(st.floats(1e-6, 1e3), min_size=1, max_size=40), st.floats(0, 1))
def test_quantiles_against_numpy(values: list[float], share: float) -> None:
    assert quantile(sorted(values), share) == pytest.approx(np.quantile(values, share))


def script(clock: FakeClock, works: list[float], waits: list[float]) -> Callable[[], None]:
    """A call that takes the given times in turn, over and over."""
    each = itertools.cycle(zip(works, waits, strict=True))

    def call() -> None:
        work, wait = next(each)
        clock.work(work)
        if wait:
            clock.wait(wait)

    return call


def test_median_and_quartiles_are_those_of_the_samples() -> None:
    clock = FakeClock()
    call = script(clock, [1.0, 2.0, 3.0, 4.0, 5.0], [0.0] * 5)
    effort = Effort(narrow=1e-9, limit_s=60, least=5, warmup=5)
    timing = time_call(call, effort=effort, watch=CpuStopwatch(clock))
    assert len(timing.samples) == 20  # 60 seconds, and no interval that narrow
    assert (timing.lower_s, timing.median_s, timing.upper_s) == (2.0, 3.0, 4.0)
    assert timing.fastest_s == 1.0
    assert timing.spread == pytest.approx(2 / 3)
    assert timing.interval_s == (2.0, 4.0)
    assert timing.state == "wide"


def test_it_stops_as_soon_as_the_median_is_known() -> None:
    clock = FakeClock()
    effort = Effort(limit_s=1e6, least=12)
    timing = time_call(lambda: clock.work(1.0), effort=effort, watch=CpuStopwatch(clock))
    assert len(timing.samples) == 12
    assert timing.settled
    assert timing.interval_s == (1.0, 1.0)


def test_short_calls_are_repeated_within_a_sample() -> None:
    watch = FixedWatch(1e-5)
    timing = time_call(lambda: None, watch=watch, effort=Effort(sample_s=1e-3, least=8))
    assert {sample.calls for sample in timing.samples} == {100}
    assert timing.median_s == pytest.approx(1e-5)
    assert timing.overhead_s == pytest.approx(1e-5 / 100)


def test_disturbed_samples_are_taken_again_and_do_not_count() -> None:
    clock = FakeClock()
    call = script(clock, [1.0, 1.0, 1.0], [0.0, 0.0, 5.0])
    timing = time_call(call, effort=Effort(limit_s=1e6, least=10, warmup=3),
                       watch=CpuStopwatch(clock))  # fmt: skip
    assert not timing.spoiled
    assert timing.disturbed == 4
    assert len(timing.samples) == 14
    assert timing.upper_s == timing.median_s == 1.0


def test_lasting_contention_marks_the_result() -> None:
    clock = FakeClock()
    call = script(clock, [1.0], [1.0])
    timing = time_call(call, effort=Effort(limit_s=20, least=10), watch=CpuStopwatch(clock))
    assert timing.spoiled
    assert timing.state == "spoiled"
    assert timing.median_s == 2.0
    assert len(timing.samples) == timing.disturbed == 20  # twice the limit: hope for better
    assert not timing.settled


def test_a_few_undisturbed_samples_tell_the_time_and_the_result_is_marked() -> None:
    clock = FakeClock()
    call = script(clock, [1.0] * 3, [0.0, 1.0, 1.0])
    timing = time_call(call, effort=Effort(limit_s=20, least=30, warmup=3),
                       watch=CpuStopwatch(clock))  # fmt: skip
    assert timing.spoiled
    assert timing.disturbed > len(timing.samples) / 2
    assert timing.median_s == 1.0


def test_calls_take_turns() -> None:
    clock, order = FakeClock(), []

    def call(name: str) -> Callable[[], None]:
        def one() -> None:
            order.append(name)
            clock.work(1.0)

        return one

    told: list[tuple[str, float]] = []
    effort = Effort(limit_s=1e6, least=4, narrow=1.0, warmup=1)
    found = time_in_turns(
        {"a": call("a"), "b": call("b")}, effort=effort, threads=2, watch=CpuStopwatch(clock),
        tell=lambda *what: told.append(what),
    )  # fmt: skip
    assert order == ["a", "b"] * 7  # a warm-up each, then six samples: fewer have no interval
    assert list(found) == ["a", "b"]
    assert {timing.threads for timing in found.values()} == {2}
    shares = [share for _, share in told]
    assert shares[-1] == 1.0
    assert all(0 <= share <= 1 for share in shares)


def test_warming_up_a_very_long_call_ends() -> None:
    watch = FixedWatch(100.0)
    timing = time_call(lambda: None, watch=watch, effort=Effort(limit_s=10))
    assert len(timing.samples) == 3
    assert timing.interval_s is None
    assert timing.state == "wide"


@pytest.mark.parametrize("bad", [{"narrow": 0}, {"limit_s": -1}, {"sample_s": float("nan")},
                                 {"least": 2}, {"warmup": 0}, {"limit_s": "soon"}])  # fmt: skip
def test_bad_efforts(bad: dict[str, float]) -> None:
    with pytest.raises(BadOption, match="must be"):
        Effort(**bad)  # type: ignore[arg-type]


def test_nothing_to_time() -> None:
    with pytest.raises(BadOption, match="nothing to time"):
        time_in_turns({})
