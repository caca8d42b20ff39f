"""Every block of code in the README and the documentation does what the page says.

The blocks of a page run from top to bottom in one empty folder, as a reader would type them.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import types
from collections.abc import Iterator
from pathlib import Path

import pytest

from epochlab.registry import outside_sources

from .pages import EXECUTED, NOT_RUN_REASONS, PAGES, ROOT, SHOWN, Block, blocks

EXECUTED_PAGES = [p for p in PAGES if any(b.language in EXECUTED for b in blocks(p))]
ALL_BLOCKS = [b for p in PAGES for b in blocks(p)]


@pytest.fixture
def fresh_imports(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Forget the modules that a page makes."""
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        path = str(getattr(sys.modules[name], "__file__", None) or "")
        if path.startswith(str(tmp_path)) or path in outside_sources():
            del sys.modules[name]


@pytest.mark.usefixtures("one_core", "fresh_imports")
@pytest.mark.parametrize("page", EXECUTED_PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_page(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("page_of_the_documentation")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    for block in blocks(page):
        if block.not_run or block.language not in EXECUTED:
            continue
        if block.file:
            (tmp_path / block.file).write_text(block.code, encoding="utf-8")
        elif block.language == "python":
            exec(compile(block.code, block.where, "exec"), module.__dict__)
        else:
            _run_shell(block)


def _run_shell(block: Block) -> None:
    """A bash block as a whole; of a console block each command, with the output shown below it."""
    if block.language == "bash":
        _bash(block, block.code)
        return
    for part in re.split(r"^\$ ", block.code, flags=re.MULTILINE)[1:]:
        lines = part.split("\n")
        end = next(i for i, line in enumerate(lines) if not line.endswith("\\"))
        printed = _bash(block, "\n".join(lines[: end + 1]))
        shown = [line for line in lines[end + 1 :] if line.strip()]
        assert shown, f"{block.where}: a console block shows what a command prints"
        _assert_printed(block, shown, printed)


def _bash(block: Block, code: str) -> str:
    """Standard output; everything that was said is shown if the code fails."""
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "COLUMNS": "100",
    }
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", code],
        capture_output=True, text=True, timeout=120, env=environment, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{block.where}\n{code}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def _assert_printed(block: Block, shown: list[str], printed: str) -> None:
    """Each line shown is printed, in that order; blanks count alike, '...' stands for anything."""
    waiting = iter([" ".join(line.split()) for line in printed.split("\n")])
    for line in shown:
        parts = re.split(r" *\.\.\. *", " ".join(line.split()))
        pattern = re.compile(".*".join(map(re.escape, parts)))
        assert any(pattern.fullmatch(candidate) for candidate in waiting), (
            f"{block.where}: the line '{line}' is not printed, or not in this place:\n{printed}"
        )


def test_every_block_is_run_or_says_why_not() -> None:
    for block in ALL_BLOCKS:
        assert block.language in EXECUTED + SHOWN, f"{block.where}: language '{block.language}'"
        if block.not_run:
            assert block.language in EXECUTED, f"{block.where}: would not be run anyway"
            assert block.not_run in NOT_RUN_REASONS, f"{block.where}: '{block.not_run}'"


def test_all_fences_are_understood() -> None:
    for page in PAGES:
        fences = page.read_text(encoding="utf-8").count("```")
        assert fences == 2 * len(blocks(page)), f"{page}: a fence is indented or not closed"


def test_files_are_used_on_their_page() -> None:
    for page in PAGES:
        found = blocks(page)
        for number, block in enumerate(found):
            stem = Path(block.file).stem
            rest = "".join(b.code for b in found[number + 1 :] if not b.not_run)
            assert not block.file or stem in rest, f"{block.where}: {block.file} is never used"


def test_a_line_that_is_not_printed_is_found() -> None:
    block = Block(PAGES[0], 1, "console", "")
    _assert_printed(block, ["a  1 ... 3", "b"], "a 1 2 3\nx\nb\n")
    for shown in (["a 2"], ["b", "a 1 2 3"]):
        with pytest.raises(AssertionError, match="is not printed"):
            _assert_printed(block, shown, "a 1 2 3\nb\n")


def test_links_lead_somewhere() -> None:
    link = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
    for page in PAGES:
        for target in link.findall(page.read_text(encoding="utf-8")):
            if not target.startswith(("http://", "https://")):
                assert (page.parent / target).exists(), f"{page.relative_to(ROOT)}: {target}"


def test_every_page_can_be_reached_from_the_index() -> None:
    link = re.compile(r"\]\(([^)#\s]+\.md)(?:#[^)]*)?\)")
    reached, waiting = set(), [ROOT / "docs/index.md"]
    while waiting:
        page = waiting.pop().resolve()
        if page not in reached and page.is_file():
            reached.add(page)
            waiting += [page.parent / t for t in link.findall(page.read_text(encoding="utf-8"))]
    missing = sorted(str(p.relative_to(ROOT)) for p in PAGES if p.resolve() not in reached)
    assert missing == [], "no link leads to these pages"
