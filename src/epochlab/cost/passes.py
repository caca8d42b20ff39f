"""Run a module forward and backward on the meta device while a recorder books what happens."""

from __future__ import annotations

import contextlib
import traceback
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.nn.modules import module as module_hooks

from epochlab.cost.counting import tensors_in
from epochlab.cost.layer import shape_text
from epochlab.cost.outputs import opened
from epochlab.cost.receptive import Tracker
from epochlab.cost.recorder import Loose, Recorder, Scope
from epochlab.cost.values import Constants, Values
from epochlab.errors import CannotTrace, EpochlabError

_FOLDER = Path(__file__).parent

# Layers whose forward does the work of their children itself.
ONE_ROW = (nn.MultiheadAttention, nn.RNNBase, nn.RNNCellBase)


class Passes:
    """One recorded forward pass and, where asked for, the backward pass of its outputs.

    `values` is what is known of the numbers; None where all are real.
    """

    def __init__(self, module: nn.Module, inputs: Sequence[Tensor], tracker: Tracker | None,
                 values: Values | None) -> None:  # fmt: skip
        self.module = module
        self.tracker = tracker
        self.names: dict[int, str] = {}
        self.one_row: set[int] = set()
        "ids of modules of which each call is one row"
        loose: dict[int, Loose] = {}
        for name, child in module.named_modules():
            self.names[id(child)] = name
            if isinstance(child, ONE_ROW) or (not child._modules and _is_layer(child, module)):
                self.one_row.add(id(child))
                continue
            for own, parameter in child._parameters.items():
                if parameter is not None:
                    full = f"{name}.{own}".lstrip(".")
                    loose[id(parameter)] = (parameter, ((parameter, full),))
        own = {t.untyped_storage()._cdata
               for t in (*module.parameters(), *module.buffers(), *inputs)}  # fmt: skip
        self.root = Scope(None, "", 0, None, False)
        self.calls: dict[int, int] = {}
        self.recorder = Recorder(self.root, loose, own, tracker, values)
        self.output_shapes: tuple[tuple[int, ...], ...] = ()
        self.ran_backward = False

    def run(self, arguments: Sequence[Any], named: Mapping[str, Any], backward: bool) -> None:
        """Forward, then the gradients of all outputs with respect to all parameters."""
        wanted = [p for p in self.module.parameters() if p.requires_grad] if backward else []
        kept = saved_tensors_hooks(self.recorder.keep, lambda t: t)
        values = self.recorder.values
        constants = contextlib.nullcontext() if values is None else Constants(values)
        with self._hooks(), torch.set_grad_enabled(bool(wanted)), self.recorder, constants:
            with kept if wanted else contextlib.nullcontext():
                outputs = self._forward(arguments, named)
            self.output_shapes = tuple(tuple(t.shape) for t in tensors_in((outputs,)))
            ends = [t for t in tensors_in((outputs,)) if t.requires_grad]
            if wanted and ends:
                self._backward(ends, wanted)

    def _forward(self, arguments: Sequence[Any], named: Mapping[str, Any]) -> Any:
        try:
            outputs = self.module(*arguments, **named)
        except EpochlabError:
            raise
        except Exception as error:
            if _is_our_own(error):
                raise
            raise self._explained(error, arguments, named) from error
        return list(opened(outputs))

    def _backward(self, ends: list[Tensor], wanted: list[nn.Parameter]) -> None:
        self.recorder.backward = True
        try:
            torch.autograd.grad(
                ends, wanted, [torch.empty_like(t) for t in ends], allow_unused=True
            )
        except Exception as error:
            if _is_our_own(error):
                raise
            raise CannotTrace(
                f"{type(self.module).__name__} runs forward, but not backward "
                f"({_first_line(error)}). Ask for the forward count alone: backward=False, or "
                "--no-backward on the command line."
            ) from error
        self.ran_backward = True

    # --- modules tell when they are entered and left ---

    @contextlib.contextmanager
    def _hooks(self) -> Iterator[None]:
        handles = (
            module_hooks.register_module_forward_pre_hook(self._enter),
            module_hooks.register_module_forward_hook(self._leave),
        )
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _enter(self, module: nn.Module, inputs: Any) -> None:
        key, above = id(module), self.recorder.scope
        call = self.calls.get(key, 0)
        self.calls[key] = call + 1
        name = self.names.get(key)
        if name is None:  # made inside a forward
            name = f"{above.name}.{type(module).__name__}".removeprefix(".")
        scope = Scope(module, name, call, above, above.whole or key in self.one_row)
        first = next(tensors_in(inputs), None)
        if first is not None:
            scope.input_shape = tuple(first.shape)
        above.operations.append(scope)
        self.recorder.scope = scope

    def _leave(self, module: nn.Module, inputs: Any, output: Any) -> None:
        scope = self.recorder.scope
        assert scope.parent is not None
        if scope.whole and not scope.parent.whole:
            first = next(tensors_in(opened(output)), None)
            if first is not None:
                scope.output_shape = tuple(first.shape)
                if self.tracker is not None:
                    scope.field = self.tracker.field(first)
        self.recorder.scope = scope.parent

    # --- what went wrong ---

    def _explained(
        self, error: Exception, arguments: Sequence[Any], named: Mapping[str, Any]
    ) -> CannotTrace:
        name = type(self.module).__name__
        where = self.recorder.scope.name
        at = f" in its part '{where}'" if where else ""
        shapes = ", ".join(
            [shape_text(t.shape) for t in tensors_in(arguments)]
            + [f"{k} {shape_text(v.shape)}" for k, v in named.items() if isinstance(v, Tensor)]
        )  # fmt: skip
        given = f"{name} was given {shapes or 'no tensors'} (batch axis first)"
        said = _first_line(error)
        if _asks_for_values(error):
            said = said.partition(", as a correct")[0]
            return CannotTrace(
                f"{given} and{at} asks for the value of a number ({said}). A trace has shapes, and "
                "values only of what is made from constants and from whole numbers, so it cannot "
                "follow a branch or a size that depends on weights or activations. Fix the branch "
                "(pass an argument that decides it, or set the option that turns the "
                "data-dependent part off), or run it with real numbers: "
                "epochlab.cost.trace(module, inputs=..., real=True), --real on the command line."
            )
        if isinstance(error, TypeError):
            return CannotTrace(
                f"{given}, and its forward{at} does not take that: {said}. Pass what forward "
                "needs as inputs: a tensor, a list of arguments, or a mapping of names to tensors "
                "(on the command line --input NAME=SHAPE for each, for example "
                "--input input_ids=int64:1x128)."
            )
        return CannotTrace(
            f"{given}, and its forward{at} fails on that: {said}. Check the input shape (one "
            "sample without the batch axis, for example 3x224x224), and whether forward takes "
            "other inputs."
        )


