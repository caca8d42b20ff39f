"""Values that a trace knows although it computes with shapes alone.

Masks, positions, sizes: what a forward makes from constants alone (torch.arange, torch.ones), and
whole numbers that it is given, can be computed for real at no cost worth mentioning. So a branch or
a size that depends on them, and on no weight and no activation, needs no real run.

Each known meta tensor has a real twin on the CPU, on which the same operators run. Twins of views
are views of the twins, so writing into one is seen by the others.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from epochlab.cost.counting import tensors_in

aten = torch.ops.aten

# A twin has at most so many numbers: a mask of 1024 positions squared. What is larger is no index.
LARGEST = 1 << 20

# Operators whose result depends on the shape of their tensor alone.
SHAPE_ONLY = frozenset({
    aten.zeros_like.default, aten.ones_like.default, aten.full_like.default,
    aten.new_zeros.default, aten.new_ones.default, aten.new_full.default,
})  # fmt: skip

# Operators that make something from nothing but their options.
CONSTANTS = frozenset({
    aten.arange.default, aten.arange.start, aten.arange.start_step, aten.zeros.default,
    aten.ones.default, aten.full.default, aten.eye.default, aten.eye.m, aten.linspace.default,
    aten.scalar_tensor.default, aten.tril_indices.default, aten.triu_indices.default,
})  # fmt: skip

# Operators that PyTorch cannot run, or whose result's shape it cannot tell, without values.
ASKING = frozenset({
    aten._local_scalar_dense.default, aten.nonzero.default, aten.equal.default,
    aten.masked_select.default, aten._unique2.default, aten.unique_consecutive.default,
    aten.unique_dim.default, aten.repeat_interleave.Tensor, aten.bincount.default,
    aten.index.Tensor, aten.index_put.default, aten.index_put_.default, aten._to_copy.default,
})  # fmt: skip

MAKES = CONSTANTS | SHAPE_ONLY | {aten._to_copy.default}

# Functions of Python that make a tensor from numbers, their last argument by position.
FROM_DATA = frozenset({torch.tensor, torch.as_tensor, Tensor.new_tensor})


class Values:
    """The twins of one trace."""

    def __init__(self) -> None:
        self.twins: dict[int, tuple[Tensor, Tensor]] = {}
        "id of a meta tensor -> that tensor, its twin"
        self.spoiled: dict[int, Tensor] = {}
        "storage of a tensor on the CPU that should hold unknown values by now -> that tensor"

    def know(self, tensor: Tensor, real: Tensor) -> None:
        """From now on the meta tensor has these values."""
        if real.numel() <= LARGEST:
            self.twins[id(tensor)] = (tensor, real)

    def given(self, tensor: Tensor, real: Tensor) -> None:
        """What was there before the trace: only whole numbers and truth values decide anything."""
        if not (real.is_meta or real.is_floating_point() or real.is_complex()):
            self.know(tensor, real.detach().cpu().clone())

    def of(self, tensor: Tensor) -> Tensor | None:
        """The values of a tensor, if they are known; a tensor on the CPU has its own."""
        if not tensor.is_meta:
            return None if self.spoiled and _storage(tensor) in self.spoiled else tensor
        found = self.twins.get(id(tensor))
        return None if found is None else found[1]

    def answer(self, func: Any, args: Any, kwargs: Any) -> Any:
        """What an operator of ASKING gives, from known values; NotImplemented if they are not."""
        if func is aten._to_copy.default:
            return self._copied_to_cpu(args, kwargs)
        if func in (aten.index.Tensor, aten.index_put.default, aten.index_put_.default):
            return self._indexed(func, args, kwargs)
        real = self._real_arguments(args, kwargs)
        if real is None:
            if self.spoiled:
                raise RuntimeError("data-dependent: the value comes from an activation")
            return NotImplemented
        result = func(*real[0], **real[1])
        return self._with_twins(result)

    def note(self, func: Any, args: Any, kwargs: Any, out: Any) -> None:
        """After an operator ran on meta tensors: give its result twins, if they can be had."""
        if func in CONSTANTS:
            self._twin_by(func, args, {**kwargs, "device": "cpu"}, out)
        elif func in SHAPE_ONLY:
            if args[0].numel() <= LARGEST:
                like = torch.empty_like(args[0], device="cpu")
                self._twin_by(func, (like, *args[1:]), {**kwargs, "device": "cpu"}, out)
        elif any(id(t) in self.twins or not t.is_meta for t in tensors_in((args, kwargs.values()))):
            self._follow(func, args, kwargs, out)

    def _follow(self, func: Any, args: Any, kwargs: Any, out: Any) -> None:
        """An operator took a known tensor: its result is known if all of its tensors are."""
        real = None if _is_random(func) else self._real_arguments(args, kwargs)
        if real is not None:
            named = {**real[1], "device": "cpu"} if "device" in real[1] else real[1]
            self._twin_by(func, real[0], named, out)
            return
        for tensor in written_by(func, args):
            self._forget(tensor)
        if self.spoiled:
            for tensor in tensors_in((out,)):
                if not tensor.is_meta:
                    self.spoil(tensor)

    def spoil(self, tensor: Tensor) -> None:
        """Unknown values belong into this tensor on the CPU, which still holds its old ones."""
        self.spoiled[_storage(tensor)] = tensor

    def _forget(self, tensor: Tensor) -> None:
        """Something unknown was written into the tensor, and with it into all its views."""
        found = self.twins.get(id(tensor))
        if found is not None:
            storage = _storage(found[1])
            self.twins = {key: pair for key, pair in self.twins.items()
                          if _storage(pair[1]) != storage}  # fmt: skip

    def _twin_by(self, func: Any, args: Any, kwargs: Any, out: Any) -> None:
        made = list(tensors_in((out,)))
        if not made or sum(t.numel() for t in made) > LARGEST:
            return
        for tensor, real in zip(made, tensors_in((func(*args, **kwargs),)), strict=True):
            if tensor.is_meta:
                self.know(tensor, real)

    def _real_arguments(self, args: Any, kwargs: Any) -> tuple[Any, dict[str, Any]] | None:
        """The arguments with twins in the place of meta tensors; None if one has no twin."""
        try:
            return self._twinned(args), {k: self._twinned(v) for k, v in kwargs.items()}
        except KeyError:
            return None

    def _twinned(self, value: Any) -> Any:
        if isinstance(value, Tensor):
            real = self.of(value)
            if real is None:
                raise KeyError
            return real
        if isinstance(value, (tuple, list)):
            return type(value)(self._twinned(v) for v in value)
        return value

    def _with_twins(self, result: Any) -> Any:
        """Tensors of a real result as meta tensors that are known."""
        if isinstance(result, Tensor):
            meta = torch.empty_like(result, device="meta")
            self.know(meta, result)
            return meta
        if isinstance(result, (tuple, list)):
            return type(result)(self._with_twins(r) for r in result)
        return result

    def _copied_to_cpu(self, args: Any, kwargs: Any) -> Any:
        """A copy of a known tensor to the CPU is its values."""
        device = kwargs.get("device")
        if device is None or torch.device(device).type != "cpu" or not args[0].is_meta:
            return NotImplemented
        real = self.of(args[0])
        return NotImplemented if real is None else aten._to_copy.default(real, **kwargs)

    def _indexed(self, func: Any, args: Any, kwargs: Any) -> Any:
        """Positions in the place of known masks: their number decides the result's shape."""
        indices = args[1]
        if not any(t is not None and t.dtype in (torch.bool, torch.uint8) for t in indices):
            return NotImplemented
        positions: list[Tensor | None] = []
        for index in indices:
            if index is None or index.dtype not in (torch.bool, torch.uint8):
                positions.append(index)
                continue
            real = self.of(index)
            if real is None:
                return NotImplemented
            positions += [axis.to("meta") for axis in real.nonzero(as_tuple=True)]
        source = args[0].to("meta")
        return func(source, positions, *args[2:], **kwargs)


