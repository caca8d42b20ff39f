"""Show a data set's card: classes, counts, mean and deviation, source, licence, checksums."""

from __future__ import annotations

import os
from pathlib import Path

from epochlab.cli._options import Parser, add_format, build, dotted, print_options, show
from epochlab.datasets import Dataset
from epochlab.registry import load_class


def main(words: list[str]) -> None:
    """`epochlab data NAME [--validation N ...] [--png FILE]`."""
    parser = Parser("data", __doc__ or "")
    parser.add_argument("name", help="a data set ('epochlab list datasets')")
    parser.add_argument("--png", metavar="FILE", help="also write sample images of each class")
    parser.add_argument("--data-dir", metavar="DIR", help="folder of data sets")
    add_format(parser)
    if {"-h", "--help"} & set(words) and not words[0].startswith("-"):
        print_options(load_class("datasets", words[0]))
        return
    given, rest = parser.parse_known_args(words)
    if given.data_dir:
        os.environ["EPOCHLAB_DATA"] = given.data_dir
    from epochlab.datasets import _card

    cls = load_class("datasets", given.name)
    assert issubclass(cls, Dataset)
    data = build(cls, dotted(rest)).load()
    for number, table in enumerate(_card.card(data)):
        if number:
            print()
        show(table, given.format)
    if given.png:
        Path(given.png).write_bytes(_card.png_bytes(_card.sample_images(data, per_class=10)))
        print(f"\nSample images are in {given.png}.")
