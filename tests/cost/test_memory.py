"""Memory of a training step: saved tensors, peaks by hand, loops, inputs, mistakes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from epochlab.cost import fake, standins, training_step
from epochlab.cost.loading import find_network
from epochlab.cost.memory import StepMemory, step_memory
from epochlab.errors import BadOption, CannotTrace
from epochlab.networks.lenet5 import Lenet5
from epochlab.optimizers import Optimizer
from epochlab.optimizers.adam import Adam
from epochlab.optimizers.sgd import Sgd
from epochlab.train import state as train_state


def total(outputs: Tensor) -> Tensor:
    return outputs.sum()


tensors_alone = partial(step_memory, loss=total, workspace=False)


# --- saved tensors, by hand -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("layers", "shape", "batch", "saved"),
    [
        # A linear layer keeps its input (the batch, counted elsewhere) and weights (parameters).
        ([nn.Linear(8, 4)], (8,), 3, 0),
        # ReLU keeps its result, which is the second layer's input: once.
        ([nn.Linear(8, 6), nn.ReLU(), nn.Linear(6, 4)], (8,), 3, 3 * 6 * 4),
        ([nn.Conv2d(2, 3, 3, padding=1), nn.ReLU()], (2, 5, 5), 2, 2 * 3 * 25 * 4),
        # Batch normalisation: mean and deviation of each channel; its input is the batch.
        ([nn.BatchNorm2d(3)], (3, 4, 4), 2, 2 * 3 * 4),
        ([nn.Conv2d(1, 3, 1), nn.BatchNorm2d(3)], (1, 4, 4), 2, (2 * 3 * 16 + 2 * 3) * 4),
        # Maximum pooling keeps its input, and where each maximum was: 8 bytes each.
        ([nn.Conv2d(1, 2, 1), nn.MaxPool2d(2)], (1, 4, 4), 1, 2 * 16 * 4 + 2 * 4 * 8),
        # Dropout keeps its mask, as numbers.
        ([nn.Linear(8, 6), nn.Dropout(0.5)], (8,), 3, 3 * 6 * 4),
        ([nn.Linear(8, 6), nn.Softmax(1)], (8,), 3, 3 * 6 * 4),
        ([nn.Linear(8, 6), nn.Sigmoid(), nn.Tanh()], (8,), 3, 2 * 3 * 6 * 4),
    ],
)  # fmt: skip
def test_saved_bytes_by_hand(
    layers: list[nn.Module], shape: tuple[int, ...], batch: int, saved: int
) -> None:
    found = tensors_alone(nn.Sequential(*layers), shape, batch=batch)
    assert found.saved_bytes == saved


def test_cross_entropy_keeps_its_log_probabilities() -> None:
    found = step_memory(nn.Linear(8, 5), (8,), batch=3)
    assert found.saved_bytes == 3 * 5 * 4 + 4  # and the sum of the class weights
    assert found.inputs_bytes == 3 * 8 * 4 + 3 * 8  # class numbers have 8 bytes


class TwoHeads(nn.Module):
    """Both heads keep the same tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.one, self.two = nn.Linear(8, 6), nn.Linear(6, 4), nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.body(x).exp()
        return torch.cat([self.one(x), self.two(x[:, :])])


def test_what_several_layers_keep_counts_once() -> None:
    assert tensors_alone(TwoHeads(), (8,), batch=3).saved_bytes == 3 * 6 * 4


def test_in_place_results_need_no_memory_of_their_own() -> None:
    def network(inplace: bool) -> nn.Module:
        return nn.Sequential(nn.Linear(8, 6), nn.ReLU(inplace=inplace), nn.Linear(6, 4))

    own, shared = (tensors_alone(network(flag), (8,), batch=30) for flag in (False, True))
    assert own.saved_bytes == shared.saved_bytes == 30 * 6 * 4
    assert own.phases["forward"][0] - shared.phases["forward"][0] == 30 * (6 - 4) * 4


