"""Predicted against real memory of training steps, each step in a process of its own.

python benchmarks/memory.py [--only lenet,...] [--threads N] [--json FILE]

Measured is the most that PyTorch's CPU allocator had handed out at any moment of a step late in
training, network and optimizer state included: the total in the memory events of its profiler,
which sees temporaries inside kernels as well. The resident memory of the process, beside it for
orientation, also holds what kernels allocate elsewhere, generated code and the interpreter.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.profiler import ProfilerActivity, profile, record_function

from epochlab.cost.memory import StepMemory, step_memory
from epochlab.datasets.lookalike import Lookalike
from epochlab.networks import Network
from epochlab.networks.alexnet import AlexNet
from epochlab.networks.fashion_cnn import FashionCnn
from epochlab.networks.googlenet import GoogLeNet
from epochlab.networks.lenet5 import Lenet5
from epochlab.networks.mlp import Mlp
from epochlab.networks.mobilenet_v1 import MobileNetV1
from epochlab.networks.mobilenet_v2 import MobileNetV2
from epochlab.networks.resnet import ResNet
from epochlab.networks.resnet_cifar import ResNetCifar
from epochlab.networks.simple_nn import SimpleNN
from epochlab.networks.squeezenet import SqueezeNet
from epochlab.networks.vgg import Vgg
from epochlab.optimizers import Optimizer
from epochlab.optimizers.adam import Adam
from epochlab.optimizers.sgd import Sgd
from epochlab.table import Column, Table
from epochlab.train.engines.eager import train
from epochlab.train.state import COUNTED_TOGETHER, fresh_state
from epochlab.train.trial import Trial
from measuring import save

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.cost.allocating import allocations

MEDIAN_LIMIT, WORST_LIMIT = 0.03, 0.10
"wanted: errors of the predicted peak, as shares of the measured one"
OUTPUTS = 10
WORDS = 1000

Make = Callable[[Any], torch.optim.Optimizer]
SGD: Make = partial(torch.optim.SGD, lr=0.01, momentum=0.9)
ADAM: Make = torch.optim.Adam


class Encoder(nn.Module):
    """Four layers of a transformer encoder on word numbers, mean over the words, linear."""

    def __init__(self) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(256, 8, 1024, batch_first=True)
        self.words = nn.Embedding(WORDS, 256)
        self.layers = nn.TransformerEncoder(layer, 4, enable_nested_tensor=False)
        self.linear = nn.Linear(256, OUTPUTS)

    def forward(self, x: Tensor) -> Tensor:
        outputs: Tensor = self.linear(self.layers(self.words(x)).mean(1))
        return outputs


class WordLstm(nn.Module):
    """Two LSTM layers on word numbers, linear on the last state."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(WORDS, 128)
        self.lstm = nn.LSTM(128, 256, 2, batch_first=True)
        self.linear = nn.Linear(256, OUTPUTS)

    def forward(self, x: Tensor) -> Tensor:
        outputs: Tensor = self.linear(self.lstm(self.words(x))[0][:, -1])
        return outputs


@dataclass(frozen=True)
class Point:
    """A training step: network, sample, batch, optimizer, loop."""

    name: str
    network: Network | type[nn.Module]
    shape: tuple[int, ...]
    "of one sample; of word numbers where there is one axis"
    batch: int
    optimizer: Make | Optimizer

    @property
    def loop(self) -> str:
        return "epochlab" if isinstance(self.optimizer, Optimizer) else "plain"

    @property
    def update(self) -> str:
        if isinstance(self.optimizer, Optimizer):
            return type(self.optimizer).__name__
        return "SGD, momentum" if self.optimizer is SGD else "Adam"

    def build(self) -> nn.Module:
        if isinstance(self.network, Network):
            return self.network.build(self.shape, OUTPUTS)
        return self.network()

    def inputs(self) -> Tensor:
        shape = (self.batch, *self.shape)
        return torch.randint(0, WORDS, shape) if len(self.shape) == 1 else torch.randn(shape)


