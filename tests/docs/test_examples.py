"""The examples run as they are, and say what they promise."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from .pages import ROOT

EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
PROMISED = {
    "compare_two_recipes.py": "test accuracy than 'Adam as it comes'",
    "five_lines.py": "",
    "own_optimizer.py": "RootStep",
}


def test_each_example_is_tested() -> None:
    assert [path.name for path in EXAMPLES] == sorted(PROMISED)


@pytest.mark.usefixtures("one_core")
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.name)
def test_example(path: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(path)], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert PROMISED[path.name] in done.stdout
    if path.name == "five_lines.py":
        assert (tmp_path / "loss.svg").read_text(encoding="utf-8").startswith("<svg")
