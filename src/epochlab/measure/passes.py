"""Time whole passes of a module: forward, forward and backward, a training step."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from epochlab.cost.outputs import opened
from epochlab.errors import BadOption, BadShape, EpochlabError
from epochlab.measure.stopwatch import Stopwatch, on_threads, stopwatch_for
from epochlab.measure.timing import Effort, Tell, Timing, time_in_turns
from epochlab.randomness import generator

Inputs = Tensor | Sequence[Any] | Mapping[str, Any]
Loss = Callable[[Any], Tensor]
TorchOptimizer = Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer]

# Any rate costs the same; this one leaves the weights, and so the numbers, practically alone.
RATE = 1e-9


def time_forward(
    module: nn.Module, inputs: Inputs, *, threads: int | None = None,
    effort: Effort | None = None, tell: Tell | None = None, watch: Stopwatch | None = None,
) -> Timing:  # fmt: skip
    """Seconds of one forward pass in evaluation mode, without gradients.

    `inputs` is whatever forward takes: a tensor, a sequence of arguments, or a mapping of names;
    they and the module must be on one device. `threads` is for torch on the CPU; None leaves it
    as it is. Raises BadShape where forward fails on these inputs, BadOption for bad options.

        >>> timing = time_forward(nn.Linear(8, 4), torch.zeros(2, 8), effort=Effort(limit_s=0.1))
        >>> 0 < timing.lower_s <= timing.median_s <= timing.upper_s
        True
    """
    with on_threads(threads) as used, in_mode(module, training=False), torch.inference_mode():
        run = checked(module, inputs)
        found = time_in_turns({"forward": run}, effort=effort, threads=used, tell=tell,
                              watch=watch or stopwatch_for(device_of(module, inputs)))  # fmt: skip
    return found["forward"]


def time_step(
    module: nn.Module, inputs: Inputs, *, loss: Loss | None = None,
    optimizer: TorchOptimizer | None = None, threads: int | None = None,
    effort: Effort | None = None, tell: Tell | None = None, watch: Stopwatch | None = None,
) -> Timing:  # fmt: skip
    """Seconds of one training step: gradients given back, forward, loss, backward, update.

    See `time_training`, which takes the same arguments and times its parts as well.
    """
    calls = _TrainingCalls(module, inputs, loss, optimizer)
    return calls.timed(("training step",), threads, effort, tell, watch)["training step"]


@dataclass(frozen=True, kw_only=True)
class TrainingTiming:
    """What a training step consists of, each part timed with all before it, in turns."""

    forward: Timing
    "in training mode, with what autograd keeps"
    forward_backward: Timing
    "and the loss, and the gradients"
    step: Timing
    "and the update"

    @property
    def backward_s(self) -> float:
        """Loss and gradients alone: the difference of two medians."""
        return self.forward_backward.median_s - self.forward.median_s

    @property
    def update_s(self) -> float:
        """The update alone: the difference of two medians."""
        return self.step.median_s - self.forward_backward.median_s


def time_training(
    module: nn.Module, inputs: Inputs, *, loss: Loss | None = None,
    optimizer: TorchOptimizer | None = None, threads: int | None = None,
    effort: Effort | None = None, tell: Tell | None = None, watch: Stopwatch | None = None,
) -> TrainingTiming:  # fmt: skip
    """Forward, forward and backward, and the whole step of a copy of `module` in training mode.

    `loss` makes one number of the outputs, by default that of `loss_for`; `optimizer` makes an
    optimizer of parameters, by default plain SGD of torch. The module itself stays as it was.
    Raises BadShape, and BadOption where there is nothing to train.
    """
    calls = _TrainingCalls(module, inputs, loss, optimizer)
    names = ("forward", "forward + backward", "training step")
    found = calls.timed(names, threads, effort, tell, watch)
    return TrainingTiming(forward=found[names[0]], forward_backward=found[names[1]],
                          step=found[names[2]])  # fmt: skip


class _TrainingCalls:
    """What a training step is made of, each as a call that includes all before it."""

    def __init__(self, module: nn.Module, inputs: Inputs, loss: Loss | None,
                 optimizer: TorchOptimizer | None) -> None:  # fmt: skip
        self.device = device_of(module, inputs)
        self.twin, self.inputs, self.loss = trainable_twin(module), inputs, loss
        trained = [p for p in self.twin.parameters() if p.requires_grad]
        self.optimizer = (
            torch.optim.SGD(trained, lr=RATE) if optimizer is None else optimizer(trained)
        )

    def timed(
        self, names: Sequence[str], threads: int | None, effort: Effort | None,
        tell: Tell | None, watch: Stopwatch | None,
    ) -> dict[str, Timing]:  # fmt: skip
        """The calls of these names, timed in turns."""
        with on_threads(threads) as used, torch.enable_grad():
            run = checked(self.twin, self.inputs)
            loss = self.loss or loss_for(run())
            check_backward(loss(run()))

            def forward_backward() -> None:
                self.optimizer.zero_grad(set_to_none=True)
                loss(run()).backward()  # type: ignore[no-untyped-call] # torch declares no types

            def step() -> None:
                forward_backward()
                self.optimizer.step()

            calls = {"forward": run, "forward + backward": forward_backward, "training step": step}
            return time_in_turns(
                {name: calls[name] for name in names}, effort=effort, threads=used, tell=tell,
                watch=watch or stopwatch_for(self.device),
            )  # fmt: skip


def loss_for(outputs: Any) -> Loss:
    """A loss for outputs like these, its classes drawn once, so that they cost nothing later.

    Cross-entropy of every output against random classes, which lie along the second axis; of an
    output without that axis its mean. Outputs are all floating tensors in what forward returned.
    Raises BadOption where there is none.
    """
    classes: list[Tensor | None] = []
    for number, output in enumerate(t for t in opened(outputs) if t.is_floating_point()):
        drawn = None
        if output.ndim > 1:
            shape = (output.shape[0], *output.shape[2:])
            seeded = generator(0, "measure", number)
            drawn = torch.randint(output.shape[1], shape, generator=seeded).to(output.device)
        classes.append(drawn)
    if not classes:
        raise BadOption("The outputs have no floating tensor to make a loss of: there is nothing "
                        "to train.")  # fmt: skip

    def loss(outputs: Any) -> Tensor:
        found = [t for t in opened(outputs) if t.is_floating_point()]
        parts = [output.mean() if drawn is None else functional.cross_entropy(output, drawn)
                 for output, drawn in zip(found, classes, strict=True)]  # fmt: skip
        return parts[0] if len(parts) == 1 else torch.stack(parts).sum()

    return loss


# --- modules and inputs ---------------------------------------------------------------------------


def checked(module: nn.Module, inputs: Inputs) -> Callable[[], Any]:
    """A call of the module on its inputs that has run once. Raises BadShape where it fails."""
    arguments, named = arguments_of(inputs)
    try:
        module(*arguments, **named)
    except EpochlabError:
        raise
    except Exception as error:
        shapes = ", ".join("x".join(map(str, t.shape)) or "one number"
                           for t in opened((arguments, named)))  # fmt: skip
        said = (str(error).strip().split("\n")[0] or "no message")[:300].rstrip(".")
        raise BadShape(
            f"{type(module).__name__} was given {shapes or 'no tensors'} (batch axis first), and "
            f"its forward fails on that: {type(error).__name__}: {said}. Check the input shape, "
            "and with a large batch the memory."
        ) from error
    return lambda: module(*arguments, **named)


def arguments_of(inputs: Inputs) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Positional and keyword arguments of forward."""
    if isinstance(inputs, Tensor):
        return (inputs,), {}
    return ((), dict(inputs)) if isinstance(inputs, Mapping) else (tuple(inputs), {})


