"""Following live bytes, and the predicted peak against what the allocator really hands out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.profiler import ProfilerActivity, profile, record_function

from epochlab.cost.live import LiveBytes
from epochlab.cost.memory import step_memory
from epochlab.cost.workspace import good_row, onednn_takes, surplus
from epochlab.datasets.lookalike import Lookalike
from epochlab.networks import Network
from epochlab.networks.lenet5 import Lenet5
from epochlab.networks.mlp import Mlp
from epochlab.networks.resnet_cifar import ResNetCifar
from epochlab.optimizers.sgd import Sgd
from epochlab.train import state as train_state
from epochlab.train.engines.eager import train
from epochlab.train.trial import Trial
from tests.cost.allocating import allocations

TOLERANCE = 0.03
"share of the measured peak by which the predicted one may be off"


# --- live bytes -----------------------------------------------------------------------------------


def test_storages_are_counted_once_and_until_they_are_freed() -> None:
    live = LiveBytes()
    x = torch.empty(10, 10, device="meta")
    live.phase = "one"
    live.note("made", (), {}, (x, [x[:5]], None))
    assert live.now_bytes == 400
    y = x.view(100)
    del x
    assert live.now_bytes == 400
    live.phase = "two"
    live.note("more", (), {}, torch.empty(50, device="meta"))
    del y
    assert live.now_bytes == 0
    assert live.peaks == {"one": (400, "made", 0), "two": (600, "more", 0)}
    assert (live.peak_bytes, live.peak_at) == (600, "two: more")
    live.restart()
    assert (live.peak_bytes, live.peak_at) == (0, "")


def test_storages_that_change_their_size_are_followed() -> None:
    live = LiveBytes()
    x = torch.empty(10, device="meta")
    live.follow(x)
    x.resize_(100)
    live.note("resize", (), {}, x)
    assert live.now_bytes == 400


def test_backdated_tensors_raise_earlier_peaks() -> None:
    live = LiveBytes()
    live.phase = "one"
    live.note("made", (), {}, torch.empty(10, device="meta"))
    kept = torch.empty(25, device="meta")
    live.backdate(kept)
    assert live.peaks["one"][0] == 140 and live.now_bytes == 100


def test_workspace_counts_for_the_peak_alone() -> None:
    live = LiveBytes(workspace=lambda func, args, outputs: 1000)
    x = torch.empty(10, device="meta")
    live.note("work", (), {}, x)
    assert (live.now_bytes, live.peak_bytes, live.peak_workspace_bytes) == (40, 1040, 1000)


# --- against real steps ---------------------------------------------------------------------------


class WordLstm(nn.Module):
    """An LSTM on word numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.lstm = nn.Embedding(50, 24), nn.LSTM(24, 40, batch_first=True)
        self.linear = nn.Linear(40, 10)

    def forward(self, x: Tensor) -> Tensor:
        outputs: Tensor = self.linear(self.lstm(self.words(x))[0][:, -1])
        return outputs


def plain_steps(module: nn.Module, x: Tensor, optimizer: Any) -> Iterator[None]:
    targets = torch.randint(0, 10, x.shape[:1])
    while True:
        optimizer.zero_grad()
        loss = functional.cross_entropy(module(x), targets)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        yield


def measured_peak(make: Callable[[], Iterator[None]], warm_up: int) -> int:
    """Most bytes that the allocator had handed out during a step, network and state included."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
        tare = torch.empty(1)
        steps = make()
        for _ in range(warm_up):
            next(steps)
        with record_function("measured step"):
            next(steps)
    totals, span = allocations(seen, "measured step")
    before = totals[0][1] - tare.nbytes
    return max(held for at, held in totals if span[0] <= at <= span[1]) - before


needs_avx = pytest.mark.skipif(
    torch.backends.cpu.get_cpu_capability() not in ("AVX2", "AVX512"),
    reason="the workspace rules are those of oneDNN's kernels for AVX2 and AVX-512",
)


@needs_avx
@pytest.mark.parametrize("batch", [1, 8])
@pytest.mark.parametrize(
    ("build", "x", "make"),
    [
        (lambda: Lenet5().build((1, 28, 28), 10), torch.zeros(1, 28, 28), torch.optim.Adam),
        (lambda: ResNetCifar(depth=8).build((3, 32, 32), 10), torch.zeros(3, 32, 32),
         partial(torch.optim.SGD, lr=0.01, momentum=0.9)),
        (lambda: Mlp(hidden=(50, 30)).build((64,), 10), torch.zeros(64), torch.optim.Adam),
        (WordLstm, torch.zeros(12, dtype=torch.int64), torch.optim.SGD),
    ],
    ids=["lenet5", "resnet8", "mlp", "lstm"],
)  # fmt: skip
def test_the_peak_is_that_of_a_real_step(
    build: Callable[[], nn.Module], x: Tensor, make: Any, batch: int
) -> None:
    inputs = x.expand(batch, *x.shape)

    def steps() -> Iterator[None]:
        module = build()
        return plain_steps(module, inputs.contiguous(), make(module.parameters()))

    real = measured_peak(steps, warm_up=2)
    expected = step_memory(build(), inputs=inputs, optimizer=make)
    assert expected.peak_bytes == pytest.approx(real, rel=TOLERANCE)


@needs_avx
@pytest.mark.parametrize(
    ("network", "kind"), [(Lenet5(), "fashion"), (ResNetCifar(depth=8), "cifar")]
)
def test_the_peak_is_that_of_a_real_step_of_our_loop(network: Network, kind: Any) -> None:
    dataset = Lookalike(kind=kind, size=8 * 17)
    optimizer = Sgd(lr=0.01, momentum=0.9)
    trial = Trial(network=network, data=dataset, optimizer=optimizer, batch=8, epochs=1,
                  evaluate=())  # fmt: skip
    data = dataset.load()

    def steps() -> Iterator[None]:
        for row in train(trial, data, train_state.fresh_state(trial, data)):
            if row["row"] == "step":
                yield

    real = measured_peak(steps, warm_up=train_state.COUNTED_TOGETHER - 1)
    module = network.build(data.input_shape, 10)
    expected = step_memory(module, data.input_shape, batch=8, optimizer=optimizer, loop="epochlab")
    assert expected.peak_bytes == pytest.approx(real, rel=TOLERANCE)


@pytest.mark.parametrize("kernel", [1, 3, 5])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize(("batch", "side"), [(1, 8), (1, 64), (2, 8), (16, 8)])
@pytest.mark.parametrize("groups", [1, 2])
def test_which_kernel_a_convolution_gets(
    kernel: int, stride: int, batch: int, side: int, groups: int
) -> None:
    x, weight = torch.empty(batch, 8, side, side), torch.empty(8, 8 // groups, kernel, kernel)
    chosen = torch._C._select_conv_backend(
        x, weight, None, [stride] * 2, [0, 0], [1, 1], False, [0, 0], groups
    )
    expected = onednn_takes(x, weight, [stride] * 2, [1, 1], groups)
    assert (chosen == torch._C._ConvBackend.Mkldnn) is expected


def test_surplus_is_what_is_held_beyond_the_end() -> None:
    assert surplus([]) == surplus([7]) == 0
    assert surplus([10, 5, -10]) == 10
    assert surplus([4, -4, 3, 2, -5, 9]) == 0


def test_rows_that_onednn_likes() -> None:
    assert [good_row(n, 4) for n in (1, 16, 100, 256, 1024)] == [16, 16, 112, 272, 1040]
