"""Values that a trace knows although it computes with shapes alone.

Masks, positions, sizes: what a forward makes from constants alone (torch.arange, torch.ones), and
whole numbers that it is given, can be computed for real at no cost worth mentioning. So a branch or
a size that depends on them, and on no weight and no activation, needs no real run.

Each known meta tensor has a real twin on the CPU, on which the same operators run. Twins of views
are views of the twins, so writing into one is seen by the others.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
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

# An index of one of these types picks where it is true.
MASKS = (torch.bool, torch.uint8)

# Functions of Python that make a tensor from numbers, and the place of the numbers.
FROM_DATA = {torch.tensor: 0, torch.as_tensor: 0, Tensor.new_tensor: 1}


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
            return None if self._is_spoiled(tensor) else tensor
        found = self.twins.get(id(tensor))
        return None if found is None else found[1]

    def run(self, func: Any, args: Any, kwargs: Any) -> Any:
        """What an operator gives: from known values where it asks for values, else on meta."""
        out = self._answer(func, args, kwargs) if func in ASKING else NotImplemented
        return self._run_on_meta(func, args, kwargs) if out is NotImplemented else out

    def note(self, func: Any, args: Any, kwargs: Any, out: Any) -> None:
        """After an operator ran on meta tensors: give its result twins, if they can be had."""
        if func in CONSTANTS:
            self._twin_by(func, args, {**kwargs, "device": "cpu"}, out)
        elif func in SHAPE_ONLY:
            if args[0].numel() <= LARGEST:
                like = torch.empty_like(args[0], device="cpu")
                self._twin_by(func, (like, *args[1:]), {**kwargs, "device": "cpu"}, out)
        elif any(id(t) in self.twins or not t.is_meta for t in _given(args, kwargs)):
            self._follow(func, args, kwargs, out)

    def _answer(self, func: Any, args: Any, kwargs: Any) -> Any:
        """What an operator of ASKING gives, from known values; NotImplemented if they are not."""
        if func is aten._to_copy.default:
            return self._copied_to_cpu(args, kwargs)
        if func in (aten.index.Tensor, aten.index_put.default, aten.index_put_.default):
            return self._indexed(func, args, kwargs)
        self._refuse_spoiled(_given(args, kwargs))
        if not any(t.is_meta for t in _given(args, kwargs)):
            return NotImplemented
        real = self._real_arguments(args, kwargs)
        return NotImplemented if real is None else self._with_twins(func(*real[0], **real[1]))

    def _run_on_meta(self, func: Any, args: Any, kwargs: Any) -> Any:
        """The operator itself; numbers that the module keeps on the CPU are brought to meta."""
        on_cpu = [tensor for tensor in written_by(func, args) if not tensor.is_meta]
        if on_cpu and any(t.is_meta for t in _given(args, kwargs)):
            # PyTorch would refuse, or pretend to write.
            real = None if _is_random(func) else self._real_arguments(args, kwargs)
            if real is not None:
                return func(*real[0], **real[1])
            for tensor in on_cpu:
                self._spoil(tensor)
        else:
            try:
                return func(*args, **kwargs)
            except (RuntimeError, NotImplementedError):
                if len({t.is_meta for t in _given(args, kwargs)}) < 2:
                    raise
        return func(*_to_meta(args), **{k: _to_meta(v) for k, v in kwargs.items()})

    def _follow(self, func: Any, args: Any, kwargs: Any, out: Any) -> None:
        """An operator took a known tensor: its result is known if all of its tensors are."""
        written = written_by(func, args)
        touched = [*written, *tensors_in((out,))]
        if self.spoiled and any(self._is_spoiled(t) for t in _given(args, kwargs)):
            for tensor in touched:
                if not tensor.is_meta:
                    self._spoil(tensor)
        if not any(t.is_meta for t in touched):  # what is on the CPU has its values already
            return
        real = None if _is_random(func) else self._real_arguments(args, kwargs)
        if real is None:
            for tensor in written:
                self._forget(tensor)
            return
        named = {**real[1], "device": "cpu"} if "device" in real[1] else real[1]
        self._twin_by(func, real[0], named, out)

    def _is_spoiled(self, tensor: Tensor) -> bool:
        return bool(self.spoiled) and not tensor.is_meta and _storage(tensor) in self.spoiled

    def _refuse_spoiled(self, tensors: Iterable[Tensor]) -> None:
        if any(self._is_spoiled(t) for t in tensors):
            raise RuntimeError("data-dependent: the value comes from an activation")

    def _spoil(self, tensor: Tensor) -> None:
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
        masks = [t for t in args[1] if t is not None and t.dtype in MASKS]
        self._refuse_spoiled(masks)
        if not any(t.is_meta for t in _given(args, kwargs)):
            return NotImplemented
        if not masks or any(self.of(mask) is None for mask in masks):
            return NotImplemented
        positions: list[Tensor | None] = []
        for index in args[1]:
            if index is None or index.dtype not in MASKS:
                positions.append(index)
            else:
                real = self.of(index)
                assert real is not None
                positions += real.nonzero(as_tuple=True)
        return self._run_on_meta(func, (args[0], positions, *args[2:]), kwargs)


def written_by(func: Any, args: Any) -> list[Tensor]:
    """The tensors among the arguments that the operator writes into."""
    if not func._schema.is_mutable:
        return []
    return list(tensors_in(
        value for value, known in zip(args, func._schema.arguments, strict=False)
        if known.alias_info is not None and known.alias_info.is_write
    ))  # fmt: skip


def _given(args: Any, kwargs: Any) -> Iterator[Tensor]:
    """All tensors among the arguments, those given by name too."""
    return tensors_in((args, tuple(kwargs.values())))


def _to_meta(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value if value.is_meta else value.to("meta")
    if isinstance(value, (tuple, list)):
        return type(value)(_to_meta(v) for v in value)
    return value


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
            place = FROM_DATA[func]
            data = args[place] if len(args) > place else kwargs["data"]
            if not isinstance(data, Tensor):
                self.values.know(made, torch.tensor(data, dtype=made.dtype))
        return made


def _as_tensor(index: list[Any]) -> Any:
    if not all(isinstance(i, int) for i in index):
        return index
    return torch.tensor(index, dtype=None if index else torch.int64)