def test_tied_weights_count_once() -> None:
    module = nn.Sequential(nn.Linear(6, 6, bias=False), nn.Tanh(), nn.Linear(6, 6, bias=False))
    module[2].weight = module[0].weight
    found = tensors_alone(module, (6,), batch=2, optimizer=Sgd(momentum=0.9))
    assert found.parameters_bytes == found.gradients_bytes == found.optimizer_bytes == 6 * 6 * 4


def test_frozen_parameters_have_no_gradients_and_no_state() -> None:
    module = nn.Sequential(nn.Linear(6, 6, bias=False), nn.Linear(6, 2, bias=False))
    module[0].weight.requires_grad_(False)
    for loop in ("plain", "epochlab"):
        found = step_memory(module, (6,), optimizer=Adam(), loop=loop)
        assert found.optimizer_bytes == 2 * (12 if loop == "plain" else 16) * 4


@st.composite
def stacks(draw: Any) -> tuple[nn.Sequential, int]:
    """A random stack of layers on 6 x 6 images of 2 channels, and a batch."""
    kinds: dict[str, Callable[[], nn.Module]] = {
        "convolution": lambda: nn.Conv2d(2, 2, 3, padding=1, bias=draw(st.booleans())),
        "norm": lambda: nn.BatchNorm2d(2),
        "relu": lambda: nn.ReLU(inplace=draw(st.booleans())),
        "swish": nn.SiLU, "gelu": nn.GELU, "tanh": nn.Tanh, "group": lambda: nn.GroupNorm(1, 2),
        "pool": lambda: nn.MaxPool2d(3, 1, 1), "mean": lambda: nn.AvgPool2d(3, 1, 1),
        "linear": lambda: nn.Linear(6, 6), "softmax": lambda: nn.Softmax(1),
        "dropout": lambda: nn.Dropout(0.5), "norm over pixels": lambda: nn.LayerNorm((6, 6)),
    }  # fmt: skip
    chosen = draw(st.lists(st.sampled_from(sorted(kinds)), min_size=1, max_size=6))
    # First a layer with weights, so that everything after it needs a gradient.
    return nn.Sequential(nn.Conv2d(2, 2, 1), *(kinds[kind]() for kind in chosen)), draw(
        st.integers(1, 3))  # fmt: skip


def really_saved(module: nn.Module, x: Tensor) -> int:
    """Bytes of the storages that autograd keeps in a real pass, each once."""
    known = {t.untyped_storage().data_ptr() for t in (*module.parameters(), *module.buffers(), x)}
    kept: dict[int, Tensor] = {}

    def keep(t: Tensor) -> Tensor:
        if t.untyped_storage().data_ptr() not in known:
            kept[t.untyped_storage().data_ptr()] = t  # held, so that no address comes twice
        return t

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda t: t):
        module(x).sum()
    return sum(t.untyped_storage().nbytes() for t in kept.values())


@settings(max_examples=60, deadline=None)
@given(stacks())
def test_saved_bytes_are_what_autograd_keeps(stack: tuple[nn.Sequential, int]) -> None:
    module, batch = stack
    found = tensors_alone(module, (2, 6, 6), batch=batch)
    assert found.saved_bytes == really_saved(module, torch.randn(batch, 2, 6, 6))


# --- the peak -------------------------------------------------------------------------------------


def small() -> nn.Module:
    return nn.Sequential(nn.Linear(8, 16, bias=False), nn.ReLU(), nn.Linear(16, 4, bias=False))


def test_the_peak_of_a_small_network_by_hand() -> None:
    x, w1, w2 = 2 * 8 * 4, 16 * 8 * 4, 4 * 16 * 4
    hidden, loss = 2 * 16 * 4, 4
    found = tensors_alone(small(), (8,), batch=2)
    assert (found.inputs_bytes, found.parameters_bytes) == (x, w1 + w2)
    # Forward: the values before and after ReLU are there together, the result is smaller.
    forward = x + w1 + w2 + 2 * hidden
    assert found.phases["forward"] == (forward, "relu")
    # Backward, at its end: both weight gradients, the gradients of the hidden values, of the loss.
    backward = x + w1 + w2 + w1 + w2 + hidden + 2 * loss
    assert found.phases["backward"] == (backward, "mm")
    assert (found.peak_bytes, found.peak_at) == (backward, "backward: mm")
    assert found.gradients_bytes == w1 + w2 and found.optimizer_bytes == 0


