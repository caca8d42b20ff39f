"""What is said of a curve: when it reaches a target, how sure that is, and when nothing is said."""

from __future__ import annotations

import math

import numpy as np
import pytest

from epochlab.errors import BadOption
from epochlab.forecast.curve import Curve
from epochlab.forecast.outlook import Outlook, forecast, look_ahead
from epochlab.forecast.reach import reach
from epochlab.forecast.scheduled import BENDS, Prior

from .curves import curve_of, with_drop

# A prior whose own curves the band must cover; no factors, so that the band stands for itself.
OWN = Prior(bend=-0.5, bend_spread=0.4, drop=0.4, drop_spread=0.4, together=0.0, walk=0.02,
            noise=4e-4)  # fmt: skip


def fall(t: float) -> float:
    return 2 * t**-0.5


def drawn(seed: int, now: int, prior: Prior = OWN, epochs: int = 60) -> Curve:
    """A curve as the prior believes them to be at `now`: bend, slope, walk, noise at random."""
    random = np.random.default_rng(seed)
    bend = float(np.clip(random.normal(prior.bend, prior.bend_spread), BENDS[0], BENDS[-1]))
    slope = float(random.uniform(0.3, 0.8))
    t = np.arange(1, epochs + 1) / now
    smooth = -slope * (np.log(t) if bend == 0 else np.expm1(bend * np.log(t)) / bend)
    steps = random.standard_normal(epochs) * np.sqrt(
        prior.walk * np.diff(np.log(t), prepend=np.log(t[0]))
    )
    walk = np.cumsum(steps)
    noise = math.sqrt(prior.noise) * random.standard_normal(epochs)
    values = np.exp(smooth + slope * (walk - walk[now - 1]) + noise)
    return Curve(kind="train loss", at=tuple(range(1, epochs + 1)), rates=(0.1,) * epochs,
                 values=tuple(values.tolist()))  # fmt: skip


def test_a_power_law_is_forecast_where_it_goes() -> None:
    curve = curve_of(fall, seen=20)
    true = (2 / 0.3) ** 2
    found = forecast(curve, 0.3).reach
    assert found is not None and found.position is not None
    assert found.position == pytest.approx(true, rel=0.1)
    assert found.low is not None and found.high is not None
    assert 20 < found.low < true < found.high <= 60
    assert found.probability > 0.5


def test_a_band_opens_with_the_horizon() -> None:
    view = look_ahead(curve_of(fall, seen=20))
    assert view.band is not None
    low, middle, high = view.band
    assert (low < middle).all() and (middle < high).all()
    assert math.log(high[-1] / low[-1]) > 2 * math.log(high[0] / low[0])


def test_targets_further_away_come_later_and_less_surely() -> None:
    view = look_ahead(curve_of(fall, seen=20))
    found = [forecast(view, level).reach for level in (0.42, 0.38, 0.34, 0.30)]
    positions = [f.position for f in found if f and f.position]
    chances = [f.probability for f in found if f]
    assert len(positions) == len(chances) == 4
    assert positions == sorted(positions)
    assert chances == sorted(chances, reverse=True)


def covered_shares(curves: int, seen: int) -> tuple[float, float]:
    """How often bands of the last value, and of the position of a target, hold the truth."""
    values, positions = [], []
    for seed in range(curves):
        whole = drawn(seed, seen)
        view = look_ahead(whole.cut(seen), prior=OWN, samples=400)
        if view.band is None:
            continue
        low, _, high = view.band
        values.append(bool(low[-1] <= whole.values[-1] <= high[-1]))
        # A target whose position is drawn uniformly, as the band takes it.
        place = int(np.random.default_rng(seed + 10**6).integers(seen, len(whole.at)))
        level = min(whole.values[: place + 1])
        true = whole.first_at(level)
        # Straight from the futures: refusals of wide bands would leave the easy cases out.
        if view.futures and true and true > seen:
            found = reach(view.curve, view.futures, OWN, level)
            if found.low and found.high:
                positions.append(found.low <= true <= found.high)
    assert len(values) > 0.9 * curves
    assert len(positions) > 0.6 * curves
    return float(np.mean(values)), float(np.mean(positions))