def points() -> list[Point]:
    """Networks of every kind, batches from 1 to 128, both loops."""
    mnist, small, middle = (1, 28, 28), (3, 32, 32), (3, 64, 64)
    ours = Sgd(lr=0.01, momentum=0.9)
    vgg11, vgg16 = Vgg(depth=11, hidden=512), Vgg(depth=16, hidden=512, batch_norm=True)
    resnet18, resnet50 = ResNet(depth=18), ResNet(depth=50)
    return [
        *(Point("lenet", Lenet5(), mnist, b, ADAM) for b in (1, 8, 64)),
        *(Point("lenet", Lenet5(), mnist, b, ours) for b in (1, 64)),
        *(Point("fashion_cnn", FashionCnn(), mnist, b, SGD) for b in (8, 64)),
        Point("fashion_cnn", FashionCnn(), mnist, 64, Adam()),
        *(Point("simple_nn", SimpleNN(), small, b, ADAM) for b in (8, 64)),
        Point("simple_nn", SimpleNN(), small, 64, ours),
        *(Point("resnet20", ResNetCifar(depth=20), small, b, SGD) for b in (1, 8, 64)),
        *(Point("resnet20", ResNetCifar(depth=20), small, b, ours) for b in (8, 128)),
        *(Point("resnet18", resnet18, middle, b, SGD) for b in (1, 8, 64)),
        *(Point("resnet50", resnet50, middle, b, ADAM) for b in (1, 8, 64)),
        Point("resnet50", resnet50, (3, 128, 128), 8, SGD),
        *(Point("vgg11", vgg11, small, b, SGD) for b in (1, 8, 64)),
        Point("vgg11", vgg11, small, 64, ours),
        *(Point("vgg16", vgg16, middle, b, ADAM) for b in (1, 8, 32)),
        *(Point("alexnet", AlexNet(hidden=1024), (3, 227, 227), b, SGD) for b in (1, 8)),
        *(Point("squeezenet", SqueezeNet(), middle, b, SGD) for b in (1, 8, 64)),
        Point("googlenet", GoogLeNet(), middle, 16, SGD),
        *(Point("mobilenet_v1", MobileNetV1(), middle, b, SGD) for b in (1, 8, 64)),
        *(Point("mobilenet_v2", MobileNetV2(), middle, b, SGD) for b in (8, 64)),
        *(Point("mlp", Mlp(), small, b, ADAM) for b in (1, 64)),
        Point("mlp", Mlp(), small, 64, Adam()),
        *(Point("transformer", Encoder, (64,), b, ADAM) for b in (1, 8, 64)),
        *(Point("lstm", WordLstm, (32,), b, ADAM) for b in (1, 8, 64)),
    ]  # fmt: skip


# --- a real step ----------------------------------------------------------------------------------


def plain_steps(point: Point) -> Iterator[None]:
    """Steps of the plain loop, without end."""
    module = point.build().train()
    assert not isinstance(point.optimizer, Optimizer)
    optimizer = point.optimizer(module.parameters())
    inputs, targets = point.inputs(), torch.randint(0, OUTPUTS, (point.batch,))
    while True:
        optimizer.zero_grad()
        loss = functional.cross_entropy(module(inputs), targets)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        yield


def our_steps(point: Point) -> Iterator[None]:
    """Steps of this package's own loop on generated images."""
    assert isinstance(point.network, Network) and isinstance(point.optimizer, Optimizer)
    kind = "fashion" if point.shape[0] == 1 else "cifar"
    dataset = Lookalike(kind=kind, size=point.batch * (COUNTED_TOGETHER + 1))
    trial = Trial(network=point.network, data=dataset, optimizer=point.optimizer,
                  batch=point.batch, epochs=1, evaluate=())  # fmt: skip
    data = dataset.load()
    yield
    for row in train(trial, data, fresh_state(trial, data)):
        if row["row"] == "step":
            yield


def measured_peak(point: Point) -> int:
    """Most bytes handed out during the last step, over what was handed out before the network."""
    ours = point.loop == "epochlab"
    steps = our_steps(point) if ours else plain_steps(point)
    if ours:
        next(steps)  # makes the data
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
        tare = torch.empty(1)
        # Our loop counts hits together after so many steps; torch's optimizers need one to begin.
        for _ in range(COUNTED_TOGETHER - 1 if ours else 2):
            next(steps)
        with record_function("measured step"):
            next(steps)
    totals, (start, end) = allocations(seen, "measured step")
    before = totals[0][1] - tare.nbytes
    return max(total for at, total in totals if start <= at <= end) - before


