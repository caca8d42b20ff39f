"""Find the network that a text names: one of ours with options, or a module of the user's code."""

from __future__ import annotations

import contextlib
import re
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal, TypeVar

import torch
from torch import nn

from epochlab.component import Component, component_name, field_types, make, short_name
from epochlab.cost.own_code import Named, from_file, from_module
from epochlab.errors import BadOption, UnknownName, nearest
from epochlab.networks import Network
from epochlab.registry import load_class, names

HOW_TO_NAME = (
    "'epochlab list networks' explains each. A network of your own is written path/file.py:Name "
    "or package.module:Name, Name being a class or function without arguments, or a module."
)
_FILE = re.compile(r"(?P<file>(?:[A-Za-z]:)?[^:]*\.py)(?::(?P<name>\w*))?(?::(?P<options>.*))?")
_MODULE = re.compile(r"(?P<module>[A-Za-z_]\w*(?:\.\w+)*):(?P<name>\w+)(?::(?P<options>.*))?")
C = TypeVar("C", bound=Component)
_NICKNAME = re.compile(r"(?P<family>[a-z_]*[a-z])_?(?P<depth>\d+)(?P<normalised>_bn)?")


@dataclass(frozen=True, kw_only=True)
class FoundNetwork:
    """A network that was named: a component of ours, or whatever makes a module of the user's."""

    name: str
    "short, for titles and file names"
    text: str
    "that it was found by"
    component: Network | None = None
    make: Callable[[bool], nn.Module] | None = None
    "makes the module, with real weights or without, where there is no component"

    @property
    def natural_input(self) -> tuple[int, ...] | None:
        """One sample that the network is known for; None where only its author knows."""
        return None if self.component is None else self.component.natural_input

    @property
    def natural_outputs(self) -> int | None:
        """Classes of the data that the network is known for, or None."""
        return None if self.component is None else self.component.natural_outputs

    def build(
        self, input_shape: tuple[int, ...] | None = None, outputs: int | None = None, *,
        real: bool = False,
    ) -> nn.Module:  # fmt: skip
        """The module: with weights if `real`, else on the meta device if its constructor allows.

        `input_shape` is one sample without the batch axis; it and `outputs` are for components,
        whose natural ones are taken where they are None. Raises BadShape for a shape that the
        component cannot take, BadOption where the user's own code fails or returns no module.
        """
        if self.component is None:
            assert self.make is not None
            return self.make(real)
        shape = self.component.natural_input if input_shape is None else input_shape
        classes = self.component.natural_outputs if outputs is None else outputs
        with torch.device("cpu" if real else "meta"):
            return self.component.build(shape, classes)


def find_network(text: str) -> FoundNetwork:
    """The network that `text` names; its code is imported, nothing is built yet.

        vgg, lenet5, mobilenet_v2          a component as it is
        vgg:depth=16,batch_norm=true       with options
        vgg16, resnet50, resnet20          name and depth; resnet_cifar has those that resnet lacks
        nets.py:Name, package.module:Name  one's own: a class or function that needs no arguments, a
                                           module that is already built, or a component

        >>> found = find_network("vgg16:batch_norm=true")
        >>> found.name, found.component.depth
        ('vgg16(batch_norm=true)', 16)

    Raises UnknownName with the nearest match; BadOption for a bad option, for code that cannot be
    imported, and for what is no network.
    """
    written = text.strip()
    if match := _FILE.fullmatch(written):
        named = from_file(Path(match["file"]).expanduser(), match["name"] or "")
        return _from_own(named, match["options"] or "", written)
    name, _, options = written.partition(":")
    cls, preset, shown = _component_class(name)
    if cls is not None:
        return _from_component(cls, preset, options, shown, written)
    if match := _MODULE.fullmatch(written):
        found = from_module(match["module"], match["name"])
        if found is not None:
            return _from_own(found, match["options"] or "", written)
        missing = f"Python finds no module '{name}' in this folder or among the installed packages."
        if "." in name:
            raise BadOption(f"{missing} A network in a file is written path/file.py:Name.")
        raise UnknownName("network", name, _like(name), f"{missing} {HOW_TO_NAME}")
    before, _, last = name.rpartition(".")
    hint = f"Did you mean {before}:{last}? " if re.fullmatch(r"[A-Za-z_][\w.]*", before) else ""
    raise UnknownName("network", written, _like(name), hint + HOW_TO_NAME)


def _from_own(named: Named, options: str, text: str) -> FoundNetwork:
    value = named.value
    if isinstance(value, type) and issubclass(value, Network):
        return _from_component(value, {}, options, short_name(value), text)
    if options:
        raise BadOption(
            f"Options such as '{options}' are for components, and {named.where} is none. Write a "
            "function without arguments beside it that returns the module you mean, and name that."
        )
    if isinstance(value, Network):
        return FoundNetwork(name=named.name, text=text, component=value)
    return FoundNetwork(name=named.name, text=text, make=named.maker())