@pytest.mark.parametrize("seen", [12, 30])
def test_bands_cover_curves_of_their_own_kind(seen: int) -> None:
    values, positions = covered_shares(300, seen)
    assert 0.72 <= values <= 0.90
    assert 0.72 <= positions <= 0.90


def test_a_band_that_is_too_narrow_does_not_cover() -> None:
    """The test above can say no: the same bands at a quarter of their width."""
    covered = []
    for seed in range(100):
        whole = drawn(seed, 20)
        view = look_ahead(whole.cut(20), prior=OWN, samples=400)
        if view.band is not None:
            low, middle, high = whole.logs([float(x[-1]) for x in view.band]).tolist()
            true = float(whole.logs(whole.values[-1:])[0])
            covered.append(middle - (middle - low) / 4 <= true <= middle + (high - middle) / 4)
    assert np.mean(covered) < 0.5


# --- refusals -------------------------------------------------------------------------------------


def refusal(curve: Curve, level: float = 0.3) -> str:
    found: Outlook = forecast(curve, level)
    assert found.reach is None
    assert found.plain == {} or found.view.futures is not None
    return found.refusal or ""


def test_too_few_points() -> None:
    assert "only 4 points" in refusal(curve_of(fall, seen=4))
    assert "only 0 points" in refusal(curve_of(fall, seen=0))
    assert look_ahead(curve_of(fall, seen=5)).refusal is None


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_values_that_are_no_numbers(value: float) -> None:
    curve = curve_of(fall, seen=20)
    spoiled = Curve(kind=curve.kind, at=curve.at, rates=curve.rates,
                    values=(*curve.values[:7], value, *curve.values[8:]))  # fmt: skip
    assert f"the value at epoch 8 is {value}" in refusal(spoiled)


def test_curves_that_do_not_fall() -> None:
    assert "does not fall" in refusal(curve_of(lambda t: 1.0, seen=20, noise=0.01))
    assert "rises" in refusal(curve_of(lambda t: 0.5 + 0.01 * t, seen=20))
    overfit = curve_of(lambda t: 2 / t + 0.02 * t, seen=40)
    assert "rises" in refusal(overfit, 0.1)
    assert (
        "0, which cannot fall" in refusal(curve_of(lambda t: 0.0, seen=20), 0.0)
        or forecast(curve_of(lambda t: 0.0, seen=20), 0.0).reached == 1
    )


def test_a_target_out_of_reach() -> None:
    curve = curve_of(lambda t: 1 + t**-1.0, seen=30)
    assert "out of reach" in refusal(curve, 0.5)
    assert "epoch 60" in refusal(curve, 0.5)


def test_the_end_of_the_plan() -> None:
    assert "the plan ends here" in refusal(curve_of(fall), 0.1)
    longer = curve_of(fall).planned_until(200)
    assert forecast(longer, 0.2).reach is not None  # 2 t^-0.5 is 0.2 at t = 100


def test_a_target_that_is_behind() -> None:
    found = forecast(curve_of(fall, seen=20), 1.0)
    assert (found.reached, found.reach, found.refusal) == (4.0, None, None)


@pytest.mark.parametrize("level", [-0.1, math.nan, math.inf])
def test_targets_that_are_none(level: float) -> None:
    with pytest.raises(BadOption, match="level"):
        forecast(curve_of(fall, seen=20), level)


def test_time_is_epochs_times_their_seconds() -> None:
    curve = curve_of(fall, seen=20)
    timed = Curve(kind=curve.kind, at=curve.at, rates=curve.rates, values=curve.values,
                  seconds_per_unit=3.0)  # fmt: skip
    assert forecast(timed, 0.3).seconds(44.0) == 72.0
    assert forecast(curve, 0.3).seconds(44.0) is None


def test_plain_families_stand_beside_it() -> None:
    found = forecast(curve_of(fall, seen=20), 0.3)
    assert found.plain["power law"] == found.plain["log-log line"] == 45.0
    assert found.plain["last value"] is None


def test_what_comes_later_is_not_looked_at() -> None:
    whole = curve_of(fall, rates=with_drop())
    other = Curve(kind=whole.kind, at=whole.at, rates=whole.rates,
                  values=whole.values[:20] + (9.0,) * 40)  # fmt: skip
    one, two = (look_ahead(c.cut(20)).futures for c in (whole, other))
    assert one is not None and two is not None
    assert (one.logs == two.logs).all()
