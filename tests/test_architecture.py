"""The house keeps its order: who may import whom, and what no part may do."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from epochlab.registry import PACKAGE

# A module may import from its own floor's earlier rooms and from every floor below.
FLOORS = (
    (
        "errors",
        "units",
        "folders",
        "randomness",
        "table",
        "evidence",
        "component",
        "plain",
        "registry",
        "__init__",
    ),
    (
        "schedules",
        "datasets",
        "networks",
        "layers",
        "optimizers",
        "augment",
        "penalties",
        "starts",
        "hardware",
    ),
    ("train", "cost", "forecast", "predict", "measure"),
    ("figures",),
    ("studies",),
    ("report",),
    ("cli", "__main__"),
)
ROOM_FLOOR = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
COMPONENTS = FLOORS[1]
# Component families that may use another one, and why.
ALLOWED_BETWEEN_COMPONENTS = {
    ("networks", "layers"),  # networks share building blocks
    ("optimizers", "schedules"),  # a learning rate may be a schedule
}


def room_of(path: Path) -> str:
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


def imports_of(path: Path) -> set[str]:
    """Modules of ours that a file imports, wherever in the file, typing included."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return {name for name in found if name.split(".")[0] == "epochlab"}


FILES = sorted(p for p in PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_go_downwards(path: Path) -> None:
    room = room_of(path)
    for name in imports_of(path):
        parts = name.split(".")
        if len(parts) == 1 or parts[1] not in ROOM_FLOOR:
            continue
        other = parts[1]
        assert ROOM_FLOOR[other] <= ROOM_FLOOR[room] or is_typing_only(path, name), (
            f"{path.name} imports {name} from a higher floor"
        )
        if room in COMPONENTS and other in COMPONENTS and room != other:
            assert (room, other) in ALLOWED_BETWEEN_COMPONENTS, f"{path.name} imports {name}"


def is_typing_only(path: Path, name: str) -> bool:
    """Whether a name is imported under `if TYPE_CHECKING` alone."""
    tree = ast.parse(path.read_text())
    guarded = [
        node for block in ast.walk(tree)
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING"
        for node in ast.walk(block)
    ]  # fmt: skip
    return any(
        isinstance(node, ast.ImportFrom) and node.module and name.startswith(node.module)
        for node in guarded
    )


@pytest.mark.parametrize("family", COMPONENTS)
def test_component_files_do_not_import_one_another(family: str) -> None:
    if family in ("layers", "hardware"):  # building blocks; facts in TOML files
        return
    public = {p.stem for p in (PACKAGE / family).glob("*.py") if not p.name.startswith("_")}
    assert public
    for path in (PACKAGE / family).glob("*.py"):
        for name in imports_of(path):
            parts = name.split(".")
            if parts[1:2] == [family] and len(parts) > 2:
                assert parts[2] not in public, f"{path.name} imports {name}"


def test_every_room_has_a_floor() -> None:
    assert {room_of(path) for path in FILES} == set(ROOM_FLOOR)


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_files_stay_readable(path: Path) -> None:
    lines = path.read_text().splitlines()
    assert len(lines) <= 400, f"{path.name} has {len(lines)} lines: it has grown two jobs"
    assert ast.get_docstring(ast.parse("\n".join(lines))), f"{path.name} has no docstring"
    assert path.stem not in ("utils", "common", "helpers", "manager")


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_nothing_is_unpickled(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            assert not called.startswith(("pickle.", "marshal.", "shelve.")), called
            keywords = {k.arg: ast.unparse(k.value) for k in node.keywords}
            if called.endswith("torch.load"):
                assert keywords.get("weights_only") == "True"
            if called == "np.load":
                assert keywords.get("allow_pickle") == "False"
