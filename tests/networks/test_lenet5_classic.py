from __future__ import annotations

from collections import Counter

import pytest
import torch

from epochlab.errors import BadShape
from epochlab.networks.lenet5 import Lenet5
from epochlab.networks.lenet5_classic import CONNECTIONS, Lenet5Classic
from epochlab.plain import to_plain
from tests.networks.per_layer import measure


@pytest.mark.parametrize("shape", [(1, 28, 28), (1, 32, 32), (1, 27, 32), (1, 8, 8)])
@pytest.mark.parametrize("outputs", [2, 10, 100])
def test_sixty_thousand_parameters(shape: tuple[int, ...], outputs: int) -> None:
    module = Lenet5Classic().build(shape, outputs)
    assert sum(p.numel() for p in module.parameters()) == 60_000
    assert module.eval()(torch.zeros(2, *shape)).shape == (2, outputs)


def test_connections_are_those_that_the_paper_describes() -> None:
    """All runs of three and of four neighbours in a ring of six, three gapped fours, all six."""
    runs = [{(start + i) % 6 for i in range(n)} for n in (3, 4) for start in range(6)]
    assert sorted(map(sorted, CONNECTIONS[:12])) == sorted(map(sorted, runs))
    gapped = [set(row) for row in CONNECTIONS[12:15]]
    assert all(len(row) == 4 and row not in runs for row in gapped)
    assert len(set(map(frozenset, gapped))) == 3
    assert CONNECTIONS[15] == (0, 1, 2, 3, 4, 5)
    assert Counter(channel for row in CONNECTIONS for channel in row) == dict.fromkeys(range(6), 10)


def test_connections_of_the_third_layer() -> None:
    """151,600 connections: one per weight, and one per bias, at each of 10 x 10 places."""
    c3 = measure(Lenet5Classic().build((1, 32, 32), 10), (1, 32, 32))["c3"]
    assert (c3.weights, c3.biases) == (1_500, 16)
    assert c3.macs + c3.activations == 151_600


def test_order_of_layers() -> None:
    names = [name for name, _ in Lenet5Classic().build((1, 32, 32), 10).named_children()]
    assert names == [
        "c1", "act1", "s2", "act2", "c3", "act3", "s4", "act4", "c5", "act5", "flatten",
        "f6", "act6", "output",
    ]  # fmt: skip


def test_codes_are_kept_with_the_weights_and_not_trained() -> None:
    module = Lenet5Classic().build((1, 32, 32), 10)
    assert "output.codes" in module.state_dict()
    assert "output.codes" not in dict(module.named_parameters())


def test_padding_surrounds_small_images_with_zeros() -> None:
    torch.manual_seed(0)
    small = Lenet5Classic().build((1, 28, 28), 10)
    large = Lenet5Classic(padding=False).build((1, 32, 32), 10)
    large.load_state_dict(small.state_dict())
    images = torch.rand(2, 1, 28, 28)
    surrounded = torch.nn.functional.pad(images, (2, 2, 2, 2))
    torch.testing.assert_close(small(images), large(surrounded))


def test_learns_to_tell_two_images_apart() -> None:
    torch.manual_seed(0)
    module = Lenet5Classic().build((1, 16, 16), 2)
    images, targets = torch.randn(2, 1, 16, 16), torch.tensor([1, 0])
    optimizer = torch.optim.SGD(module.parameters(), lr=0.01)
    losses = []
    for _ in range(30):
        loss = torch.nn.functional.cross_entropy(module(images), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 10
    assert module(images).argmax(1).tolist() == [1, 0]


def test_flat_and_small_samples_are_refused() -> None:
    with pytest.raises(BadShape, match="it takes images"):
        Lenet5Classic().build((64,), 10)
    with pytest.raises(BadShape, match=r"31 x 32 pixels: c5 .*at least 32.*padding to true"):
        Lenet5Classic(padding=False).build((1, 31, 32), 10)


def test_the_modern_form_has_the_options_that_its_recorded_runs_have() -> None:
    """Each option enters the hash of a trial, so a new one would orphan all runs made before."""
    assert to_plain(Lenet5()) == {
        "component": "networks/lenet5", "activation": "relu", "pool": "max", "padding": True,
    }  # fmt: skip
