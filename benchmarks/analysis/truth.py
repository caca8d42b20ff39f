"""Multiply-accumulates of a forward pass, counted from the definition of every product in it.

Nothing here is shared with epochlab.cost. A multiply-accumulate is one product of two numbers that
is added to a sum: of convolutions, linear layers, matrix products (attention has two) and recurrent
layers. Not counted: biases, normalisation, activations, pooling, interpolation, Fourier transforms,
and products without a sum (elementwise ones).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import prod
from types import FunctionType
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

Rule = Callable[..., int]


@dataclass
class Truth:
    """What one forward pass multiplies and adds."""

    macs: int
    parameters: int
    "each counted once, however often it is used"
    groups: dict[str, int] = field(default_factory=dict)
    "'function in class of its module in class of the module around' -> its part of `macs`"
    values: dict[str, int] = field(default_factory=dict)
    "every other operator -> how many numbers it wrote"
    device: str = "meta"


# --- the definitions ------------------------------------------------------------------------------


def _convolution(out: Tensor, x: Tensor, weight: Tensor, *rest: Any) -> int:
    transposed = rest[4]
    # Every output value sums over one filter; transposed, every input value is spread over one.
    return (x if transposed else out).numel() * weight[0].numel()


def _product(out: Tensor, left: Tensor, right: Tensor, *_: Any) -> int:
    """(.., n, k) times (.., k, m) or (k): k multiply-adds for every output value."""
    return out.numel() * left.shape[-1]


def _added_product(out: Tensor, _: Tensor, left: Tensor, right: Tensor, *__: Any) -> int:
    return _product(out, left, right)


def _summed_batch(out: Tensor, _: Tensor, left: Tensor, right: Tensor, *__: Any) -> int:
    return left.numel() * right.shape[-1]


def _outer(out: Tensor, *_: Any) -> int:
    return out.numel()


def _dot(out: Tensor, left: Tensor, right: Tensor) -> int:
    return left.numel()


def _linear(out: Tensor, x: Tensor, weight: Tensor, *_: Any) -> int:
    return out.numel() * weight.shape[-1]


def _attention(out: Any, query: Tensor, key: Tensor, value: Tensor, *_: Any, **__: Any) -> int:
    """Scores: a product of length E for each pair of places; output: S values summed, Ev wide."""
    heads_and_places = prod(query.shape[:-1])
    return heads_and_places * key.shape[-2] * (query.shape[-1] + value.shape[-1])


def _encoder_layer(out: Tensor, x: Tensor, width: int, heads: int, qkv: Tensor, _qkv_bias: Any,
                   projection: Tensor, *rest: Any) -> int:  # fmt: skip
    weights = [t for t in rest if isinstance(t, Tensor) and t.dim() == 2]
    batch, length, _ = x.shape
    products = 2 * batch * length * length * width
    return products + batch * length * sum(w.numel() for w in (qkv, projection, *weights[:2]))


def _multi_head(out: Any, query: Tensor, key: Tensor, value: Tensor, width: int, heads: int,
                qkv: Tensor, _qkv_bias: Any, projection: Tensor, *_: Any) -> int:  # fmt: skip
    batch, length, _width = query.shape
    rows = batch * length
    return rows * (qkv.numel() + projection.numel()) + 2 * rows * key.shape[1] * width


def _recurrent(out: Any, x: Tensor, input_weight: Tensor, state_weight: Tensor, *_: Any) -> int:
    """One layer, one direction; x is (time, batch, width)."""
    return x.shape[0] * x.shape[1] * (input_weight.numel() + state_weight.numel())


def _grouped(out: Tensor, left: Tensor, right: Tensor, *_: Any) -> int:
    """Rows of `left`, each with the matrix (k, m) of its group."""
    return left.numel() * right.shape[-1]


def _distances(out: Tensor, left: Tensor, right: Tensor) -> int:
    """|x - y|^2 = |x|^2 + |y|^2 - 2 x.y, whose last part is a product of matrices."""
    return out.numel() * left.shape[-1]


def _trilinear(out: Tensor, first: Tensor, weight: Tensor, second: Tensor, *dims: Any) -> int:
    # x1[n, i] W[k, i, j] x2[n, j]: one term for each n, k, i, j, as if x1 x2 were known.
    expands = dims[:3]
    sizes: dict[int, int] = {}
    for tensor, added in zip((first, weight, second), expands, strict=True):
        kept = iter(tensor.shape)
        whole = tensor.dim() + len(added)
        for axis in range(whole):
            size = 1 if axis in added else next(kept)
            sizes[axis] = max(sizes.get(axis, 1), size)
    return prod(sizes.values())


RULES: Mapping[str, Rule] = {
    "convolution": _convolution, "mm": _product, "bmm": _product, "mv": _product,
    "addmm": _added_product, "baddbmm": _added_product, "addmv": _added_product,
    "_addmm_activation": _added_product, "addbmm": _summed_batch, "addr": _outer,
    "dot": _dot, "vdot": _dot, "linear": _linear, "_grouped_mm": _grouped,
    "_trilinear": _trilinear, "_euclidean_dist": _distances, "mkldnn_rnn_layer": _recurrent,
    "_scaled_dot_product_flash_attention_for_cpu": _attention,
    "_scaled_dot_product_fused_attention_overrideable": _attention,
    "_scaled_dot_product_flash_attention": _attention,
    "_scaled_dot_product_efficient_attention": _attention,
    "_transformer_encoder_layer_fwd": _encoder_layer, "_native_multi_head_attention": _multi_head,
}  # fmt: skip
IN_PLACE = {"addmm_": "addmm", "baddbmm_": "baddbmm", "addmv_": "addmv", "addbmm_": "addbmm",
            "addr_": "addr"}  # fmt: skip
# They would hold products of the convention; met one without a rule, the truth is not known.
SUSPECT = ("conv", "mm", "attention", "lstm", "gru", "rnn", "matmul", "einsum", "bilinear_", "dot")
HARMLESS = ("_to_copy", "upsample", "dropout", "comm")


class UnknownOperator(Exception):
    """An operator that may multiply and add, and has no rule."""


class Definitions(TorchDispatchMode):
    """Counts whatever reaches the dispatcher below autograd, where composites are taken apart."""

    def __init__(self, where: Callable[[str], str]) -> None:
        super().__init__()
        self.where = where
        self.groups: Counter[str] = Counter()
        self.values: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        name = func._schema.name.partition("::")[2]
        rule = RULES.get(IN_PLACE.get(name, name))
        if rule is not None:
            self.groups[self.where(name)] += rule(out, *args)
            self.values["bias"] += _biased(name, out, args)
        else:
            if any(s in name for s in SUSPECT) and not any(h in name for h in HARMLESS):
                raise UnknownOperator(name)
            self.values[name] += sum(t.numel() for t in tree_leaves(out) if isinstance(t, Tensor))
        return out


def _biased(name: str, out: Any, args: Any) -> int:
    """How many values had a bias added."""
    has_bias = name == "addmm" or (name == "convolution" and args[2] is not None)
    return int(out.numel()) if has_bias else 0


# --- whose product it was -------------------------------------------------------------------------


class Functions(TorchFunctionMode):
    """Remembers which function of PyTorch's interface, the outermost, is under way."""

    def __init__(self) -> None:
        super().__init__()
        self.now: Any = None

    def name(self, operator: str) -> str:
        """Of the function that led to `operator`; one in Python may call several."""
        called = getattr(self.now, "__name__", "?")
        if self.now is None:
            return operator
        several = isinstance(self.now, FunctionType) and called != "einsum"
        return f"{called}/{operator}" if several else called

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.now = func
        try:
            return func(*args, **(kwargs or {}))
        finally:
            self.now = None


