"""A network as an exercise: what is asked, on which input, and the rows of its table."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import typing
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import nn

from epochlab.component import field_types, make
from epochlab.cost.analysis import Cost
from epochlab.cost.layer import Layer
from epochlab.cost.loading import FoundNetwork, find_network
from epochlab.cost.sheet import Convention, Entry, Quantity, Sheet
from epochlab.cost.trace import trace
from epochlab.errors import BadOption, BadShape, EpochlabError
from epochlab.networks import Network

INCEPTION_INPUT = (256, 32, 32)
"""Of both inception exercises: 32 x 32 pixels of 256 channels."""
INCEPTION = ("inception-naive", "inception-reduced")
# Labels of the rows of an inception module, and what else they may be called.
_BRANCHES = {
    "branch1.conv": ("1x1 convolution, {n}", "1x1", "conv 1x1", "branch1"),
    "branch3.reduce": ("1x1 before 3x3, {n}", "3x3 reduce", "reduce3", "1x1 reduce 3x3"),
    "branch3.conv": ("3x3 convolution, {n}", "3x3", "conv 3x3", "branch3"),
    "branch5.reduce": ("1x1 before 5x5, {n}", "5x5 reduce", "reduce5", "1x1 reduce 5x5"),
    "branch5.conv": ("5x5 convolution, {n}", "5x5", "conv 5x5", "branch5"),
    "branch_pool.pool": ("3x3 max pooling", "pool", "maxpool", "3x3 pool"),
    "branch_pool.conv": ("1x1 after pooling, {n}", "pool proj", "pool projection", "1x1 pool"),
}


@dataclass(frozen=True, kw_only=True)
class Exercise:
    """A network, its input, and what a table of it has to say."""

    name: str
    make: Callable[[tuple[int, ...]], nn.Module]
    "builds the module for an input shape, on the meta device where it can"
    input_shape: tuple[int, ...]
    convention: Convention = field(default_factory=Convention)
    columns: tuple[Quantity, ...] = ("activations", "parameters")
    component: Network | None = None
    outputs: int | None = None
    joins: bool = False
    "whether the last row is the concatenation of branches"

    def sheet(self, input_shape: tuple[int, ...] | None = None) -> Sheet:
        """The table, on another input if one is given.

        Raises BadShape or CannotTrace where the network cannot take the input.
        """
        shape = self.input_shape if input_shape is None else input_shape
        module = self.make(shape)
        cost = trace(module, shape, backward=False, name=self.name)
        if cost.batch != 1 or not cost.layers:
            raise BadShape(f"{self.name} has no layers to make a table of.")
        return _sheet(self, module, cost, shape)

    def rivals(self) -> Iterator[tuple[str, Exercise]]:
        """Networks that differ in one option, with what to call them: vgg16 beside vgg19."""
        if self.name in INCEPTION:
            other = next(name for name in INCEPTION if name != self.name)
            yield other, _inception(other, self.input_shape)
        if self.component is None:
            return
        for name, kind in field_types(type(self.component)).items():
            own = getattr(self.component, name)
            options = {n: getattr(self.component, n) for n in field_types(type(self.component))}
            allowed = typing.get_args(kind) if typing.get_origin(kind) is Literal else ()
            for value in allowed or ((not own,) if isinstance(own, bool) else ()):
                if value == own:
                    continue
                try:
                    rival = make(type(self.component), options | {name: value})
                except EpochlabError:
                    continue  # this value does not go with the other options
                called = _called(self, name, value)
                yield (
                    called,
                    dataclasses.replace(
                        self, name=called, component=rival, make=_maker(rival, self.outputs)
                    ),
                )

    def variants(self, convention: Convention) -> str:
        """The parameters of similar networks, in one sentence; '' where there is none."""
        own = self.sheet().total("parameters", convention)
        found = []
        for name, rival in self.rivals():
            with contextlib.suppress(EpochlabError):
                total = rival.sheet().total("parameters", convention)
                if isinstance(total, int) and total != own:
                    found.append(f"{name} {total:,}")
        return f"Parameters of similar networks: {'; '.join(found)}." if found else ""


def exercise_of(
    network: str, input_shape: tuple[int, ...] | None = None, outputs: int | None = None
) -> Exercise:
    """The exercise that a text names: 'vgg19', 'alexnet', 'inception-reduced', 'nets.py:Net' ...

    VGG is counted without biases, as the course sheet asks; so are the bare inception modules,
    which have none. All others are counted with biases.

    Raises what `find_network` raises, and BadOption where an input shape is needed.
    """
    name = network.strip().lower().replace("_", "-")
    if name in INCEPTION:
        return _inception(name, input_shape or INCEPTION_INPUT)
    found = find_network(network)
    shape = input_shape or found.natural_input
    if shape is None:
        raise BadOption(
            f"{found.name} does not say which input it takes: give one sample without the batch "
            "axis, for example --input 3x32x32."
        )
    component = found.component
    family = type(component).__module__.rpartition(".")[2] if component is not None else ""
    columns: tuple[Quantity, ...] = ("activations", "parameters")
    if family != "vgg":
        columns = ("filters", "output", *columns)
    return Exercise(
        name=found.name, input_shape=shape, columns=columns, component=component,
        outputs=outputs or found.natural_outputs, convention=Convention(biases=family != "vgg"),
        make=_maker(component, outputs) if component is not None else _own(found),
    )  # fmt: skip


def _maker(component: Network, outputs: int | None) -> Callable[[tuple[int, ...]], nn.Module]:
    def built(shape: tuple[int, ...]) -> nn.Module:
        with torch.device("meta"):
            return component.build(shape, outputs or component.natural_outputs)

    return built


def _own(found: FoundNetwork) -> Callable[[tuple[int, ...]], nn.Module]:
    return lambda shape: found.build()


def _called(exercise: Exercise, option: str, value: Any) -> str:
    """'vgg16' for another depth of vgg19, else 'alexnet with towers=ungrouped'."""
    if option == "depth":
        return exercise.name.replace(str(getattr(exercise.component, option)), str(value))
    shown = str(value).lower() if isinstance(value, bool) else value
    return f"{exercise.name} with {option}={shown}"


def _inception(name: str, shape: tuple[int, ...]) -> Exercise:
    """Filters of the course sheet: 128 of 1x1, 192 of 3x3, 96 of 5x5; 64 in each reduction."""
    from epochlab.layers.inception import Inception, NaiveInception

    def built(shape: tuple[int, ...]) -> nn.Module:
        with torch.device("meta"):
            if name == "inception-naive":
                return NaiveInception(shape[0], one=128, three=192, five=96, bias=False)
            return Inception(shape[0], one=128, reduce3=64, three=192, reduce5=64, five=96,
                             pool=64, bias=False)  # fmt: skip

    if len(shape) != 3:
        raise BadShape(
            f"{name} takes images, channels x height x width, for example --input 256x32x32."
        )
    return Exercise(
        name=name, make=built, input_shape=shape, convention=Convention(biases=False), joins=True,
        columns=("output", "parameters", "operations"),
    )  # fmt: skip


# --- rows -----------------------------------------------------------------------------------------


def _sheet(exercise: Exercise, module: nn.Module, cost: Cost, shape: tuple[int, ...]) -> Sheet:
    folded = cost.folded()
    shown = [layer for layer in folded.layers if not _is_silent(layer)]
    start = Entry(label="Input", kind="input", names=("input", "image", "data"), input_shape=shape,
                  output_shape=shape, activations=math.prod(shape))  # fmt: skip
    entries, previous = [start], shape
    for layer in shown:
        entry = _entry(layer, module, previous)
        entries.append(entry)
        previous = entry.output_shape
    if exercise.joins:
        joined = _output_shape(module, shape)
        entries.append(Entry(
            label="Concatenation", kind="concatenation", in_total=False, input_shape=joined,
            names=("concat", "filter concatenation", "output", "depth concat"),
            output_shape=joined, activations=math.prod(joined),
        ))  # fmt: skip
    return Sheet(
        name=exercise.name, entries=tuple(_named(entries)), convention=exercise.convention,
        columns=exercise.columns, exercise=exercise,
        hidden_activations=sum(layer.activations for layer in cost.of_kind("activation")),
        notes=tuple(note for note in cost.notes("macs") if note.startswith("Not counted")),
    )  # fmt: skip


def _is_silent(layer: Layer) -> bool:
    """Normalisation without weights, such as AlexNet's over neighbouring channels: no row."""
    return layer.kind == "normalisation" and not layer.parameters and not layer.shared


