"""The loops that `overhead.py` sets side by side: ours, the leanest plain one, and the peers'."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util
import logging
import os
import tempfile
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from epochlab.cli._progress import progress_display
from epochlab.datasets import Data
from epochlab.optimizers.sgd import Sgd
from epochlab.train.batches import Scaling, TrainingBatches
from epochlab.train.engines import eager
from epochlab.train.lab import Lab
from epochlab.train.state import build_network, fresh_state
from epochlab.train.store import Store
from epochlab.train.trial import Trial
from measuring import Contestant, Stopwatch, Timed
from turns import Tick


@dataclass(frozen=True)
class Work:
    """The same training for everyone: SGD with momentum, cross entropy, shuffled batches."""

    name: str
    trial: Trial
    data: Data
    tick: Tick = lambda: None
    "called after each step by our loop and by the plain one"

    @property
    def steps(self) -> int:
        return sum(self.trial.steps_per_epoch(len(self.data.train)))

    @property
    def sgd(self) -> Sgd:
        assert isinstance(self.trial.optimizer, Sgd)
        return self.trial.optimizer

    def tensors(self) -> tuple[Tensor, Tensor]:
        """All training samples as the network takes them, in memory: what the peers train on."""
        scaling = Scaling.of(self.data, "cpu")
        split = self.data.train
        return scaling.inputs(split.inputs).contiguous(), scaling.targets(split.targets)


@contextlib.contextmanager
def terminal_in_a_file() -> Iterator[None]:
    """Everything printed goes to a file that rich takes for a terminal, so it draws all it can."""
    before = {name: os.environ.get(name) for name in ("FORCE_COLOR", "COLUMNS")}
    os.environ |= {"FORCE_COLOR": "1", "COLUMNS": "120"}
    try:
        with (
            tempfile.TemporaryFile("w") as file,
            contextlib.redirect_stderr(file),
            contextlib.redirect_stdout(file),
        ):
            yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def ours(work: Work) -> Contestant:
    """`Lab` as `epochlab train` uses it: journal, metrics, progress display, checkpoints, clocks.

    Timed from the row of the untrained network to the row of the last epoch.
    """

    def run(number: int) -> Timed:
        watch = Stopwatch()
        trial = dataclasses.replace(work.trial, seed=number)

        class Watcher:
            """The display, with the stopwatch beside it."""

            def __init__(self, display: Any) -> None:
                self.asked, self.finished = display.asked, display.finished
                self.display = display

            def row(self, trial: Trial, row: dict[str, Any]) -> None:
                self.display.row(trial, row)
                if row["row"] == "start":
                    watch.start()
                elif row["row"] == "epoch" and row["epoch"] == trial.epochs:
                    watch.stop()

        with (
            tempfile.TemporaryDirectory() as folder,
            terminal_in_a_file(),
            progress_display("training") as display,
        ):
            lab = Lab(Store(Path(folder)), watcher=Watcher(display), processes=0)
            lab._loaded[trial.data] = work.data
            with ticking(work.tick):
                lab.run_all([trial])
        assert watch.timed is not None
        return watch.timed

    return run


@contextlib.contextmanager
def ticking(tick: Tick) -> Iterator[None]:
    """Call `tick` each time that our loop has done with a step's row."""
    train = eager.train

    def train_and_tick(*given: Any) -> Iterator[eager.Row]:
        for row in train(*given):
            yield row
            if row["row"] == "step":
                tick()

    eager.train = train_and_tick
    try:
        yield
    finally:
        eager.train = train


def plain(work: Work) -> Contestant:
    """The leanest loop over the same batches: no rows, no metrics, nothing is ever looked at."""

    def run(number: int) -> Timed:
        trial = dataclasses.replace(work.trial, seed=number)
        state, scaling = fresh_state(trial, work.data), Scaling.of(work.data, "cpu")
        network, parameters = state.network, state.parameters
        assert state.flat_gradient is not None
        views, gradient, weights = state.views, state.flat_gradient, state.pieces[0].w
        buffer, momentum, rate = torch.zeros_like(weights), work.sgd.momentum, work.sgd.lr
        assert isinstance(rate, float)
        network.train()
        watch = Stopwatch()
        watch.start()
        for epoch in range(trial.epochs):
            batches = TrainingBatches(trial, work.data.train, scaling, epoch)
            for position in range(len(batches)):
                inputs, targets = batches[position]
                functional.cross_entropy(network(inputs), targets).backward()
                with torch.no_grad():
                    torch._foreach_copy_(views, [p.grad for p in parameters])
                    buffer.mul_(momentum).add_(gradient)
                    weights.add_(buffer, alpha=-rate)
                for p in parameters:
                    p.grad = None
                work.tick()
        watch.stop()
        assert watch.timed is not None
        return watch.timed

    return run


def pytorch(work: Work) -> Contestant:
    """Plain PyTorch as its tutorials write it: DataLoader, torch.optim, the loss kept per step."""
    dataset = TensorDataset(*work.tensors())

    def run(number: int) -> Timed:
        network = build_network(dataclasses.replace(work.trial, seed=number), work.data)
        loader = DataLoader(dataset, batch_size=work.trial.batch_size(0), shuffle=True)
        optimizer = torch.optim.SGD(
            network.parameters(), lr=work.sgd.lr, momentum=work.sgd.momentum
        )
        losses = []
        watch = Stopwatch()
        watch.start()
        for _ in range(work.trial.epochs):
            for inputs, targets in loader:
                optimizer.zero_grad()
                loss = functional.cross_entropy(network(inputs), targets)
                loss.backward()
                optimizer.step()
                losses.append(loss.item())
        watch.stop()
        assert watch.timed is not None
        return watch.timed

    return run


