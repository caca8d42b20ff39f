"""Published first steps, to the digits in which they are printed."""

from __future__ import annotations

import pytest
import torch

from epochlab.optimizers.adadelta import Adadelta
from epochlab.optimizers.adagrad import Adagrad
from epochlab.optimizers.adam import Adam
from epochlab.optimizers.nadam import Nadam
from epochlab.optimizers.rmsprop import Rmsprop
from epochlab.optimizers.rmsprop_nesterov import RmspropNesterov
from epochlab.optimizers.sgd import Sgd

# f(w) = (w1^2 + 4 w2^2) / 2 from (1, -2), float64: (w1, w2) after steps 1 to 4.
TRACES = [
    ("torch Adagrad", Adagrad(lr=0.1),
     [(.9, -1.9), (.8331035269, -1.8311250538), (.7804561814, -1.775821515),
      (.7362231327, -1.7285570378)]),
    ("torch RMSprop", Rmsprop(lr=0.01, rho=0.99),
     [(.90000001, -1.9000000013), (.8329179753, -1.8309433273), (.779982282, -1.7753494434),
      (.7353890542, -1.7277138148)]),
    ("torch RMSprop momentum", Rmsprop(lr=0.01, rho=0.99, momentum=0.9),
     [(.90000001, -1.9000000013), (.7429179843, -1.7409433284), (.5529149532, -1.5441299603),
      (.3477289004, -1.3238453805)]),
    ("torch Adadelta", Adadelta(),
     [(.9968377382, -1.9968377226), (.9935981984, -1.9935957274), (.9903090828, -1.9903007501),
      (.9869840926, -1.9869659517)]),
    ("torch Adam", Adam(lr=0.1),
     [(.900000001, -1.9000000001), (.8004122297, -1.8001664859), (.7015862745, -1.7006233917),
      (.6039390627, -1.6015048948)]),
    ("torch NAdam", Nadam(lr=0.1),
     [(.8943548232, -1.8943548223), (.8199730715, -1.8178975306), (.7527292676, -1.747508501),
      (.6877160527, -1.6781887398)]),
    ("torch SGD nesterov", Sgd(lr=0.1, momentum=0.9, nesterov=True),
     [(.81, -.48), (.5751, .5328), (.327321, .866592), (.09388791, .70020288)]),
    ("book RMSProp+Nesterov", RmspropNesterov(lr=0.01, epsilon=1e-30),
     [(.9683772234, -1.9683772234), (.9176600791, -1.9173094857), (.8540854245, -1.8527544863),
      (.7817109687, -1.7784972751)]),
    ("RMSProp+Nesterov rho .99", RmspropNesterov(lr=0.01, rho=0.99, epsilon=1e-8),
     [(.90000001, -1.9000000013), (.7468669526, -1.7427137576), (.56598728, -1.5498186755),
      (.3756538827, -1.3356732975)]),
    ("Keras Adagrad",
     Adagrad(lr=0.1, epsilon=1e-7, epsilon_inside=True, initial_accumulator=0.1),
     [(.9046537454, -1.9000780336), (.8393387392, -1.8312298659), (.7875127746, -1.7759406346),
      (.74378274, -1.7286852933)]),
    ("Keras RMSprop", Rmsprop(lr=0.01, epsilon=1e-7, epsilon_inside=True),
     [(.9683772392, -1.9683772236), (.9457880465, -1.945609637), (.9270531231, -1.9266336823),
      (.9105434832, -1.9098473926)]),
    ("Keras Adadelta", Adadelta(lr=1.0, rho=0.95, epsilon=1e-7),
     [(.9985857879, -1.9985857865), (.9971545474, -1.9971540504), (.995712468, -1.995710801),
      (.9942626267, -1.9942590199)]),
]  # fmt: skip

# Half of the last printed digit, and the rounding of the comparison itself.
PRINTED = 0.5e-10 + 1e-15


@pytest.mark.parametrize(
    ("method", "expected"), [t[1:] for t in TRACES], ids=[t[0] for t in TRACES]
)
def test_first_four_steps(walk, method, expected):
    start = torch.tensor([1.0, -2.0], dtype=torch.float64)
    curvature = torch.tensor([1.0, 4.0], dtype=torch.float64)
    path = walk(method, start, lambda w: curvature * w, 4)
    for weights, printed in zip(path, expected, strict=True):
        assert weights.tolist() == pytest.approx(printed, rel=0, abs=PRINTED)


FIRST_STEPS = [
    (Adagrad(lr=0.25, epsilon=1e-30), -0.25, 1e-12),
    (Rmsprop(lr=1.0, epsilon=1e-30), -3.162278, 0.5e-6),
    (Adam(lr=0.25, epsilon=1e-30), -0.25, 1e-12),
    (Adadelta(), -0.003162262, 0.5e-9),
    (RmspropNesterov(lr=1.0, epsilon=1e-30), -3.162278, 0.5e-6),
]


@pytest.mark.parametrize(
    ("method", "moved", "within"), FIRST_STEPS, ids=[type(s[0]).__name__ for s in FIRST_STEPS]
)
def test_first_step_with_gradient_one(walk, method, moved, within):
    start = torch.zeros(1, dtype=torch.float64)
    (weight,) = walk(method, start, torch.ones_like, 1)
    assert weight.item() == pytest.approx(moved, rel=0, abs=within)


def test_look_ahead_moves_by_momentum_times_velocity_and_the_step_ends_at_the_true_weight():
    method = RmspropNesterov(lr=1.0, momentum=0.5, epsilon=1e-30)
    w = torch.tensor([2.0], dtype=torch.float64)
    state = {"square_mean": torch.zeros(1).double(), "velocity": torch.tensor([-0.25]).double()}
    method.look_ahead(w, state)
    assert w.item() == 2.0 + 0.5 * -0.25
    method.step(w, torch.ones(1).double(), state, 1.0, 1)
    velocity = 0.5 * -0.25 - 1 / 0.1**0.5
    assert state["velocity"].item() == pytest.approx(velocity, rel=1e-15)
    assert w.item() == pytest.approx(2.0 + velocity, rel=1e-15)
