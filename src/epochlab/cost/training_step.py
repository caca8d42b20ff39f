"""Runs one training step on tensors without numbers and books the memory of its parts.

PyTorch's FakeTensorMode gives tensors a device (the CPU) and a shape but no storage of their own,
so every operator takes the same way through PyTorch as in a real step on that device.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from epochlab.cost.live import Kept, LiveBytes, kept_bytes, marking, storages
from epochlab.cost.standins import pieces
from epochlab.errors import BadOption
from epochlab.optimizers import Optimizer

TorchOptimizer = Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer]
Inputs = Tensor | tuple[Any, ...] | list[Any] | Mapping[str, Any]

# A fact of our own training loop (epochlab.train.state); a test holds it equal to it.
COUNTED_TOGETHER = 16
# The rate and number of a step decide about numbers, never about shapes.
RATE, NUMBER = 0.1, 2


@dataclass(kw_only=True)
class TrainingStep:
    """One step under way: what takes part in it, and what has been found out."""

    live: LiveBytes
    module: nn.Module
    inputs: Any
    "a tensor, a sequence of arguments, or a mapping of names"
    targets: Tensor | None
    loss: str | Callable[..., Tensor]
    flat: Tensor | None = None
    "the vector that all parameters are pieces of, if they are"
    keeps_outputs: bool = False
    "whether the loop still holds them while the gradients are computed"
    outputs: Any = None
    kept: weakref.WeakSet[Kept] = field(default_factory=weakref.WeakSet)
    found: dict[str, int] = field(default_factory=dict)
    "parts of the memory by their name in StepMemory"

    @property
    def trained(self) -> list[nn.Parameter]:
        return [p for p in self.module.parameters() if p.requires_grad]

    def begin(self, state: Any) -> None:
        """Follow what a step finds in memory; peaks count from here."""
        parameters, buffers = [*self.module.parameters()], [*self.module.buffers()]
        self.live.follow(parameters, buffers, self.inputs, self.targets, state)
        self.live.restart()
        self.live.phase = "forward"
        self.found = {
            "parameters_bytes": sum(storages(parameters).values()),
            "buffers_bytes": sum(storages(buffers).values()),
            "optimizer_bytes": sum(storages(state).values()),
        }

    def forward(self) -> Tensor:
        """The loss, with everything that autograd keeps for its gradients."""
        with marking(self.kept):
            outputs = self.call()
            loss = self._loss(outputs)
        batch = (self.inputs, self.targets)
        own = [*self.module.parameters(), *self.module.buffers()]
        self.found["inputs_bytes"] = sum(storages(batch).values())
        self.found["saved_bytes"] = kept_bytes(self.kept, besides=(batch, own))
        if self.keeps_outputs:
            self.outputs = outputs.detach() if isinstance(outputs, Tensor) else outputs
        return loss

    def call(self) -> Any:
        """What the module makes of the inputs."""
        if isinstance(self.inputs, Mapping):
            return self.module(**self.inputs)
        if isinstance(self.inputs, Tensor):
            return self.module(self.inputs)
        return self.module(*self.inputs)

    def backward(self, loss: Tensor) -> None:
        self.live.phase = "backward"
        loss.backward()  # type: ignore[no-untyped-call] # torch declares no types here
        gradients = [p.grad for p in self.trained]
        self.found["gradients_bytes"] = sum(storages(gradients).values())

    def _loss(self, outputs: Any) -> Tensor:
        if callable(self.loss):
            self.live.phase = "loss"
            return self.loss(*([outputs] if self.targets is None else [outputs, self.targets]))
        if not isinstance(outputs, Tensor):
            raise BadOption(
                f"The module returns a {type(outputs).__name__}, and loss='{self.loss}' takes one "
                "tensor. Give as loss a function of the outputs that returns one number, for "
                "example lambda outputs: outputs[0].mean()."
            )
        classes = self.loss == "cross-entropy"
        if self.targets is None:
            shape = (*outputs.shape[:1], *outputs.shape[2:]) if classes else outputs.shape
            with self.live.unnoted():
                self.targets = torch.empty(
                    shape, dtype=torch.int64 if classes else outputs.dtype)  # fmt: skip
            self.live.backdate(self.targets)
        self.live.phase = "loss"
        loss_of = functional.cross_entropy if classes else functional.mse_loss
        return loss_of(outputs, self.targets)


def forward_alone(step: TrainingStep) -> None:
    """A forward pass in evaluation mode, without gradients."""
    step.module.eval()
    step.begin(())
    with torch.no_grad():
        step.call()


# --- the two loops --------------------------------------------------------------------------------


def plain_step(step: TrainingStep, optimizer: Optimizer | TorchOptimizer | None) -> None:
    """Gradients given back, forward, loss, backward, update: the loop of PyTorch's tutorials."""
    if isinstance(optimizer, Optimizer):
        _component_step(step, optimizer)
        return
    if optimizer is None:
        step.begin(())
        step.backward(step.forward())
        return
    made = optimizer(step.trained)
    # Torch's optimizers make their state in their first step.
    for p in step.trained:
        p.grad = torch.empty_like(p)
    made.step()
    made.zero_grad(set_to_none=True)
    step.begin(list(made.state.values()))
    loss = step.forward()
    step.backward(loss)
    step.live.phase = "update"
    made.step()


