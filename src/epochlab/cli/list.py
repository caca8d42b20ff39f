"""List components by family, or explain one: its docstring and options."""

from __future__ import annotations

import inspect

from epochlab.cli._options import Parser, add_format, option_lines, show
from epochlab.component import FAMILIES
from epochlab.errors import UnknownName
from epochlab.registry import load_class, names, summary
from epochlab.table import Table


def main(words: list[str]) -> None:
    """`epochlab list [FAMILY [NAME]]`."""
    parser = Parser("list", __doc__ or "")
    parser.add_argument("family", nargs="?", help=", ".join(FAMILIES))
    parser.add_argument("name", nargs="?", help="a component of the family")
    add_format(parser)
    given = parser.parse_strictly(words)
    if given.family is None:
        rows = [{"family": f, "components": ", ".join(names(f))} for f in FAMILIES]
        show(Table.of("Components", rows, label="exact"), given.format)
        return
    family = given.family if given.family in FAMILIES else given.family + "s"
    if family not in FAMILIES:
        raise UnknownName("family of components", given.family, FAMILIES)
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
