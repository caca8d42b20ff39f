"""What every optimizer in the folder must do, collected from the folder."""

from __future__ import annotations

import doctest
import importlib
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from epochlab.component import options
from epochlab.errors import BadOption
from epochlab.optimizers.adam import Adam
from epochlab.optimizers.rmsprop import Rmsprop
from epochlab.optimizers.sgd import Sgd
from epochlab.plain import content_hash, from_plain, to_plain
from epochlab.registry import load_class, names
from epochlab.registry import summary as first_line
from epochlab.schedules.constant import Constant

NAMES = names("optimizers")

# Every method as it comes, and the options that switch on another path through its equation.
VARIANTS = {
    "sgd": [{}, {"momentum": 0.9}, {"momentum": 0.9, "nesterov": True},
            {"momentum": 0.9, "dampening": 0.5, "rate_in_momentum": True}],
    "adagrad": [{}, {"epsilon_inside": True}],
    "rmsprop": [{}, {"momentum": 0.9}, {"centered": True},
                {"centered": True, "epsilon_inside": True, "momentum": 0.9,
                 "rate_in_momentum": True}],
    "rmsprop_nesterov": [{}, {"epsilon_inside": True}],
    "adadelta": [{}],
    "adam": [{}, {"amsgrad": True}, {"epsilon_hat": True}],
    "nadam": [{}],
}  # fmt: skip
DECAYS = [{}, {"weight_decay": 0.1}, {"weight_decay": 0.1, "decoupled": True}]
METHODS = [
    load_class("optimizers", name)(**variant, **decay)
    for name in NAMES
    for variant in VARIANTS.get(name, [{}])
    for decay in DECAYS
]


def method_id(method):
    changed = [o.name for o in options(type(method)) if getattr(method, o.name) != o.default]
    return "-".join([type(method).__name__, *changed])


every_method = pytest.mark.parametrize("method", METHODS, ids=map(method_id, METHODS))
every_name = pytest.mark.parametrize("name", NAMES)


def fresh(method, w):
    return {name: torch.full_like(w, fill) for name, fill in method.slots().items()}


def step_often(method, w, gradients, lr):
    """Walk in place along given gradients, which stay as they are."""
    state = fresh(method, w)
    for t, g in enumerate(gradients, 1):
        method.look_ahead(w, state)
        method.step(w, g.clone(), state, lr, t)
    return w


def test_the_sheets_five_optimizers_exist():
    assert {"adagrad", "rmsprop", "rmsprop_nesterov", "adadelta", "adam", "sgd"} <= set(NAMES)


@every_method
def test_minimises_a_quadratic(walk, method):
    curvature = torch.tensor([0.5, 1.0, 2.0])
    start = torch.tensor([1.0, -1.0, 0.5])
    # AdaDelta finds its own step size, slowly; the others are given one.
    tuned = method if type(method).__name__ == "Adadelta" else replace(method, lr=0.02)
    path = walk(tuned, start, lambda w: curvature * w, 1000)
    before, after = ((curvature * w.square()).sum().item() for w in (start, path[-1]))
    assert after < 0.2 * before


@every_method
def test_zero_gradient_leaves_no_nan_and_does_not_move_undecayed_weights(method):
    start = torch.tensor([1.0, 0.0, -3.0])
    w = step_often(method, start.clone(), [torch.zeros(3)] * 5, 0.1)
    assert torch.isfinite(w).all()
    if not method.weight_decay:
        assert torch.equal(w, start)
    assert w[1] == 0, "the padding of a flat vector must stay 0"


DIVIDING = [method for method in METHODS if hasattr(method, "epsilon")]


@pytest.mark.parametrize("method", DIVIDING, ids=map(method_id, DIVIDING))
def test_smallest_epsilon_still_divides_in_float32(method):
    with pytest.raises(BadOption, match="at least 1e-30"):
        replace(method, epsilon=0.0)
    w = step_often(replace(method, epsilon=1e-30), torch.zeros(3), [torch.zeros(3)] * 3, 0.1)
    assert torch.equal(w, torch.zeros(3))


