"""The reference engine: plain PyTorch, one operation at a time.

`train` is a generator of rows. Between two rows the state is complete, so whoever consumes the
rows may save it at any of them and later go on exactly from there.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from epochlab.datasets import Data, Split
from epochlab.optimizers import Optimizer
from epochlab.randomness import key
from epochlab.schedules import Progress, Schedule
from epochlab.train.batches import Scaling, TrainingBatches, evaluation_batches
from epochlab.train.clocks import WARMUP_STEPS
from epochlab.train.state import State, hits
from epochlab.train.trial import Trial

Row = dict[str, Any]


def train(trial: Trial, data: Data, state: State) -> Iterator[Row]:
    """Train to the end of the trial, from wherever `state` stands, and yield what happens.

    Rows: one 'start' (the untrained network), one 'step' per update, one 'epoch' per epoch, then
    one 'end'; or, when a quantity is no longer finite, one 'diverged' that names it, and nothing
    after it.
    """
    scaling = Scaling.of(data, trial.device)
    at, network, seconds = state.position, state.network, state.seconds
    loss_of = functional.cross_entropy if data.classes else functional.mse_loss
    steps_per_epoch = trial.steps_per_epoch(len(data.train))
    total_steps = sum(steps_per_epoch)
    looks_ahead = type(trial.optimizer).look_ahead is not Optimizer.look_ahead
    constant_rate = None if isinstance(trial.optimizer.lr, Schedule) else trial.optimizer.lr
    warmup_left = WARMUP_STEPS
    if not at.started:
        row = {"row": "start", "step": 0, "epoch": 0, **_scores(state, data, scaling, trial)}
        at.started = True
        yield row
    for epoch in range(at.epoch, trial.epochs):
        batches = TrainingBatches(trial, data.train, scaling, epoch)
        network.train()
        # Everything random inside the network (dropout) belongs to one step alone.
        step_keys = [key(trial.seed, "step", at.step + number - at.batch) >> 1
                     for number in range(len(batches))]  # fmt: skip
        for number in range(at.batch, len(batches)):
            began = time.perf_counter()
            rate = constant_rate or trial.learning_rate(
                Progress(at.step, epoch + number / len(batches), trial.epochs, total_steps)
            )
            inputs, targets = batches[number]
            ready = time.perf_counter()
            torch.default_generator.manual_seed(step_keys[number])
            if looks_ahead:
                for piece in state.pieces:
                    trial.optimizer.look_ahead(piece.w, piece.slots)
            outputs = network(inputs)
            loss = loss_of(outputs, targets)
            loss.backward()  # type: ignore[no-untyped-call] # torch declares no types here
            value = loss.item()
            computed = time.perf_counter()
            if not math.isfinite(value):
                yield _diverged(state, at.step + 1, epoch + 1, value)
                return
            with torch.no_grad():
                _update(trial, state, rate)
                count = targets.shape[0]
                state.add_hits(outputs, targets, count)
            at.step += 1
            at.batch = number + 1
            at.loss_sum += value * count
            at.samples += count
            done = time.perf_counter()
            if warmup_left:
                warmup_left -= 1
                seconds.warmup_s += done - began
                seconds.warmup_steps += 1
            else:
                seconds.add_step(ready - began, computed - ready, done - computed)
            yield {
                "row": "step", "step": at.step, "epoch": epoch + 1, "loss": value,
                "lr": rate, "batch": count,
            }  # fmt: skip
        row = _epoch_row(trial, data, state, scaling, epoch)
        bad = next((k for k, v in row.items() if isinstance(v, float) and not math.isfinite(v)), "")
        if bad:
            yield {**_diverged(state, at.step, epoch + 1, row[bad]), "quantity": bad}
            return
        at.epoch, at.batch, at.loss_sum, at.hits, at.samples = epoch + 1, 0, 0.0, 0.0, 0
        yield row
    final: Row = {"row": "end", "step": at.step, "epoch": at.epoch}
    for name in ("train", "validation", "test"):
        split = data.split(name)
        if split is not None:
            final |= evaluate(state, data, split, scaling, name)
    yield final


def _update(trial: Trial, state: State, rate: float) -> None:
    """Penalty gradients, then the optimizer's step; gradients are given back afterwards."""
    at, optimizer = state.position, trial.optimizer
    gradients = [torch.zeros_like(p) if (g := p.grad) is None else g for p in state.parameters]
    for penalty in trial.penalties:
        for p, g in zip(state.parameters, gradients, strict=True):
            if p.ndim > 1 or penalty.biases:
                penalty.add_gradient(p, g)
    if state.flat_gradient is not None:
        torch._foreach_copy_(state.views, gradients)
        gradients = [state.flat_gradient]
    for piece, g in zip(state.pieces, gradients, strict=True):
        optimizer.step(piece.w, g, piece.slots, rate, at.step + 1)
    for p in state.parameters:
        p.grad = None


