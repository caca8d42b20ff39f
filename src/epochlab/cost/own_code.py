"""Modules from the user's own code: import a file or package, and call what makes the module."""

from __future__ import annotations

import contextlib
import difflib
import importlib
import inspect
import sys
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from epochlab.errors import BadOption, EpochlabError, UnknownName
from epochlab.networks import Network
from epochlab.registry import load_source

MOST_NAMES = 12  # of a long module in an error message


@dataclass(frozen=True, kw_only=True)
class Named:
    """What a name stands for in the user's code."""

    name: str
    value: Any
    "a component, its class, a module, or a class or function"
    where: str
    "file or module, and name"
    folder: Path
    "whose files the code can import"

    def maker(self) -> Callable[[bool], nn.Module]:
        """What makes the module, with real weights or, where it can, without any.

        Raises BadOption for what is no module and makes none.
        """
        value = self.value
        if isinstance(value, nn.Module):
            return lambda real: value
        if not callable(value):
            raise BadOption(
                f"{self.where} is of type {type(value).__name__}; it must be a torch module, or a "
                "class or function that returns one."
            )
        needed = _needed_arguments(value)
        if needed:
            call = f"{self.name}({', '.join(f'{n}=...' for n in needed)})"
            raise BadOption(
                f"{self.where} needs arguments: {', '.join(needed)}. Write a function beside it "
                f"that gives them, 'def mine(): return {call}', and name that function."
            )
        return lambda real: _called(value, self, real)


def from_file(path: Path, name: str) -> Named:
    """`name` in a Python file; without a name, the only network in it.

    Raises UnknownName for a file or name that is not there, BadOption where the import fails.
    """
    with _user_code(path.parent):
        try:
            module = load_source(path)
        except SystemExit as error:
            raise BadOption(f"{path} cannot be imported: {_said(error)}.") from error
    return _named(module, name, path.name, path.parent)


def from_module(module_name: str, name: str) -> Named | None:
    """`name` in an importable Python module of the working folder or installed; None without it.

    Raises UnknownName for a name that is not there, BadOption where the import fails.
    """
    with _user_code(Path.cwd()):
        try:
            module = importlib.import_module(module_name)
        except (Exception, SystemExit) as error:
            missing = error.name or "" if isinstance(error, ModuleNotFoundError) else ""
            if missing and f"{module_name}.".startswith(f"{missing}."):
                return None
            raise BadOption(
                f"{module_name} cannot be imported: {_said(error)}. Import it with python to see "
                "where."
            ) from error
    return _named(module, name, module_name, Path.cwd())


def _named(module: types.ModuleType, name: str, where: str, folder: Path) -> Named:
    candidates = [k for k, v in vars(module).items() if _may_be_network(k, v, module)]
    if not name:
        if len(candidates) != 1:
            said = f"has {', '.join(candidates)}" if candidates else (
                "has no module, and no class or function that makes one without arguments"
            )  # fmt: skip
            raise BadOption(f"{where} {said}. Say which network is meant: {where}:Name.")
        (name,) = candidates
    if name not in vars(module):
        more = ""
        if len(candidates) > MOST_NAMES:
            more = f"And {len(candidates) - MOST_NAMES} more."
            candidates = difflib.get_close_matches(name, candidates, MOST_NAMES, cutoff=0)
        raise UnknownName(f"network in {where}", name, candidates, more)
    return Named(name=name, value=vars(module)[name], where=f"{where}:{name}", folder=folder)


def _may_be_network(name: str, value: Any, module: types.ModuleType) -> bool:
    """What a message suggests: networks, and what the module's own package defines to make some."""
    if name.startswith("_"):
        return False
    if isinstance(value, (nn.Module, Network)):
        return True
    package = module.__name__.partition(".")[0]
    if str(getattr(value, "__module__", "")).partition(".")[0] != package:
        return False
    if isinstance(value, type):
        return issubclass(value, (nn.Module, Network))
    return inspect.isfunction(value) and not _needed_arguments(value)


def _needed_arguments(function: Callable[..., Any]) -> list[str]:
    """Names of the arguments without a default."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return []
    return [p.name for p in parameters if p.default is p.empty
            and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]  # fmt: skip


def _called(value: Callable[[], Any], named: Named, real: bool) -> nn.Module:
    """What a class or function returns, on the meta device unless `real` or it cannot be there."""
    with _user_code(named.folder):
        try:
            made = None if real else _on_meta(value)
            if made is None:
                made = value()
        except EpochlabError:
            raise
        except (Exception, SystemExit) as error:
            raise BadOption(f"{named.where} cannot be built: {_said(error)}.") from error
    if not isinstance(made, nn.Module):
        raise BadOption(
            f"{named.where} returns an object of type {type(made).__name__}; it must return a "
            "torch module (torch.nn.Module)."
        )
    return made


def _on_meta(value: Callable[[], Any]) -> Any:
    """The module without weights; None if its constructor reads numbers, which are not there.

    Dropout rates from torch.linspace, for example, or weights from a file.
    """
    try:
        with torch.device("meta"):
            return value()
    except EpochlabError:
        raise
    except (Exception, SystemExit):
        return None


def _said(error: BaseException) -> str:
    if isinstance(error, SystemExit):
        return "it ends the program (what a script does belongs under if __name__ == '__main__')"
    text = " ".join(str(error).split())[:300].rstrip(".")
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


@contextlib.contextmanager
def _user_code(folder: Path) -> Iterator[None]:
    """The user's code finds the files beside it, as when Python runs it, and prints to stderr."""
    here = folder.resolve()
    for name in _look_alikes(here):
        del sys.modules[name]
    sys.path.insert(0, str(here))
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        with contextlib.suppress(ValueError):
            sys.path.remove(str(here))


def _look_alikes(here: Path) -> list[str]:
    """Loaded modules that stand where `here` has a file of that name: those of another folder.

    What Python itself, installed packages and this package have loaded stays.
    """
    files = {p.stem for p in here.glob("*.py") if not p.stem.startswith("__")}
    ours = files | {p.parent.name for p in here.glob("*/__init__.py")}
    searched = {Path(p).resolve() for p in sys.path}
    found = []
    for top in ours & set(sys.modules):
        file = Path(getattr(sys.modules[top], "__file__", None) or "")
        home = file.resolve().parent.parent if file.name == "__init__.py" else file.resolve().parent
        if file.name and home != here and home not in searched and top != "epochlab":
            found += [n for n in sys.modules if n == top or n.startswith(f"{top}.")]
    return found