def measure(point: Point) -> dict[str, int | None]:
    """Peak of the allocator and, of steps without the profiler, of the resident memory."""
    tiny = nn.Sequential(nn.Conv2d(3, 16, 3), nn.Flatten(), nn.Linear(16 * 36, 1))
    tiny(torch.randn(2, 3, 8, 8)).sum().backward()  # the libraries are loaded before we look
    before = _resident("VmRSS")
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak begins anew
        steps = our_steps(point) if point.loop == "epochlab" else plain_steps(point)
        for _ in range(3):
            next(steps)
        resident = _resident("VmHWM")
        del steps
        return {"peak": measured_peak(point), "resident": resident - before}
    return {"peak": measured_peak(point), "resident": None}


def _resident(name: str) -> int:
    """Bytes of a line such as 'VmRSS:  1234 kB' of this process's status."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise OSError(name)


def predict(point: Point) -> StepMemory:
    words = len(point.shape) == 1
    return step_memory(
        point.build(), None if words else point.shape, batch=point.batch,
        inputs=point.inputs() if words else None, optimizer=point.optimizer,
        loop="epochlab" if point.loop == "epochlab" else "plain",
    )  # fmt: skip


# --- the table ------------------------------------------------------------------------------------


def compared(chosen: Sequence[tuple[int, Point]], threads: int) -> Table:
    rows = []
    for number, point in chosen:
        command = [sys.executable, __file__, "--point", str(number), "--threads", str(threads)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        real = json.loads(done.stdout.splitlines()[-1])
        expected = predict(point)
        rows.append({
            "network": point.name, "sample": "x".join(map(str, point.shape)),
            "batch": point.batch, "loop": point.loop, "update": point.update,
            "measured": real["peak"], "predicted": expected.peak_bytes,
            "error": expected.peak_bytes / real["peak"] - 1, "peak at": expected.peak_at,
            "workspace": expected.workspace_bytes, "resident": real["resident"],
        })  # fmt: skip
        print(".", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    errors = [abs(row["error"]) for row in rows]
    middle, worst = statistics.median(errors), max(errors)
    met = "met" if middle <= MEDIAN_LIMIT and worst <= WORST_LIMIT else "NOT met"
    megabytes = dict.fromkeys(("measured", "predicted", "workspace", "resident"))
    for row in rows:
        row |= {n: None if row[n] is None else row[n] / 1e6 for n in megabytes}
    columns = [
        Column(name=name, unit="MB", format=",.3f",
               label="predicted" if name in ("predicted", "workspace") else None)
        if name in megabytes else Column(name=name, format="+.3%" if name == "error" else "")
        for name in rows[0]
    ]  # fmt: skip
    return Table.of(
        f"Peak memory of a training step, threads: {threads}", rows, columns=columns,
        notes=(
            f"Error of {len(rows)} points: median {middle:.3%}, worst {worst:.3%}; wanted are "
            f"{MEDIAN_LIMIT:.0%} and {WORST_LIMIT:.0%}: {met}.",
            "workspace is the predicted part of the peak inside its operator; resident memory is "
            "the growth of the process, for orientation.",
        ),
    )  # fmt: skip


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", help="networks, with commas")
    parser.add_argument("--threads", type=int, default=1, help="studies train with one")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--point", type=int, help="measure this one alone (what the table runs)")
    given = parser.parse_args(words)
    torch.set_num_threads(given.threads)
    everything = points()
    if given.point is not None:
        print(json.dumps(measure(everything[given.point])))
        return
    wanted = given.only.split(",") if given.only else [point.name for point in everything]
    chosen = [(n, point) for n, point in enumerate(everything) if point.name in wanted]
    table = compared(chosen, given.threads)
    print(table.text())
    if given.json:
        save(given.json, [table], table.records())


if __name__ == "__main__":
    main()
