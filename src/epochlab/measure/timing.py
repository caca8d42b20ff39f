"""Repeat calls in turns until their median is known well enough, disturbed samples again."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from epochlab.errors import BadOption
from epochlab.measure.guard import Disturbance, OtherLoad, disturbance
from epochlab.measure.stopwatch import Call, CpuStopwatch, Stopwatch

Tell = Callable[[str, float], None]
"""Told what is being done, and which share of everything is done."""

FEWEST = 3  # samples below which there is no telling how much they vary


@dataclass(frozen=True, kw_only=True)
class Effort:
    """How long to go on."""

    narrow: float = 0.02
    "enough when the 95 % interval of the median is no wider than this share of it"
    limit_s: float = 5.0
    "seconds for each quantity; up to twice that where samples are spoiled"
    least: int = 10
    "samples before the interval is believed"
    warmup: int = 3
    "calls that are not timed"
    sample_s: float = 1e-3
    "a sample repeats a short call until it lasts so long, so that clocks can tell it"

    def __post_init__(self) -> None:
        for name in ("narrow", "limit_s", "sample_s"):
            value = getattr(self, name)
            if not (isinstance(value, (int, float)) and math.isfinite(value) and value > 0):
                raise BadOption(f"{name} is {value!r}; it must be a number above 0.")
        if self.least < FEWEST or self.warmup < 1:
            raise BadOption(f"least is {self.least} and warmup {self.warmup}; they must be at "
                            f"least {FEWEST} and 1.")  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One timed stretch of calls."""

    seconds: float
    "of one call"
    calls: int
    cpu_share: float
    "CPU time over wall time, all threads together"
    wait_share: float
    "share of the wall time for which threads stood ready and others had the cores"
    others_cores: float | None
    "cores that other processes kept busy at the last look"
    spoiled: bool


@dataclass(frozen=True, kw_only=True)
class Timing:
    """How long one call takes: median and quartiles over the undisturbed samples.

    Where these are the smaller part, the result is marked as spoiled: even they were taken between
    turns of other processes, with caches that are not one's own.
    """

    median_s: float
    lower_s: float
    "lower quartile"
    upper_s: float
    "upper quartile"
    fastest_s: float
    interval_s: tuple[float, float] | None
    "95 % interval of the median, from the order of the samples alone; None with fewer than 6"
    samples: tuple[Sample, ...] = field(repr=False)
    "all of them, in the order in which they were taken"
    threads: int = 1
    overhead_s: float = 0.0
    "what reading the clock adds to one call; not subtracted"
    settled: bool = True
    "the interval became as narrow as was asked for"
    spoiled: bool = False
    "most samples were disturbed: the numbers are of the few others, or of all where those are "
    "fewer than 3"

    @property
    def spread(self) -> float:
        """Distance of the quartiles over the median."""
        return (self.upper_s - self.lower_s) / self.median_s if self.median_s > 0 else 0.0

    @property
    def disturbed(self) -> int:
        """Samples that other work spoiled; they were repeated."""
        return sum(sample.spoiled for sample in self.samples)

    @property
    def others_cores(self) -> float | None:
        """The most cores that other processes kept busy meanwhile; None where it is not known."""
        return max((s.others_cores for s in self.samples if s.others_cores is not None),
                   default=None)  # fmt: skip

    @property
    def state(self) -> str:
        """'ok', 'wide' (the time limit came first) or 'spoiled', for a table."""
        return "spoiled" if self.spoiled else "ok" if self.settled else "wide"


def time_call(call: Call, *, effort: Effort | None = None, watch: Stopwatch | None = None,
              threads: int = 1) -> Timing:  # fmt: skip
    """Time one call; see `time_in_turns`."""
    (timing,) = time_in_turns({"": call}, effort=effort, watch=watch, threads=threads).values()
    return timing


