"""Trace a module: run it once on tensors that have shapes and no numbers, and count.

The module's weights are not read, copied or allocated: stand-ins on PyTorch's meta device take
their place. The module itself is left as it was.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from epochlab.cost.analysis import Cost
from epochlab.cost.copying import copied
from epochlab.cost.counting import tensors_in
from epochlab.cost.passes import Passes
from epochlab.cost.receptive import Tracker
from epochlab.cost.rows import rows_of, uncounted_of
from epochlab.cost.values import Values
from epochlab.errors import CannotTrace
from epochlab.networks import Network
from epochlab.randomness import generator

Inputs = Tensor | Sequence[Any] | Mapping[str, Any]


def trace_network(
    network: Network, input_shape: tuple[int, ...], outputs: int = 1000, **settings: Any
) -> Cost:
    """The cost of a network component, built on the meta device: nothing is ever allocated.

    Raises BadShape where the network cannot take `input_shape`, and what `trace` raises.
    """
    with torch.device("meta"):
        module = network.build(input_shape, outputs)
    settings.setdefault("name", type(network).__module__.rpartition(".")[2])
    return trace(module, input_shape, **settings)


def trace(
    module: nn.Module,
    input_shape: Sequence[int] | None = None,
    *,
    batch: int = 1,
    inputs: Inputs | None = None,
    training: bool = False,
    backward: bool = True,
    fields: bool = True,
    strict: bool = False,
    real: bool = False,
    name: str = "",
) -> Cost:
    """Count what one forward (and backward) pass of `module` costs, layer by layer.

    `input_shape` is one sample, without the batch axis; or give `inputs`, whatever `forward` takes:
    a tensor, a sequence of arguments, or a mapping of keyword arguments. Only the shapes and types
    of `inputs` matter; where a branch or a size depends on whole numbers among them (positions,
    masks), their values do. `training` counts the module as it runs in training (dropout, auxiliary
    heads). Without `backward` or `fields` that part is left out, and the rest takes less time.

    `real` runs the module with real numbers on the CPU, with its own weights, where a branch or a
    size depends on the data: `inputs` then count with their values (an `input_shape` stands for
    normally distributed ones), and the counts hold for these values.

    Raises CannotTrace when the forward pass fails on these inputs or depends on values that only a
    real run knows, and, with `strict`, when an operator has no counting rule.
    """
    values = None if real else Values()
    arguments, named = _arguments(input_shape, batch, inputs, values)
    given = list(tensors_in((arguments, tuple(named.values()))))
    places = {t.is_meta for t in (*module.parameters(), *module.buffers())}
    if real and True in places:
        raise CannotTrace(
            f"{type(module).__name__} is to run with real numbers, and its weights are on the meta "
            "device, where there are none. Build it on the CPU."
        )
    standin = module if values is None or False not in places else _standin(module, values)
    tracker = Tracker(*given) if fields else None
    passes = Passes(standin, given, tracker, values)
    was_training = {child: child.training for child in standin.modules()}
    try:
        standin.train(training)
        passes.run(arguments, named, backward)
    finally:
        for child, flag in was_training.items():
            child.training = flag
    layers = rows_of(passes)
    uncounted = uncounted_of(passes.recorder.missing)
    if strict and uncounted:
        names = ", ".join(sorted({u.operator for u in uncounted}))
        raise CannotTrace(
            f"{type(module).__name__} uses operators that have no counting rule: {names}. Without "
            "strict they are listed under the table as uncounted, and the totals are lower bounds."
        )
    return Cost(
        name=name or type(module).__name__, layers=layers, uncounted=uncounted, batch=batch,
        input_shapes=tuple(tuple(t.shape) for t in given),
        output_shapes=passes.output_shapes, training=training,
        has_backward=passes.ran_backward, real=real,
        unbooked_backward_macs=passes.recorder.orphan_macs,
    )  # fmt: skip


# --- inputs ---------------------------------------------------------------------------------------


def _arguments(
    input_shape: Sequence[int] | None, batch: int, inputs: Inputs | None, values: Values | None
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Positional and keyword arguments of forward: meta tensors, or real ones without `values`."""
    if (inputs is None) == (input_shape is None):
        raise CannotTrace(
            "Give either input_shape, one sample without the batch axis such as (3, 224, 224), or "
            "inputs, what the module's forward takes."
        )
    if input_shape is not None:
        sizes = tuple(input_shape)
        if not all(isinstance(n, int) and n > 0 for n in (batch, *sizes)):
            raise CannotTrace(
                f"input_shape is {sizes!r} and batch is {batch!r}; every size must be a whole "
                "number, at least 1, for example (3, 224, 224)."
            )
        if values is not None:
            return (torch.empty((batch, *sizes), device="meta"),), {}
        return (torch.randn((batch, *sizes), generator=generator(0, "trace")),), {}
    if isinstance(inputs, Tensor):
        return (_stand_in(inputs, values),), {}
    if isinstance(inputs, Mapping):
        return (), {key: _stand_in(value, values) for key, value in inputs.items()}
    assert inputs is not None
    return tuple(_stand_in(value, values) for value in inputs), {}


def _stand_in(value: Any, values: Values | None) -> Any:
    """Meta tensors for all tensors in `value`; or real ones, zeros where there are no numbers."""
    if isinstance(value, Tensor):
        if values is None:
            return torch.zeros_like(value, device="cpu") if value.is_meta else value.cpu()
        standin = torch.empty_like(value, device="meta")
        values.given(standin, value)
        return standin
    if isinstance(value, (list, tuple)):
        return type(value)(_stand_in(v, values) for v in value)
    if isinstance(value, dict):
        return {k: _stand_in(v, values) for k, v in value.items()}
    return value


# --- the module -----------------------------------------------------------------------------------


def _standin(module: nn.Module, values: Values) -> nn.Module:
    """A copy whose parameters and buffers are on the meta device; no weight is copied.

    Python's deepcopy is told beforehand what becomes of each tensor, so tied weights stay tied and
    lists of weights inside a module lead to the same stand-ins.
    """
    memo: dict[int, Any] = {}
    for parameter in module.parameters():
        empty = torch.empty_like(parameter, device="meta")
        memo[id(parameter)] = nn.Parameter(empty, parameter.requires_grad)
    for buffer in module.buffers():
        memo[id(buffer)] = torch.empty_like(buffer, device="meta")
        values.given(memo[id(buffer)], buffer)
    try:
        return copied(module, memo)
    except Exception as error:
        raise CannotTrace(
            f"{type(module).__name__} cannot be copied onto the meta device ({error}). Build it "
            "there instead: 'with torch.device(\"meta\"): module = ...', and trace that."
        ) from error
