"""From words on the command line to components: dotted options, derived from their fields."""

from __future__ import annotations

import argparse
import inspect
import types
import typing
from collections.abc import Sequence
from typing import Annotated, Any, NoReturn, TypeVar

from epochlab.component import Component, Option, family_of, make, options, short_name, type_text
from epochlab.errors import BadOption, UnknownName
from epochlab.registry import load_class, names
from epochlab.table import FORMATS, Table

C = TypeVar("C", bound=Component)
Given = dict[str, str]


class Parser(argparse.ArgumentParser):
    """An argparse parser whose mistakes are ours: one paragraph, exit code 2."""

    def __init__(self, command: str, description: str) -> None:
        super().__init__(
            prog=f"epochlab {command}", description=description, allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )  # fmt: skip

    def error(self, message: str) -> NoReturn:
        raise BadOption(f"{message}. '{self.prog} --help' lists what is allowed.")

    def parse_strictly(self, words: Sequence[str]) -> argparse.Namespace:
        """Parse all words; one that is not known names its nearest match."""
        known, rest = self.parse_known_args(words)
        if rest:
            raise UnknownName(f"option of '{self.prog}'", rest[0], self.option_names())
        return known

    def option_names(self) -> list[str]:
        return [s for a in self._actions for s in a.option_strings if s.startswith("--")]


def add_format(parser: argparse.ArgumentParser) -> None:
    """`--format` and its short forms."""
    parser.add_argument("--format", choices=FORMATS, default="text", help="how to print the table")
    for form in ("json", "csv", "markdown"):
        parser.add_argument(f"--{form}", dest="format", action="store_const", const=form,
                            help=f"same as --format {form}")  # fmt: skip


def add_store(parser: argparse.ArgumentParser) -> None:
    """`--store` and `--data-dir`."""
    parser.add_argument("--store", metavar="DIR", help="folder of runs and reports "
                        "(else EPOCHLAB_STORE, else ./epochlab-store)")  # fmt: skip
    parser.add_argument("--data-dir", metavar="DIR", help="folder of data sets "
                        "(else EPOCHLAB_DATA, else the user's cache)")  # fmt: skip


def show(table: Table, form: str) -> None:
    """Print a table in the chosen format."""
    print(table.written(form))


def dotted(words: Sequence[str]) -> Given:
    """`--optimizer adam --optimizer.lr 0.1 --x=1 --flag` as a dictionary."""
    given: Given = {}
    position = 0
    while position < len(words):
        word = words[position]
        if not word.startswith("--"):
            raise BadOption(f"'{word}' stands alone; options are written --name value.")
        name, equals, value = word[2:].partition("=")
        name = name.replace("-", "_")
        if not equals:
            values = []
            while position + 1 < len(words) and not words[position + 1].startswith("--"):
                position += 1
                values.append(words[position])
            value = ",".join(values) if values else "true"
        if name in given:
            raise BadOption(f"The option --{name} is given twice.")
        given[name] = value
        position += 1
    return given


def build(cls: type[C], given: Given, default: C | None = None, prefix: str = "") -> C:
    """A component of class `cls` from dotted options; `default` supplies what is not given.

    Raises UnknownName for an option that no component takes, BadOption for a bad value.
    """
    used: set[str] = set()
    made = _build(cls, given, default, prefix, used)
    unknown = sorted(set(given) - used)
    if unknown:
        known = [line[0] for line in option_lines(cls, made, prefix)]
        raise UnknownName("option", "--" + unknown[0], ["--" + k for k in known])
    return made


def _build(cls: type[C], given: Given, default: C | None, prefix: str, used: set[str]) -> C:
    values: dict[str, Any] = {}
    for option in options(cls):
        name = prefix + option.name
        current = option.default if default is None else getattr(default, option.name)
        value = _value(option, name, given, current, used)
        if value is not _ABSENT:
            values[option.name] = value
        elif default is not None:
            values[option.name] = current
        elif option.required:
            family = _family_in(option.kind)
            allowed = f" Allowed: {', '.join(names(family))}." if family else ""
            raise BadOption(f"The option --{name} is needed: {option.help}.{allowed}")
    return make(cls, values)


_ABSENT = object()