def time_in_turns(
    calls: Mapping[str, Call], *, effort: Effort | None = None, watch: Stopwatch | None = None,
    threads: int = 1, tell: Tell | None = None,
) -> dict[str, Timing]:  # fmt: skip
    """Time several calls in turns, so that a slow drift of the machine hits all alike.

    Each is warmed up; one sample of each follows after the other until all medians are known well
    enough or the time is over. A sample that other work disturbed is marked and taken again.
    `threads` is what torch was told, and only noted. Raises BadOption when there is nothing to
    time.
    """
    effort, watch = effort or Effort(), watch or CpuStopwatch()
    if not calls:
        raise BadOption("There is nothing to time: no calls were given.")
    series = {name: Series(call, watch, effort) for name, call in calls.items()}
    others = OtherLoad(watch.clock)
    others.look()
    limit_s = effort.limit_s * len(series)
    start_s = watch.clock.now_s()
    while True:
        for name, one in series.items():
            one.take(others)
            if tell is not None:
                spent = (watch.clock.now_s() - start_s) / limit_s
                settled = sum(s.settled for s in series.values()) / len(series)
                tell(name, min(1.0, max(spent, settled)))
        spent_s = watch.clock.now_s() - start_s
        fewest = min(len(one.clean) for one in series.values())
        if all(one.settled for one in series.values()):
            break
        if spent_s >= limit_s and fewest >= FEWEST:
            break
        if spent_s >= 2 * limit_s and min(len(one.samples) for one in series.values()) >= FEWEST:
            break
    return {name: one.timing(threads) for name, one in series.items()}


class Series:
    """The samples of one call."""

    def __init__(self, call: Call, watch: Stopwatch, effort: Effort) -> None:
        self.call, self.watch, self.effort = call, watch, effort
        self.samples: list[Sample] = []
        self.clean: list[float] = []
        spent_s, once_s = 0.0, math.inf
        for _ in range(effort.warmup):
            last_s = watch.seconds(call, 1)
            spent_s, once_s = spent_s + last_s, min(once_s, last_s)
            if spent_s > effort.limit_s / 2:
                break
        self.calls = min(100_000, max(1, math.ceil(effort.sample_s / max(once_s, 1e-9))))

    def take(self, others: OtherLoad) -> None:
        """One more sample."""
        before = self.watch.clock.read()
        seconds = self.watch.seconds(self.call, self.calls)
        found: Disturbance = disturbance(before, self.watch.clock.read())
        self.samples.append(Sample(
            seconds=seconds / self.calls, calls=self.calls, cpu_share=found.cpu_share,
            wait_share=found.wait_share, spoiled=found.spoiled, others_cores=others.look(),
        ))  # fmt: skip
        if not found.spoiled:
            self.clean.append(seconds / self.calls)

    @property
    def settled(self) -> bool:
        """Whether the undisturbed samples tell the median as narrowly as is asked."""
        if len(self.clean) < self.effort.least:
            return False
        return _is_narrow(self.clean, self.effort.narrow)

    def timing(self, threads: int) -> Timing:
        """Of the undisturbed samples, or of all where these are too few; then it is marked."""
        spoiled = len(self.clean) < max(FEWEST, len(self.samples) / 2)
        enough = len(self.clean) >= FEWEST
        values = sorted(self.clean if enough else [s.seconds for s in self.samples])
        return Timing(
            median_s=quantile(values, 0.5), lower_s=quantile(values, 0.25),
            upper_s=quantile(values, 0.75), fastest_s=values[0],
            interval_s=median_interval(values), samples=tuple(self.samples), threads=threads,
            overhead_s=clock_overhead_s(self.watch) / self.calls,
            settled=not spoiled and self.settled, spoiled=spoiled,
        )  # fmt: skip


def _is_narrow(values: Sequence[float], narrow: float) -> bool:
    ordered = sorted(values)
    interval = median_interval(ordered)
    return interval is not None and interval[1] - interval[0] <= narrow * quantile(ordered, 0.5)


def quantile(ordered: Sequence[float], share: float) -> float:
    """The quantile of values in rising order, linear between neighbours."""
    place = share * (len(ordered) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (place - low) * (ordered[high] - ordered[low])


def median_interval(ordered: Sequence[float]) -> tuple[float, float] | None:
    """At least 95 % interval of the median of values in rising order; None for fewer than six.

    It needs no assumption about how the values are spread: the number of values below the median
    is binomial with one half, so the k-th value from either end encloses the median with
    probability 1 - 2 P(fewer than k) (Conover, Practical Nonparametric Statistics, section 3.2).

        >>> median_interval([1, 2, 3, 4, 5, 6])
        (1, 6)
        >>> median_interval(range(1, 21))
        (6, 15)
    """
    n = len(ordered)
    below, k = 0.0, 0
    while True:
        below += math.exp(math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
                          - n * math.log(2))  # fmt: skip
        if below > 0.025:
            break
        k += 1
    return None if k == 0 else (ordered[k - 1], ordered[n - k])


def clock_overhead_s(watch: Stopwatch) -> float:
    """Seconds that timing a call which does nothing takes; the median of several."""
    return quantile(sorted(watch.seconds(_nothing, 1) for _ in range(15)), 0.5)


def _nothing() -> None:
    """Nothing."""
