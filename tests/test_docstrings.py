"""Every example in a docstring of the package runs and prints what it says."""

from __future__ import annotations

import doctest
import importlib
import os
from pathlib import Path

import pytest

from epochlab.datasets import Dataset
from epochlab.registry import PACKAGE, load_class

MODULES = sorted(
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")
    for path in PACKAGE.rglob("*.py")
    if path.name != "__main__.py"
)
FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS


def needed_folder(module_name: str) -> str:
    """The data folder that a data set's example reads; '' for what needs none."""
    family, _, name = module_name.removeprefix("epochlab.").partition(".")
    if family != "datasets" or not name or name.startswith("_"):
        return ""
    cls = load_class("datasets", name)
    assert issubclass(cls, Dataset)
    return cls.folder_name


@pytest.mark.parametrize("module_name", MODULES)
def test_examples_print_what_they_say(
    module_name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = importlib.import_module(module_name)
    tests = [t for t in doctest.DocTestFinder(exclude_empty=True).find(module) if t.examples]
    folder = needed_folder(module_name)
    if tests and folder:
        data = os.environ.get("EPOCHLAB_DATA", "")
        if not data or not (Path(data) / folder).is_dir():
            pytest.skip(f"the example reads '{folder}': set EPOCHLAB_DATA to a folder that has it")
    monkeypatch.chdir(tmp_path)
    printed: list[str] = []
    runner = doctest.DocTestRunner(optionflags=FLAGS)
    for test in tests:
        runner.run(test, out=printed.append)
    assert runner.summarize(verbose=False).failed == 0, "".join(printed)


@pytest.mark.parametrize("family", ["optimizers", "schedules", "starts", "penalties", "augment"])
def test_components_have_examples(family: str) -> None:
    for module_name in MODULES:
        _, _, rest = module_name.partition(f"epochlab.{family}.")
        if rest and not rest.startswith("_"):
            module = importlib.import_module(module_name)
            found = doctest.DocTestFinder().find(module)
            assert any(t.examples for t in found), f"{module_name} has no example"
