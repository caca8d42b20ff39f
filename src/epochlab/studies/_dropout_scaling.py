"""The two ways to make up for dropout when evaluating, compared on a trained network."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from epochlab.datasets import Data
from epochlab.evidence import Claim, better
from epochlab.networks.mlp import Mlp
from epochlab.randomness import key
from epochlab.table import Column, Table
from epochlab.train.run import Run
from epochlab.train.trial import Trial

if TYPE_CHECKING:
    from torch import Tensor, nn

PROBE_IMAGES = 2000  # of the test set; evaluated in double precision
DRAWS = 1_000_000
_EQUAL = 1e-9  # largest output difference between two forms that are equal but for rounding

INVERTED = "inverted: divided by the share kept while training"
CLASSICAL = "classical: times the share kept (1-p) when evaluating"
WRONG = "wrong: times the share dropped (p)"
FORGOTTEN = "wrong: not scaled at all"


@dataclass(frozen=True)
class Scored:
    """One way of scaling, judged on test images."""

    loss: float
    accuracy: float
    largest_difference: float
    "of any output, to the inverted form"


def scalings(run: Run, data: Data) -> dict[str, Scored]:
    """Evaluate a network trained with inverted dropout as its classical twin, rightly and wrongly.

    The twin's weights behind each dropout are 1 / (1-p) times as large, which makes its training
    passes the same as those that were made.
    """
    import torch
    from torch.nn import functional

    from epochlab.layers.dropout import Dropout
    from epochlab.train.batches import Scaling

    inverted, twin = run.network().double(), classical_twin(run, data).double()
    part = data.test.take(slice(PROBE_IMAGES))
    scaling = Scaling.of(data, "cpu")
    inputs = scaling.inputs(part.inputs.copy()).double()
    targets = torch.from_numpy(part.targets.copy())

    def scored(network: nn.Module, against: Tensor | None) -> tuple[Scored, Tensor]:
        with torch.no_grad():
            outputs: Tensor = network(inputs)
        gap = 0.0 if against is None else float((outputs - against).abs().max())
        accuracy = float((outputs.argmax(1) == targets).double().mean())
        return Scored(float(functional.cross_entropy(outputs, targets)), accuracy, gap), outputs

    found = {}
    found[INVERTED], outputs = scored(inverted, None)
    found[CLASSICAL], _ = scored(twin, outputs)
    for name in (WRONG, FORGOTTEN):
        for layer in twin.modules():
            if isinstance(layer, Dropout):
                layer.evaluation_factor = layer.rate if name == WRONG else 1.0
        found[name], _ = scored(twin, outputs)
    return found


def classical_twin(run: Run, data: Data) -> nn.Module:
    """The network that dropout in its first form would have trained, in evaluation mode."""
    network = run.trial.network
    assert isinstance(network, Mlp)
    twin = dataclasses.replace(network, dropout_form="weight_scaling").build(
        data.input_shape, data.outputs
    )
    weights = run.network().state_dict()
    for number in range(1, len(network.hidden) + 2):
        dropped = network.input_dropout if number == 1 else network.hidden_dropout
        weights[f"fc{number}.weight"] = weights[f"fc{number}.weight"].double() / (1 - dropped)
    twin.double().load_state_dict(weights)
    return twin.eval()


def scaling_table(found: Sequence[dict[str, Scored]], method: str) -> Table:
    """Loss, accuracy and output difference of each way, mean over the runs."""
    n = len(found)
    rows = [{
        "scaling": name, "test loss": sum(f[name].loss for f in found) / n,
        "test accuracy": sum(f[name].accuracy for f in found) / n,
        "largest output difference": max(f[name].largest_difference for f in found),
    } for name in (INVERTED, CLASSICAL, WRONG, FORGOTTEN)]  # fmt: skip
    return Table.of("Dropout when evaluating: rightly and wrongly scaled", rows, columns=(
        "scaling", Column(name="test loss", format=".4f"),
        Column(name="test accuracy", format=".2%"),
        Column(name="largest output difference", format=".1e"),
    ), name="dropout-scaling", notes=(
        f"{method}, trained with dropout; double precision, the first {PROBE_IMAGES:,} test images "
        "at most. Where p is one half, as in the hidden layers by default, p and 1-p are the same, "
        "so the wrong factor does its damage at the input alone. A factor changes above all how "
        "sure the network is of its answer, so compare the loss as well as the accuracy.",
    ))  # fmt: skip


def scaling_claims(found: Sequence[dict[str, Scored]], decisive: bool) -> list[Claim]:
    """Both forms predict the same; the wrong factor costs accuracy."""
    gap = max(f[CLASSICAL].largest_difference for f in found)
    return [
        Claim(
            statement="Weight scaling and inverted dropout are the same network when evaluated.",
            rule=f"no output differs by more than {_EQUAL:g} after the weights are exchanged",
            verdict="supported" if gap <= _EQUAL else "not supported",
            numbers={"largest output difference": gap}, seeds=len(found),
        ),
        better(
            "Scaling by the share dropped in place of the share kept lowers test accuracy.",
            [f[CLASSICAL].accuracy for f in found], [f[WRONG].accuracy for f in found],
            names=("right factor", "wrong factor"), quantity="test accuracy", decisive=decisive,
        ),
    ]  # fmt: skip


def rate_table(trial: Trial) -> Table:
    """Shares that the dropout layers really drop, over DRAWS draws each."""
    import torch

    from epochlab.layers.dropout import Dropout

    network = trial.network
    assert isinstance(network, Mlp)
    rows = []
    for place, rate in (("input", network.input_dropout), ("hidden", network.hidden_dropout)):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(key(trial.seed, "dropout draws") >> 1)
            kept = Dropout(rate, network.dropout_form)(torch.ones(DRAWS))
        rows.append({"place": place, "asked": rate,
                     "dropped": float((kept == 0).double().mean()),
                     "mean factor": float(kept.double().mean())})  # fmt: skip
    return Table.of("Dropout rates in fact", rows, name="dropout-rates", columns=(
        "place", Column(name="asked", format=".2%"), Column(name="dropped", format=".2%"),
        Column(name="mean factor", format=".4f"),
    ), notes=(f"{DRAWS:,} draws each. A mean factor of 1 is what lets the inverted form leave the "
              "weights alone when evaluating.",))  # fmt: skip