def count(module: nn.Module, args: Any, kwargs: Any, *, attribute: bool = False) -> Truth:
    """Run `module` once, without gradients, and count; `attribute` says whose each product is.

    Raises UnknownOperator, and whatever the forward pass raises.
    """
    modules: list[str] = []
    functions = Functions()

    def where(operator: str) -> str:
        if not attribute:
            return operator
        inner, outer = (["", type(module).__name__, *modules])[-1:-3:-1]
        return f"{functions.name(operator)} in {inner} in {outer or inner}"

    def entering(child: nn.Module, _: Any) -> None:
        modules.append(type(child).__name__)

    def leaving(*_: Any) -> None:
        modules.pop()

    handles = []
    if attribute:
        for child in module.modules():
            if not isinstance(child, torch.jit.ScriptModule):
                handles.append(child.register_forward_pre_hook(entering))
                handles.append(child.register_forward_hook(leaving, always_call=True))
    definitions = Definitions(where)
    try:
        with torch.no_grad(), definitions:
            if attribute:
                with functions:
                    module(*args, **kwargs)
            else:
                module(*args, **kwargs)
    finally:
        for handle in handles:
            handle.remove()
    return Truth(
        macs=sum(definitions.groups.values()), parameters=parameters(module),
        groups=dict(definitions.groups), values=dict(definitions.values),
    )  # fmt: skip


def parameters(module: nn.Module) -> int:
    """Learned numbers of a module, each once."""
    return sum(p.numel() for p in module.parameters())
