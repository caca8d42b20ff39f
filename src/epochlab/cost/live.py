"""Follows the memory of tensors from operator to operator: what is held now, and the peak."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import (
    FakeTensor,
    FakeTensorMode,
    in_kernel_invocation_manager,
)
from torch.utils._python_dispatch import TorchDispatchMode

from epochlab.cost.quick import META, QUICK
from epochlab.cost.workspace import lstm_kept_bytes, workspace_bytes

Workspace = Callable[[Any, tuple[Any, ...], Any], int]

aten = torch.ops.aten
_DEVICE = torch.ops.prim.device.default
_LSTM_LAYER = aten.mkldnn_rnn_layer.default


def _empty(size: Any, *, dtype: Any = None, layout: Any = None, device: Any = None,
           pin_memory: Any = None, memory_format: Any = None) -> Any:  # fmt: skip
    if layout not in (None, torch.strided) or str(device or "cpu") != "cpu" or memory_format:
        return NotImplemented
    return torch.empty(size, dtype=dtype, device=META)


def _empty_strided(size: Any, stride: Any, *, dtype: Any = None, layout: Any = None,
                   device: Any = None, pin_memory: Any = None) -> Any:  # fmt: skip
    if layout not in (None, torch.strided) or str(device or "cpu") != "cpu":
        return NotImplemented
    return torch.empty_strided(size, stride, dtype=dtype, device=META)


# Views of a meta tensor are what PyTorch makes of them.
_VIEWS = (aten.detach.default, aten.t.default, aten.view.default, aten.slice.Tensor,
          aten.split_with_sizes.default)  # fmt: skip
FORMULAS: dict[Any, Callable[..., Any]] = {
    **QUICK, **{view: view for view in _VIEWS},
    aten.empty.memory_format: _empty, aten.empty_strided.default: _empty_strided,
}  # fmt: skip


def tensors_in(value: Any) -> Iterator[Tensor]:
    """Tensors in nested tuples, lists and dictionaries."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, (tuple, list)):
        for part in value:
            if isinstance(part, Tensor):
                yield part
            elif isinstance(part, (tuple, list, dict)):
                yield from tensors_in(part)
    elif isinstance(value, dict):
        yield from tensors_in(tuple(value.values()))


def storages(values: Any) -> dict[int, int]:
    """Bytes of each storage behind the tensors, by the storage's identity; views count once."""
    found = (t.untyped_storage() for t in tensors_in(values) if t.layout is torch.strided)
    return {storage._cdata: storage.nbytes() for storage in found}


