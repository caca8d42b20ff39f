"""Each option combination that torch.optim has gives its weights, over 100 steps in float64."""

from __future__ import annotations

import itertools

import pytest
import torch

from epochlab.optimizers.adadelta import Adadelta
from epochlab.optimizers.adagrad import Adagrad
from epochlab.optimizers.adam import Adam
from epochlab.optimizers.nadam import Nadam
from epochlab.optimizers.rmsprop import Rmsprop
from epochlab.optimizers.sgd import Sgd

STEPS = 100
DECAYS = (0.0, 0.05)


def combinations(**choices):
    """Every combination of the named choices, as dictionaries."""
    for values in itertools.product(*choices.values()):
        yield dict(zip(choices, values, strict=True))


def sgd_pairs():
    for c in combinations(
        momentum=(0.0, 0.9), dampening=(0.0, 0.3), nesterov=(False, True), weight_decay=DECAYS
    ):
        allowed = c["momentum"] or not (c["dampening"] or c["nesterov"])
        if allowed and not (c["nesterov"] and c["dampening"]):
            yield Sgd(lr=0.02, **c), torch.optim.SGD, {"lr": 0.02, **c}


def adagrad_pairs():
    for c in combinations(lr_decay=(0.0, 0.1), start=(0.0, 0.1), eps=(1e-10, 1e-3), decay=DECAYS):
        ours = Adagrad(
            lr=0.05, lr_decay=c["lr_decay"], initial_accumulator=c["start"], epsilon=c["eps"],
            weight_decay=c["decay"],
        )  # fmt: skip
        yield ours, torch.optim.Adagrad, {
            "lr": 0.05, "lr_decay": c["lr_decay"], "initial_accumulator_value": c["start"],
            "eps": c["eps"], "weight_decay": c["decay"],
        }  # fmt: skip


def rmsprop_pairs():
    for c in combinations(
        rho=(0.9, 0.99), eps=(1e-8, 1e-3), momentum=(0.0, 0.9), centered=(False, True), decay=DECAYS
    ):
        ours = Rmsprop(
            lr=0.005, rho=c["rho"], epsilon=c["eps"], momentum=c["momentum"],
            centered=c["centered"], weight_decay=c["decay"],
        )  # fmt: skip
        yield ours, torch.optim.RMSprop, {
            "lr": 0.005, "alpha": c["rho"], "eps": c["eps"], "momentum": c["momentum"],
            "centered": c["centered"], "weight_decay": c["decay"],
        }  # fmt: skip


def adadelta_pairs():
    for c in combinations(lr=(1.0, 0.3), rho=(0.9, 0.95), eps=(1e-6, 1e-3), decay=DECAYS):
        ours = Adadelta(lr=c["lr"], rho=c["rho"], epsilon=c["eps"], weight_decay=c["decay"])
        yield ours, torch.optim.Adadelta, {
            "lr": c["lr"], "rho": c["rho"], "eps": c["eps"], "weight_decay": c["decay"],
        }  # fmt: skip


def adam_pairs():
    for c in combinations(
        betas=((0.9, 0.999), (0.5, 0.9), (0.0, 0.99)), eps=(1e-8, 1e-3), amsgrad=(False, True),
        decay=DECAYS, decoupled=(False, True),
    ):  # fmt: skip
        ours = Adam(
            lr=0.02, beta1=c["betas"][0], beta2=c["betas"][1], epsilon=c["eps"],
            amsgrad=c["amsgrad"], weight_decay=c["decay"], decoupled=c["decoupled"],
        )  # fmt: skip
        theirs = torch.optim.AdamW if c["decoupled"] else torch.optim.Adam
        yield ours, theirs, {
            "lr": 0.02, "betas": c["betas"], "eps": c["eps"], "amsgrad": c["amsgrad"],
            "weight_decay": c["decay"],
        }  # fmt: skip


def nadam_pairs():
    for c in combinations(
        betas=((0.9, 0.999), (0.5, 0.9)), psi=(0.0, 0.004, 1.0), decay=DECAYS,
        decoupled=(False, True),
    ):  # fmt: skip
        ours = Nadam(
            lr=0.02, beta1=c["betas"][0], beta2=c["betas"][1], psi=c["psi"],
            weight_decay=c["decay"], decoupled=c["decoupled"],
        )  # fmt: skip
        yield ours, torch.optim.NAdam, {
            "lr": 0.02, "betas": c["betas"], "momentum_decay": c["psi"],
            "weight_decay": c["decay"], "decoupled_weight_decay": c["decoupled"],
        }  # fmt: skip


PAIRS = {
    "sgd": sgd_pairs, "adagrad": adagrad_pairs, "rmsprop": rmsprop_pairs,
    "adadelta": adadelta_pairs, "adam": adam_pairs, "nadam": nadam_pairs,
}  # fmt: skip


class Problem:
    """A least-squares loss of random data whose gradients carry noise, as those of batches do.

    Without noise an adaptive method ends up dividing rounding errors by each other, and no two
    orders of the same arithmetic would agree.
    """

    def __init__(self, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.matrix = torch.randn(12, 7, generator=generator, dtype=torch.float64) / 3
        self.target = torch.randn(12, generator=generator, dtype=torch.float64)
        self.start = torch.randn(7, generator=generator, dtype=torch.float64)
        self.noise = torch.randn(STEPS, 7, generator=generator, dtype=torch.float64)

    def gradients(self):
        """A function that gives the gradient at w, each call with the next step's noise."""
        noise = iter(self.noise)
        return lambda w: self.matrix.T @ (self.matrix @ w - self.target) + next(noise)


def torch_path(theirs, options, problem):
    w = torch.nn.Parameter(problem.start.clone())
    optimizer = theirs([w], **options)
    gradient, path = problem.gradients(), []
    for _ in range(STEPS):
        w.grad = gradient(w.detach())
        optimizer.step()
        path.append(w.detach().clone())
    return path


@pytest.fixture
def float64_scalars():
    """NAdam in torch keeps its momentum product in the default type, float32 unless told."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.usefixtures("float64_scalars")
@pytest.mark.parametrize("name", PAIRS)
def test_weights_equal_torch(walk, name):
    for number, (ours, theirs, options) in enumerate(PAIRS[name]()):
        problem = Problem(number)
        expected = torch_path(theirs, options, problem)
        path = walk(ours, problem.start, problem.gradients(), STEPS)
        worst = max((a - b).abs().max().item() for a, b in zip(path, expected, strict=True))
        assert worst <= 1e-12, (ours, options, worst)
        assert (path[-1] - problem.start).abs().max() > 0.01


def test_every_pair_generator_covers_more_than_its_default():
    assert {name: len(list(pairs())) for name, pairs in PAIRS.items()} == {
        "sgd": 8, "adagrad": 16, "rmsprop": 32, "adadelta": 16, "adam": 48, "nadam": 24,
    }  # fmt: skip