def _entry(layer: Layer, module: nn.Module, previous: tuple[int, ...]) -> Entry:
    """The row of one layer; `previous` is the output of the row before it."""
    part: Any = None
    if layer.name and "/" not in layer.name:
        with contextlib.suppress(AttributeError):  # made inside a forward
            part = module.get_submodule(layer.name)
    before, after = layer.input_shape[1:], layer.output_shape[1:]
    axes = len(after) - 1
    windows = hasattr(part, "kernel_size") and axes > 0
    flattened = layer.kind == "linear" and len(previous) > 1 and (
        math.prod(previous) == (before[-1] if before else 0)
    )  # fmt: skip
    return Entry(
        label=layer.name or layer.kind, kind=layer.kind, path=layer.name, input_shape=before,
        output_shape=after, before=previous if flattened else (),
        kernel=_per_axis(part.kernel_size, axes) if windows else (),
        stride=_per_axis(part.stride, axes) if windows else (),
        padding=_per_axis(part.padding, axes) if windows else (),
        rounds_up=bool(getattr(part, "ceil_mode", False)), groups=getattr(part, "groups", 1),
        weights=layer.weights, biases=layer.biases, activations=layer.activations,
        macs=layer.macs, other_flops=layer.other_flops, field=_field(layer),
    )  # fmt: skip