def _is_layer(child: nn.Module, root: nn.Module) -> bool:
    """A module without children is one row, unless it is the whole network."""
    return child is not root or type(child).__module__.startswith("torch.nn")


_ON_BEHALF = ("_forward", "_backward", "__torch_dispatch__", "__torch_function__", "_answer",
              "_run_on_meta", "_refuse_spoiled")  # fmt: skip


def _is_our_own(error: BaseException) -> bool:
    """Whether the mistake lies in the counting itself: that must not look like the user's."""
    ours = [
        frame.f_code.co_name for frame, _ in traceback.walk_tb(error.__traceback__)
        if Path(frame.f_code.co_filename).is_relative_to(_FOLDER)
    ]  # fmt: skip
    # The last of our own functions either called the module, or handed an operator to PyTorch on
    # its behalf, or refused a value; anything else was our work.
    return ours[-1] not in _ON_BEHALF


def _first_line(error: BaseException) -> str:
    text = str(error).strip().split("\n")[0] or "no message"
    return f"{type(error).__name__}: {text[:300]}".rstrip(".")


def _asks_for_values(error: BaseException) -> bool:
    text = str(error)
    return any(sign in text for sign in (
        "cannot be called on meta tensors", "Cannot copy out of meta tensor", "aten::nonzero",
        "aten::_local_scalar_dense", "data-dependent", "aten::equal", "aten::is_nonzero",
        "The tensor has a non-zero number of elements, but its data is not allocated",
        "torch.nonzero() raises unimplemented", "is not on the expected device",
    ))  # fmt: skip