def check_backward(loss: Tensor) -> None:
    """Raises BadOption where no gradient flows."""
    if not loss.requires_grad:
        raise BadOption("No gradient flows from the outputs to a parameter: there is nothing to "
                        "train. Time the forward pass alone.")  # fmt: skip


def trainable_twin(module: nn.Module) -> nn.Module:
    """A copy in training mode. Raises BadOption where nothing can be trained, or copied."""
    if not any(p.requires_grad for p in module.parameters()):
        raise BadOption(f"{type(module).__name__} has no parameter that is trained: there is "
                        "nothing to time but the forward pass.")  # fmt: skip
    try:
        return copy.deepcopy(module).train()
    except RuntimeError as error:
        raise BadOption(
            f"{type(module).__name__} cannot be copied ({error}), and training would change it. "
            "Build it anew."
        ) from error


def device_of(module: nn.Module, inputs: Inputs) -> torch.device:
    """Where the module's first weight or, without weights, its first input lies."""
    first: Tensor | None = next(module.parameters(), None)
    if first is None:
        first = next(opened(inputs), None)
    return torch.device("cpu") if first is None else first.device


@contextmanager
def in_mode(module: nn.Module, *, training: bool) -> Iterator[None]:
    """The module in training or evaluation mode; afterwards each part as it was."""
    before = {child: child.training for child in module.modules()}
    module.train(training)
    try:
        yield
    finally:
        for child, flag in before.items():
            child.training = flag
