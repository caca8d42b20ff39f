"""Follows the memory of tensors from operator to operator: what is held now, and the peak."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from epochlab.cost.workspace import workspace_bytes

Workspace = Callable[[Any, tuple[Any, ...], Any], int]


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