@every_method
@settings(max_examples=15, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 67), min_size=1, max_size=5),
    seed=st.integers(0, 10**6),
    scale=st.sampled_from([1e-4, 1.0, 1e3]),
)
def test_one_flat_vector_equals_one_tensor_per_parameter(method, sizes, seed, scale):
    generator = torch.Generator().manual_seed(seed)
    flat = torch.randn(sum(sizes), generator=generator)
    gradients = [torch.randn(sum(sizes), generator=generator) * scale for _ in range(4)]
    pieces = [
        step_often(method, w.clone(), [g.split(sizes)[i] for g in gradients], 0.01)
        for i, w in enumerate(flat.split(sizes))
    ]
    whole = step_often(method, flat.clone(), gradients, 0.01)
    assert torch.equal(whole, torch.cat(pieces))


@every_method
def test_state_is_what_slots_names_and_stays_in_place(method):
    w = torch.ones(5)
    state = fresh(method, w)
    places = {name: tensor.data_ptr() for name, tensor in state.items()}
    place = w.data_ptr()
    for t in (1, 2, 3):
        method.look_ahead(w, state)
        method.step(w, torch.ones(5), state, 0.1, t)
    assert {name: tensor.data_ptr() for name, tensor in state.items()} == places
    assert w.data_ptr() == place
    assert all(tensor.any() for tensor in state.values()), "a slot is never written"


@every_method
def test_a_run_can_stop_and_go_on_from_its_state(method):
    generator = torch.Generator().manual_seed(1)
    gradients = [torch.randn(9, generator=generator) for _ in range(6)]
    whole = step_often(method, torch.ones(9), gradients, 0.05)
    w, state = torch.ones(9), fresh(method, torch.ones(9))
    for t, g in enumerate(gradients, 1):
        if t == 4:
            w, state = w.clone(), {name: tensor.clone() for name, tensor in state.items()}
        method.look_ahead(w, state)
        method.step(w, g.clone(), state, 0.05, t)
    assert torch.equal(w, whole)


@every_method
def test_plain_form_round_trips_and_every_option_enters_the_hash(method):
    assert from_plain(to_plain(method)) == method
    assert content_hash(replace(method, lr=0.123)) != content_hash(method)


@every_name
def test_rate_may_be_a_schedule(name):
    cls = load_class("optimizers", name)
    assert cls(lr=Constant(level=0.1)).lr == Constant(level=0.1)


@every_name
def test_is_documented(name):
    cls = load_class("optimizers", name)
    for word in ("Equation", "Kin", "Defaults", "Example", "Reference"):
        assert f"{word}:" in cls.__doc__ or f"{word}," in cls.__doc__ or f"{word}::" in cls.__doc__
    assert [o.name for o in options(cls) if not o.help] == []
    assert first_line("optimizers", name).endswith(".")


@every_name
def test_printed_example_is_true(name):
    module = importlib.import_module(f"epochlab.optimizers.{name}")
    result = doctest.testmod(module)
    assert result.attempted > 0
    assert result.failed == 0


def test_importing_the_folder_does_not_import_torch():
    imports = "; ".join(f"import epochlab.optimizers.{name}" for name in NAMES)
    code = f"import sys; {imports}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Sgd(nesterov=True), "'nesterov' is True, but it acts on the momentum"),
        (lambda: Sgd(dampening=0.1), "'dampening' is 0.1, but it acts on the momentum"),
        (lambda: Sgd(rate_in_momentum=True), "'rate_in_momentum' is True, but"),
        (lambda: Sgd(momentum=0.9, nesterov=True, dampening=0.1), "Choose one of the two"),
        (lambda: Sgd(momentum=1.0), "at least 0 and below 1"),
        (lambda: Sgd(lr=0.0), "above 0"),
        (lambda: Rmsprop(rate_in_momentum=True), "Set momentum"),
        (lambda: Rmsprop(rho=1.0), "at least 0 and below 1"),
        (lambda: Adam(beta2=1.0), "at least 0 and below 1"),
        (lambda: Adam(weight_decay=-1.0), "at least 0"),
    ],
)
def test_options_that_cannot_work_are_refused(make, message):
    with pytest.raises(BadOption, match=message):
        make()


def test_centred_rmsprop_survives_a_constant_gradient():
    # Mean square and squared mean meet; their difference rounds to either side of 0.
    w = step_often(Rmsprop(centered=True, rho=0.5), torch.ones(50), [torch.full((50,), 0.3)] * 200,
                   1e-6)  # fmt: skip
    assert torch.isfinite(w).all()