def _per_axis(value: Any, axes: int) -> tuple[int, ...]:
    if isinstance(value, str):  # padding='same' at stride 1, 'valid'
        return (0,) * axes
    sizes = tuple(value) if isinstance(value, (tuple, list)) else (value,) * axes
    return tuple(int(size) for size in sizes)


def _field(layer: Layer) -> tuple[int, ...]:
    sizes = layer.field.size if layer.field is not None and len(layer.output_shape) > 2 else ()
    return tuple(s for s in sizes if s is not None) if None not in sizes else ()


def _output_shape(module: nn.Module, shape: tuple[int, ...]) -> tuple[int, ...]:
    with torch.no_grad():
        out = module(torch.empty((1, *shape), device="meta"))
    return tuple(out.shape[1:])


def _named(entries: list[Entry]) -> Iterator[Entry]:
    """Labels as on a course sheet (CONV3-64, POOL2, FC), and the other usual names."""
    counts: Counter[str] = Counter()
    block, inside = 1, 0
    dense = sum(entry.kind == "linear" for entry in entries)
    for entry in entries:
        counts[entry.kind if not entry.pools else "pooling"] += 1
        label, names = entry.label, [*entry.names, entry.path]
        side = entry.kernel[0] if entry.kernel else 0
        own_name = not entry.path.rpartition(".")[2].isdigit()
        if entry.kind == "convolution":
            inside += 1
            sheet_name = f"CONV{side}-{entry.output_shape[0]}"
            names += [sheet_name, f"conv{counts['convolution']}", f"conv{block}_{inside}"]
        elif entry.pools:
            block, inside = block + 1, 0
            sheet_name = f"POOL{side}" if side else "POOL"
            names += [sheet_name, f"pool{counts['pooling']}", f"maxpool{counts['pooling']}"]
        elif entry.kind == "linear":
            number = counts["linear"]
            sheet_name = "FC"
            names += ["fc", f"fc{number}", f"fc{entry.output_shape[-1]}"]
            names += [f"fc{5 + number}"] if dense == 3 else []
        else:
            sheet_name = entry.path or label
        told = _BRANCHES.get(entry.path)
        if told is not None:
            names += told[1:]
        label = told[0].format(n=entry.output_shape[0]) if told else (
            label if own_name else sheet_name
        )  # fmt: skip
        yield dataclasses.replace(entry, label=label, names=tuple(n for n in names if n))
