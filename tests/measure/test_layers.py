"""Layer by layer on a clock that only layers move: what is booked where, and that sums come out."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor, nn

from epochlab.errors import BadOption, CannotTrace
from epochlab.measure import Effort, LayersTiming, time_layers
from epochlab.measure.layers import by_kind
from epochlab.measure.stamps import stamp_cost_s
from epochlab.measure.stopwatch import CpuStopwatch, CudaStopwatch
from epochlab.networks.googlenet import GoogLeNet
from epochlab.networks.mlp import Mlp
from epochlab.networks.resnet_cifar import ResNetCifar

from .fakes import FakeClock, FakeCuda, Takes

QUICK = Effort(limit_s=0.3, least=6)
EXACT = Effort(limit_s=1e6, least=6, sample_s=1e-9)


class Between(nn.Module):
    """Two layers, one of them called twice, and work of its own between them."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__()
        self.clock = clock
        self.first, self.second = Takes(clock, 1.0), Takes(clock, 0.25)

    def forward(self, x: Tensor) -> Tensor:
        x = self.second(self.first(x))
        self.clock.work(0.125)
        return self.second(x + 1)


def exact() -> LayersTiming:
    clock = FakeClock()
    return time_layers(Between(clock), torch.ones(2, 3), effort=EXACT, watch=CpuStopwatch(clock))


def test_each_call_is_booked_to_its_layer() -> None:
    found = exact()
    assert {layer.name: layer.in_place_s for layer in found.layers} == {
        "first": 1.0, "second": 0.25, "second (call 2)": 0.25,
    }  # fmt: skip
    assert [layer.not_synchronised_s for layer in found.layers] == [1.0, 0.25, 0.25]
    assert [layer.alone.median_s for layer in found.layers] == [1.0, 0.25, 0.25]
    assert all(layer.backward_s is None for layer in found.layers)


def test_the_difference_is_the_work_between_layers() -> None:
    found = exact()
    assert found.whole.median_s == 1.625
    assert found.sum_s == found.not_synchronised_s == found.alone_s == 1.5
    assert found.between_s == found.work_between_s == 0.125
    assert (found.stamp_inside_s, found.stamp_outside_s) == (0.0, 0.0)
    assert (found.unexplained_s, found.warmth_s) == (0.0, 0.0)
    assert not found.spoiled


def test_a_costly_timer_is_told_apart_from_the_layers() -> None:
    """A clock that takes 1/64 s to read: a stamped pass is longer, and the parts still add up."""

    class Slow(FakeClock):
        def now_s(self) -> float:
            self.work(1 / 64)
            return self.wall_s

    clock = Slow()
    watch = CpuStopwatch(clock)
    inside_s, outside_s = stamp_cost_s(watch)
    assert (inside_s, outside_s) == (1 / 64, 1 / 64)
    found = time_layers(Between(clock), torch.ones(2, 3), effort=EXACT, watch=watch)
    assert found.layers[0].in_place_s == 1.0 + 1 / 64
    assert found.stamps_in_layers_s == 3 / 64
    assert found.sum_s - found.stamps_in_layers_s == 1.5
    # Timing the pass as a whole reads the clock once more at its end.
    assert found.work_between_s == 0.125 + 1 / 64
    assert found.whole.median_s == 1.625 + 1 / 64
    assert found.unexplained_s == 0.0


def test_the_parts_always_add_up_to_the_whole() -> None:
    found = time_layers(Mlp(hidden=(16,)).build((64,), 10), torch.randn(3, 64), effort=QUICK)
    parts = found.sum_s - found.stamps_in_layers_s + found.work_between_s + found.unexplained_s
    assert parts == pytest.approx(found.whole.median_s, rel=1e-12)


def test_disturbed_passes_are_left_out_or_the_result_is_marked() -> None:
    clock = FakeClock()
    number = 0

    class Sometimes(Takes):
        def forward(self, x: Tensor) -> Tensor:
            nonlocal number
            number += 1
            if number % every == 0:
                clock.wait(10.0)
            return super().forward(x)

    net = nn.Sequential(Sometimes(clock, 1.0), nn.ReLU())
    every = 7
    found = time_layers(net, torch.ones(1, 1), effort=EXACT, watch=CpuStopwatch(clock))
    assert found.layers[0].in_place_s == 1.0
    assert not found.passes_spoiled
    every = 1
    found = time_layers(net, torch.ones(1, 1), effort=Effort(limit_s=50, least=6, sample_s=1e-9),
                        watch=CpuStopwatch(clock))  # fmt: skip
    assert found.passes_spoiled
    assert found.spoiled
    assert found.layers[0].in_place_s == 11.0


# --- real networks --------------------------------------------------------------------------------


def test_every_counted_layer_of_a_real_network_is_timed() -> None:
    net = ResNetCifar(depth=8).build((3, 32, 32), 10)
    found = time_layers(net, torch.randn(2, 3, 32, 32), effort=QUICK, threads=1, name="net")
    rows = {(row.name, row.call) for row in found.cost.layers if "/" not in row.name}
    assert {(layer.cost.name, layer.cost.call) for layer in found.layers} == rows
    assert found.cost.name == "net"
    assert all(layer.in_place_s > 0 for layer in found.layers)
    assert sum(layer.cost.macs for layer in found.layers) == found.cost.macs
    kinds = by_kind(found)
    assert sum(len(members) for _, members in kinds) == len(found.layers)
    assert {"convolution", "linear"} <= {kind for kind, _ in kinds}


