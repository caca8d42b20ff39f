"""List components by family, or explain one: its docstring and options; and hardware."""

from __future__ import annotations

import inspect

from epochlab import hardware
from epochlab.cli._options import Parser, add_format, option_lines, show
from epochlab.component import FAMILIES
from epochlab.errors import UnknownName
from epochlab.hardware._tables import every_figure, overview
from epochlab.registry import load_class, names, summary
from epochlab.table import Table

# Hardware is facts in TOML files, not components.
LISTED = (*FAMILIES, "hardware")


def main(words: list[str]) -> None:
    """`epochlab list [FAMILY [NAME]]`."""
    parser = Parser("list", __doc__ or "")
    parser.add_argument("family", nargs="?", help=", ".join(LISTED))
    parser.add_argument("name", nargs="?", help="a component of the family")
    add_format(parser)
    given = parser.parse_strictly(words)
    if given.family is None:
        rows = [{"family": f, "components": ", ".join(_names(f))} for f in LISTED]
        show(Table.of("Components", rows, label="exact"), given.format)
        return
    family = given.family if given.family in LISTED else given.family + "s"
    if family not in LISTED:
        raise UnknownName("family of components", given.family, LISTED)
    if family == "hardware":
        table = every_figure(hardware.load(given.name)) if given.name else overview()
        show(table, given.format)
        return
    if given.name is None:
        rows = [{"name": n, "what it is": summary(family, n)} for n in names(family)]
        show(Table.of(family.capitalize(), rows, label="exact"), given.format)
        return
    cls = load_class(family, given.name)
    if given.format == "text":
        print(inspect.cleandoc(cls.__doc__ or "") + "\n")
    lines = [dict(zip(("option", "default", "meaning"), line, strict=True))
             for line in option_lines(cls, None)]  # fmt: skip
    show(Table.of(f"Options of {given.name}", lines, label="exact",
                  columns=("option", "default", "meaning")), given.format)  # fmt: skip


def _names(family: str) -> list[str]:
    return hardware.names() if family == "hardware" else names(family)