def lightning(work: Work) -> Contestant:
    """Lightning with its defaults: progress bar, CSV log, checkpoint per epoch; loss logged."""
    import lightning as framework

    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    dataset = TensorDataset(*work.tensors())

    class Module(framework.LightningModule):
        """Network, loss and optimizer, as Lightning wants them."""

        def __init__(self, network: nn.Module) -> None:
            super().__init__()
            self.network = network

        def training_step(self, batch: tuple[Tensor, Tensor], number: int) -> Tensor:
            inputs, targets = batch
            loss = functional.cross_entropy(self.network(inputs), targets)
            self.log("train_loss", loss, prog_bar=True)
            return loss

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.SGD(self.parameters(), lr=work.sgd.lr, momentum=work.sgd.momentum)

    class Timing(framework.Callback):
        """Holds the stopwatch."""

        def __init__(self, watch: Stopwatch) -> None:
            self.watch = watch

        def on_train_start(self, *_: object) -> None:
            self.watch.start()

        def on_train_end(self, *_: object) -> None:
            self.watch.stop()

    def run(number: int) -> Timed:
        network = build_network(dataclasses.replace(work.trial, seed=number), work.data)
        loader = DataLoader(dataset, batch_size=work.trial.batch_size(0), shuffle=True)
        watch = Stopwatch()
        with tempfile.TemporaryDirectory() as folder, terminal_in_a_file():
            trainer = framework.Trainer(
                max_epochs=work.trial.epochs, accelerator="cpu", default_root_dir=folder,
                callbacks=[Timing(watch)], log_every_n_steps=10,
            )  # fmt: skip
            trainer.fit(Module(network), loader)
        assert watch.timed is not None
        return watch.timed

    return run


def skorch(work: Work) -> Contestant:
    """The scikit-learn way: NeuralNetClassifier with its defaults, without a validation split."""
    from skorch import NeuralNetClassifier
    from skorch.callbacks import Callback

    inputs, targets = work.tensors()

    class Timing(Callback):
        """Holds the stopwatch."""

        def __init__(self, watch: Stopwatch) -> None:
            self.watch = watch

        def on_train_begin(self, *_: object, **__: object) -> None:
            self.watch.start()

        def on_train_end(self, *_: object, **__: object) -> None:
            self.watch.stop()

    def run(number: int) -> Timed:
        network = build_network(dataclasses.replace(work.trial, seed=number), work.data)
        watch = Stopwatch()
        net = NeuralNetClassifier(
            network, criterion=nn.CrossEntropyLoss, optimizer=torch.optim.SGD, lr=work.sgd.lr,
            optimizer__momentum=work.sgd.momentum, max_epochs=work.trial.epochs,
            batch_size=work.trial.batch_size(0), iterator_train__shuffle=True, train_split=None,
            callbacks=[("timing", Timing(watch))],
        )  # fmt: skip
        with terminal_in_a_file():
            net.fit(inputs, targets)
        assert watch.timed is not None
        return watch.timed

    return run


def keras(work: Work) -> Contestant:
    """Keras on PyTorch with its defaults: the same network as a layer, loss and accuracy."""
    os.environ["KERAS_BACKEND"] = "torch"
    import keras as framework

    inputs, targets = (t.numpy() for t in work.tensors())

    class Timing(framework.callbacks.Callback):
        """Holds the stopwatch."""

        def __init__(self, watch: Stopwatch) -> None:
            super().__init__()
            self.watch = watch

        def on_train_begin(self, logs: object = None) -> None:
            self.watch.start()

        def on_train_end(self, logs: object = None) -> None:
            self.watch.stop()

    def run(number: int) -> Timed:
        network = build_network(dataclasses.replace(work.trial, seed=number), work.data)
        watch = Stopwatch()
        with terminal_in_a_file():
            wrapped = framework.layers.TorchModuleWrapper(
                network, output_shape=(None, work.data.outputs)
            )
            model = framework.Sequential([wrapped])
            model.compile(
                optimizer=framework.optimizers.SGD(work.sgd.lr, momentum=work.sgd.momentum),
                loss=framework.losses.SparseCategoricalCrossentropy(from_logits=True),
                metrics=["accuracy"],
            )  # fmt: skip
            model.fit(inputs, targets, batch_size=work.trial.batch_size(0),
                      epochs=work.trial.epochs, callbacks=[Timing(watch)])  # fmt: skip
        assert watch.timed is not None
        return watch.timed

    return run


def everyone() -> dict[str, Callable[[Work], Contestant]]:
    """Contestants by name, those whose package is installed."""
    peers = {"lightning": lightning, "skorch": skorch, "keras": keras}
    found = {n: made for n, made in peers.items() if importlib.util.find_spec(n) is not None}
    # What the peers warn about (loader workers, a missing validation set) is not our concern.
    warnings.filterwarnings("ignore")
    return {"plain loop": plain, "epochlab": ours, "pytorch": pytorch, **found}
