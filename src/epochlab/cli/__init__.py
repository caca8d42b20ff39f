"""The command line: parse, call, print one table. Each public file here is one command."""

from __future__ import annotations

import ast
import importlib
import os
import sys
import textwrap
from pathlib import Path

from epochlab import __version__
from epochlab.errors import EpochlabError, UnknownName

_FOLDER = Path(__file__).parent


def command_names() -> list[str]:
    """Names of the commands, without reading their files."""
    stems = sorted(path.stem for path in _FOLDER.glob("*.py") if not path.name.startswith("_"))
    return [stem.replace("_", "-") for stem in stems]


def commands() -> dict[str, str]:
    """Command name -> first docstring line, without importing the commands."""
    found = {}
    for name in command_names():
        text = (_FOLDER / f"{name.replace('-', '_')}.py").read_text(encoding="utf-8")
        found[name] = (ast.get_docstring(ast.parse(text)) or "").split("\n")[0]
    return found


def overview() -> str:
    """What `epochlab --help` prints."""
    known = commands()
    width = max(map(len, known))
    lines = [f"  {name:<{width}}  {line}" for name, line in known.items()]
    return "\n".join([
        "epochlab: how many steps until a network is good enough, and how long and how dear",
        "is a step.", "",
        "usage: epochlab COMMAND [options]      epochlab COMMAND --help explains one", "",
        *lines, "",
        "start here:  epochlab study run lr-range --preset digits",
        "             epochlab list optimizers",
    ])  # fmt: skip


def main(arguments: list[str] | None = None) -> int:
    """Run one command; the exit code is 0, 1 (a bug), 2 (the user's mistake) or 130 (stopped)."""
    words = sys.argv[1:] if arguments is None else arguments
    if not words or words[0] in ("-h", "--help", "help"):
        print(overview())
        return 0
    if words[0] in ("-V", "--version"):
        print(f"epochlab {__version__}")
        return 0
    try:
        name = words[0].replace("_", "-")
        known = command_names()
        if name not in known:
            raise UnknownName("command", words[0], known, "'epochlab --help' explains each.")
        module = importlib.import_module(f"epochlab.cli.{name.replace('-', '_')}")
        module.main(words[1:])
        sys.stdout.flush()
    except EpochlabError as error:
        _tell(error)
        return error.exit_code
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader (head, less) has seen enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _tell(error: EpochlabError) -> None:
    head = "stopped: " if error.exit_code == 130 else "error: "
    paragraph = textwrap.fill(head + str(error), 100, break_long_words=False,
                              break_on_hyphens=False)  # fmt: skip
    print(paragraph, file=sys.stderr)