def test_training_books_backward_and_leaves_the_module_alone() -> None:
    net = ResNetCifar(depth=8).build((3, 32, 32), 10).eval()
    before = {key: value.clone() for key, value in net.state_dict().items()}
    found = time_layers(net, torch.randn(2, 3, 32, 32), effort=QUICK, threads=1, training=True)
    assert found.cost.training
    by_name = {layer.name: layer for layer in found.layers}
    for name in ("conv1", "bn1", "act1"):
        backward_s, alone = by_name[name].backward_s, by_name[name].backward_alone
        assert backward_s is not None and backward_s > 0
        assert alone is not None and alone.median_s > 0
    booked = sum(layer.backward_s or 0.0 for layer in found.layers)
    assert found.backward_whole_s is not None
    assert booked < found.backward_whole_s
    assert not net.training
    assert all(torch.equal(value, net.state_dict()[key]) for key, value in before.items())
    assert all(parameter.grad is None for parameter in net.parameters())
    assert all(not module._forward_hooks and not module._forward_pre_hooks
               for module in net.modules())  # fmt: skip


def test_the_first_layer_alone_has_no_gradient_of_the_input() -> None:
    """As in the network, where nobody asks for it."""
    wanted: list[bool] = []

    class Spy(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            wanted.append(x.requires_grad)
            return super().forward(x)

    net = nn.Sequential(Spy(4, 4), nn.Tanh())
    time_layers(net, torch.randn(2, 4), effort=QUICK, training=True)
    assert set(wanted) == {False}


def test_layers_that_overwrite_their_input_can_be_trained_alone() -> None:
    act = nn.ReLU(inplace=True)
    net = nn.Sequential(nn.Linear(4, 4), act, nn.Linear(4, 2))
    found = time_layers(net, torch.randn(2, 4), effort=QUICK, training=True)
    assert found.layers[1].backward_alone is not None
    assert act.inplace


def test_equal_layers_are_timed_alone_once() -> None:
    clock = FakeClock()
    net = nn.Sequential(*(nn.Linear(4, 4) for _ in range(5)), nn.ReLU())
    found = time_layers(net, torch.randn(2, 4), watch=CpuStopwatch(clock),
                        effort=Effort(limit_s=0.05, least=6, sample_s=1e-9))  # fmt: skip
    alone = [layer.alone for layer in found.layers]
    assert all(one is alone[0] for one in alone[:5])
    assert alone[5] is not alone[0]


def test_a_network_that_returns_tokens_and_takes_whole_numbers() -> None:
    net = nn.Sequential(nn.Embedding(9, 4), nn.LSTM(4, 5, batch_first=True))
    found = time_layers(net, torch.ones(2, 7, dtype=torch.int64), effort=QUICK, training=True)
    assert [layer.cost.kind for layer in found.layers] == ["embedding", "LSTM"]


def test_branches_and_concatenations() -> None:
    net = GoogLeNet().build((3, 64, 64), 10)
    found = time_layers(net, torch.randn(1, 3, 64, 64), effort=QUICK, threads=1)
    functional = [row for row in found.cost.layers if "/" in row.name]
    assert functional
    assert found.work_between_s != 0


def test_on_a_gpu_only_synchronising_tells_when_work_ended() -> None:
    """Layers that hand work over in 0.1 s, which the device does in 1 s."""
    cuda, clock = FakeCuda(), FakeClock()

    class Watch(CudaStopwatch):
        def synchronize(self) -> None:
            clock.work(max(0.0, cuda.device_s - clock.wall_s))

    cuda.device_s = clock.wall_s

    class Launches(Takes):
        def forward(self, x: Tensor) -> Tensor:
            cuda.device_s = max(cuda.device_s, clock.wall_s) + 1.0
            return super().forward(x)

    net = nn.Sequential(Launches(clock, 0.125), Launches(clock, 0.125))
    found = time_layers(net, torch.ones(1, 1), watch=Watch(clock, cuda),
                        effort=dataclasses.replace(EXACT, limit_s=100))  # fmt: skip
    assert [layer.in_place_s for layer in found.layers] == [1.0, 1.0]
    assert [layer.not_synchronised_s for layer in found.layers] == [0.125, 0.125]


# --- mistakes -------------------------------------------------------------------------------------


class NoLayers(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x + 1


def test_nothing_to_time() -> None:
    with pytest.raises(BadOption, match="has no layers"):
        time_layers(NoLayers(), torch.ones(2, 2), effort=QUICK)
    with pytest.raises(BadOption, match="no parameter that is trained"):
        time_layers(nn.Sequential(nn.ReLU()), torch.ones(2, 2), effort=QUICK, training=True)


def test_a_wrong_shape() -> None:
    with pytest.raises(CannotTrace, match="was given 2x5"):
        time_layers(nn.Sequential(nn.Linear(4, 3)), torch.zeros(2, 5), effort=QUICK)
