"""Options of the commands that analyse networks, and what they stand for."""

from __future__ import annotations

import argparse
import dataclasses
import inspect
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from epochlab.cli._drawing import FIGURE_ENDINGS
from epochlab.cli._options import Parser, add_format
from epochlab.errors import BadOption, CannotTrace, UnknownName

if TYPE_CHECKING:
    from torch import Tensor, nn

    from epochlab.cost import Cost
    from epochlab.cost.loading import FoundNetwork

COUNTS = ("macs", "flops", "full")
DTYPES = ("float32", "float64", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8",
          "bool", "complex64")  # fmt: skip
NAMING = """

NETWORK is one of
  vgg  lenet5  mobilenet_v2          a component ('epochlab list networks')
  vgg16  resnet50  resnet20          name and depth in one word
  vgg:depth=16,batch_norm=true       with options ('epochlab list networks vgg' lists them)
  nets.py:MyNet  package.module:Net  your own: a class or function that needs no arguments, or a
                                     module; nothing is trained, and no weights are read
"""
INPUT_HELP = (
    "one sample without the batch axis (3x224x224, int64:128), else the one that the network is "
    "known for; for inputs by name NAME=SHAPE or NAME=int64:SHAPE with the batch axis, once each"
)
INPUT_RULE = (
    "Write the sizes of one sample with x between them, without the batch axis: 3x224x224, or "
    "int64:128 for whole numbers. Inputs that forward takes by name are written NAME=SHAPE with "
    "the batch axis, once each: --input input_ids=int64:1x128 --input mask=1x128."
)


def add_network_options(parser: Parser) -> None:
    """What is analysed, and how it is counted."""
    parser.add_argument("--input", action="append", default=[], metavar="SHAPE", help=INPUT_HELP)
    parser.add_argument("--batch", type=int, metavar="N", help="samples in the batch (1)")
    parser.add_argument("--outputs", type=int, metavar="N",
                        help="classes of a component, else those it is known for")  # fmt: skip
    parser.add_argument("--count", choices=COUNTS, default="macs", help="multiply-accumulates; "
                        "flops: 2 for each; full: and all other arithmetic")  # fmt: skip
    parser.add_argument("--no-biases", action="store_true", help="leave biases out of parameters")
    parser.add_argument("--rounded", action="store_true", help="two digits: 150K, 3.2M")
    parser.add_argument("--folded", action="store_true", help="count activations, dropout and "
                        "reshapes in the layer before them")  # fmt: skip
    parser.add_argument("--training", action="store_true", help="count the network as it runs in "
                        "training (dropout, auxiliary heads)")  # fmt: skip
    parser.add_argument("--no-backward", action="store_true", help="the forward pass only")
    parser.add_argument("--strict", action="store_true", help="refuse a network with operators "
                        "that cannot be counted")  # fmt: skip
    parser.add_argument("--real", action="store_true", help="run it with real numbers (normally "
                        "distributed, whole numbers 1), where the data decide what is "
                        "computed")  # fmt: skip
    parser.add_argument("--figure", metavar="FILE", help="also draw it; the ending decides the "
                        f"format: {', '.join(e[1:] for e in FIGURE_ENDINGS)}")  # fmt: skip
    add_format(parser)


# --- inputs ---------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, kw_only=True)
class Input:
    """One `--input`: a sample without its batch axis, or a named tensor with it."""

    name: str = ""
    dtype: str = "float32"
    shape: tuple[int, ...]


def parsed_input(text: str) -> Input:
    """'3x224x224' or 'input_ids=int64:1x128'. Raises BadOption or UnknownName."""
    match = re.fullmatch(r"(?:([A-Za-z_]\w*)=)?(?:([A-Za-z]\w*):)?(.*)", text.strip())
    assert match is not None
    name, dtype, sizes = match[1] or "", (match[2] or "float32").lower(), match[3].strip()
    if dtype not in DTYPES:
        raise UnknownName(f"type of numbers in --input {text}", dtype, DTYPES)
    pieces = [] if sizes == "scalar" else re.split(r"\s*[x×X*,]\s*", sizes)
    if not all(re.fullmatch(r"[1-9]\d*", piece) for piece in pieces):
        raise BadOption(f"--input is '{text}'; every size must be a whole number, at least 1. "
                        + INPUT_RULE)  # fmt: skip
    return Input(name=name, dtype=dtype, shape=tuple(map(int, pieces)))


