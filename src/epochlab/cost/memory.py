"""Memory of a training step, predicted without allocating it, and the largest batch that fits."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from epochlab.cost.fake import Watched
from epochlab.cost.live import LiveBytes, tensors_in
from epochlab.cost.standins import StandIns
from epochlab.cost.training_step import (
    Inputs,
    TorchOptimizer,
    TrainingStep,
    epochlab_step,
    forward_alone,
    plain_step,
)
from epochlab.cost.workspace import workspace_bytes
from epochlab.errors import BadOption, CannotTrace, EpochlabError, nearest
from epochlab.optimizers import Optimizer
from epochlab.table import Column, Table
from epochlab.units import bytes_text

Loss = Literal["cross-entropy", "mean-squared-error"] | Callable[..., Tensor]

DTYPES = {2: torch.bfloat16, 4: torch.float32, 8: torch.float64}
LOSSES = ("cross-entropy", "mean-squared-error")
Loop = Literal["plain", "epochlab", "forward"]
LOOPS = ("plain", "epochlab")
MOST = 1 << 40  # samples in a batch; more means that memory does not depend on the batch


def step_memory(
    module: nn.Module,
    input_shape: tuple[int, ...] | None = None,
    *,
    batch: int = 1,
    inputs: Inputs | None = None,
    targets: Tensor | None = None,
    optimizer: Optimizer | TorchOptimizer | None = None,
    loss: Loss = "cross-entropy",
    precision_bytes: int = 4,
    loop: Literal["plain", "epochlab"] = "plain",
    workspace: bool = True,
) -> StepMemory:
    """Bytes that one training step of `module` needs, in the steady state of a training run.

    The step really runs, forward, backward and update, on tensors that have a shape and a device
    but no numbers, and every storage is followed from operator to operator. The module itself is
    neither read nor touched: a copy takes its place, in training mode.

    `input_shape` is one sample without the batch axis. `inputs` replaces it where a module takes
    anything but one floating tensor: whatever forward takes, a tensor, a sequence of arguments, or
    a mapping of names; only shapes and types matter. `loss` is a name, or a function of (outputs,
    targets), or of the outputs alone when there are no `targets`.

    `optimizer` is a component, which updates one parameter after the other; or what makes a torch
    optimizer, such as `torch.optim.Adam` or `partial(torch.optim.SGD, lr=0.1, foreach=True)`,
    whose own code then runs with all its temporaries; or None for no update.

    `precision_bytes` holds for every floating tensor: 2 (bfloat16), 4 or 8.

    `loop="plain"` is the loop of PyTorch's tutorials: the optimizer's state exists, gradients are
    given back before the forward pass, the batch stays for the whole step, outputs live for as
    long as autograd needs them. `loop="epochlab"` is this package's own: images with the channels
    inside, one vector of all weights and one of gradients in small networks, the outputs of the
    last steps kept for the accuracy, and as its first phase the next batch being made beside the
    last one. Arrays that NumPy holds are not counted.

    `workspace` adds what the CPU kernels hold inside an operator (`epochlab.cost.workspace`, a
    model of PyTorch 2.13); without it the numbers are of tensors alone, which is less
    than any device needs.

    Raises BadOption for bad options, CannotTrace where the step cannot run on these inputs.

        >>> memory = step_memory(nn.Linear(100, 10), (100,), batch=5, workspace=False)
        >>> memory.parameters_bytes, memory.inputs_bytes, memory.saved_bytes
        (4040, 2040, 204)
    """
    if loop not in LOOPS:
        raise _unknown("loop", loop, LOOPS)
    live = LiveBytes(workspace_bytes if workspace else None)
    step = watched_step(
        module, input_shape, live=live, batch=batch, inputs=inputs, targets=targets,
        optimizer=optimizer, loss=loss, precision_bytes=precision_bytes, loop=loop,
    )  # fmt: skip
    first = next(tensors_in(step.inputs), None)
    return StepMemory(
        batch=batch if first is None or not first.ndim else first.shape[0], **step.found,
        peak_bytes=live.peak_bytes, peak_at=live.peak_at, workspace_bytes=live.peak_workspace_bytes,
        phases={name: (top, at) for name, (top, at, _) in live.peaks.items()},
    )  # fmt: skip


def watched_step(
    module: nn.Module,
    input_shape: tuple[int, ...] | None,
    *,
    live: LiveBytes,
    batch: int,
    inputs: Inputs | None,
    targets: Tensor | None,
    optimizer: Optimizer | TorchOptimizer | None,
    loss: Loss,
    precision_bytes: int = 4,
    loop: Loop = "plain",
) -> TrainingStep:
    """Run a step on stand-ins while `live` is told of every operator; see `step_memory`.

    `loop="forward"` is a forward pass alone, in evaluation mode and without gradients.
    """
    _check(batch, inputs, input_shape, optimizer, loss, precision_bytes, loop)
    fake = FakeTensorMode(allow_non_fake_inputs=True)
    standins = StandIns(fake, DTYPES[precision_bytes])
    copied, flat = standins.of_module(module, one_vector=loop == "epochlab")
    if input_shape is not None:
        inputs = torch.empty((batch, *input_shape), device="meta")
    step = TrainingStep(
        live=live, module=copied, inputs=standins.of(inputs), loss=loss,
        targets=standins.of(targets), flat=flat, keeps_outputs=loop == "epochlab",
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]), _told(module, inputs), fake, Watched(live, fake):
        if loop == "epochlab":
            assert isinstance(optimizer, Optimizer)
            epochlab_step(step, optimizer)
        elif loop == "forward":
            forward_alone(step)
        else:
            plain_step(step, optimizer)
    return step


def largest_batch(
    module: nn.Module,
    input_shape: tuple[int, ...] | None = None,
    *,
    memory_bytes: int,
    inputs: Inputs | None = None,
    targets: Tensor | None = None,
    **options: Any,
) -> int:
    """The largest batch b whose step fits: peak(b) <= memory_bytes < peak(b + 1).

    `options` are those of `step_memory`. The peak is close to a straight line in the batch, so the
    answer is guessed from such a line and then made sure of at b and b + 1. With `inputs` (and
    `targets`) the first axis of every tensor is the batch.

    Raises BadOption when not even the smallest batch fits, or memory does not depend on the batch.
    """
    if not isinstance(memory_bytes, int) or memory_bytes <= 0:
        raise BadOption(
            f"largest_batch: memory_bytes is {memory_bytes!r}; it must be a whole number of bytes "
            "above 0, for example 16 * 10**9 for a device of 16 GB."
        )
    peaks: dict[int, StepMemory] = {}

    def step_at(b: int) -> StepMemory:
        if b not in peaks:
            peaks[b] = step_memory(
                module, input_shape, batch=b, inputs=_with_batch(inputs, b),
                targets=_with_batch(targets, b), **options,
            )  # fmt: skip
        return peaks[b]

    low = _smallest(step_at)
    if step_at(low).peak_bytes > memory_bytes:
        least = step_at(low)
        raise BadOption(
            f"No batch fits: a batch of {low} needs {bytes_text(least.peak_bytes)}, the device has "
            f"{bytes_text(memory_bytes)}. {bytes_text(least.fixed_bytes)} of it are parameters, "
            "gradients and optimizer state, whatever the batch. Take a smaller network, an "
            "optimizer with less state, numbers of fewer bytes, or more memory."
        )
    return _last_that_fits(lambda b: step_at(b).peak_bytes, low, memory_bytes)


def _smallest(step_at: Callable[[int], StepMemory]) -> int:
    """1, or 2 where a single sample cannot be trained on (batch normalisation of one value)."""
    try:
        step_at(1)
    except CannotTrace:
        step_at(2)
        return 2
    return 1


def _last_that_fits(peak: Callable[[int], int], low: int, limit: int) -> int:
    """The last batch whose peak is within the limit; `low` is."""
    high = low + 1
    while peak(high) <= limit:
        # Further along the line, but no faster than 16-fold: the start of the line may be flat.
        rise = (peak(high) - peak(low)) / (high - low)
        reach = high + int((limit - peak(high)) / rise) if rise > 0 else 2 * high
        low, high = high, min(max(reach, high) + 1, 16 * high)
        if high > MOST:
            raise BadOption(
                "The memory of a step does not grow with the batch, so there is no largest batch "
                "that fits. Is the first axis of the inputs the batch?"
            )
    turn = 0
    while high - low > 1:
        turn += 1
        share = (limit - peak(low)) / (peak(high) - peak(low))
        # A line between the two ends; where that closes in from one side only, the middle helps.
        guess = low + int(share * (high - low)) if turn % 3 else (low + high) // 2
        guess = min(max(guess, low + 1), high - 1)
        if peak(guess) <= limit:
            low = guess
        else:
            high = guess
    return low


def _with_batch(value: Any, b: int) -> Any:
    """Shapes and types as given, the first axis of every tensor b long."""
    if isinstance(value, Tensor):
        return torch.empty((b, *value.shape[1:]), dtype=value.dtype, device="meta")
    if isinstance(value, Mapping):
        return {key: _with_batch(v, b) for key, v in value.items()}
    if isinstance(value, (tuple, list)):
        return type(value)(_with_batch(v, b) for v in value)
    return value


@contextmanager
def _told(module: nn.Module, inputs: Any) -> Iterator[None]:
    """Whatever goes wrong in the module's own code is said in one paragraph."""
    try:
        yield
    except EpochlabError:
        raise
    except Exception as error:
        given = ", ".join(str(tuple(t.shape)) for t in tensors_in(inputs))
        said = str(error).strip().partition("\n")[0] or type(error).__name__
        raise CannotTrace(
            f"A training step of {type(module).__name__} on inputs of shape {given} (batch axis "
            f"first) fails: {said}. Check the input shape (one sample, without the batch axis), "
            "and whether forward or the loss take anything else, or need the value of a number, "
            "which a prediction does not have."
        ) from error


