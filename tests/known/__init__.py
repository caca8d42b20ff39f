"""The file of known numbers, numbers.toml, and its networks as objects."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import nn

from epochlab.component import make
from epochlab.networks import Network
from epochlab.registry import load_class

FILE = Path(__file__).with_name("numbers.toml")


@dataclass(frozen=True, kw_only=True)
class Known:
    """One network of the file: how it is built, and what is known of it."""

    name: str
    component: str
    options: Mapping[str, Any]
    input_shape: tuple[int, ...]
    outputs: int
    facts: Mapping[str, Any]  # parameters, weights, macs ... as in the file
    layers: tuple[Mapping[str, Any], ...]

    def network(self) -> Network:
        network = make(load_class("networks", self.component), self.options)
        assert isinstance(network, Network)
        return network

    def build(self) -> nn.Module:
        """The module on the meta device: shapes without numbers, so nothing is allocated."""
        with torch.device("meta"):
            return self.network().build(self.input_shape, self.outputs)


@cache
def numbers() -> dict[str, Any]:
    """The whole file: section name -> table, or list of tables."""
    return tomllib.loads(FILE.read_text(encoding="utf-8"))


def networks(component: str | None = None) -> list[Known]:
    """All networks of the file, or those that one component builds."""
    own = ("name", "component", "options", "input_shape", "outputs", "layers", "id", "source")
    return [
        Known(
            name=entry["name"],
            component=entry["component"],
            options=entry["options"],
            input_shape=tuple(entry["input_shape"]),
            outputs=entry["outputs"],
            facts={key: value for key, value in entry.items() if key not in own},
            layers=tuple(entry.get("layers", ())),
        )
        for entry in numbers()["network"]
        if component in (None, entry["component"])
    ]


def network(name: str) -> Known:
    """The network of the file that has this name."""
    (found,) = [known for known in networks() if known.name == name]
    return found