def _value(option: Option, name: str, given: Given, current: Any, used: set[str]) -> Any:
    """The value of one option from the words, or _ABSENT."""
    family = _family_in(option.kind)
    nested = any(key.startswith(name + ".") for key in given)
    if name not in given and not (family and nested):
        return _ABSENT
    text = given.get(name)
    used.add(name)
    if not family:
        return _parsed(text or "", option.kind, name)
    if _is_tuple(option.kind):
        return _component_list(family, text, name, given, current, used)
    if text is not None and _is_number(text):
        return _parsed(text, option.kind, name)
    if text is None and not isinstance(current, Component):
        raise BadOption(f"--{name}.… is given, but --{name} does not say which {family[:-1]}.")
    cls = type(current) if text is None else load_class(family, text)
    same = isinstance(current, cls)
    return _build(cls, given, current if same else None, name + ".", used)


def _component_list(
    family: str, text: str | None, name: str, given: Given, current: Any, used: set[str]
) -> tuple[Component, ...]:
    """`--augment crop_flip,cutout --augment.cutout.size 8`."""
    if text is None:
        chosen = [(type(c), c) for c in current]
    else:
        listed = [t for t in text.split(",") if t and t != "none"]
        chosen = [(load_class(family, t), None) for t in listed]
    made = []
    for cls, default in chosen:
        stem = short_name(cls)
        made.append(_build(cls, given, default, f"{name}.{stem}.", used))
    return tuple(made)


def _family_in(kind: Any) -> str:
    """The family of components that a field may hold, or ''."""
    if isinstance(kind, type) and issubclass(kind, Component):
        return family_of(kind)
    for argument in typing.get_args(kind):
        if found := _family_in(argument):
            return found
    return ""


def _is_tuple(kind: Any) -> bool:
    return typing.get_origin(kind) is tuple


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _parsed(text: str, kind: Any, name: str) -> Any:
    """Text to the declared type; the component checks limits."""
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin is Annotated:
        return _parsed(text, args[0], name)
    if origin in (typing.Union, types.UnionType):
        for argument in args:
            if argument is type(None) and text.lower() == "none":
                return None
        for argument in args:
            if argument is not type(None):
                try:
                    return _parsed(text, argument, name)
                except BadOption:
                    continue
        raise BadOption(f"--{name} is '{text}'; it must be {type_text(kind)}.")
    if origin is tuple:
        items = [t for t in text.split(",") if t and t != "none"]
        return tuple(_parsed(t, args[0], name) for t in items)
    if origin is typing.Literal:
        for allowed in args:
            if text == str(allowed):
                return allowed
        raise UnknownName(f"value of --{name}", text, [str(a) for a in args])
    try:
        if kind is bool:
            return {"true": True, "yes": True, "1": True,
                    "false": False, "no": False, "0": False}[text.lower()]  # fmt: skip
        if kind is int:
            return int(text)
        if kind is float:
            return float(text)
        if kind is str:
            return text
    except (ValueError, KeyError):
        pass
    raise BadOption(f"--{name} is '{text}'; it must be {type_text(kind)}.")


def option_lines(
    cls: type[Component], made: Component | None, prefix: str = ""
) -> list[tuple[str, str, str]]:
    """(dotted name, default, explanation) of every option, those of nested components included."""
    lines = []
    for option in options(cls):
        value = option.default if made is None else getattr(made, option.name)
        name = prefix + option.name
        if isinstance(value, Component):
            stem = short_name(type(value))
            lines.append((name, stem, option.help))
            lines += option_lines(type(value), value, name + ".")
            continue
        if isinstance(value, tuple) and any(isinstance(item, Component) for item in value):
            stems = [short_name(type(item)) for item in value]
            lines.append((name, ",".join(stems), option.help))
            for stem, item in zip(stems, value, strict=True):
                lines += option_lines(type(item), item, f"{name}.{stem}.")
            continue
        shown = "needed" if option.required and made is None else _shown(value)
        lines.append((name, shown, option.help))
    return lines


def print_options(cls: type[Component], made: Component | None = None) -> None:
    """A component's docstring and its options with their present values."""
    print(inspect.getdoc(cls) or "")
    lines = option_lines(cls, made)
    width = max(len(name) for name, _, _ in lines)
    print("\noptions (default or present value in brackets):")
    for name, value, meaning in lines:
        print(f"  --{name:<{width}}  {meaning} [{value}]")


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return ",".join(map(_shown, value)) or "none"
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
