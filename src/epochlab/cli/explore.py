"""Look at every test image of a run, by true and predicted class, in one offline page."""

from __future__ import annotations

from pathlib import Path

from epochlab.cli._options import Parser, add_format, add_store, show
from epochlab.report.explorer import write_explorer
from epochlab.table import Column, Table
from epochlab.train.run import load_run
from epochlab.train.store import Store


def main(words: list[str]) -> None:
    """`epochlab explore RUN [--out DIR]`."""
    parser = Parser("explore", __doc__ or "")
    parser.add_argument("run", help="the first digits of a run's key")
    parser.add_argument("--out", metavar="DIR", help="folder to write (else explore/ in the store)")
    parser.add_argument("--weights", choices=("model", "best"), default="model",
                        help="final weights, or those of the best validation score")  # fmt: skip
    add_store(parser)
    add_format(parser)
    given = parser.parse_strictly(words)
    store = Store.at(given.store)
    run = load_run(store, given.run)
    folder = Path(given.out) if given.out else store.folder / "explore" / run.key[:12]
    records = write_explorer(run, given.weights, folder)
    pairs: dict[tuple[str, str], int] = {}
    for record in records:
        if not record["correct"]:
            pair = (record["true class"], record["predicted class"])
            pairs[pair] = pairs.get(pair, 0) + 1
    worst = sorted(pairs.items(), key=lambda item: -item[1])[:10]
    rows = [{"true class": t, "predicted class": p, "images": n, "share": n / len(records)}
            for (t, p), n in worst]  # fmt: skip
    columns = ("true class", "predicted class", "images", Column(name="share", format=".2%"))
    show(Table.of("Most frequent mistakes", rows, columns=columns, notes=(
        f"Page: {folder / 'index.html'}; beside it records.csv, records.json and sprites.png "
        "(a sprite atlas that Facets Dive reads).",
    )), given.format)  # fmt: skip
