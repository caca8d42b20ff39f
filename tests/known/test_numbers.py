"""The file of known numbers: complete, with sources, and what is arithmetic in it is right."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import nn

from epochlab.networks.fashion_cnn import FashionCnn
from epochlab.registry import names
from tests.known import network, networks, numbers
from tests.networks.counting import counts

ENTRIES = [
    (section, entry)
    for section, value in numbers().items()
    for entry in (value if isinstance(value, list) else [value])
]


@pytest.mark.parametrize(("section", "entry"), ENTRIES)
def test_every_entry_has_an_id_and_a_source(section: str, entry: dict[str, Any]) -> None:
    assert entry["id"] in ("N-1", "N-2", "N-3", "N-4", "N-5", "N-6", "N-7", "N-8", "N-18", "zoo")
    assert entry["source"].split(";")[0].startswith(("computed", "torchvision"))


def test_all_ids_are_there() -> None:
    ids = {entry["id"] for _, entry in ENTRIES}
    assert ids == {"N-1", "N-2", "N-3", "N-4", "N-5", "N-6", "N-7", "N-8", "N-18", "zoo"}


def test_networks_have_names_of_their_own_and_components_that_exist() -> None:
    found = [known.name for known in networks()]
    assert len(set(found)) == len(found)
    assert {known.component for known in networks()} <= set(names("networks"))
    assert all(known.facts or known.layers for known in networks())
    assert {k.name for k in networks("squeezenet")} == {"SqueezeNet 1.0", "SqueezeNet 1.1"}
    assert network("VGG16").options == {"depth": 16}


@pytest.mark.parametrize("entry", numbers()["stack"], ids=lambda e: f"{e['layers']}x{e['kernel']}")
def test_stacks_see_what_their_gradient_reaches(entry: dict[str, Any]) -> None:
    layers, kernel = entry["layers"], entry["kernel"]
    assert entry["field"] == layers * (kernel - 1) + 1
    stack = nn.Sequential(*[nn.Conv2d(1, 1, kernel) for _ in range(layers)])
    for weight in stack.parameters():
        nn.init.ones_(weight)
    image = torch.zeros(1, 1, 20, 20, requires_grad=True)
    stack(image)[0, 0, 3, 3].backward()
    assert image.grad is not None
    assert int((image.grad[0, 0] != 0).any(0).sum()) == entry["field"]
    if "weights_per_squared_channels" in entry:
        assert entry["weights_per_squared_channels"] == layers * kernel**2
        assert entry["weights_of_one_layer_per_squared_channels"] == entry["field"] ** 2


@pytest.mark.parametrize("entry", numbers()["pruned"], ids=lambda e: str(e["macs"]))
def test_work_of_pruned_networks(entry: dict[str, Any]) -> None:
    options, factors = entry["options"], numbers()["pruned_formula"]
    c1, c2, n = options["channels1"], options["channels2"], options["hidden"]
    formula = (
        factors["c1"] * c1 + factors["c1_c2"] * c1 * c2 + factors["c2_n"] * c2 * n
        + factors["n"] * n
    )  # fmt: skip
    assert formula == entry["macs"]
    assert counts(FashionCnn(**options), (1, 28, 28))[1] == entry["macs"]


def test_grids_multiply() -> None:
    grids = numbers()["grid"]
    assert [math.prod(grid["factors"]) for grid in grids] == [grid["trials"] for grid in grids]
    assert grids[0]["trials"] + grids[1]["trials"] == numbers()["grid_total"]["trials"]


def test_saving_of_the_reduced_module() -> None:
    naive, reduced = (entry["macs"] for entry in numbers()["inception"])
    saving = numbers()["inception_saving"]
    assert round(naive / reduced, 4) == saving["ratio"]
    assert naive - reduced == saving["saved_macs"]
    assert round(100 * (naive - reduced) / naive, 2) == saving["saved_percent"]
    assert reduced - (256 - 64) * 64 * 32 * 32 == saving["wrong_macs"]
