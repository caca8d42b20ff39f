"""Forecast when a run reaches a loss or an accuracy, with a band, and how long that takes."""

from __future__ import annotations

import argparse
import math
import shlex
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

from epochlab.cli._drawing import check_figure, save_figure
from epochlab.cli._fitting import fitted_text, terminal_columns
from epochlab.cli._options import Parser, add_format, add_store, show
from epochlab.errors import BadOption, UnknownName
from epochlab.table import Column, Table
from epochlab.units import seconds_text

if TYPE_CHECKING:
    from epochlab.evidence import Figure
    from epochlab.forecast.curve import Curve
    from epochlab.forecast.outlook import Outlook, View

OURS = "schedule-aware"
LOG_HORIZON = 5.0  # times as far as now: the plan of a log that tells none

ABOUT = """
RUN is the first digits of a run's key ('epochlab runs' lists them), running or finished, or the
log of another trainer: a CSV file with 'epoch' or 'step', one or more of loss, accuracy, val_loss,
val_accuracy, and if you like 'lr' and 'seconds'. Rows with 'lr' alone are the schedule to come.

examples:
  epochlab forecast 3fa9 --target test_accuracy=0.9
  epochlab forecast 3fa9 --target loss=0.3 --at 12       as it was known after epoch 12
  epochlab forecast log.csv --target val_loss=0.25 --until 80 --figure forecast.html
"""


def main(words: list[str]) -> None:
    """`epochlab forecast RUN [--target NAME=VALUE] [--at EPOCH] [--figure FILE]`."""
    parser = Parser("forecast", (__doc__ or "") + "\n" + ABOUT)
    parser.add_argument("run", metavar="RUN", help="a run's key, or a CSV file, see above")
    parser.add_argument("--target", metavar="NAME[=VALUE]", help="what is to be reached, as in "
                        "test_accuracy=0.9; without a value: where the plan ends")  # fmt: skip
    parser.add_argument("--at", type=float, metavar="EPOCH", help="use only what was known after "
                        "this epoch (or step), and compare with what came")  # fmt: skip
    parser.add_argument("--until", type=float, metavar="EPOCH", help="end of the plan, if not "
                        "that of the run's settings (a log: five times as far as now)")  # fmt: skip
    parser.add_argument("--figure", metavar="FILE", help="draw the curve with its band: "
                        ".html, .svg, .png or .pdf")  # fmt: skip
    add_store(parser)
    add_format(parser)
    given = parser.parse_strictly(words)
    path = check_figure(given.figure)
    name, level = _target(given.target)
    whole = _planned(_curve(given, name), given)
    curve = whole if given.at is None else _cut(whole, given.at)
    table, figure, answer = _answered(whole, curve, level)
    if path is not None and figure is not None:
        save_figure(path, figure, [table], shlex.join(["epochlab", "forecast", *words]))
    if given.format != "text":
        show(table, given.format)
        return
    print(fitted_text(table, terminal_columns(), ("probability", "time")))
    print(textwrap.fill(answer, terminal_columns(), break_on_hyphens=False))
    if path is not None:
        print(f"Figure: {path}" if figure else "No figure: there is no forecast to draw.")
    print(_next_text(given, whole, level))


def _target(text: str | None) -> tuple[str | None, float | None]:
    """'test_accuracy=0.9' -> its two halves; either may be missing."""
    if text is None:
        return None, None
    name, equals, value = text.partition("=")
    if not equals:
        return name.strip(), None
    try:
        return name.strip(), float(value)
    except ValueError:
        raise BadOption(
            f"--target is '{text}'; write NAME=NUMBER, such as test_accuracy=0.9 or loss=0.3."
        ) from None


def _curve(given: argparse.Namespace, name: str | None) -> Curve:
    """The curve that is asked for, from a log or a run."""
    from epochlab.forecast import sources

    if _is_log(given.run):
        log = sources.read_log(Path(given.run))
        return sources.curve_of_log(log, name or log.quantities[0])
    from epochlab.train.run import load_run
    from epochlab.train.store import Store

    run = load_run(Store.at(given.store), given.run)
    if run.diverged:
        lost = run.diverged
        raise BadOption(
            f"The run {run.key[:12]} diverged: its {lost['quantity']} became {lost['value']} at "
            f"step {lost['step']}. No forecast is made of it; train it with a smaller rate."
        )
    known = sources.quantities(run)
    if not known:
        raise BadOption(f"The run {run.key[:12]} has no complete epoch yet; there is no curve.")
    short = {"loss": "running_loss", "accuracy": next((k for k in known if "acc" in k), "")}
    wanted = short.get(name or known[0], name or known[0])
    if wanted not in known:
        raise UnknownName("quantity of this run", name or "", known)
    return sources.curve_of_run(run, wanted)


