"""Write the reference pages from the program itself: python docs/generate.py."""

from __future__ import annotations

import contextlib
import inspect
import io
import os
from pathlib import Path
from typing import Any
from unittest import mock

from epochlab import cli
from epochlab.component import FAMILIES, Component, options, type_text
from epochlab.registry import load_class, names, summary
from epochlab.studies import Study

FOLDER = Path(__file__).parent / "reference"
NOTE = "<!-- Written by docs/generate.py: change the program, then run that script. -->"
EXIT_CODES = (
    "0: done. 1: a bug of epochlab. 2: what was asked for cannot work; the message says why and "
    "what is allowed. 130: stopped by Ctrl-C or a time limit."
)
STUDY_VERBS = ("list", "plan", "run", "report")


def pages() -> dict[str, str]:
    """File name -> content of every generated page."""
    return {"commands.md": commands_page(), "components.md": components_page(),
            "studies.md": studies_page()}  # fmt: skip


def commands_page() -> str:
    """Every command's help, as it prints it."""
    known = cli.commands()
    parts = [NOTE, "# Commands", "What `epochlab COMMAND --help` prints, for every command."]
    parts += ["\n".join(f"- [{name}](#{name}): {line}" for name, line in known.items())]
    for name in known:
        parts += [f"## {name}", _block(printed(name, "--help"))]
        for verb in STUDY_VERBS if name == "study" else ():
            parts += [f"### study {verb}", _block(printed(name, verb, "--help"))]
    parts += ["## Exit codes", EXIT_CODES]
    return "\n\n".join(parts) + "\n"


def printed(*words: str) -> str:
    """What the command line prints, at a width of 100."""
    with (
        mock.patch.dict(os.environ, {"COLUMNS": "100"}),
        contextlib.redirect_stdout(io.StringIO()) as out,
        contextlib.suppress(SystemExit),  # argparse leaves after its help
    ):
        cli.main(list(words))
    return out.getvalue()


def components_page() -> str:
    """Every component of every family but the studies, with its options."""
    families = [family for family in FAMILIES if family != "studies"]
    parts = [NOTE, "# Components", "What `epochlab list FAMILY NAME` prints. An option of a "
             "component is given on the command line behind a dot: `--optimizer adam "
             "--optimizer.lr 0.001`."]  # fmt: skip
    parts.append("\n".join(f"- [{family}](#{family}): {', '.join(names(family))}"
                           for family in families))  # fmt: skip
    for family in families:
        parts.append(f"## {family}")
        for name in names(family):
            cls = load_class(family, name)
            parts += [f"### {family}/{name}", summary(family, name), _block(_doc(cls)),
                      options_table(cls)]  # fmt: skip
    return "\n\n".join(parts) + "\n"


def studies_page() -> str:
    """Every study: question, what one should see, presets, factors, references."""
    parts = [NOTE, "# Studies", "`epochlab study run NAME --preset PRESET`; a factor is set with "
             "`--FACTOR VALUE`."]  # fmt: skip
    known = [name.replace("_", "-") for name in names("studies")]
    parts.append("\n".join(f"- [{name}](#{name})" for name in known))
    for name in known:
        cls = load_class("studies", name)
        assert issubclass(cls, Study)
        parts += [f"## {name}", f"**{cls.question}**", _sentence(cls)]
        if cls.expectation:
            parts.append(f"What one should see: {cls.expectation}")
        parts += [f"Presets: {', '.join(cls.presets) or 'none'}.", options_table(cls)]
        if cls.references:
            parts.append("\n".join(f"- {reference}" for reference in cls.references))
    return "\n\n".join(parts) + "\n"


def options_table(cls: type[Component]) -> str:
    """Name, default, type and meaning of each option, as a Markdown table."""
    rows = [
        (f"`{o.name}`", "needed" if o.required else f"`{default_text(o.default)}`",
         type_text(o.kind), o.help)
        for o in options(cls)
    ]  # fmt: skip
    if not rows:
        return "No options."
    lines = ["| option | default | type | meaning |", "|---|---|---|---|"]
    lines += ["| " + " | ".join(c.replace("|", "\\|") for c in row) + " |" for row in rows]
    return "\n".join(lines)


def default_text(value: Any) -> str:
    """A default as one would type it on the command line."""
    if isinstance(value, Component):
        return type(value).__module__.rpartition(".")[2]
    if isinstance(value, tuple):
        return ",".join(map(default_text, value)) or "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _doc(cls: type[Component]) -> str:
    return inspect.cleandoc(cls.__doc__ or "")


def _sentence(cls: type[Component]) -> str:
    return _doc(cls).split("\n\n")[0].replace("\n", " ")


def _block(text: str) -> str:
    return f"```text\n{text.rstrip()}\n```"


def main() -> None:
    """Write the pages that have changed."""
    FOLDER.mkdir(exist_ok=True)
    for name, content in pages().items():
        path = FOLDER / name
        if not path.exists() or path.read_text(encoding="utf-8") != content:
            path.write_text(content, encoding="utf-8")
            print(f"wrote {path}")


if __name__ == "__main__":
    main()
