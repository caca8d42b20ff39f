"""Replay recorded curves: forecast from a part of each, and compare with the rest."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from epochlab.forecast.curve import Curve
from epochlab.forecast.families import FAMILIES, crossing, fitted
from epochlab.forecast.learn import learn
from epochlab.forecast.outlook import BAND, FEWEST_VALUES, forecast, look_ahead
from epochlab.forecast.reach import widened
from epochlab.forecast.scheduled import Factors, Prior

SHARES = (0.2, 0.5)
EPOCH_LEVELS = (0.6, 0.8, 0.95)
FALL_LEVELS = (0.6, 0.7, 0.8, 0.9, 0.95, 0.98)
OURS = "epochlab"
SAMPLES = 300
LEAST_SIDE = 0.2  # no side of a band shrinks to less of itself


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """A complete curve, and whom it may not be forecast with."""

    family: str
    "network, data and optimizer; a family is left out as a whole"
    schedule: str
    curve: Curve


@dataclass(frozen=True, kw_only=True)
class Case:
    """One target of one curve, forecast from a share of its plan."""

    recorded: Recorded
    share: float
    "of the plan that was seen"
    level_of: str
    "'epochs': the best value after a share of the epochs; 'fall': after a share of the whole fall"
    true: float
    "where the target was reached"
    said: Mapping[str, float | None]
    "what each method said; None where it said never within the plan, or refused"
    band: tuple[float, float] | None
    "None where our own method refused"

    @property
    def covered(self) -> bool | None:
        """Whether the band holds the truth; None without a band."""
        return None if self.band is None else self.band[0] <= self.true <= self.band[1]

    @property
    def strain(self) -> float | None:
        """How far off the middle was, in units of its side of the band, over logarithms."""
        middle = self.said[OURS]
        if self.band is None or middle is None:
            return None
        low, high = self.band
        return _strain(math.log(self.true), math.log(middle), math.log(low), math.log(high))

    def error(self, method: str) -> float | None:
        """Relative error of a method's position; infinite for never, None for a refusal."""
        said = self.said[method]
        if said is None:
            return None if method == OURS else math.inf
        return abs(said - self.true) / self.true


@dataclass(frozen=True, kw_only=True)
class End:
    """The last value of one curve, forecast from a share of its plan."""

    recorded: Recorded
    share: float
    true: float
    said: Mapping[str, float]
    "what each method said; ours is left out where it refused"
    band: tuple[float, float] | None

    @property
    def covered(self) -> bool | None:
        """Whether the band holds the truth; None without a band."""
        return None if self.band is None else self.band[0] <= self.true <= self.band[1]

    @property
    def strain(self) -> float | None:
        """How far off the middle was, in units of its side of the band, over logarithms."""
        if self.band is None:
            return None
        true, middle, low, high = self.recorded.curve.logs(
            [self.true, self.said[OURS], *self.band]
        ).tolist()
        return _strain(true, middle, low, high)

    def error(self, method: str) -> float | None:
        """Relative error of a method's last value; None where it refused or the value is 0."""
        said = self.said.get(method)
        return None if said is None or not self.true else abs(said - self.true) / self.true


def _strain(true: float, middle: float, low: float, high: float) -> float:
    """Distance to the middle in units of that side of the band; below 0 on the lower side."""
    side = high - middle if true > middle else middle - low
    if true == middle:
        return 0.0
    return (true - middle) / side if side > 0 else math.copysign(math.inf, true - middle)


def targets(curve: Curve, seen: int) -> list[tuple[str, float, float]]:
    """('epochs' or 'fall', level, position) of levels that are reached after the first `seen`."""
    values = np.asarray(curve.values)
    best = np.minimum.accumulate(values)
    levels = [("epochs", float(best[math.ceil(s * len(values)) - 1])) for s in EPOCH_LEVELS]
    levels += [("fall", float(values[0] - s * (values[0] - best[-1]))) for s in FALL_LEVELS]
    found: dict[tuple[str, float], float] = {}
    for level_of, level in levels:
        position = curve.first_at(level)
        if position is not None and position > curve.at[seen - 1]:
            found[level_of, level] = position
    return [(level_of, level, position) for (level_of, level), position in found.items()]