def _is_log(run: str) -> bool:
    return run.lower().endswith(".csv") or Path(run).is_file()


def _planned(curve: Curve, given: argparse.Namespace) -> Curve:
    """The curve with the plan's end that the user wants."""
    if given.until is None:
        if not _is_log(given.run) or curve.end > curve.now:
            return curve
        return curve.planned_until(max(curve.now, LOG_HORIZON * (given.at or curve.now)))
    if not (math.isfinite(given.until) and given.until > 0):
        raise BadOption(f"--until is {given.until:g}; it must be a number above 0.")
    return curve.planned_until(given.until)


def _cut(whole: Curve, at: float) -> Curve:
    if not whole.at[0] <= at <= whole.now:
        raise BadOption(
            f"--at is {at:g}; the curve was recorded from {whole.unit} {whole.at[0]:g} to "
            f"{whole.now:g}. Give one of these."
        )
    return whole.cut(at)


def _answered(whole: Curve, curve: Curve, level: float | None) -> tuple[Table, Figure | None, str]:
    """The table, the figure where there is a forecast, and the answer in a sentence."""
    from epochlab.forecast.outlook import forecast, look_ahead
    from epochlab.forecast.sources import level_of

    view = look_ahead(curve)
    if level is None:
        table, answer = _end_table(whole, view)
        return table, _figure(whole, view, None, table) if view.futures else None, answer
    outlook = forecast(view, level_of(curve.name, level))
    table, answer = _target_table(whole, outlook, level)
    return table, _figure(whole, view, level, table) if view.futures else None, answer


def _target_table(whole: Curve, outlook: Outlook, level: float) -> tuple[Table, str]:
    """When the target is reached, by our own curve and by plain ones."""
    curve = outlook.view.curve
    true = whole.first_at(outlook.level)
    found, rows = outlook.reach, []
    if found is not None:
        rows.append({
            "family": OURS, curve.unit: found.position, "low": found.low, "high": found.high,
            "time": outlook.seconds(found.position), "probability": found.probability,
            "error": _error(found.position, true),
        })  # fmt: skip
        rows += [
            {"family": name, curve.unit: said, "time": outlook.seconds(said),
             "error": _error(said, true)}
            for name, said in outlook.plain.items()
        ]  # fmt: skip
    columns: list[Column | str] = [
        "family", Column(name=curve.unit, format=".1f"), Column(name="low", format=".1f"),
        Column(name="high", format=".1f"), Column(name="time", unit="s", format=".1f"),
        Column(name="probability", format=".0%"),
    ]  # fmt: skip
    later = whole.now > curve.now
    if later:
        columns.append(Column(name="error", format="+.1%"))
    target = f"{curve.name} {level:g}"
    answer = _sentence(outlook, target)
    # Where the table has no row, the answer must be in what --json prints as well.
    notes = [] if rows else [answer]
    if later and true is not None and outlook.reached is None:
        notes.append(f"It was reached at {curve.unit} {true:g}.")
    elif later and true is None:
        notes.append(f"By {curve.unit} {whole.now:g} it was not reached.")
    notes.append(_known(curve) + " '-': never within the plan.")
    return Table.of(f"When {target} is reached", rows, columns=columns, label="predicted",
                    notes=tuple(notes), name="forecast"), answer  # fmt: skip


def _sentence(outlook: Outlook, target: str) -> str:
    curve, found = outlook.view.curve, outlook.reach
    if outlook.reached is not None:
        return f"{target} was reached at {curve.unit} {outlook.reached:g} already."
    if found is None or found.position is None:
        return f"No forecast: {outlook.refusal}."
    assert found.low is not None and found.high is not None
    text = (f"{target} is expected at {curve.unit} {found.position:.0f} "
            f"(80 % band {found.low:.0f} to {found.high:.0f})")  # fmt: skip
    times = [outlook.seconds(t) for t in (found.position, found.low, found.high)]
    if None not in times:
        middle, low, high = (seconds_text(t or 0.0) for t in times)
        text += f", in {middle} ({low} to {high})"
    if found.probability < 0.995:
        text += (f", if at all: the probability that it is reached by {curve.unit} "
                 f"{curve.end:g}, where the plan ends, is {found.probability:.0%}")  # fmt: skip
    return text + "."