def _check(
    batch: int, inputs: Any, input_shape: Any, optimizer: Any, loss: Any, precision: int, loop: str
) -> None:
    if (inputs is None) == (input_shape is None):
        raise BadOption(
            f"A training step was given {'both' if inputs is not None else 'neither'} of "
            "input_shape and inputs; it takes exactly one: input_shape, one sample such as "
            "(3, 32, 32), or inputs, what the module's forward takes."
        )
    sizes = (batch, *(input_shape or ()))
    if not all(isinstance(n, int) and n > 0 for n in sizes):
        raise _bad("batch and input_shape", sizes, "whole numbers, at least 1")
    if precision not in DTYPES:
        raise _bad("precision_bytes", precision, "2 (bfloat16), 4 (float32), 8 (float64)")
    if not callable(loss) and loss not in LOSSES:
        raise _unknown("loss", loss, LOSSES)
    if loop not in get_args(Loop):
        raise _unknown("loop", loop, get_args(Loop))
    if optimizer is not None and not isinstance(optimizer, Optimizer) and not callable(optimizer):
        raise _bad("optimizer", optimizer, "an optimizer component such as Adam(), what makes a "
                  "torch optimizer, such as torch.optim.Adam, or None")  # fmt: skip
    if loop == "epochlab" and (not isinstance(optimizer, Optimizer) or input_shape is None):
        raise BadOption(
            "A training step: loop='epochlab' is the loop of this package, which takes an "
            "optimizer component such as Adam() and one tensor of inputs (input_shape). Give "
            "those, or choose loop='plain'."
        )


