"""One component is one frozen dataclass in one file; the folder is the registry.

A component's fields are its options. They are checked when the component is made, they enter the
trial's content hash, and the command line is derived from them. A field is declared with its
constraint and followed by one string that explains it:

    @dataclass(frozen=True, kw_only=True)
    class Sgd(Optimizer):
        lr: Positive = 0.01
        "step size"

Component files import torch inside their methods only, so that listing and parsing stay fast.
"""

from __future__ import annotations

import ast
import dataclasses
import functools
import math
import sys
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, TypeVar

from epochlab.errors import BadOption, UnknownName

# What may stand in a component's field, in one line each for error messages and help.
FAMILIES = {
    "networks": "network",
    "datasets": "dataset",
    "optimizers": "optimizer",
    "schedules": "schedule",
    "starts": "start",
    "penalties": "penalty",
    "augment": "augmentation",
    "studies": "study",
}


@dataclasses.dataclass(frozen=True)
class Limits:
    """The interval in which a number must lie."""

    low: float = -math.inf
    high: float = math.inf
    low_open: bool = False
    high_open: bool = False

    def allows(self, value: float) -> bool:
        above = value > self.low if self.low_open else value >= self.low
        below = value < self.high if self.high_open else value <= self.high
        return above and below

    def text(self) -> str:
        parts = []
        if self.low > -math.inf:
            parts.append(f"{'above' if self.low_open else 'at least'} {self.low:g}")
        if self.high < math.inf:
            parts.append(f"{'below' if self.high_open else 'at most'} {self.high:g}")
        return " and ".join(parts)


Positive = Annotated[float, Limits(low=0, low_open=True)]
NotNegative = Annotated[float, Limits(low=0)]
Share = Annotated[float, Limits(low=0, high=1)]
ShareBelowOne = Annotated[float, Limits(low=0, high=1, high_open=True)]
Count = Annotated[int, Limits(low=1)]
CountOrZero = Annotated[int, Limits(low=0)]


class Component:
    """Base of all components; checks every field against its declared type and limits."""

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {}

    def __post_init__(self) -> None:
        for name, kind in field_types(type(self)).items():
            value = getattr(self, name)
            checked = _checked(value, kind, f"{component_name(type(self))}: option '{name}'")
            if checked is not value:
                object.__setattr__(self, name, checked)


C = TypeVar("C", bound=Component)


def short_name(cls: type) -> str:
    """What a component is called where its family is known: its file's name, or its own outside."""
    ours = cls.__module__.startswith("epochlab.")
    return cls.__module__.rpartition(".")[2] if ours else cls.__name__


def field_types(cls: type[Component]) -> dict[str, Any]:
    """Field name -> declared type of a component class, constraints included."""
    hashable: Any = cls  # mypy takes a class whose instances define __hash__ for unhashable
    return _field_types(hashable)


@functools.cache
def _field_types(cls: type) -> dict[str, Any]:
    hints = typing.get_type_hints(cls, include_extras=True)
    return {f.name: hints[f.name] for f in dataclasses.fields(cls)}


def _checked(value: Any, kind: Any, where: str) -> Any:
    """`value` if it fits `kind` (an int becomes a float where a float is meant), else BadOption."""
    if typing.get_origin(kind) is Annotated:
        base, *limits = typing.get_args(kind)
        value = _checked(value, base, where)
        for limit in limits:
            if isinstance(limit, Limits) and value is not None and not limit.allows(value):
                raise BadOption(f"{where} is {value!r}; it must be {limit.text()}.")
        return value
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if kind is Any:
        return value
    if origin in (typing.Union, types.UnionType):
        return _checked_union(value, args, where)
    if origin is typing.Literal:
        if value not in args:
            raise BadOption(f"{where} is {value!r}; allowed are {', '.join(map(repr, args))}.")
        return value
    if origin is tuple:
        if isinstance(value, (str, bytes)) or not isinstance(value, (tuple, list)):
            raise BadOption(f"{where} is {value!r}; it must be a list of values.")
        if len(args) == 2 and args[1] is Ellipsis:
            return tuple(_checked(item, args[0], where) for item in value)
        if len(value) != len(args):
            raise BadOption(f"{where} has {len(value)} values; it takes {len(args)}.")
        return tuple(_checked(v, a, where) for v, a in zip(value, args, strict=True))
    if kind is float and isinstance(value, (int, float)) and not isinstance(value, bool):
        if not math.isfinite(value):
            raise BadOption(f"{where} is {value!r}; it must be a finite number.")
        return float(value)
    if kind is int and isinstance(value, bool):
        raise BadOption(f"{where} is {value!r}; it must be a whole number.")
    if kind is type(None):
        kind = types.NoneType
    if isinstance(kind, type) and isinstance(value, kind):
        return value
    raise BadOption(f"{where} is {value!r}; it must be {type_text(kind)}.")


