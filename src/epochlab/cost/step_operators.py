"""The operators that a training step, or a forward pass alone, runs on the CPU, one by one.

They are found as the memory of a step is: on tensors that have shapes, strides and the CPU as their
device, but no numbers. So they are those of a real step, backward and update included, without the
time of one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from epochlab.cost.counting import Rule, rule_of
from epochlab.cost.live import LiveBytes, tensors_in
from epochlab.cost.memory import Loop, Loss, watched_step
from epochlab.cost.training_step import Inputs, TorchOptimizer
from epochlab.optimizers import Optimizer


@dataclass(frozen=True, slots=True)
class TensorForm:
    """What a kernel sees of a tensor besides its numbers."""

    shape: tuple[int, ...]
    strides: tuple[int, ...]
    dtype: torch.dtype

    @property
    def numbers(self) -> int:
        return torch.Size(self.shape).numel()

    @property
    def bytes(self) -> int:
        return self.numbers * self.dtype.itemsize

    @property
    def channels_last(self) -> bool:
        """Whether it is a batch of images with the channels of a pixel side by side."""
        if len(self.shape) != 4 or self.shape[1] == 1:
            return False
        return self.strides[1] == 1 and self.strides[3] == self.shape[1]


@dataclass(frozen=True, slots=True)
class StepOperator:
    """One operator as PyTorch's dispatcher sees it; equal ones take equally long."""

    phase: str
    "forward, loss, backward, update; data and scores in our own loop"
    func: Any
    "torch.ops.aten...."
    args: tuple[Any, ...]
    "tensors as TensorForm, lists as tuples"
    named: tuple[tuple[str, Any], ...]
    results: tuple[TensorForm, ...]
    macs: int
    other_flops: int

    @property
    def name(self) -> str:
        """'convolution', without the overload."""
        return str(self.func._schema.name).removeprefix("aten::")

    @property
    def operands(self) -> tuple[TensorForm, ...]:
        """The tensors it takes, in order."""
        return tuple(_forms_in((self.args, tuple(v for _, v in self.named))))

    @property
    def flops(self) -> int:
        return 2 * self.macs + self.other_flops

    @property
    def bytes(self) -> int:
        """Bytes of all operands and results, each once."""
        return sum(form.bytes for form in (*self.operands, *self.results))

    @property
    def is_view(self) -> bool:
        """Whether it only renames data."""
        return self.func.is_view or self.name in ("detach", "_unsafe_view", "lift_fresh")


def step_operators(
    module: nn.Module, input_shape: tuple[int, ...] | None = None, **options: Any
) -> Counter[StepOperator]:
    """How often a step runs which operator; `options` are those of `listed_step`.

    >>> found = step_operators(nn.Linear(3, 2), (3,), batch=4, loop="forward")
    >>> [(one.name, times, one.macs) for one, times in found.items() if not one.is_view]
    [('addmm', 1, 24)]
    """
    return listed_step(module, input_shape, **options).found


def listed_step(
    module: nn.Module, input_shape: tuple[int, ...] | None = None, *, batch: int = 1,
    inputs: Inputs | None = None, targets: Tensor | None = None,
    optimizer: Optimizer | TorchOptimizer | None = None, loss: Loss = "cross-entropy",
    loop: Loop = "plain",
) -> Listed:  # fmt: skip
    """The operators of a step, and its memory; options and errors are those of `step_memory`.

    `loop="forward"` is a forward pass alone, in evaluation mode and without gradients.
    """
    listed = Listed()
    watched_step(
        module, input_shape, live=listed, batch=batch, inputs=inputs, targets=targets,
        optimizer=optimizer, loss=loss, loop=loop,
    )  # fmt: skip
    return listed


class Listed(LiveBytes):
    """Follows the memory and lists the operators besides."""

    def __init__(self) -> None:
        super().__init__(None)
        self.found: Counter[StepOperator] = Counter()
        self.rules: dict[Any, Rule | None] = {}

    def note(self, func: Any, args: tuple[Any, ...], kwargs: Any, outputs: Any) -> None:
        super().note(func, args, kwargs, outputs)
        if self._paused or func.namespace == "profiler":
            return
        if func not in self.rules:
            self.rules[func] = rule_of(func)
        rule = self.rules[func]
        results = tuple(_form(t) for t in tensors_in((outputs,)))
        count = rule.count(args, outputs) if rule is not None and results else None
        self.found[StepOperator(
            self.phase, func, _frozen(args),
            tuple((key, _frozen(value)) for key, value in (kwargs or {}).items()), results,
            0 if count is None else count.macs, 0 if count is None else count.other,
        )] += 1  # fmt: skip

    def restart(self) -> None:
        """Forget the peaks, and the operators that only prepared the step."""
        super().restart()
        self.found.clear()