def _bad(option: str, given: Any, allowed: str) -> BadOption:
    return BadOption(f"A training step: {option} is {given!r}; allowed: {allowed}.")


def _unknown(option: str, given: Any, names: tuple[str, ...]) -> BadOption:
    close = nearest(given, names) if isinstance(given, str) else None
    hint = f", and nearest to it is '{close}'" if close else ""
    return _bad(option, given, ", ".join(names) + hint)


@dataclass(frozen=True, kw_only=True)
class StepMemory:
    """Memory of one training step, in bytes; what is counted is said at `step_memory`."""

    batch: int
    "samples"
    parameters_bytes: int
    buffers_bytes: int
    gradients_bytes: int
    "of all parameters after the backward pass; with epochlab's flat copy, where there is one"
    optimizer_bytes: int
    "state that the optimizer keeps between steps"
    inputs_bytes: int
    "inputs and targets"
    saved_bytes: int
    "kept by autograd between forward and backward; no parameters, buffers or inputs among them"
    peak_bytes: int
    "the most that is held at any moment of the step"
    peak_at: str
    "phase and operator of that moment"
    workspace_bytes: int
    "what the kernel of that operator holds beyond its inputs and results"
    phases: Mapping[str, tuple[int, str]]
    "highest bytes and their operator in each phase of the step"

    @property
    def fixed_bytes(self) -> int:
        """What does not depend on the batch: parameters, buffers, gradients, optimizer state."""
        return (
            self.parameters_bytes + self.buffers_bytes + self.gradients_bytes + self.optimizer_bytes
        )

    def table(self) -> Table:
        """One row per part, one per phase, and the peak."""
        rows: list[tuple[str, int, float, str]] = []

        def add(name: str, size: int, remark: str) -> None:
            rows.append((name, size, size / self.peak_bytes if self.peak_bytes else 0.0, remark))

        add("parameters", self.parameters_bytes, "")
        add("buffers", self.buffers_bytes, "")
        add("gradients", self.gradients_bytes, "after the backward pass")
        add("optimizer state", self.optimizer_bytes, "")
        add("inputs and targets", self.inputs_bytes, f"batch of {self.batch}")
        add("saved for backward", self.saved_bytes, "beside parameters, buffers and inputs")
        for phase, (size, operator) in self.phases.items():
            add(f"peak, {phase}", size, operator)
        workspace = f", {bytes_text(self.workspace_bytes)} of it workspace"
        add("peak", self.peak_bytes, self.peak_at + (workspace if self.workspace_bytes else ""))
        return Table(
            title=f"Memory of a training step, batch {self.batch}",
            columns=(Column(name="part"), Column(name="bytes", unit="B", format=","),
                     Column(name="share of peak", format=".3f"), Column(name="remark")),
            rows=tuple(rows), label="predicted",
            notes=("The parts are not all held at the same moment, so they need not add up.",),
        )  # fmt: skip
