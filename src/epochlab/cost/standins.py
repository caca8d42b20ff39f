"""Stand-ins for a module and its inputs: fake tensors that have shapes and no numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from epochlab.cost.copying import copied
from epochlab.cost.fake import as_fake
from epochlab.cost.live import tensors_in
from epochlab.cost.quick import META
from epochlab.errors import CannotTrace

# Facts of our own training loop (epochlab.train.state); a test holds them equal to it.
ONE_PIECE_WEIGHTS = 1 << 20
ALIGN = 16


class StandIns:
    """Makes stand-ins of one type for floating numbers, on the tensors of one fake mode.

    To be used outside that mode: then no stand-in takes the long way through it.
    """

    def __init__(self, fake: FakeTensorMode, dtype: torch.dtype) -> None:
        self.fake = fake
        self.dtype = dtype

    def of_module(self, module: nn.Module, *, one_vector: bool) -> tuple[nn.Module, Tensor | None]:
        """A copy of the module, in training mode, with stand-ins as its tensors.

        Python's deepcopy is told what becomes of each tensor, so tied weights stay tied and nothing
        is read. With `one_vector` the trained parameters are pieces of one vector, if they are few
        enough for our own loop to do so; the vector is the second result. Raises CannotTrace if
        the module cannot be copied.
        """
        memo: dict[int, Any] = {}
        trained = [p for p in module.parameters() if p.requires_grad]
        vector = None
        if one_vector and sum(p.numel() for p in trained) <= ONE_PIECE_WEIGHTS:
            flat = torch.empty(sum(_aligned(p) for p in trained), dtype=self.dtype, device=META)
            for p, piece in zip(trained, pieces(flat, trained), strict=True):
                memo[id(p)] = self._parameter(piece, True)
            vector = as_fake(self.fake, flat)
        for p in module.parameters():
            if id(p) not in memo:
                memo[id(p)] = self._parameter(self._empty(p), p.requires_grad)
        for held in _held(module):
            if id(held) not in memo:
                memo[id(held)] = self.of(held)
        try:
            standin = copied(module, memo)
        except Exception as error:
            raise CannotTrace(
                f"{type(module).__name__} cannot be copied ({error}), and its memory is only "
                "predicted on a copy. Take what cannot be copied (open files, locks) out of the "
                "module."
            ) from error
        return standin if standin.training else standin.train(), vector

    def of(self, value: Any) -> Any:
        """Tensors anywhere in `value` become stand-ins of their shape and order; all else stays."""
        if isinstance(value, Tensor):
            return as_fake(self.fake, self._empty(value)).requires_grad_(value.requires_grad)
        if isinstance(value, Mapping):
            return {key: self.of(v) for key, v in value.items()}
        if isinstance(value, (tuple, list)):
            return type(value)(self.of(v) for v in value)
        return value

    def _empty(self, t: Tensor) -> Tensor:
        dtype = self.dtype if t.is_floating_point() else t.dtype
        return torch.empty_strided(t.shape, t.stride(), dtype=dtype, device=META)

    def _parameter(self, meta: Tensor, trained: bool) -> nn.Parameter:
        made: Any = as_fake(self.fake, meta).requires_grad_(trained)
        # What nn.Parameter does to a tensor of another class, without its extra view.
        made._is_param = True
        assert isinstance(made, nn.Parameter)
        return made


def pieces(vector: Tensor, parameters: list[nn.Parameter]) -> list[Tensor]:
    """The part of `vector` that each parameter has in our own loop, in the parameter's shape."""
    parts = torch.split(vector, [_aligned(p) for p in parameters])
    return [part[: p.numel()].view_as(p) for part, p in zip(parts, parameters, strict=True)]


def _aligned(p: Tensor) -> int:
    return -(-p.numel() // ALIGN) * ALIGN


def _held(module: nn.Module) -> Iterator[Tensor]:
    """Buffers, and constants without a name."""
    for child in module.modules():
        for value in vars(child).values():
            if isinstance(value, Tensor) or (isinstance(value, (dict, list, tuple)) and value):
                yield from tensors_in((value,))
