"""The folder is the registry: components found by file name, ours or a user's own."""

from __future__ import annotations

import ast
import hashlib
import importlib
import importlib.util
import sys
import types
from pathlib import Path

from epochlab.component import FAMILIES, Component, family_of
from epochlab.errors import BadOption, UnknownName

PACKAGE = Path(__file__).parent


def names(family: str) -> list[str]:
    """Names of the components in one family's folder, without importing them."""
    folder = PACKAGE / family
    return sorted(p.stem for p in folder.glob("*.py") if not p.name.startswith("_"))


def summary(family: str, name: str) -> str:
    """First docstring line of a component's file, without importing it."""
    tree = ast.parse((PACKAGE / family / f"{name}.py").read_text(encoding="utf-8"))
    return (ast.get_docstring(tree) or "").split("\n")[0]


def load_class(family: str, name: str) -> type[Component]:
    """The component class called `name`; `path/to/file.py:Class` loads one from outside.

    Raises UnknownName with the nearest match.
    """
    if ".py" in name:
        return _load_outside(family, name)
    stem = name.replace("-", "_")
    if stem not in names(family):
        raise UnknownName(
            FAMILIES[family], name, names(family), f"'epochlab list {family}' explains each."
        )
    module = importlib.import_module(f"epochlab.{family}.{stem}")
    return _only_class(module, family)


def _only_class(module: types.ModuleType, family: str) -> type[Component]:
    found = [
        value
        for value in vars(module).values()
        if isinstance(value, type)
        and issubclass(value, Component)
        and value.__module__ == module.__name__
        and not value.__name__.startswith("_")
        and family_of(value) == family
    ]
    if len(found) != 1:
        raise BadOption(
            f"{module.__file__} defines {len(found)} public components of the family '{family}'; "
            "name one as file.py:Class."
        )
    return found[0]


_OUTSIDE_PREFIX = "epochlab_outside_"
_outside: set[str] = set()
"names of the modules loaded from outside; sys.modules is long, and every run asks"


def load_source(path: Path) -> types.ModuleType:
    """Import a Python file from outside the package once, under a name made from its file name."""
    if not path.is_file():
        raise UnknownName("file", str(path), [str(p) for p in path.parent.glob("*.py")])
    module_name = _OUTSIDE_PREFIX + path.stem
    module = sys.modules.get(module_name)
    if module is not None and Path(module.__file__ or "").resolve() == path.resolve():
        return module
    spec = importlib.util.spec_from_file_location(module_name, path.resolve())
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module
    _outside.add(module_name)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[module_name]
        raise BadOption(
            f"{path} cannot be imported: {type(error).__name__}: {error}. "
            "Run it with python to see where."
        ) from error
    return module


def outside_hashes() -> dict[str, str]:
    """File name -> SHA-256 of each file loaded from outside the package, as it is now."""
    return {
        Path(source).name: hashlib.sha256(Path(source).read_bytes()).hexdigest()
        for source in outside_sources()
    }


def outside_sources() -> list[str]:
    """Paths of the files loaded from outside the package, for processes that need them too."""
    return sorted(str(sys.modules[name].__file__) for name in _outside if name in sys.modules)


def _load_outside(family: str, name: str) -> type[Component]:
    file_name, _, class_name = name.partition(":")
    loaded = sys.modules.get(_OUTSIDE_PREFIX + Path(file_name).stem)
    known = loaded is not None and not Path(file_name).exists()
    module = loaded if known and loaded is not None else load_source(Path(file_name))
    if not class_name:
        return _only_class(module, family)
    cls = getattr(module, class_name, None)
    if not (isinstance(cls, type) and issubclass(cls, Component)):
        have = [k for k, v in vars(module).items()
                if isinstance(v, type) and issubclass(v, Component)]  # fmt: skip
        raise UnknownName(FAMILIES[family], class_name, have)
    return cls