def test_the_update_by_hand() -> None:
    """Torch's Adam holds two temporaries as large as the parameter; ours holds none."""
    w1, w2, x = 16 * 8 * 4, 4 * 16 * 4, 8 * 4
    loss = 4
    ours = tensors_alone(small(), (8,), optimizer=Adam())
    held = x + loss + 4 * (w1 + w2)
    assert ours.phases["update"][0] == held
    counters = 2 * 4  # torch counts the steps of each parameter in a number
    torchs = tensors_alone(small(), (8,), optimizer=torch.optim.Adam)
    assert torchs.optimizer_bytes == 2 * (w1 + w2) + counters
    assert torchs.phases["update"] == (held + counters + 2 * w1, "div")
    together = tensors_alone(small(), (8,), optimizer=partial(torch.optim.Adam, foreach=True))
    assert together.phases["update"][0] >= held + counters + (w1 + w2)


@pytest.mark.parametrize("optimizer", [Sgd(), Sgd(momentum=0.9), Adam(), Adam(amsgrad=True)])
def test_optimizer_state_is_its_slots(optimizer: Optimizer) -> None:
    found = step_memory(small(), (8,), optimizer=optimizer)
    assert found.optimizer_bytes == len(optimizer.slots()) * found.parameters_bytes


def test_our_loop_keeps_one_vector_of_weights_and_one_of_gradients() -> None:
    parameters = 16 * 8 + 4 * 16  # both are whole lines of 16 numbers
    found = step_memory(small(), (8,), optimizer=Sgd(momentum=0.9), loop="epochlab")
    assert found.parameters_bytes == found.optimizer_bytes == 4 * parameters
    assert found.gradients_bytes == 2 * 4 * parameters
    odd = step_memory(nn.Linear(3, 5), (3,), optimizer=Sgd(), loop="epochlab")
    assert odd.parameters_bytes == 4 * (16 + 16)


def test_our_loop_leaves_large_networks_in_pieces() -> None:
    wide = nn.Linear(1024, 1025)
    found = step_memory(wide, (1024,), optimizer=Sgd(), loop="epochlab")
    assert found.gradients_bytes == found.parameters_bytes == 4 * 1025 * 1025


def test_facts_about_our_loop_are_those_of_the_loop() -> None:
    assert standins.ONE_PIECE_WEIGHTS == train_state.ONE_PIECE_WEIGHTS
    assert standins.ALIGN == train_state._ALIGN
    assert training_step.COUNTED_TOGETHER == train_state.COUNTED_TOGETHER


def test_precision_scales_every_floating_tensor() -> None:
    two, four, eight = (
        tensors_alone(small(), (8,), batch=2, optimizer=Adam(), precision_bytes=n)
        for n in (2, 4, 8)
    )
    assert two.peak_bytes * 4 == four.peak_bytes * 2 == eight.peak_bytes
    assert two.saved_bytes * 4 == four.saved_bytes * 2 == eight.saved_bytes


def test_workspace_comes_on_top() -> None:
    network = Lenet5().build((1, 28, 28), 10)
    without = step_memory(network, (1, 28, 28), batch=8, workspace=False)
    full = step_memory(network, (1, 28, 28), batch=8)
    assert without.workspace_bytes == 0 < full.workspace_bytes
    assert without.peak_bytes < full.peak_bytes <= without.peak_bytes + full.workspace_bytes
    assert without.saved_bytes == full.saved_bytes


# --- the module is left alone ---------------------------------------------------------------------


