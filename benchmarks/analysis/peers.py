"""Other counters of multiply-accumulates, each called the way its documentation shows.

A number is taken as the peer defines it: those that promise FLOPs, two for each multiply-
accumulate, are halved; those that promise MACs, or say that a fused multiply-add is one FLOP, are
taken as they are. Who only takes tensors by position gets the network in a thin wrapper.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_flatten, tree_leaves, tree_unflatten


class Said(NamedTuple):
    """A counter's answer, as multiply-accumulates."""

    macs: float
    parameters: float | None = None
    "None from a counter that does not count them"


Count = Callable[[nn.Module, tuple[Any, ...], dict[str, Any]], Said]


@dataclass(frozen=True)
class Counter:
    """One way to count; `count` gives multiply-accumulates."""

    name: str
    distribution: str
    count: Count
    device: str
    "where the network it is given must be: cpu, or meta (shapes only)"
    convention: str
    "what it says its number is, and what we do with that"
    needs: str = ""
    "module whose import shows that it can be used"
    inputs: str = ""
    "where its inputs are, if not where the network is"

    def absence(self) -> str:
        """Why it cannot be used here; empty if it can."""
        try:
            if self.needs:
                importlib.import_module(self.needs)
        except Exception as error:
            return f"{type(error).__name__}: {error}"
        return ""

    def version(self) -> str:
        try:
            return importlib.metadata.version(self.distribution)
        except importlib.metadata.PackageNotFoundError:
            places = [str(ULTRALYTICS)]
            found = importlib.metadata.distributions(name=self.distribution, path=places)
            return next((one.version for one in found), "?")


