"""An optimizer from outside the package: python examples/own_optimizer.py compares it with SGD.

On the command line the same file serves as `--optimizer own_optimizer.py:RootStep`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from epochlab.component import Positive
from epochlab.datasets.digits import Digits
from epochlab.networks.mlp import Mlp
from epochlab.optimizers import Optimizer
from epochlab.optimizers.sgd import Sgd
from epochlab.schedules import Schedule
from epochlab.table import Column, Table
from epochlab.train.lab import Lab
from epochlab.train.store import Store
from epochlab.train.trial import Trial

if TYPE_CHECKING:
    from torch import Tensor

    from epochlab.optimizers import State


@dataclass(frozen=True, kw_only=True)
class RootStep(Optimizer):
    """w <- w - lr * sign(g) * sqrt(|g|): large gradients count less, small ones more."""

    lr: Positive | Schedule = 0.01
    "step size: a number, or a schedule of it"

    def update(self, w: Tensor, g: Tensor, state: State, lr: float, t: int) -> None:
        w.add_(g.sign() * g.abs().sqrt(), alpha=-lr)


def main() -> None:
    """Train with both at the same rate, and print their scores."""
    lab = Lab(Store.at())
    rows = []
    for optimizer in (Sgd(lr=0.01), RootStep(lr=0.01)):
        run = lab.run(
            Trial(network=Mlp(hidden=(64,)), data=Digits(), optimizer=optimizer, epochs=5)
        )
        name = type(optimizer).__name__
        rows.append({"optimizer": name, "test accuracy": run.final("test_accuracy")})
    columns = ("optimizer", Column(name="test accuracy", format=".2%"))
    print(Table.of("After five epochs", rows, columns=columns).text())


# Worker processes import this file to find the class: they must not start to train.
if __name__ == "__main__":
    main()
