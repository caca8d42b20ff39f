"""The documentation's pages, and the blocks of code in them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])

# What a reader may type, and what is only shown.
EXECUTED = ("python", "bash", "console")
SHOWN = ("text", "csv")

NOT_RUN_REASONS = (
    "installs packages",
    "needs real data",
    "starts a server",
    "takes minutes",
)

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_MARK = re.compile(r"<!-- (not run|file): (.+?) -->\s*\Z")


@dataclass(frozen=True)
class Block:
    """One fenced block of a page."""

    page: Path
    line: int
    "of its first line of code, from 1"
    language: str
    code: str
    not_run: str = ""
    "the reason why it is not executed"
    file: str = ""
    "name of the file that the reader is told to write it to"

    @property
    def where(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks(page: Path) -> list[Block]:
    """A page's fenced blocks; a comment right above one says that it is not run, or its file."""
    text = page.read_text(encoding="utf-8")
    found = []
    for match in _FENCE.finditer(text):
        mark = _MARK.search(text[: match.start()])
        kind, said = (mark[1], mark[2]) if mark else ("", "")
        found.append(Block(
            page, text.count("\n", 0, match.start()) + 2, match[1], match[2],
            not_run=said if kind == "not run" else "", file=said if kind == "file" else "",
        ))  # fmt: skip
    return found