# --- components -----------------------------------------------------------------------------------


def _component_class(name: str) -> tuple[type[Network] | None, dict[str, Any], str]:
    """Class, options that the name itself sets, and the name to show; None for no component."""
    stem = re.sub(r"[-.\s]+", "_", name.lower())
    by_letters = {known.replace("_", ""): known for known in names("networks")}
    exact = by_letters.get(stem.replace("_", ""))
    if exact is not None:
        return _network_class(exact), {}, exact
    match = _NICKNAME.fullmatch(stem)
    if match is None:
        return None, {}, ""
    preset = {"depth": int(match["depth"])} | ({"batch_norm": True} if match["normalised"] else {})
    refused = []
    for cls in _classes_with(set(preset), match["family"].replace("_", "")):
        try:
            make(cls, preset)
        except BadOption as error:
            refused.append(str(error))
        else:
            return cls, preset, match["family"] + match["depth"] + (match["normalised"] or "")
    if refused:
        raise BadOption(f"There is no network named '{name}'. {' '.join(refused)}")
    return None, {}, ""


def _like(name: str) -> list[str]:
    """Names for a message: all components, and the nickname that was meant, if one was."""
    known = names("networks")
    match = _NICKNAME.fullmatch(name.lower())
    close = nearest(match["family"], known) if match else None
    if match and close:
        with contextlib.suppress(BadOption):
            cls, _, shown = _component_class(close + match["depth"])
            return [*known, shown] if cls else known
    return known


def _classes_with(options: set[str], family: str) -> list[type[Network]]:
    """Components with these options whose name, or its first word, is `family`; exact first."""
    found = [n for n in names("networks") if family in (n.replace("_", ""), n.split("_")[0])]
    classes = [_network_class(n) for n in sorted(found, key=len)]
    return [cls for cls in classes if options <= set(field_types(cls))]


def _network_class(name: str) -> type[Network]:
    cls = load_class("networks", name)
    assert issubclass(cls, Network)
    return cls


def _from_component(
    cls: type[Network], preset: dict[str, Any], options: str, shown: str, text: str
) -> FoundNetwork:
    given = option_words(cls, options)
    twice = next((name for name in given if name in preset), None)
    if twice:
        raise BadOption(f"'{text}' gives the option {twice} twice: in the name and behind it.")
    component = with_options(cls, options, preset)
    if "depth" in field_types(cls) and "depth" not in preset and shown[-1].isalpha():
        shown += f"{vars(component)['depth']}"
        given.pop("depth", None)
    if given:
        shown += f"({', '.join(f'{name}={word}' for name, word in given.items())})"
    return FoundNetwork(name=shown, text=text, component=component)


def with_options(cls: type[C], text: str, preset: Mapping[str, Any] = MappingProxyType({})) -> C:
    """A component of class `cls` with options as text: 'depth=16,batch_norm'.

        >>> from epochlab.optimizers.sgd import Sgd
        >>> with_options(Sgd, "lr=0.1,momentum=0.9").momentum
        0.9

    `preset` has further options as values. Raises UnknownName and BadOption.
    """
    kinds = field_types(cls)
    words = option_words(cls, text)
    return make(cls, {**preset, **{name: _value(w, kinds[name]) for name, w in words.items()}})


def option_words(cls: type[Component], text: str) -> dict[str, str]:
    """'depth=16,batch_norm' -> names and words; a value may have commas itself: 'hidden=300,100'.

    Raises UnknownName for an option that the component does not have, BadOption for one given
    twice.
    """
    kinds = field_types(cls)
    given: dict[str, str] = {}
    last = ""
    for piece in text.split(",") if text.strip() else ():
        word, equals, value = (part.strip() for part in piece.partition("="))
        name = word.replace("-", "_")
        if not equals and name not in kinds and last:
            given[last] += f",{word}"
            continue
        if name not in kinds:
            raise UnknownName(f"option of {component_name(cls)}", word, kinds)
        if name in given:
            raise BadOption(f"The option {name} of {component_name(cls)} is given twice.")
        given[name] = value if equals else "true"
        last = name
    return given


def _value(text: str, kind: Any) -> Any:
    """Text as the declared type where it can be read so, else as it is; the component judges."""
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin is Annotated:
        return _value(text, args[0])
    if origin is tuple:
        return tuple(_value(t.strip(), args[0]) for t in text.split(",") if t and t != "none")
    if origin is Literal:
        return next((a for a in args if str(a) == text), _value(text, type(args[0])))
    if kind is bool:
        return {"true": True, "yes": True, "false": False, "no": False}.get(text.lower(), text)
    if kind is str:
        return text
    for number in (int, float):
        with contextlib.suppress(ValueError):
            return number(text)
    return None if text == "none" else text