def _component_step(step: TrainingStep, optimizer: Optimizer) -> None:
    """The plain loop with an optimizer component, one parameter after the other."""
    state = [_slots(optimizer, p) for p in step.trained]
    step.begin(state)
    with torch.no_grad():
        for p, slots in zip(step.trained, state, strict=True):
            optimizer.look_ahead(p.data, slots)
    loss = step.forward()
    step.backward(loss)
    step.live.phase = "update"
    with torch.no_grad():
        for p, slots in zip(step.trained, state, strict=True):
            if p.grad is not None:
                optimizer.step(p.data, p.grad, slots, RATE, NUMBER)


def epochlab_step(step: TrainingStep, optimizer: Optimizer) -> None:
    """The loop of epochlab.train.engines.eager, its preparation of the batch included."""
    live = step.live
    step.inputs = _in_layout(step.inputs)
    if step.flat is None:
        weights, copied = [p.data for p in step.trained], None
    else:
        weights, copied = [step.flat], torch.empty_like(step.flat)
    state = [_slots(optimizer, w) for w in weights]
    live.follow(copied)
    step.begin(state)

    live.phase = "data"
    step.inputs = _in_layout(torch.empty(step.inputs.shape, dtype=step.inputs.dtype))
    live.phase = "forward"
    with torch.no_grad():
        for w, slots in zip(weights, state, strict=True):
            optimizer.look_ahead(w, slots)
    loss = step.forward()
    with live.unnoted():
        rows, classes = COUNTED_TOGETHER * len(step.outputs), step.outputs.shape[1:]
        # Outputs and targets that wait to be compared.
        latest = step.outputs.new_empty(rows, *classes)
        awaited = torch.empty(rows - len(step.outputs), dtype=torch.int64)
    live.backdate(latest, awaited)
    step.backward(loss)
    live.phase = "update"
    with torch.no_grad():
        gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in step.trained]
        if copied is not None:
            step.found["gradients_bytes"] += copied.untyped_storage().nbytes()
            torch._foreach_copy_(pieces(copied, step.trained), gradients)
            gradients = [copied]
        for w, g, slots in zip(weights, gradients, state, strict=True):
            optimizer.step(w, g, slots, RATE, NUMBER)
        gradients.clear()
        for p in step.trained:
            p.grad = None
    live.phase = "scores"
    torch.cat([latest]).argmax(1)


def _slots(optimizer: Optimizer, w: Tensor) -> dict[str, Tensor]:
    return {name: torch.full_like(w, fill) for name, fill in optimizer.slots().items()}


def _in_layout(x: Any) -> Any:
    return x.contiguous(memory_format=torch.channels_last) if x.ndim == 4 else x
