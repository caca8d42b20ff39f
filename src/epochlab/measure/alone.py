"""A layer by itself, repeated on inputs like those that it gets inside the network."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from epochlab.cost.outputs import opened
from epochlab.measure.stamps import Key
from epochlab.measure.stopwatch import Stopwatch
from epochlab.measure.timing import Effort, Tell, Timing, time_call

Alone = tuple[Timing, Timing | None]
"""Forward and, where there is one, backward."""


def time_alone(
    seen: Mapping[Key, Seen], effort: Effort, watch: Stopwatch, threads: int, training: bool,
    tell: Tell | None,
) -> dict[Key, Alone]:  # fmt: skip
    """Each call of each layer by itself; calls that cost the same are timed once."""
    different = {one.signature: one for one in seen.values()}
    calls = len(different) * (2 if training else 1)
    share = dataclasses.replace(effort, limit_s=effort.limit_s / calls)
    found: dict[str, Alone] = {}
    for number, (signature, one) in enumerate(different.items()):
        if tell is not None:
            tell("layers alone", 0.5 + 0.5 * number / len(different))
        found[signature] = _one_alone(one, share, watch, threads, training)
    return {key: found[one.signature] for key, one in seen.items()}


def _one_alone(one: Seen, effort: Effort, watch: Stopwatch, threads: int, training: bool) -> Alone:
    layer = one.layer
    in_place = bool(getattr(layer, "inplace", False))
    with torch.set_grad_enabled(training), torch.inference_mode(not training):
        arguments, named = one.inputs(gradients=training and not in_place)
        forward = time_call(lambda: layer(*arguments, **named), effort=effort, watch=watch,
                            threads=threads)  # fmt: skip
    if not training:
        return forward, None
    try:
        if in_place:  # a leaf must not be overwritten, and its gradient costs the same either way
            vars(layer)["inplace"] = False
        with torch.enable_grad():
            arguments, named = one.inputs(gradients=True)
            call = _backward_of(layer, arguments, named)
    finally:
        if in_place:
            vars(layer)["inplace"] = True
    if call is None:
        return forward, None
    return forward, time_call(call, effort=effort, watch=watch, threads=threads)


def _backward_of(
    layer: nn.Module, arguments: tuple[Any, ...], named: dict[str, Any]
) -> Callable[[], object] | None:
    """A call that computes all gradients of one layer again and again; None where none flow."""
    given = [t for t in opened((arguments, named)) if t.requires_grad]
    wanted = [*given, *(p for p in layer.parameters() if p.requires_grad)]
    outputs: list[Tensor] = [t for t in opened(layer(*arguments, **named)) if t.requires_grad]
    if not outputs or not wanted:
        return None
    gradients = [torch.randn_like(t) for t in outputs]
    return lambda: torch.autograd.grad(outputs, wanted, gradients, retain_graph=True,
                                       allow_unused=True)  # fmt: skip


# --- what a pass shows of a layer -----------------------------------------------------------------


@dataclass(frozen=True)
class Seen:
    """One call of a layer as it was seen in a pass: the module and inputs like those it got."""

    layer: nn.Module
    arguments: tuple[Any, ...]
    named: dict[str, Any]

    def inputs(self, *, gradients: bool = False) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Fresh inputs: normally distributed where numbers are floating, else those seen.

        With `gradients` those ask for one that did in the pass.
        """
        given = {k: _fresh(v, gradients) for k, v in self.named.items()}
        return tuple(_fresh(v, gradients) for v in self.arguments), given

    @property
    def signature(self) -> str:
        """Equal for calls that cost the same: one of PyTorch's layers with equal settings."""
        kind = type(self.layer)
        own = "" if kind.__module__.startswith("torch.nn") else str(id(self.layer))
        given = (*self.arguments, *self.named.values())
        shapes = [(tuple(t.shape), t.stride(), t.dtype) for t in opened(given)]
        wants = [one.wants_gradient for one in given if isinstance(one, _Described)]
        return f"{kind.__name__} {self.layer!r} {own} {shapes} {wants}"


def calls_seen(layers: Mapping[str, nn.Module], run: Callable[[], Any]) -> dict[Key, Seen]:
    """One pass, and with what each layer was called."""
    seen: dict[Key, Seen] = {}
    calls = dict.fromkeys(layers, 0)

    def hook_of(name: str) -> Callable[..., None]:
        def enter(layer: nn.Module, arguments: Any, named: Any) -> None:
            seen[name, calls[name]] = Seen(layer, _described(arguments), _described(named))
            calls[name] += 1

        return enter

    handles = [layer.register_forward_pre_hook(hook_of(name), with_kwargs=True)
               for name, layer in layers.items()]  # fmt: skip
    try:
        run()
    finally:
        for handle in handles:
            handle.remove()
    return seen


def _described(value: Any) -> Any:
    """Floating tensors without their numbers, on the meta device; others copied as they are."""
    if isinstance(value, Tensor):
        if value.is_floating_point():
            like = torch.empty_like(value, device="meta").detach()
            return _Described(like, value.device, value.requires_grad)
        return value.detach().clone()
    if isinstance(value, (list, tuple)):
        return type(value)(_described(v) for v in value)
    if isinstance(value, dict):
        return {k: _described(v) for k, v in value.items()}
    return value


@dataclass(frozen=True)
class _Described:
    """Shape and memory layout of a floating tensor."""

    like: Tensor
    device: torch.device
    wants_gradient: bool
    "whether the pass computed a gradient for it; the network's own input has none"


def _fresh(value: Any, gradients: bool) -> Any:
    if isinstance(value, _Described):
        made = torch.empty_like(value.like, device=value.device).normal_()
        return made.requires_grad_(gradients and value.wants_gradient)
    if isinstance(value, (list, tuple)):
        return type(value)(_fresh(v, gradients) for v in value)
    if isinstance(value, dict):
        return {k: _fresh(v, gradients) for k, v in value.items()}
    return value