def _end_table(whole: Curve, view: View) -> tuple[Table, str]:
    """The value at the plan's end, by our own curve and by plain ones."""
    curve = view.curve
    true = None
    if whole.now >= curve.end > curve.now:
        true = _shown(curve, whole.values[whole.at.index(curve.end)])
    rows: list[dict[str, Any]] = []
    if view.band is None:
        answer = f"No forecast: {view.refusal}."
    else:
        low, middle, high = (_shown(curve, float(x[-1])) for x in view.band)
        low, high = min(low, high), max(low, high)
        rows.append({"family": OURS, "value": middle, "low": low, "high": high,
                     "error": _error(middle, true)})  # fmt: skip
        for name, said in view.plain.items():
            value = _shown(curve, float(said[-1]))
            rows.append({"family": name, "value": value, "error": _error(value, true)})
        answer = (f"{curve.name} at {curve.unit} {curve.end:g}: {middle:.4g} expected "
                  f"(80 % band {low:.4g} to {high:.4g}).")  # fmt: skip
    columns: list[Column | str] = [
        "family", *(Column(name=n, format=".4f") for n in ("value", "low", "high")),
    ]  # fmt: skip
    notes = [_known(curve)] if rows else [answer, _known(curve)]
    if true is not None:
        columns.append(Column(name="error", format="+.1%"))
        notes.append(f"It was {true:.4g}.")
    return Table.of(f"{curve.name} at {curve.unit} {curve.end:g}", rows, columns=columns,
                    label="predicted", notes=tuple(notes), name="forecast"), answer  # fmt: skip


def _known(curve: Curve) -> str:
    pace = curve.seconds_per_unit
    each = f", {seconds_text(pace)} per {curve.unit}" if pace else ", no times recorded"
    rates = "constant rate" if len(set(curve.rates)) == 1 else "learning rates of the plan known"
    seen = "nothing"
    if curve.values:
        seen = f"{len(curve.values)} points up to {curve.unit} {curve.now:g}"
    return f"Seen: {seen}{each}; {rates}."


def _shown(curve: Curve, value: float) -> float:
    """A value as the user knows it."""
    return 1 - value if curve.is_score else value


def _error(said: float | None, true: float | None) -> float | None:
    return None if said is None or true is None or not true else (said - true) / true


def _figure(whole: Curve, view: View, level: float | None, table: Table) -> Figure:
    """What was seen, what is expected with its band, and what came."""
    from epochlab.evidence import Figure
    from epochlab.figures.lines import Lines

    curve = view.curve
    assert view.futures is not None and view.band is not None
    rows: list[dict[str, Any]] = []
    for t, v in zip(whole.at, whole.values, strict=False):
        series = "seen" if t <= curve.now else "what came"
        rows.append({curve.unit: t, curve.name: _shown(curve, v), "series": series})
    for t, low, middle, high in zip(view.futures.at.tolist(), *view.band, strict=True):
        ends = sorted((_shown(curve, float(low)), _shown(curve, float(high))))
        rows.append({curve.unit: t, curve.name: _shown(curve, float(middle)), "series": "forecast",
                     "low": ends[0], "high": ends[1]})  # fmt: skip
    columns = (curve.unit, Column(name=curve.name, format=".4f"), "series", "low", "high")
    drawing = Lines(
        x=curve.unit, y=curve.name, color="series", band=("low", "high"),
        log_y=not curve.is_score, vertical=((curve.now, "now"),),
        horizontal=() if level is None else ((level, "target"),),
    )  # fmt: skip
    return Figure(
        table=Table.of(f"Forecast of {curve.name}", rows, columns=columns, label="predicted",
                       name="forecast-curve"),
        drawing=drawing, caption="The band holds the value at each place in 8 of 10 cases.",
    )  # fmt: skip


def _next_text(given: argparse.Namespace, whole: Curve, level: float | None) -> str:
    """A command that is worth trying next."""
    base = ["epochlab", "forecast", given.run]
    if given.store:
        base += ["--store", given.store]
    more = base + (["--target", given.target] if given.target else [])
    if level is None:
        best = min((v for v in whole.values if math.isfinite(v)), default=0.0)
        aim = _shown(whole, best * 0.9)
        return "Next: " + shlex.join([*base, "--target", f"{whole.name}={aim:.3g}"])
    if given.figure is None:
        return "Next: " + shlex.join([*more, "--figure", "forecast.html"])
    return "Next: " + shlex.join([*base, "--target", whole.name])