class OnlyTensors(nn.Module):
    """A network whose arguments are tensors by position, whose result is a tuple of tensors."""

    def __init__(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        super().__init__()
        self.module = module
        self.tensors, self.form = tree_flatten((args, kwargs))

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        args, kwargs = tree_unflatten(list(tensors), self.form)
        return tuple(t for t in leaves(self.module(*args, **kwargs)) if isinstance(t, Tensor))


def leaves(result: Any) -> list[Any]:
    """Whatever lies in nested lists, tuples and mappings, outputs of transformers included."""
    if isinstance(result, Mapping):
        return [leaf for value in result.values() for leaf in leaves(value)]
    if isinstance(result, (list, tuple)):
        return [leaf for value in result for leaf in leaves(value)]
    return tree_leaves(result)


def by_position(
    module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[nn.Module, tuple[Tensor, ...]]:
    """The network itself where it takes plain tensors, else wrapped."""
    if not kwargs and all(isinstance(a, Tensor) for a in args):
        return module, args
    wrapped = OnlyTensors(module, args, kwargs)
    return wrapped.eval(), tuple(wrapped.tensors)


# --- the peers ------------------------------------------------------------------------------------


def torch_counter(module: nn.Module, args: Any, kwargs: Any) -> Said:
    from torch.utils.flop_counter import FlopCounterMode

    # Not under no_grad: its tracking of modules fails there where a module returns its input.
    with FlopCounterMode(display=False) as counter:
        module(*args, **kwargs)
    return Said(counter.get_total_flops() / 2)


def fvcore(module: nn.Module, args: Any, kwargs: Any) -> Said:
    from fvcore.nn import FlopCountAnalysis

    module, tensors = by_position(module, args, kwargs)
    analysis = FlopCountAnalysis(module, tensors)
    analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    with torch.no_grad():
        return Said(float(analysis.total()))


# What fvcore counts beside products. A handle of None is documented to switch one off, but leaves
# it on in 0.1.5; one that counts nothing does it.
BESIDE_PRODUCTS = ("batch_norm", "group_norm", "layer_norm", "instance_norm", "upsample_nearest2d",
                   "upsample_bilinear2d", "adaptive_avg_pool2d", "grid_sampler")  # fmt: skip


def _nothing(inputs: Any, outputs: Any) -> int:
    return 0


def fvcore_products(module: nn.Module, args: Any, kwargs: Any) -> Said:
    from fvcore.nn import FlopCountAnalysis

    module, tensors = by_position(module, args, kwargs)
    analysis = FlopCountAnalysis(module, tensors)
    analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    for name in BESIDE_PRODUCTS:
        analysis.set_op_handle(f"aten::{name}", _nothing)
    with torch.no_grad():
        return Said(float(analysis.total()))


def _ptflops(backend: str) -> Count:
    def count(module: nn.Module, args: Any, kwargs: Any) -> Said:
        from ptflops import get_model_complexity_info

        given = kwargs
        if args:
            module, tensors = by_position(module, args, kwargs)
            # Its way to hand over other things than one tensor of random numbers.
            wrapped = _Named(module)
            module, given = wrapped.eval(), {f"tensor{n}": t for n, t in enumerate(tensors)}
        macs, parameters = get_model_complexity_info(
            module, (1,), as_strings=False, print_per_layer_stat=False, verbose=False,
            input_constructor=lambda _: given, backend=backend,
        )  # fmt: skip
        if macs is None:
            raise RuntimeError("it returned None, its sign of a failure")
        return Said(float(macs), parameters)

    return count


class _Named(nn.Module):
    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, **tensors: Tensor) -> Any:
        return self.module(*tensors.values())


def thop(module: nn.Module, args: Any, kwargs: Any) -> Said:
    from thop import profile

    module, tensors = by_position(module, args, kwargs)
    return Said(*profile(module, inputs=tensors, verbose=False)[:2])


# It calls its own package `thop` as well, so it is installed in a folder of its own.
ULTRALYTICS = Path(sys.prefix) / "ultralytics"


@contextmanager
def _instead_of_thop() -> Iterator[None]:
    theirs = {name: m for name, m in sys.modules.items() if name.partition(".")[0] == "thop"}
    for name in theirs:
        del sys.modules[name]
    sys.path.insert(0, str(ULTRALYTICS))
    try:
        yield
    finally:
        sys.path.remove(str(ULTRALYTICS))
        for name in [n for n in sys.modules if n.partition(".")[0] == "thop"]:
            del sys.modules[name]
        sys.modules.update(theirs)


def ultralytics_thop(module: nn.Module, args: Any, kwargs: Any) -> Said:
    with _instead_of_thop():
        from thop import profile

        module, tensors = by_position(module, args, kwargs)
        return Said(*profile(module, inputs=tensors, verbose=False)[:2])


def torchinfo(module: nn.Module, args: Any, kwargs: Any) -> Said:
    from torchinfo import summary

    given = kwargs or (args[0] if len(args) == 1 and isinstance(args[0], Tensor) else list(args))
    found = summary(module, input_data=given, verbose=0, device="cpu")
    return Said(float(found.total_mult_adds), found.total_params)


def calflops(module: nn.Module, args: Any, kwargs: Any) -> Said:
    from calflops import calculate_flops

    _, macs, parameters = calculate_flops(
        module, args=list(args), kwargs=kwargs, print_results=False, print_detailed=False,
        output_as_string=False,
    )  # fmt: skip
    return Said(float(macs), parameters)


def deepspeed(module: nn.Module, args: Any, kwargs: Any) -> Said:
    from deepspeed.profiling.flops_profiler import get_model_profile

    with torch.no_grad():
        _, macs, parameters = get_model_profile(
            module, args=list(args), kwargs=kwargs, print_profile=False, detailed=False,
            warm_up=0, as_string=False,
        )  # fmt: skip
    return Said(float(macs), parameters)


def torchprofile(module: nn.Module, args: Any, kwargs: Any) -> Said:
    from torchprofile import profile_macs

    module, tensors = by_position(module, args, kwargs)
    with torch.no_grad():
        return Said(float(profile_macs(module, tensors)))


def torch_pruning(module: nn.Module, args: Any, kwargs: Any) -> Said:
    from torch_pruning.utils import count_ops_and_params

    with torch.no_grad():
        return Said(*count_ops_and_params(module, kwargs or tuple(args)))


def flopth(module: nn.Module, args: Any, kwargs: Any) -> Said:
    from flopth import flopth as counted

    module, tensors = by_position(module, args, kwargs)
    with torch.no_grad():
        return Said(*counted(module, inputs=tensors, bare_number=True)[:2])


# --- epochlab -------------------------------------------------------------------------------------


def epochlab(module: nn.Module, args: Any, kwargs: Any) -> Said:
    """The whole analysis, as `epochlab.cost.trace` is called without settings."""
    from epochlab import cost

    found = cost.trace(module, inputs=kwargs or args)
    return Said(float(found.macs), found.parameters)


def epochlab_forward(module: nn.Module, args: Any, kwargs: Any) -> Said:
    """The forward pass alone, which is what the peers look at."""
    from epochlab import cost

    found = cost.trace(module, inputs=kwargs or args, backward=False, fields=False)
    return Said(float(found.macs), found.parameters)


def epochlab_memory(module: nn.Module, args: Any, kwargs: Any) -> None:
    """The whole analysis, and the peak of a training step's memory besides."""
    from epochlab import cost

    cost.trace(module, inputs=kwargs or args)
    cost.step_memory(module, inputs=kwargs or args, loss=_sum_of_means)


def _sum_of_means(outputs: Any) -> Tensor:
    """A loss for whatever a network returns."""
    found = [t.mean() for t in leaves(outputs) if isinstance(t, Tensor) and t.requires_grad]
    return torch.stack(found).sum()


def epochlab_real(module: nn.Module, args: Any, kwargs: Any) -> Said:
    """With real numbers: for networks in which the data decide what is computed."""
    from epochlab import cost

    found = cost.trace(module, inputs=kwargs or args, backward=False, fields=False, real=True)
    return Said(float(found.macs), found.parameters)


HALVED = "FLOPs, 2 per MAC in its formulas: halved"
MACS = "promises MACs: taken as they are"
PEERS: tuple[Counter, ...] = (
    Counter("epochlab", "epochlab", epochlab, "meta", "MACs", "epochlab.cost", inputs="cpu"),
    Counter("epochlab, real", "epochlab", epochlab_real, "cpu", "MACs, with real numbers",
            "epochlab.cost"),
    Counter("torch, cpu", "torch", torch_counter, "cpu", HALVED),
    Counter("torch, meta", "torch", torch_counter, "meta", HALVED),
    Counter("fvcore", "fvcore", fvcore, "cpu", "'one fused multiply-add is one flop': as it is",
            "fvcore.nn"),
    Counter("fvcore, products", "fvcore", fvcore_products, "cpu",
            "as above, without its handles for normalisation and resizing", "fvcore.nn"),
    Counter("ptflops, pytorch", "ptflops", _ptflops("pytorch"), "cpu", MACS, "ptflops"),
    Counter("ptflops, aten", "ptflops", _ptflops("aten"), "cpu", MACS, "ptflops"),
    Counter("thop", "thop", thop, "cpu", MACS, "thop"),
    Counter("ultralytics-thop", "ultralytics-thop", ultralytics_thop, "cpu", MACS, "thop"),
    Counter("torchinfo", "torchinfo", torchinfo, "cpu", "promises mult-adds: taken as they are",
            "torchinfo"),
    Counter("calflops", "calflops", calflops, "cpu", "gives FLOPs and MACs: its MACs", "calflops"),
    Counter("deepspeed", "deepspeed", deepspeed, "cpu", "gives FLOPs and MACs: its MACs",
            "deepspeed.profiling.flops_profiler"),
    Counter("torchprofile", "torchprofile", torchprofile, "cpu", MACS, "torchprofile"),
    Counter("torch-pruning", "torch-pruning", torch_pruning, "cpu", MACS, "torch_pruning"),
    Counter("flopth", "flopth", flopth, "cpu",
            "FLOPs, one per product and its addition: as they are", "flopth"),
)  # fmt: skip
NOT_TO_BE_HAD = {
    "uthop": "the package registry has no distribution of that name",
    "torch-flops": "version 0.4.1 asks CUDA for memory at every step, so needs a GPU; and it "
                   "counts every operation, not multiply-accumulates",
}  # fmt: skip