def test_the_module_stays_as_it_was() -> None:
    module = nn.Sequential(
        nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Dropout(), nn.Flatten(), nn.Linear(32, 3)
    )
    module[1].eval()
    calls: list[int] = []
    module.register_forward_hook(lambda *_: calls.append(1))
    module[0].weight.grad = torch.ones_like(module[0].weight)
    tensors = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    before = {
        name: (t, t.data_ptr(), t._version, t.detach().clone()) for name, t in tensors.items()
    }
    flags = [child.training for child in module.modules()]
    random = torch.get_rng_state()
    step_memory(module, (1, 6, 6), batch=2, optimizer=torch.optim.Adam)
    after = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    for name, (tensor, address, version, values) in before.items():
        assert after[name] is tensor and tensor.data_ptr() == address
        assert tensor._version == version and torch.equal(tensor, values)
    assert [child.training for child in module.modules()] == flags
    assert torch.equal(module[0].weight.grad, torch.ones_like(module[0].weight))
    assert module[4].weight.grad is None
    assert torch.equal(torch.get_rng_state(), random)
    assert len(module._forward_hooks) == 1


def test_a_module_in_evaluation_mode_is_taken_in_training_mode() -> None:
    module = nn.Sequential(nn.Linear(8, 6), nn.Dropout()).eval()
    assert tensors_alone(module, (8,), batch=3).saved_bytes == 3 * 6 * 4
    assert not module.training and not module[1].training


def test_nothing_real_is_needed() -> None:
    """Modules on the meta device do, of a size that no machine here has."""
    with torch.device("meta"):
        module = nn.Sequential(nn.Linear(1 << 20, 1 << 20, bias=False))
    found = tensors_alone(module, (1 << 20,), optimizer=Adam())
    assert found.parameters_bytes == 4 << 40
    assert found.peak_bytes > 16 << 40


# --- inputs, losses, tables -----------------------------------------------------------------------


class Named(nn.Module):
    """Takes two inputs by name, returns a pair."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(10, 4)

    def forward(self, *, words: Tensor, weights: Tensor) -> tuple[Tensor, int]:
        return self.words(words) * weights[..., None], 1


def test_inputs_by_name_and_a_loss_of_the_outputs() -> None:
    inputs = {"words": torch.zeros(3, 5, dtype=torch.int64), "weights": torch.zeros(3, 5)}
    found = step_memory(Named(), inputs=inputs, loss=lambda outputs: outputs[0].sum())
    assert found.batch == 3 and found.inputs_bytes == 3 * 5 * (8 + 4)
    with pytest.raises(BadOption, match="returns a tuple"):
        step_memory(Named(), inputs=inputs)


def test_targets_are_handed_to_the_loss() -> None:
    def loss(outputs: Tensor, targets: Tensor) -> Tensor:
        return functional.binary_cross_entropy_with_logits(outputs, targets)

    found = step_memory(nn.Linear(8, 4), (8,), batch=2, targets=torch.zeros(2, 4), loss=loss)
    assert found.inputs_bytes == 2 * (8 + 4) * 4


def test_mean_squared_error_has_targets_like_the_outputs() -> None:
    found = step_memory(nn.Linear(8, 4), (8,), batch=2, loss="mean-squared-error")
    assert found.inputs_bytes == 2 * (8 + 4) * 4


def test_the_table_says_it_is_predicted() -> None:
    found = step_memory(small(), (8,), batch=2, optimizer=Adam())
    table = found.table()
    assert table.label == "predicted"
    sizes = dict(zip(table.column("part"), table.column("bytes"), strict=True))
    assert sizes["peak"] == found.peak_bytes == max(size for size, _ in found.phases.values())
    assert sizes["saved for backward"] == found.saved_bytes
    assert table.json() and table.markdown()


class Constants(nn.Module):
    """Constants in a list, beside the parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.linear, self.factors = nn.Linear(8, 4), [torch.ones(4)]

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x) * self.factors[0] + torch.tensor([2.0])


def test_constants_of_a_module_are_no_obstacle() -> None:
    assert tensors_alone(Constants(), (8,), batch=3).saved_bytes == 4 * 4


