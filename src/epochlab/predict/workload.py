"""A network with its input, described once for all predictions that are made of it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from epochlab.errors import BadOption, UserError
from epochlab.networks import Network
from epochlab.predict.paleo.layers import PaleoNetwork

if TYPE_CHECKING:
    from torch import nn

    from epochlab.cost import Cost

T = TypeVar("T")


def workload_of(
    network: nn.Module | Network | PaleoNetwork | Workload,
    input_shape: tuple[int, ...] | None = None,
    *,
    name: str = "",
) -> Workload:
    """What is predicted: a module, a network component, or layers in PALEO's terms.

    `input_shape` is one sample without the batch axis; a component knows its own. Raises BadOption
    for a module without it, BadShape where a component cannot be built for it.
    """
    if isinstance(network, Workload):
        return network
    if isinstance(network, PaleoNetwork):
        return Workload(name=name or network.name, authors=network)
    if isinstance(network, Network):
        import torch

        shape = network.natural_input if input_shape is None else tuple(input_shape)
        with torch.device("meta"):
            module = network.build(shape, network.natural_outputs)
        named = name or type(network).__module__.rpartition(".")[2]
        return Workload(name=named, module=module, input_shape=shape)
    if input_shape is None:
        raise BadOption(
            f"A prediction of {type(network).__name__} needs input_shape, one sample of what it "
            "takes without the batch axis, such as (3, 224, 224)."
        )
    return Workload(name=name or type(network).__name__, module=network,
                    input_shape=tuple(input_shape))  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Workload:
    """A network and one sample of its input; what is found out about them is kept."""

    name: str
    module: nn.Module | None = None
    input_shape: tuple[int, ...] | None = None
    authors: PaleoNetwork | None = None
    "layers in PALEO's terms where there is no module"
    known: dict[Any, Any] = field(default_factory=dict, repr=False, compare=False)
    "what was found out so far"

    @cached_property
    def paleo(self) -> PaleoNetwork:
        """The layers that PALEO charges for, as they run in training."""
        if self.authors is not None:
            return self.authors
        from epochlab.predict.paleo.networks import paleo_layers

        return paleo_layers(self._needed(), self.input_shape, training=True, name=self.name)

    @property
    def parameters(self) -> int:
        """Numbers that training changes."""
        if self.module is None:
            return self.paleo.parameters
        return sum(p.numel() for p in self.module.parameters() if p.requires_grad)

    def cost(self, batch: int, *, training: bool = True) -> Cost:
        """Operations and bytes by layer, see `epochlab.cost.trace`."""
        from epochlab.cost import trace

        return self.kept(("cost", batch, training), lambda: trace(
            self._needed(), self.input_shape, batch=batch, training=training,
            backward=training, fields=False, name=self.name,
        ))  # fmt: skip

    def step_memory_bytes(self, batch: int, *, number_bytes: int, workspace: bool) -> int | None:
        """The most that a training step with plain SGD holds, or None where it is not known.

        `workspace` adds what the CPU's kernels hold beside their tensors; without it the number is
        of tensors alone, see `epochlab.cost.step_memory`.
        """
        from epochlab.cost.memory import step_memory

        def found(loss: Any) -> int:
            assert self.module is not None
            return step_memory(
                self.module, self.input_shape, batch=batch, precision_bytes=number_bytes,
                workspace=workspace, loss=loss,
            ).peak_bytes  # fmt: skip

        return self.kept(("memory", batch, number_bytes, workspace), lambda: self._tried(found))

    def largest_batch(self, memory_bytes: int, *, number_bytes: int, workspace: bool) -> int | None:
        """The largest batch that fits, 0 for none, or None where it is not known."""
        from epochlab.cost.memory import largest_batch

        def found(loss: Any) -> int:
            assert self.module is not None
            return largest_batch(
                self.module, self.input_shape, memory_bytes=memory_bytes, loss=loss,
                precision_bytes=number_bytes, workspace=workspace,
            )  # fmt: skip

        def answer() -> int | None:
            least = self.step_memory_bytes(1, number_bytes=number_bytes, workspace=workspace)
            if least is not None and least > memory_bytes:
                return 0
            return self._tried(found)

        return self.kept(("largest", memory_bytes, number_bytes, workspace), answer)

    def kept(self, key: Any, make: Callable[[], T]) -> T:
        """What `make` gives, made once for a key."""
        if key not in self.known:
            self.known[key] = make()
        found: T = self.known[key]
        return found

    def _tried(self, found: Callable[[Any], int]) -> int | None:
        """With cross-entropy as the loss, else with the mean of all outputs."""
        if self.module is None or self.parameters == 0:
            return None
        from epochlab.cost.outputs import mean_of_outputs

        for loss in ("cross-entropy", mean_of_outputs):
            try:
                return found(loss)
            except UserError:
                continue
        return None

    def _needed(self) -> nn.Module:
        if self.module is None:
            raise BadOption(f"{self.name} is a list of layers in PALEO's terms and no module, so "
                            "only the model 'paleo' can predict it.")  # fmt: skip
        return self.module


def counted_text(places: tuple[str, ...]) -> str:
    """('bn1 (batch_norm)', 'bn2 (batch_norm)', 'softmax') -> 'batch_norm (2), softmax'."""
    counts: Counter[str] = Counter()
    for place in places:
        match = re.search(r"\(([^()]*)\)$", place)
        counts.update(match[1].split(", ") if match else [place])
    return ", ".join(f"{name} ({n})" if n > 1 else name for name, n in counts.most_common())
