"""Commands that only look things up answer at once, because they import nothing heavy."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

HEAVY = {"torch", "altair", "mlflow", "sklearn", "rich", "numpy", "safetensors", "jinja2", "typst"}

IMPORTED = """
import json, sys
from epochlab.cli import main
status = main(sys.argv[1:])
print(json.dumps([status, sorted({name.partition(".")[0] for name in sys.modules})]))
"""


def imported_by(*words: str) -> set[str]:
    """Top-level modules that a process has loaded once the command is done."""
    done = subprocess.run(
        [sys.executable, "-c", IMPORTED, *words], capture_output=True, text=True, check=True
    )
    status, modules = json.loads(done.stdout.splitlines()[-1])
    assert status == 0
    assert "epochlab" in modules
    return set(modules)


@pytest.mark.parametrize(
    "words", [("--help",), ("--version",), ("list",), ("list", "optimizers"), ("list", "studies")]
)
def test_looking_things_up_imports_nothing_heavy(words: tuple[str, ...]) -> None:
    assert imported_by(*words) & HEAVY == set()


@pytest.mark.parametrize("words", [("list", "optimizers", "adam"), ("train", "--help"),
    ("study", "list"), ("study", "run", "lr-range", "--help")])  # fmt: skip
def test_explaining_options_does_not_import_torch(words: tuple[str, ...]) -> None:
    assert imported_by(*words) & (HEAVY - {"numpy"}) == set()


def test_the_question_can_be_answered_with_yes() -> None:
    """The list of modules does show a heavy one where there is one."""
    done = subprocess.run(
        [sys.executable, "-c", "import numpy\n" + IMPORTED, "--version"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "numpy" in json.loads(done.stdout.splitlines()[-1])[1]
