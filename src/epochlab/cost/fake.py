"""Runs operators on fake tensors, which have a shape and the CPU as device, and notes each.

The commonest operators' results are made by short formulas where those apply: the same tensors as
PyTorch's own fake mode gives, in less time. A test holds the two equal.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import (
    FakeTensor,
    FakeTensorMode,
    in_kernel_invocation_manager,
)
from torch.utils._python_dispatch import TorchDispatchMode

from epochlab.cost.live import LiveBytes
from epochlab.cost.quick import META, QUICK
from epochlab.cost.workspace import lstm_kept_bytes

aten = torch.ops.aten
_DEVICE = torch.ops.prim.device.default
CPU = torch.device("cpu")
_LSTM_LAYER = aten.mkldnn_rnn_layer.default


def _empty(size: Any, *, dtype: Any = None, memory_format: Any = None, **where: Any) -> Any:
    if memory_format or not _is_ordinary(**where):
        return NotImplemented
    return torch.empty(size, dtype=dtype, device=META)


def _empty_strided(size: Any, stride: Any, *, dtype: Any = None, **where: Any) -> Any:
    if not _is_ordinary(**where):
        return NotImplemented
    return torch.empty_strided(size, stride, dtype=dtype, device=META)


def _is_ordinary(layout: Any = None, device: Any = None, pin_memory: Any = None) -> bool:
    return layout in (None, torch.strided) and str(device or "cpu") == "cpu"


# Of these, the fake mode's long way ends in what PyTorch makes of meta tensors, too; but for views
# it gives axes of length 1 other strides than the CPU and meta tensors do.
_AS_ON_META = (
    aten.detach.default, aten.t.default, aten.view.default, aten._unsafe_view.default,
    aten.slice.Tensor, aten.split_with_sizes.default, aten.split.Tensor, aten.unbind.int,
    aten.transpose.int, aten.permute.default, aten.expand.default, aten.unsqueeze.default,
    aten.squeeze.dim, aten.select.int, aten.stack.default, aten.sum.dim_IntList,
    aten.mean.dim,
)  # fmt: skip
FORMULAS: dict[Any, Callable[..., Any]] = {
    **{operator: operator for operator in _AS_ON_META}, **QUICK,
    aten.empty.memory_format: _empty, aten.empty_strided.default: _empty_strided,
}  # fmt: skip


class Watched(TorchDispatchMode):  # type: ignore[no-untyped-call] # torch declares no types
    """Notes every operator that runs inside the `with` block, on the tensors of a fake mode."""

    def __init__(self, live: LiveBytes, fake: FakeTensorMode) -> None:
        super().__init__()  # type: ignore[no-untyped-call] # the same
        self.live = live
        self.fake = fake

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Nothing here is ever compiled; PyTorch's guard against it takes a second to import."""
        return False

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:  # fmt: skip
        if func is _DEVICE and isinstance(args[0], FakeTensor):
            return args[0].fake_device
        formula = FORMULAS.get(func)
        outputs: Any = NotImplemented
        if formula is not None:
            outputs = self._by_formula(formula, args, kwargs or {})
        if outputs is NotImplemented:
            outputs = func(*args, **(kwargs or {}))
        if func is _LSTM_LAYER and not outputs[3].numel() and args[15]:
            kept = torch.empty(lstm_kept_bytes(args[0], args[2]), dtype=torch.uint8)
            outputs = (*outputs[:3], kept)
        self.live.note(func, args, kwargs, outputs)
        return outputs

    def _by_formula(self, formula: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """The operator's fake results, or NotImplemented where the formula does not hold."""
        if not (all(map(_is_plain, args)) and all(map(_is_plain, kwargs.values()))):
            return NotImplemented
        with in_kernel_invocation_manager(self.fake):  # in here fake tensors are meta tensors
            made = formula(*args, **kwargs)
        if isinstance(made, (tuple, list)):
            return type(made)(as_fake(self.fake, t) for t in made)
        return as_fake(self.fake, made)


def as_fake(fake: FakeTensorMode, made: Any) -> Any:
    """A meta tensor as one on the CPU; anything else as it is."""
    if isinstance(made, Tensor) and not isinstance(made, FakeTensor):
        return FakeTensor(fake, made, CPU)
    return made


def _is_plain(value: Any) -> bool:
    """No tensor, or those on the CPU (asking for `device` would be an operator) without a value."""
    if isinstance(value, FakeTensor):
        return value.fake_device.type == "cpu" and value.constant is None
    if isinstance(value, (list, tuple)):
        return all(map(_is_plain, value))
    return not isinstance(value, Tensor)
