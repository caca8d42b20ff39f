"""Describes any module in PALEO's terms by running it once on tensors that have no numbers.

PyTorch tells of every function that is called, by a module or directly. Those for which PALEO has a
rule become layers; all others that make new numbers are named, for they cost nothing there.
"""

from __future__ import annotations

import copy
import dataclasses
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from epochlab.errors import CannotTrace, UserError
from epochlab.layers.dropout import Dropout as OwnDropout
from epochlab.networks import Network
from epochlab.predict.paleo.layers import (
    Convolution,
    Dropout,
    InnerProduct,
    Padding,
    Pair,
    PaleoLayer,
    PaleoNetwork,
    Pooling,
    Size,
)

# They give back what they got, or the same in another type or place.
_NO_WORK = frozenset({
    "contiguous", "to", "type", "type_as", "float", "double", "half", "bfloat16", "cpu", "cuda",
    "requires_grad", "reshape", "flatten", "clone", "detach",
})  # fmt: skip


def described(
    network: nn.Module | Network, input_shape: tuple[int, ...] | None, *, outputs: int | None,
    training: bool, name: str,
) -> PaleoNetwork:  # fmt: skip
    """See `epochlab.predict.paleo.paleo_layers`."""
    shape = _shape(network, input_shape)
    if isinstance(network, Network):
        with torch.device("meta"):
            module = network.build(shape, network.natural_outputs if outputs is None else outputs)
        name = name or type(network).__module__.rpartition(".")[2]
    else:
        module = _without_numbers(network)
        name = name or type(network).__name__
    for parameter in module.parameters():
        parameter.requires_grad_(parameter.is_floating_point())
    seen = _Seen()
    seen.watch(module.train(training))
    try:
        with torch.enable_grad(), torch.device("meta"), seen:
            module(torch.empty((1, *shape), device="meta"))
    except UserError:
        raise
    except Exception as error:
        raise CannotTrace(
            f"{type(module).__name__} does not run on tensors without numbers of shape "
            f"{(1, *shape)}: {error}"
        ) from error
    if not seen.layers:
        raise CannotTrace(
            f"{name} has no layer that PALEO charges for: a two-dimensional convolution, a linear "
            f"layer, pooling or dropout. It has: {', '.join(seen.without_cost) or 'nothing'}."
        )
    return PaleoNetwork(name=name, layers=tuple(seen.layers), without_cost=seen.without_cost)


def _shape(network: nn.Module | Network, input_shape: tuple[int, ...] | None) -> tuple[int, ...]:
    if input_shape is None:
        if isinstance(network, Network):
            return network.natural_input
        raise CannotTrace(
            f"paleo_layers: give input_shape, one sample of what {type(network).__name__} takes, "
            "without the batch axis, such as (3, 224, 224)."
        )
    shape = tuple(input_shape)
    if not all(isinstance(n, int) and not isinstance(n, bool) and n > 0 for n in shape):
        raise CannotTrace(
            f"paleo_layers: input_shape is {shape!r}; every size must be a whole number above 0, "
            "for example (3, 224, 224)."
        )
    return shape


def _without_numbers(module: nn.Module) -> nn.Module:
    """A copy whose parameters and buffers are on the meta device; no weight is copied."""
    memo: dict[int, Any] = {}
    for parameter in module.parameters():
        empty = torch.empty_like(parameter, device="meta")
        memo[id(parameter)] = nn.Parameter(empty, parameter.requires_grad)
    for buffer in module.buffers():
        memo[id(buffer)] = torch.empty_like(buffer, device="meta")
    try:
        return copy.deepcopy(module, memo)
    except Exception as error:
        raise CannotTrace(
            f"{type(module).__name__} cannot be copied onto the meta device ({error}). Build it "
            "there instead: 'with torch.device(\"meta\"): module = ...'."
        ) from error