def _parsed_inputs(texts: Sequence[str], batch: int | None) -> list[Input]:
    inputs = [parsed_input(text) for text in texts]
    named = [i.name for i in inputs if i.name]
    if named and len(named) < len(inputs):
        raise BadOption("--input is given with a name and without one; name all of them, as "
                        "forward does, or none.")  # fmt: skip
    if len(set(named)) < len(named):
        raise BadOption(f"--input is given twice for one name: {', '.join(named)}.")
    if named and batch is not None:
        raise BadOption("--batch is for samples without a batch axis. The shapes of inputs by name "
                        "have one already: write the batch there.")  # fmt: skip
    return inputs


@dataclasses.dataclass(frozen=True, kw_only=True)
class Subject:
    """A network with the inputs that it is analysed on."""

    name: str
    module: nn.Module
    arguments: dict[str, Any]
    "input_shape and batch, or inputs: as `epochlab.cost.trace` takes them"
    batch: int


def subject_of(text: str, given: argparse.Namespace) -> Subject:
    """The network that was named, built, and its inputs. Raises UserError for what cannot be."""
    from epochlab.cost.loading import find_network

    for option in ("batch", "outputs"):
        value = getattr(given, option)
        if value is not None and value < 1:
            raise BadOption(f"--{option} is {value}; it must be at least 1.")
    inputs = _parsed_inputs(given.input, given.batch)
    found = find_network(text)
    batch = given.batch or 1
    if found.component is not None:
        shape = _component_shape(found, inputs)
        arguments: dict[str, Any] = {"input_shape": shape, "batch": batch}
        module = found.build(shape, given.outputs, real=given.real)
        return Subject(name=found.name, module=module, arguments=arguments, batch=batch)
    if given.outputs is not None:
        raise BadOption(f"--outputs is for components; {text} is not one and decides itself.")
    module = found.build(real=given.real)
    if not inputs:
        raise BadOption(f"{text} is a network of your own, so say what its input looks like. "
                        f"{INPUT_RULE} Its forward takes {_forward_text(module)}.")  # fmt: skip
    if inputs[0].name:
        named = {i.name: _tensor(i.shape, i.dtype, given.real) for i in inputs}
        batch = inputs[0].shape[0] if inputs[0].shape else 1
        return Subject(name=found.name, module=module, arguments={"inputs": named}, batch=batch)
    tensors = [_tensor((batch, *i.shape), i.dtype, given.real) for i in inputs]
    return Subject(name=found.name, module=module, arguments={"inputs": tensors}, batch=batch)


def cost_of(subject: Subject, given: argparse.Namespace) -> Cost:
    """The cost of a network, counted as asked for."""
    from epochlab.cost import trace

    try:
        cost = trace(
            subject.module, **{**subject.arguments, "batch": subject.batch}, name=subject.name,
            training=given.training, backward=not given.no_backward, strict=given.strict,
            real=given.real,
        )  # fmt: skip
    except CannotTrace as error:
        if not isinstance(error.__cause__, TypeError):
            raise
        said = f"{error} Its forward takes {_forward_text(subject.module)}."
        raise CannotTrace(said) from error
    return cost.folded() if given.folded else cost


def _component_shape(found: FoundNetwork, inputs: list[Input]) -> tuple[int, ...]:
    if not inputs:
        assert found.natural_input is not None
        return found.natural_input
    if len(inputs) > 1 or inputs[0].name or inputs[0].dtype != "float32":
        raise BadOption(f"{found.name} takes one input of plain numbers: write the shape of one "
                        "sample, such as --input 3x224x224.")  # fmt: skip
    return inputs[0].shape


def _tensor(shape: tuple[int, ...], dtype: str, real: bool) -> Tensor:
    """Ones where numbers are whole, for masks and indices; normally distributed or none elsewhere.

    The ones are real in either case: what a network makes of them may decide what it computes.
    """
    import torch

    from epochlab.randomness import generator

    kind: torch.dtype = getattr(torch, dtype)
    if not (kind.is_floating_point or kind.is_complex):
        return torch.ones(shape, dtype=kind)
    if real:
        return torch.randn(shape, generator=generator(0, "trace")).to(kind)
    return torch.empty(shape, dtype=kind, device="meta")


def _forward_text(module: nn.Module) -> str:
    """The arguments of a module's forward, as its author named them."""
    try:
        parameters = inspect.signature(module.forward).parameters.values()
    except (TypeError, ValueError):
        return "what its author knows"
    plain = [p.replace(annotation=p.empty) for p in parameters]
    return f"({', '.join(map(str, plain))})"