def score_name(data: Data) -> str:
    """'accuracy' (share of correct predictions) or 'rmse' (in the targets' own unit)."""
    return "accuracy" if data.classes else "rmse"


def _score(data: Data, hit_sum: float, samples: int) -> float:
    if data.classes:
        return hit_sum / samples
    return math.sqrt(hit_sum / (samples * data.outputs)) * data.target_std


def evaluate(state: State, data: Data, split: Split, scaling: Scaling, name: str) -> Row:
    """Mean loss and score of a split in evaluation mode: {name}_loss, {name}_accuracy."""
    began = time.perf_counter()
    loss_sum, hit_sum, samples = 0.0, 0.0, 0
    for outputs, targets in predictions(state.network, split, scaling):
        if data.classes:
            loss_sum += functional.cross_entropy(outputs, targets, reduction="sum").item()
        else:
            loss_sum += functional.mse_loss(outputs, targets).item() * len(targets)
        hit_sum += hits(outputs, targets)
        samples += len(targets)
    state.seconds.evaluate_s += time.perf_counter() - began
    return {
        f"{name}_loss": loss_sum / samples,
        f"{name}_{score_name(data)}": _score(data, hit_sum, samples),
    }


def predictions(
    network: nn.Module, split: Split, scaling: Scaling
) -> Iterator[tuple[Tensor, Tensor]]:
    """Outputs and targets of a split, batch by batch, in evaluation mode without gradients."""
    was_training = network.training
    network.eval()
    with torch.no_grad():
        for inputs, targets in evaluation_batches(split, scaling):
            yield network(inputs), targets
    network.train(was_training)


def _scores(state: State, data: Data, scaling: Scaling, trial: Trial) -> Row:
    """Scores of the splits that are watched during training."""
    row: Row = {}
    for name in trial.evaluate:
        split = data.split(name)
        if split is not None:
            row |= evaluate(state, data, split, scaling, name)
    return row


def _epoch_row(trial: Trial, data: Data, state: State, scaling: Scaling, epoch: int) -> Row:
    """What an epoch came to: running training loss and score, watched splits, penalties, best."""
    state.count_hits()
    at = state.position
    row: Row = {
        "row": "epoch", "epoch": epoch + 1, "step": at.step,
        "running_loss": at.loss_sum / at.samples,
        f"running_{score_name(data)}": _score(data, at.hits, at.samples),
    }  # fmt: skip
    last = epoch + 1 == trial.epochs
    if (epoch + 1) % trial.evaluate_every == 0 or last:
        row |= _scores(state, data, scaling, trial)
    if trial.penalties:
        with torch.no_grad():
            row["penalty"] = sum(
                float(penalty.value(p))
                for penalty in trial.penalties
                for p in state.parameters
                if p.ndim > 1 or penalty.biases
            )
    score = row.get(f"validation_{score_name(data)}")
    if score is not None:
        better = at.best is None or (score > at.best if data.classes else score < at.best)
        if better:
            at.best, at.best_epoch = score, epoch + 1
        row["is_best"] = better
    return row


def _diverged(state: State, step: int, epoch: int, value: float) -> Row:
    """Name the first quantity that is not finite, looking from the weights to the loss."""
    quantity = "loss"
    for name, p in zip(state.names, state.parameters, strict=True):
        if not torch.isfinite(p.data).all():
            quantity = f"weight {name}"
            break
    return {
        "row": "diverged", "step": step, "epoch": epoch, "quantity": quantity,
        "value": "nan" if math.isnan(value) else ("inf" if value > 0 else "-inf"),
    }  # fmt: skip
