"""Compare two runs: the settings that differ, and the first step at which their losses part."""

from __future__ import annotations

from epochlab.cli._options import Parser, add_format, add_store, show
from epochlab.table import Table
from epochlab.train.run import Run, load_run
from epochlab.train.store import Store
from epochlab.train.trial import flat_settings


def main(words: list[str]) -> None:
    """`epochlab diff RUN RUN`."""
    parser = Parser("diff", __doc__ or "")
    parser.add_argument("a", help="the first digits of a run's key")
    parser.add_argument("b", help="the first digits of another")
    add_store(parser)
    add_format(parser)
    given = parser.parse_strictly(words)
    store = Store.at(given.store)
    show(compared(load_run(store, given.a), load_run(store, given.b)), given.format)


def compared(a: Run, b: Run) -> Table:
    """One row per differing setting, and in the notes where the losses part."""
    one, two = flat_settings(a.trial), flat_settings(b.trial)
    names = list(dict.fromkeys([*one, *two]))
    rows = [(n, _text(one, n), _text(two, n)) for n in names if one.get(n) != two.get(n)]
    first = f"First differing setting: {rows[0][0]}." if rows else "The settings are equal."
    return Table.of(
        "Differences", [dict(zip(("setting", "a", "b"), r, strict=True)) for r in rows],
        columns=("setting", "a", "b"), notes=(first, _parting(a, b)), label="exact",
    )  # fmt: skip


def _text(settings: dict[str, object], name: str) -> str:
    return str(settings[name]) if name in settings else "-"


def _parting(a: Run, b: Run) -> str:
    for x, y in zip(a.steps, b.steps, strict=False):
        if x["loss"] != y["loss"]:
            return f"The losses part at step {x['step']}: {x['loss']:.9g} and {y['loss']:.9g}."
    shorter, longer = sorted((len(a.steps), len(b.steps)))
    if shorter == longer:
        return f"All {shorter} step losses are equal."
    return f"All {shorter} common step losses are equal; one run has {longer - shorter} more steps."