def replayed(recorded: Recorded, share: float, prior: Prior) -> tuple[list[Case], list[End]]:
    """All targets, and the end, of one curve from a share of its plan; none if it is too short."""
    whole = recorded.curve
    seen = math.floor(share * len(whole.values) + 1e-9)
    if seen < FEWEST_VALUES or seen >= len(whole.values):
        return [], []
    curve = whole.cut(whole.at[seen - 1])
    at, values = np.asarray(curve.at[:seen]), np.asarray(curve.values)
    to_come = np.asarray(curve.at[seen:])
    plain = {name: fitted(name, at, values)(to_come) for name in FAMILIES}
    view = look_ahead(curve, prior=prior, samples=SAMPLES)
    cases = []
    for level_of, level, true in targets(whole, seen):
        said = {name: crossing(values, to_come, level) for name, values in plain.items()}
        found = forecast(view, level).reach
        band = None
        said[OURS] = None
        if found and found.position and found.low and found.high:
            said[OURS], band = found.position, (found.low, found.high)
        cases.append(Case(recorded=recorded, share=share, level_of=level_of, true=true, said=said,
                          band=band))  # fmt: skip
    ends = {name: float(values[-1]) for name, values in plain.items()}
    edges = None
    if view.band is not None:
        low, ends[OURS], high = (float(x[-1]) for x in view.band)
        edges = (low, high)
    return cases, [End(recorded=recorded, share=share, true=whole.values[-1], said=ends,
                       band=edges)]  # fmt: skip


def replays(
    library: Sequence[Recorded], shares: Sequence[float] = SHARES
) -> tuple[list[Case], list[End]]:
    """Replay every curve with a prior that no curve of its family had a part in."""
    cases: list[Case] = []
    ends: list[End] = []
    for kind in dict.fromkeys(r.curve.kind for r in library):
        own = [r for r in library if r.curve.kind == kind]
        for family in dict.fromkeys(r.family for r in own):
            prior = learn([r.curve for r in own if r.family != family])
            for one in (r for r in own if r.family == family):
                for share in shares:
                    found, end = replayed(one, share, prior)
                    cases += found
                    ends += end
    return cases, ends


def stretch(replays: Sequence[Case] | Sequence[End]) -> Factors:
    """How far each side of a band must be stretched to leave out its tail, per end / now.

    Each side by itself, so that a middle that tends to one side is made good as well (conformal
    prediction, for which see Lei, G'Sell, Rinaldo, Tibshirani and Wasserman, "Distribution-free
    predictive inference for regression", 2018, arXiv 1604.04173).
    """
    found, tail = [], (1 - BAND) / 2
    for share in sorted({r.share for r in replays}, reverse=True):
        strains = [s for r in replays if r.share == share and (s := r.strain) is not None]
        if strains:
            low, high = np.quantile(np.clip(strains, -9, 9), [tail, 1 - tail])
            found.append((1 / share, max(-float(low), LEAST_SIDE), max(float(high), LEAST_SIDE)))
    return tuple(found) or ((1.0, 1.0, 1.0),)


R = TypeVar("R", Case, End)


def calibrated(replays: Sequence[R]) -> list[R]:
    """Every band widened as the replays of the other families of its kind ask for.

    (These were made with priors that the family had a part in: seven numbers from all the others.)
    """
    made: list[R] = []
    groups = dict.fromkeys((r.recorded.curve.kind, r.recorded.family) for r in replays)
    for kind, family in groups:
        same = [r for r in replays if r.recorded.curve.kind == kind]
        factors = stretch([r for r in same if r.recorded.family != family])
        made += [_widened(r, factors) for r in same if r.recorded.family == family]
    return made


def _widened(replay: R, factors: Factors) -> R:
    """A replay whose band is wider by the factor for its share, on a logarithmic scale."""
    middle = replay.said.get(OURS)
    if replay.band is None or middle is None:
        return replay
    curve = replay.recorded.curve
    if isinstance(replay, Case):
        at = [math.log(x) for x in (replay.band[0], middle, replay.band[1])]
        low, high = widened(at[0], at[1], at[2], factors, 1 / replay.share)
        low, high = max(math.exp(low), replay.share * curve.end), min(math.exp(high), curve.end)
        return replace(replay, band=(low, high))
    logs = curve.logs([replay.band[0], middle, replay.band[1]]).tolist()
    ends = curve.from_logs(np.array(widened(logs[0], logs[1], logs[2], factors, 1 / replay.share)))
    return replace(replay, band=(float(ends[0]), float(ends[1])))