class _Seen(TorchFunctionMode):
    """What was called so far: layers with a rule, and the names of the rest."""

    def __init__(self) -> None:
        super().__init__()
        self.layers: list[PaleoLayer] = []
        self.free: dict[str, dict[str, None]] = {}
        "module -> functions that cost nothing"
        self.path: list[tuple[str, bool]] = [("", False)]
        "modules under way: name, and whether it has no parts"
        self.names: Counter[str] = Counter()
        self.weights: dict[int, Tensor] = {}
        "those that were used, by identity; kept, so that no other tensor gets the same one"
        self.dropouts = 0
        "our own dropouts under way, which are layers as a whole"

    @property
    def without_cost(self) -> tuple[str, ...]:
        """'path (functions)' of each module; functions between modules by their own names."""
        found: list[str] = []
        for path, functions in self.free.items():
            found += [f"{path} ({', '.join(functions)})"] if path else functions
        return tuple(found)

    def watch(self, module: nn.Module) -> None:
        """Know from now on which module is under way."""
        for name, child in module.named_modules():
            leaf = not any(True for _ in child.children())
            child.register_forward_pre_hook(self._entering(name, leaf))
            child.register_forward_hook(self._leave)

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:  # fmt: skip
        kwargs = dict(kwargs or {})
        reader = None if self.dropouts else _READERS.get(func)
        # Asked before the call, because an operation in place would change it.
        given = args[0] if args else kwargs.get("input")
        trained = isinstance(given, Tensor) and given.requires_grad
        out = func(*args, **kwargs)
        if self.dropouts:
            return out
        layer = None
        if reader is not None:
            kwargs.pop("input", None)
            layer = reader(self, out, given, *args[1:], **kwargs)
        if layer is not None:
            if isinstance(layer, Convolution):
                layer = dataclasses.replace(layer, fed_by_data=not trained)
            self.layers.append(layer)
        elif _is_work(func, args, kwargs, out):
            functions = self.free.setdefault(self.path[-1][0], {})
            functions[_function_name(func)] = None
        return out

    def name(self, function: str) -> str:
        """Of a layer: its module's; with the function's for one between modules."""
        path, leaf = self.path[-1]
        name = path if leaf and path else f"{path}/{function}".lstrip("/")
        self.names[name] += 1
        return name if self.names[name] == 1 else f"{name} (call {self.names[name]})"

    def has_used(self, weight: Tensor) -> bool:
        """Whether an earlier layer used these weights."""
        known = id(weight) in self.weights
        self.weights[id(weight)] = weight
        return known

    def _entering(self, name: str, leaf: bool) -> Callable[[nn.Module, Any], None]:
        def enter(module: nn.Module, args: Any) -> None:
            self.path.append((name, leaf))
            self.dropouts += isinstance(module, OwnDropout)

        return enter

    def _leave(self, module: nn.Module, args: Any, out: Any) -> None:
        if isinstance(module, OwnDropout):
            self.dropouts -= 1
            self.layers.append(_dropout(self, out, args[0]))
        self.path.pop()


# --- one reader for each function that has a rule: its own arguments after what it returned -------


def _convolution(
    seen: _Seen, out: Tensor, given: Tensor, weight: Tensor, bias: Tensor | None = None,
    stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1,
) -> PaleoLayer:  # fmt: skip
    known: Padding
    if isinstance(padding, str):
        known = "SAME" if padding == "same" else "VALID"
    else:
        known = _pair(padding) if any(_pair(padding)) else "VALID"
    return Convolution(
        name=seen.name("conv2d"), input=_size(given), output=_size(out), copies=_copies(given),
        kernel=_pair(weight.shape[-2:]), stride=_pair(stride), padding=known,
        dilation=_pair(dilation), groups=groups, shared=seen.has_used(weight),
    )  # fmt: skip


def _linear(
    seen: _Seen, out: Tensor, given: Tensor, weight: Tensor, bias: Tensor | None = None
) -> PaleoLayer:
    return InnerProduct(
        name=seen.name("linear"), input=(1, 1, given.shape[-1]), output=(1, 1, out.shape[-1]),
        copies=math.prod(given.shape[:-1]), shared=seen.has_used(weight),
    )  # fmt: skip