class Recomputed(nn.Module):
    """Keeps nothing between, and computes it again for the gradients."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(4, 100), nn.Tanh(), nn.Linear(100, 4))
        self.first = nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        outputs: Tensor = checkpoint(self.inner, self.first(x), use_reentrant=False)
        return outputs


def test_checkpoints_save_what_they_promise() -> None:
    module = Recomputed()
    found = tensors_alone(module, (8,), batch=50)
    plain = tensors_alone(nn.Sequential(module.first, *module.inner), (8,), batch=50)
    assert plain.saved_bytes == 50 * (4 + 100) * 4
    assert found.saved_bytes < 50 * (4 + 10) * 4
    assert found.peak_at.startswith("backward")


# --- mistakes -------------------------------------------------------------------------------------


class Curious(nn.Module):
    """Asks for the value of a number."""

    def forward(self, x: Tensor) -> Tensor:
        return x if x.sum() > 0 else -x


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"loss": "cross_entropy"}, "nearest to it is 'cross-entropy'"),
        ({"loop": "ours"}, "allowed: plain, epochlab"),
        ({"loop": "epochlab"}, "optimizer component"),
        ({"precision_bytes": 3}, "2 .bfloat16., 4"),
        ({"optimizer": "adam"}, "torch.optim.Adam"),
        ({"batch": 0}, "at least 1"),
        ({"inputs": torch.zeros(2, 8)}, "both of input_shape and inputs"),
    ],
)
def test_bad_options_are_explained(options: dict[str, Any], said: str) -> None:
    with pytest.raises(BadOption, match=said):
        step_memory(small(), (8,), **options)


def test_no_inputs_at_all() -> None:
    with pytest.raises(BadOption, match="neither of input_shape and inputs"):
        step_memory(small())


def test_a_step_that_cannot_run_says_why() -> None:
    with pytest.raises(CannotTrace, match=r"Sequential on inputs of shape \(2, 9\)"):
        step_memory(small(), (9,), batch=2)
    with pytest.raises(CannotTrace, match="value of a number"):
        step_memory(nn.Sequential(nn.Linear(4, 4), Curious()), (4,))


def test_step_memory_is_plain_data() -> None:
    found = step_memory(small(), (8,))
    assert isinstance(found, StepMemory)
    assert found == step_memory(small(), (8,))


def test_a_module_that_cannot_be_copied_is_named() -> None:
    module = nn.Linear(8, 4)
    module.lock = threading.Lock()
    with pytest.raises(CannotTrace, match="Linear cannot be copied"):
        step_memory(module, (8,))


@pytest.mark.parametrize("name", ["lenet5", "resnet20", "googlenet", "mobilenet_v2", "alexnet"])
@pytest.mark.parametrize("loop", ["plain", "epochlab"])
def test_short_formulas_change_nothing(
    name: str, loop: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The quick way to a fake tensor and PyTorch's own give the same memory."""
    found = find_network(name)
    module, shape = found.build(), found.natural_input
    options: dict[str, Any] = {"batch": 4, "optimizer": Adam(), "loop": loop}
    quick = step_memory(module, shape, **options)
    monkeypatch.setattr(fake, "FORMULAS", {})
    assert step_memory(module, shape, **options) == quick


def test_short_formulas_change_nothing_in_attention(monkeypatch: pytest.MonkeyPatch) -> None:
    class Mixed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed = nn.Embedding(20, 16)
            self.layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)
            self.scale = nn.Parameter(torch.ones(16))
            self.groups = nn.GroupNorm(4, 16)

        def forward(self, ids: Tensor) -> Tensor:
            x = torch.cat([self.layer(self.embed(ids)) * self.scale, self.embed(ids)], 1)
            one, *rest = x.split([3, x.shape[1] - 3], 1)
            y = self.groups(x.permute(0, 2, 1).unsqueeze(-1)).squeeze(-1).transpose(1, 2)
            return torch.stack([one.sum(1), rest[0].mean(1), y[:, 0].expand(len(y), -1)]).unbind()[
                0
            ]

    module, ids = Mixed(), torch.zeros(2, 7, dtype=torch.int64)
    options: dict[str, Any] = {"inputs": ids, "optimizer": torch.optim.Adam}
    quick = step_memory(module, **options)
    monkeypatch.setattr(fake, "FORMULAS", {})
    assert step_memory(module, **options) == quick