def written_by(func: Any, args: Any) -> list[Tensor]:
    """The tensors among the arguments that the operator writes into."""
    if not func._schema.is_mutable:
        return []
    return list(tensors_in(
        value for value, known in zip(args, func._schema.arguments, strict=False)
        if known.alias_info is not None and known.alias_info.is_write
    ))  # fmt: skip


def _storage(tensor: Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)


def _is_random(func: Any) -> bool:
    return torch.Tag.nondeterministic_seeded in func.tags


class Constants(TorchFunctionMode):
    """Lists of whole numbers in x[...], and torch.tensor, with values.

    PyTorch would make meta tensors of them below the level at which operators can be watched.
    """

    def __init__(self, values: Values) -> None:
        super().__init__()
        self.values = values

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:  # fmt: skip
        kwargs = kwargs or {}
        if func is Tensor.__getitem__:
            index = args[1]
            if isinstance(index, list):
                args = (args[0], _as_tensor(index))
            elif isinstance(index, tuple) and any(isinstance(i, list) for i in index):
                args = (args[0], tuple(_as_tensor(i) if isinstance(i, list) else i for i in index))
        made = func(*args, **kwargs)
        if func in FROM_DATA and made.is_meta:
            data = args[-1] if args else kwargs["data"]
            if not isinstance(data, Tensor):
                self.values.know(made, torch.tensor(data, dtype=made.dtype))
        return made


def _as_tensor(index: list[Any]) -> Any:
    return torch.tensor(index) if all(isinstance(i, int) for i in index) else index