def replay(operator: StepOperator) -> Callable[[], Any]:
    """A call that runs the operator on real tensors of the same forms, again and again.

    Floating numbers are what a rectified map holds, half of them zeros; the numbers of a single
    axis (means, deviations, weights of channels) lie between 0.5 and 1.5. Whole numbers are 0,
    which every operator accepts as an index or a class; but the places that pooling's gradient goes
    back to differ, as they do in a network. Raises what the operator raises.
    """
    args = _thawed(operator.args)
    named = {key: _thawed(value) for key, value in operator.named}
    func = operator.func
    if operator.name == "max_pool2d_with_indices_backward":
        gradient, x, *_, places = args
        plane = x.shape[-1] * x.shape[-2]
        within = torch.arange(gradient.shape[-1] * gradient.shape[-2]) * plane
        places.copy_((within // len(within)).view(gradient.shape[-2:]))
    return lambda: func(*args, **named)


def _form(t: Tensor) -> TensorForm:
    return TensorForm(tuple(t.shape), tuple(t.stride()), t.dtype)


def _frozen(value: Any) -> Any:
    if isinstance(value, Tensor):
        return _form(value)
    if isinstance(value, (list, tuple)):
        return tuple(_frozen(part) for part in value)
    return value


def _thawed(value: Any) -> Any:
    if isinstance(value, TensorForm):
        steps = zip(value.shape, value.strides, strict=True)
        reach = max(0, sum((size - 1) * step for size, step in steps))
        made = torch.zeros(reach + 1, dtype=value.dtype)
        if value.dtype.is_floating_point and len(value.shape) > 1:
            made.normal_().clamp_(min=0)
        elif value.dtype.is_floating_point:
            made.uniform_(0.5, 1.5)
        return made.as_strided(value.shape, value.strides)
    if isinstance(value, tuple):
        return [_thawed(part) for part in value]
    return value


def _forms_in(value: Any) -> list[TensorForm]:
    if isinstance(value, TensorForm):
        return [value]
    if isinstance(value, tuple):
        return [form for part in value for form in _forms_in(part)]
    return []


def as_record(operator: StepOperator) -> Mapping[str, Any]:
    """The operator as plain data for JSON. Raises TypeError for arguments without such a form."""
    return {
        "phase": operator.phase, "operator": str(operator.func), "args": _plain(operator.args),
        "named": {key: _plain(value) for key, value in operator.named},
        "results": _plain(operator.results), "macs": operator.macs,
        "other_flops": operator.other_flops,
    }  # fmt: skip


def from_record(record: Mapping[str, Any]) -> StepOperator:
    """The operator of a record. Raises KeyError, TypeError or AttributeError for another form."""
    namespace, name, overload = record["operator"].split(".")
    packet = getattr(getattr(torch.ops, namespace), name)
    return StepOperator(
        record["phase"], getattr(packet, overload), _unplain(record["args"]),
        tuple((key, _unplain(value)) for key, value in record["named"].items()),
        _unplain(record["results"]), record["macs"], record["other_flops"],
    )  # fmt: skip


def _plain(value: Any) -> Any:
    if isinstance(value, TensorForm):
        return {"shape": value.shape, "strides": value.strides, "dtype": str(value.dtype)}
    if isinstance(value, tuple):
        return [_plain(part) for part in value]
    if isinstance(value, (torch.dtype, torch.layout, torch.device, torch.memory_format)):
        return {"torch": str(value)}
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise TypeError(f"{value!r} is no plain argument.")


def _unplain(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_unplain(part) for part in value)
    if not isinstance(value, dict):
        return value
    if "shape" in value:
        dtype = getattr(torch, value["dtype"].removeprefix("torch."))
        return TensorForm(tuple(value["shape"]), tuple(value["strides"]), dtype)
    name = value["torch"]
    return getattr(torch, name.removeprefix("torch.")) if name.startswith("torch.") else (
        torch.device(name))  # fmt: skip