def _checked_union(value: Any, kinds: tuple[Any, ...], where: str) -> Any:
    messages = []
    for kind in kinds:
        try:
            return _checked(value, kind, where)
        except BadOption as error:
            messages.append(str(error))
    limited = [m for m in messages if "it must be at" in m or "it must be a" in m]
    allowed = " or ".join(type_text(kind) for kind in kinds)
    if isinstance(value, (int, float)) and limited:
        raise BadOption(limited[0])
    raise BadOption(f"{where} is {value!r}; it must be {allowed}.")


def type_text(kind: Any) -> str:
    """A field's type in words: 'a number above 0', 'one of a, b', 'a schedule'."""
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin is Annotated:
        limits = " and ".join(a.text() for a in args[1:] if isinstance(a, Limits))
        return f"{type_text(args[0])} {limits}".strip()
    if origin in (typing.Union, types.UnionType):
        return " or ".join(type_text(a) for a in args)
    if origin is typing.Literal:
        return "one of " + ", ".join(str(a) for a in args)
    if origin is tuple:
        return f"a list, each {type_text(args[0])}" if args else "a list"
    words = {float: "a number", int: "a whole number", str: "text", bool: "true or false",
             type(None): "none"}  # fmt: skip
    if kind in words:
        return words[kind]
    if isinstance(kind, type) and issubclass(kind, Component):
        return f"a {FAMILIES.get(family_of(kind), 'component')}"
    return getattr(kind, "__name__", str(kind))


def family_of(cls: type) -> str:
    """The folder of the package that a component (or a class derived from one) belongs to."""
    for base in cls.__mro__:
        parts = base.__module__.split(".")
        if len(parts) >= 2 and parts[0] == "epochlab" and parts[1] in FAMILIES:
            return parts[1]
    return ""


def component_name(cls: type) -> str:
    """'optimizers/adam' for our own, 'optimizers/my_file.py:MyClass' for one from outside."""
    parts = cls.__module__.split(".")
    if parts[0] == "epochlab":
        return "/".join(parts[1:])
    source = Path(getattr(sys.modules.get(cls.__module__), "__file__", "") or cls.__module__)
    return f"{family_of(cls)}/{source.name}:{cls.__name__}"


def make(cls: type[C], options: Mapping[str, Any]) -> C:
    """Build a component from named options; an unknown option names the nearest one."""
    for name in options:
        if name not in field_types(cls):
            raise UnknownName(f"option of {component_name(cls)}", name, field_types(cls))
    return cls(**options)


# --- options: what the command line and the reference show ---------------------------------------


@dataclasses.dataclass(frozen=True)
class Option:
    """One field of a component as a user sees it."""

    name: str
    kind: Any
    default: Any
    required: bool
    help: str


def options(cls: type[Component]) -> list[Option]:
    """A component's options in the order of declaration, with the string that explains each."""
    helps: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        if issubclass(base, Component) and base is not Component:
            hashable: Any = base  # as in field_types
            helps.update(_field_strings(hashable))
    result = []
    for f in dataclasses.fields(cls):  # type: ignore[arg-type]
        default = f.default
        if f.default_factory is not dataclasses.MISSING:
            default = f.default_factory()
        required = default is dataclasses.MISSING
        kind = field_types(cls)[f.name]
        shown = None if required else default
        result.append(Option(f.name, kind, shown, required, helps.get(f.name, "")))
    return result


@functools.cache
def _field_strings(cls: type) -> dict[str, str]:
    """Field name -> the string literal that follows it in the source."""
    module = sys.modules[cls.__module__]
    if not module.__file__:
        return {}
    tree = ast.parse(Path(module.__file__).read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and node.name == cls.__name__:
            return {
                first.target.id: " ".join(second.value.value.split())
                for first, second in zip(node.body, node.body[1:], strict=False)
                if isinstance(first, ast.AnnAssign)
                and isinstance(first.target, ast.Name)
                and isinstance(second, ast.Expr)
                and isinstance(second.value, ast.Constant)
                and isinstance(second.value.value, str)
            }
    return {}