def _pooling(
    seen: _Seen, out: Any, given: Tensor, kernel_size: Any, stride: Any = None, *rest: Any,
    **options: Any,
) -> PaleoLayer:  # fmt: skip
    kernel = _pair(kernel_size)
    return _windows(seen, out, given, kernel, _pair(stride) if stride else kernel)


def _adaptive_pooling(
    seen: _Seen, out: Any, given: Tensor, *rest: Any, **options: Any
) -> PaleoLayer | None:
    """Windows of the size that covers the input; where each is one number, nothing is done."""
    before, after = given.shape[-2:], _first(out).shape[-2:]
    if before == after:
        return None
    kernel = _pair(tuple(-(-a // b) for a, b in zip(before, after, strict=True)))
    stride = _pair(tuple(max(1, a // b) for a, b in zip(before, after, strict=True)))
    return _windows(seen, out, given, kernel, stride)


def _windows(seen: _Seen, out: Any, given: Tensor, kernel: Pair, stride: Pair) -> PaleoLayer:
    return Pooling(name=seen.name("pooling"), input=_size(given), output=_size(_first(out)),
                   copies=_copies(given), kernel=kernel, stride=stride)  # fmt: skip


def _dropout(seen: _Seen, out: Any, given: Tensor, *rest: Any, **options: Any) -> PaleoLayer:
    spatial = given.dim() > 2
    size = _size(given) if spatial else (1, 1, given.shape[-1])
    copies = _copies(given) if spatial else math.prod(given.shape[:-1])
    return Dropout(name=seen.name("dropout"), input=size, output=size, copies=copies)


_Reader = Callable[..., PaleoLayer | None]
_READERS: Mapping[Any, _Reader] = MappingProxyType({
    torch.conv2d: _convolution,
    functional.linear: _linear,
    **dict.fromkeys((functional.max_pool2d, functional.max_pool2d_with_indices, torch.max_pool2d,
                     functional.avg_pool2d), _pooling),
    **dict.fromkeys((functional.adaptive_avg_pool2d, functional.adaptive_max_pool2d,
                     functional.adaptive_max_pool2d_with_indices), _adaptive_pooling),
    **dict.fromkeys((functional.dropout, functional.dropout1d, functional.dropout2d,
                     functional.dropout3d, functional.alpha_dropout,
                     functional.feature_alpha_dropout, torch.dropout), _dropout),
})  # fmt: skip


# --- tensors --------------------------------------------------------------------------------------


def _size(tensor: Tensor) -> Size:
    """Height, width, channels; PyTorch has the channels first."""
    channels, rows, columns = tensor.shape[-3:]
    return rows, columns, channels


def _copies(tensor: Tensor) -> int:
    """What is left of the batch axis for one sample; more than 1 where samples are taken apart."""
    return math.prod(tensor.shape[:-3])


def _pair(value: Any) -> Pair:
    if isinstance(value, int):
        return value, value
    values = tuple(int(v) for v in value)
    return (values[0], values[-1])


def _first(out: Any) -> Tensor:
    """The result, without the indices that may come with it."""
    first = out[0] if isinstance(out, tuple) else out
    assert isinstance(first, Tensor)
    return first


def _is_work(
    func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any], out: Any
) -> bool:
    """Whether new numbers were made from old ones: no view, no count, no tensor from nothing."""
    made = [t for t in _tensors((out,)) if t.dim()]
    given = list(_tensors((args, tuple(kwargs.values()))))
    if not made or not given or _function_name(func) in _NO_WORK:
        return False
    if any(t is g for t in made for g in given):
        return True  # in place
    known = {g.untyped_storage()._cdata for g in given}
    return any(t.untyped_storage()._cdata not in known for t in made)


def _function_name(func: Callable[..., Any]) -> str:
    return getattr(func, "__name__", str(func)).strip("_")


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, (tuple, list)):
        for part in value:
            yield from _tensors(part)