class LiveBytes:
    """Bytes of all storages that are alive, and the most there were at any moment.

    Whoever runs the operators calls `note` after each of them, in any dispatch mode and on any
    device (meta tensors have storages of the right size, too). A storage is counted when it is
    first seen and until it is freed; views and in-place results have a storage that is known
    already. `workspace` adds what a kernel holds inside an operator beyond inputs and results.

        >>> live = LiveBytes()
        >>> x = torch.empty(1000, device="meta")
        >>> live.follow(x, x[:10])
        >>> live.now_bytes
        4000
        >>> del x
        >>> live.now_bytes, live.peak_bytes
        (0, 4000)
    """

    def __init__(self, workspace: Workspace | None = workspace_bytes) -> None:
        self.workspace = workspace
        self.now_bytes = 0
        self.phase = ""
        "set by the caller: 'forward', 'backward' ..."
        self.peaks: dict[str, tuple[int, str, int]] = {}
        "per phase: most bytes, the operator that ran, and the workspace among them"
        self._alive: dict[int, _Watch] = {}
        self._paused = False

    @property
    def peak_bytes(self) -> int:
        return max((peak[0] for peak in self.peaks.values()), default=0)

    @property
    def peak_workspace_bytes(self) -> int:
        """Workspace of the operator that ran at the peak; part of `peak_bytes`."""
        return max(self.peaks.values(), default=(0, "", 0))[2]

    @property
    def peak_at(self) -> str:
        """Phase and operator of the peak, e.g. 'backward: convolution_backward'."""
        if not self.peaks:
            return ""
        phase = max(self.peaks, key=lambda name: self.peaks[name][0])
        return ": ".join(part for part in (phase, self.peaks[phase][1]) if part)

    def follow(self, *values: Any) -> None:
        """Count the storages behind these tensors (nested as you like) from now on."""
        for tensor in tensors_in(values):
            self._count(tensor)
        self._raise(0, "")

    def note(self, func: Any, args: tuple[Any, ...], kwargs: Any, outputs: Any) -> None:
        """An operator has run: count its new storages, and its workspace for the peak."""
        if self._paused:
            return
        if isinstance(outputs, Tensor):
            self._count(outputs)
        elif isinstance(outputs, (tuple, list)):
            for tensor in tensors_in(outputs):
                self._count(tensor)
        else:
            return
        extra = self.workspace(func, args, outputs) if self.workspace is not None else 0
        self._raise(extra, func)

    @contextmanager
    def unnoted(self) -> Iterator[None]:
        """Operators inside are not noted."""
        self._paused = True
        try:
            yield
        finally:
            self._paused = False

    def backdate(self, *values: Any) -> None:
        """Count tensors as if they had been there since the peaks began."""
        before = self.now_bytes
        for tensor in tensors_in(values):
            self._count(tensor)
        added = self.now_bytes - before
        self.peaks = {name: (top + added, at, work) for name, (top, at, work) in self.peaks.items()}

    def restart(self) -> None:
        """Forget the peaks; what is alive stays counted."""
        self.peaks = {}

    def _raise(self, extra: int, func: Any) -> None:
        top = self.now_bytes + extra
        peak = self.peaks.get(self.phase)
        if peak is None or top > peak[0]:
            name = func if isinstance(func, str) else func._schema.name.removeprefix("aten::")
            self.peaks[self.phase] = (top, name, extra)

    def _count(self, tensor: Tensor) -> None:
        if tensor.layout is not torch.strided:
            return
        storage = tensor.untyped_storage()
        key, size = storage._cdata, storage.nbytes()
        known = self._alive.get(key)
        if known is None:
            known = self._alive[key] = _Watch(storage, self._forget)
            known.key, known.size = key, 0
        if known.size != size:  # new, or resized in place
            self.now_bytes += size - known.size
            known.size = size

    def _forget(self, watch: _Watch) -> None:
        self.now_bytes -= watch.size
        del self._alive[watch.key]


class _Watch(weakref.ref[Any]):
    """PyTorch keeps the Python object of a storage for as long as the storage itself."""

    __slots__ = ("key", "size")
    key: int
    size: int


class Watched(TorchDispatchMode):  # type: ignore[no-untyped-call] # torch declares no types
    """Notes every operator that runs inside the `with` block, on the tensors of a fake mode.

    The commonest operators' results are made by short formulas (epochlab.cost.quick) where those
    apply: the same tensors as the fake mode's own, in a sixth of the time.
    """

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
        given = tensors_in((args, tuple(kwargs.values())))
        if not all(isinstance(t, FakeTensor) and _is_plain(t) for t in given):
            return NotImplemented
        with in_kernel_invocation_manager(self.fake):  # in here fake tensors are meta tensors
            made = formula(*args, **kwargs)
        if isinstance(made, (tuple, list)):
            return type(made)(self._as_fake(t) for t in made)
        return self._as_fake(made)

    def _as_fake(self, made: Any) -> Any:
        if isinstance(made, Tensor) and not isinstance(made, FakeTensor):
            return FakeTensor(self.fake, made, torch.device("cpu"))
        return made


def _is_plain(t: FakeTensor) -> bool:
    """On the CPU (asking for `device` would be an operator), and without a value to keep up."""
    return t.fake_device.type == "cpu" and t.constant is None


class Kept:
    """A tensor that autograd holds for the backward pass."""

    __slots__ = ("__weakref__", "tensor")

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor


def marking(kept: weakref.WeakSet[Kept]) -> torch.autograd.graph.saved_tensors_hooks:
    """Context in which everything that autograd keeps is in `kept`, for as long as it keeps it."""

    def pack(tensor: Tensor) -> Kept:
        mark = Kept(tensor)
        kept.add(mark)
        return mark

    return torch.autograd.graph.saved_tensors_hooks(pack, lambda mark: mark.tensor)


def kept_bytes(kept: Iterable[Kept], besides: Any) -> int:
    """Bytes of the storages that autograd holds, each once, without those of `besides`."""
    known = storages(besides)
    held = storages([mark.tensor for mark in kept])
    return sum(size for key, size in held.items() if key not in known)
