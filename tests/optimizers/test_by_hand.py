"""Methods and variants that torch does not have, against plain Python written independently."""

from __future__ import annotations

import math

import pytest
import torch

from epochlab.optimizers.adagrad import Adagrad
from epochlab.optimizers.adam import Adam
from epochlab.optimizers.nadam import warmth_product
from epochlab.optimizers.rmsprop import Rmsprop
from epochlab.optimizers.rmsprop_nesterov import RmspropNesterov
from epochlab.optimizers.sgd import Sgd
from epochlab.schedules.growing import Growing

STEPS = 100
START = 1.5


def slope(w: float) -> float:
    """Gradient of a bumpy loss of one weight."""
    return w + 0.8 * math.cos(4 * w)


def slope_tensor(w):
    return torch.tensor([slope(x) for x in w.tolist()], dtype=torch.float64)


def assert_same_path(walk, method, expected):
    path = walk(method, torch.tensor([START], dtype=torch.float64), slope_tensor, len(expected))
    assert [w.item() for w in path] == pytest.approx(expected, rel=0, abs=1e-12)


def nesterov_path(lr, rho, alpha, denominator, coupled=0.0, decoupled=0.0):
    """Deep Learning book, algorithm 8.6, its lines in its order."""
    theta, v, r, path = START, 0.0, 0.0, []
    for _ in range(STEPS):
        interim = theta + alpha * v
        g = slope(interim) + coupled * interim
        r = rho * r + (1 - rho) * g * g
        v = alpha * v - lr / denominator(r) * g
        theta = theta * (1 - lr * decoupled) + v
        path.append(theta)
    return path


@pytest.mark.parametrize(("rho", "alpha"), [(0.9, 0.9), (0.99, 0.5), (0.9, 0.0)])
@pytest.mark.parametrize("inside", [False, True])
@pytest.mark.parametrize("decay", ["none", "coupled", "decoupled"])
def test_rmsprop_nesterov_is_the_books_algorithm(walk, rho, alpha, inside, decay):
    def root(r):
        return math.sqrt(r + 1e-6) if inside else math.sqrt(r) + 1e-6

    strength = 0.0 if decay == "none" else 0.3
    method = RmspropNesterov(
        lr=0.01, rho=rho, momentum=alpha, epsilon=1e-6, epsilon_inside=inside,
        weight_decay=strength, decoupled=decay == "decoupled",
    )  # fmt: skip
    decays = {} if decay == "none" else {decay: strength}
    assert_same_path(walk, method, nesterov_path(0.01, rho, alpha, root, **decays))


def keras_adagrad(lr, start, epsilon):
    w, total, path = START, start, []
    for _ in range(STEPS):
        g = slope(w)
        total += g * g
        w -= lr * g / math.sqrt(total + epsilon)
        path.append(w)
    return path


def test_keras_adagrad(walk):
    method = Adagrad(lr=0.1, epsilon=1e-3, epsilon_inside=True, initial_accumulator=0.1)
    assert_same_path(walk, method, keras_adagrad(0.1, 0.1, 1e-3))


def keras_rmsprop(lr_of_step, rho, momentum, epsilon, centered):
    w, v, mean, buffer, path = START, 0.0, 0.0, 0.0, []
    for step in range(STEPS):
        g = slope(w)
        v = rho * v + (1 - rho) * g * g
        mean = rho * mean + (1 - rho) * g
        spread = v - mean * mean if centered else v
        move = lr_of_step(step) * g / math.sqrt(spread + epsilon)
        buffer = momentum * buffer + move
        w -= buffer
        path.append(w)
    return path


@pytest.mark.parametrize("centered", [False, True])
@pytest.mark.parametrize("momentum", [0.0, 0.8])
def test_keras_rmsprop_with_a_changing_rate(walk, centered, momentum):
    # The walk counts ten steps to an epoch, so the rate doubles after 20 and 40 steps.
    method = Rmsprop(
        lr=Growing(start=0.001, every_epochs=2, limit=0.004), epsilon=1e-7, epsilon_inside=True,
        momentum=momentum, rate_in_momentum=momentum > 0, centered=centered,
    )  # fmt: skip
    expected = keras_rmsprop(
        lambda step: 0.001 * 2 ** min(step // 20, 2), 0.9, momentum, 1e-7, centered
    )
    assert_same_path(walk, method, expected)


def keras_sgd(lr_of_step, momentum, nesterov):
    w, v, path = START, 0.0, []
    for step in range(STEPS):
        g, lr = slope(w), lr_of_step(step)
        v = momentum * v - lr * g
        w += momentum * v - lr * g if nesterov else v
        path.append(w)
    return path


@pytest.mark.parametrize("nesterov", [False, True])
def test_keras_sgd_keeps_the_rate_inside_the_buffer(walk, nesterov):
    rates = Growing(start=0.01, every_epochs=2, limit=0.04)
    expected = keras_sgd(lambda step: 0.01 * 2 ** min(step // 20, 2), 0.9, nesterov)
    inside = Sgd(lr=rates, momentum=0.9, nesterov=nesterov, rate_in_momentum=True)
    assert_same_path(walk, inside, expected)
    outside = walk(Sgd(lr=rates, momentum=0.9, nesterov=nesterov),
                   torch.tensor([START], dtype=torch.float64), slope_tensor, STEPS)  # fmt: skip
    assert outside[19].item() == pytest.approx(expected[19], rel=0, abs=1e-12)
    assert abs(outside[20].item() - expected[20]) > 1e-4


def keras_adam(lr, beta1, beta2, epsilon):
    w, m, v, path = START, 0.0, 0.0, []
    for t in range(1, STEPS + 1):
        g = slope(w)
        m += (g - m) * (1 - beta1)
        v += (g * g - v) * (1 - beta2)
        alpha = lr * math.sqrt(1 - beta2**t) / (1 - beta1**t)
        w -= alpha * m / (math.sqrt(v) + epsilon)
        path.append(w)
    return path


def test_keras_adam_adds_epsilon_before_the_correction(walk):
    method = Adam(lr=0.05, epsilon=1e-2, epsilon_hat=True)
    assert_same_path(walk, method, keras_adam(0.05, 0.9, 0.999, 1e-2))


def decoupled_sgd(lr, decay, momentum):
    w, buffer, path = START, 0.0, []
    for _ in range(STEPS):
        g = slope(w)
        buffer = momentum * buffer + g
        w = w - lr * decay * w - lr * buffer
        path.append(w)
    return path


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_decoupled_decay_of_sgd_stays_out_of_the_momentum(walk, momentum):
    method = Sgd(lr=0.02, momentum=momentum, weight_decay=0.3, decoupled=True)
    assert_same_path(walk, method, decoupled_sgd(0.02, 0.3, momentum))


@pytest.mark.parametrize("psi", [0.0, 0.004, 0.1, 1.0])
@pytest.mark.parametrize("t", [1, 2, 50, 3000])
def test_warmth_product_equals_the_product_term_by_term(psi, t):
    product = math.prod(1 - 0.5 * 0.96 ** (i * psi) for i in range(1, t + 1))
    assert warmth_product(psi, t) == pytest.approx(product, rel=1e-11)
