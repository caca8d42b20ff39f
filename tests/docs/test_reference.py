"""The generated reference says what the program says, about everything that it has."""

from __future__ import annotations

import importlib.util
import types

import pytest

from epochlab import cli
from epochlab.component import FAMILIES
from epochlab.registry import names

from .pages import ROOT


@pytest.fixture(scope="module")
def generate() -> types.ModuleType:
    """docs/generate.py as a module."""
    spec = importlib.util.spec_from_file_location("docs_generate", ROOT / "docs/generate.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def pages(generate: types.ModuleType) -> dict[str, str]:
    made: dict[str, str] = generate.pages()
    return made


@pytest.mark.parametrize("name", ["commands.md", "components.md", "studies.md"])
def test_the_reference_is_up_to_date(pages: dict[str, str], name: str) -> None:
    written = (ROOT / "docs/reference" / name).read_text(encoding="utf-8")
    assert written == pages[name], "run: python docs/generate.py"


def test_every_command_is_documented(pages: dict[str, str]) -> None:
    for name in cli.commands():
        assert f"\n## {name}\n" in pages["commands.md"]


def test_every_verb_of_study_is_documented(
    generate: types.ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["study", "no-such-verb"]) == 2
    allowed = capsys.readouterr().err.partition("Allowed:")[2].split(".")[0]
    assert sorted(w.strip() for w in allowed.split(",")) == sorted(generate.STUDY_VERBS)


def test_every_component_is_documented(pages: dict[str, str]) -> None:
    for family in FAMILIES:
        for name in names(family):
            heading = f"\n## {name.replace('_', '-')}\n" if family == "studies" else (
                f"\n### {family}/{name}\n"
            )  # fmt: skip
            page = pages["studies.md" if family == "studies" else "components.md"]
            assert heading in page
