"""From recorded scopes and operations to one row per layer and call."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from torch import nn

from epochlab.cost.counting import product
from epochlab.cost.layer import Layer, Uncounted
from epochlab.cost.recorder import Missing, Operation, Recorder, Scope

if TYPE_CHECKING:
    from epochlab.cost.passes import Passes

# The kind of row that a layer of PyTorch makes, whatever operators it uses.
KINDS: tuple[tuple[tuple[type[nn.Module], ...], str], ...] = (
    ((nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d), "transposed convolution"),
    ((nn.Conv1d, nn.Conv2d, nn.Conv3d), "convolution"),
    ((nn.Linear,), "linear"),
    ((nn.Bilinear,), "bilinear"),
    ((nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d), "batch normalisation"),
    ((nn.LayerNorm, nn.GroupNorm, nn.RMSNorm, nn.InstanceNorm2d, nn.LocalResponseNorm),
     "normalisation"),
    ((nn.MultiheadAttention,), "attention"),
    ((nn.LSTM, nn.LSTMCell), "LSTM"),
    ((nn.GRU, nn.GRUCell), "GRU"),
    ((nn.RNN, nn.RNNCell), "RNN"),
    ((nn.Embedding, nn.EmbeddingBag), "embedding"),
    ((nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout), "dropout"),
    ((nn.Flatten, nn.Unflatten), "reshape"),
    ((nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d, nn.AvgPool1d, nn.AvgPool2d,
      nn.AvgPool3d), "average pooling"),
    ((nn.AdaptiveMaxPool1d, nn.AdaptiveMaxPool2d, nn.AdaptiveMaxPool3d, nn.MaxPool1d, nn.MaxPool2d,
      nn.MaxPool3d), "max pooling"),
    ((nn.Identity,), "identity"),
)  # fmt: skip


def rows_of(passes: Passes) -> tuple[Layer, ...]:
    """All layers in the order of execution; the last row holds what was never used, if anything."""
    recorder = passes.recorder
    by_operation: dict[int, int] = {}
    for number, saved in recorder.saved_by_number.items():
        operation = recorder.by_number.get(number)
        if operation is not None:
            by_operation[id(operation)] = by_operation.get(id(operation), 0) + saved
    counted: set[int] = set()
    rows = list(_rows(passes.root, recorder, by_operation, counted, Counter()))
    left = [(n, p.numel()) for n, p in passes.module.named_parameters() if id(p) not in counted]
    if left:
        biases = sum(size for n, size in left if is_bias(n))
        rows.append(Layer(
            name="(unused)", kind="unused parameters", biases=biases,
            weights=sum(size for _, size in left) - biases,
            parameters_formula=", ".join(n for n, _ in left[:4]) + (", ..." if left[4:] else ""),
        ))  # fmt: skip
    return tuple(rows)


def uncounted_of(missing: Missing) -> tuple[Uncounted, ...]:
    """Operators without a rule, those of the forward pass first."""
    found = [
        Uncounted(operator=operator, phase="forward" if phase == "forward" else "backward",
                  times=times, where=missing.where[phase, operator])
        for (phase, operator), times in missing.times.items()
    ]  # fmt: skip
    return tuple(sorted(found, key=lambda u: (u.phase != "forward", u.operator)))


def is_bias(name: str) -> bool:
    """Whether a parameter of this name is a bias."""
    last = name.rpartition(".")[2]
    return last.startswith("bias") or last.endswith("bias")


def _rows(
    scope: Scope, recorder: Recorder, saved: dict[int, int], counted: set[int],
    names: Counter[str],
) -> Iterator[Layer]:  # fmt: skip
    for item in scope.operations:
        if isinstance(item, Operation):
            yield _operation_row(item, scope.name, saved.get(id(item), 0), names, counted)
        elif item.whole:
            yield _layer_row(item, counted)
        else:
            yield from _rows(item, recorder, saved, counted, names)


def _operation_row(
    operation: Operation, where: str, saved: int, names: Counter[str], counted: set[int]
) -> Layer:
    """An operation between layers, with the container's parameters that it uses."""
    name = f"{where}/{operation.name}".removeprefix("/")
    names[name] += 1
    fresh = [(key, n, size) for key, n, size in operation.parameters if key not in counted]
    counted.update(key for key, _, _ in fresh)
    biases = sum(size for _, n, size in fresh if is_bias(n))
    return Layer(
        name=name, kind=operation.kind, call=names[name] - 1,
        input_shape=tuple(operation.input_shape), output_shape=tuple(operation.output_shape),
        weights=sum(size for _, _, size in fresh) - biases, biases=biases,
        parameters_formula=", ".join(n for _, n, _ in fresh),
        shared=bool(operation.parameters) and not fresh,
        activations=_numbers(operation.output_shape), macs=operation.count.macs,
        other_flops=operation.count.other, backward_macs=operation.backward_macs,
        bytes_read=operation.read, bytes_written=operation.written, saved_bytes=saved,
        field=operation.field, formula=operation.count.formula, operators=(operation.name,),
    )  # fmt: skip


def _numbers(shape: tuple[int, ...]) -> int:
    count = 1
    for size in shape:
        count *= size
    return count


def _layer_row(scope: Scope, counted: set[int]) -> Layer:
    """One call of a module as a whole."""
    operations = list(_operations(scope))
    assert scope.module is not None
    parameters = list(scope.module.named_parameters())
    fresh = [(n, p) for n, p in parameters if id(p) not in counted]
    counted.update(id(p) for _, p in fresh)
    biases = sum(p.numel() for n, p in fresh if is_bias(n))
    counts = [o.count for o in operations]
    formulas = Counter(c.formula for c in counts if c.macs)
    return Layer(
        name=scope.name, kind=_kind(scope, scope.module, operations), call=scope.call,
        input_shape=scope.input_shape, output_shape=scope.output_shape,
        weights=sum(p.numel() for _, p in fresh) - biases, biases=biases,
        parameters_formula=_parameters_formula(fresh),
        shared=bool(parameters) and not fresh,
        activations=_numbers(scope.output_shape), macs=sum(c.macs for c in counts),
        other_flops=sum(c.other for c in counts),
        backward_macs=sum(o.backward_macs for o in operations),
        bytes_read=sum(o.read for o in operations),
        bytes_written=sum(o.written for o in operations),
        saved_bytes=_saved(scope), field=scope.field,
        formula=" + ".join(f if n == 1 else f"{n} * ({f})" for f, n in formulas.items()),
        operators=tuple(dict.fromkeys(o.name for o in operations)),
    )  # fmt: skip


def _operations(scope: Scope) -> Iterator[Operation]:
    for item in scope.operations:
        if isinstance(item, Operation):
            yield item
        else:
            yield from _operations(item)


def _saved(scope: Scope) -> int:
    return scope.saved_bytes + sum(_saved(s) for s in scope.operations if isinstance(s, Scope))


def _kind(scope: Scope, module: nn.Module, operations: list[Operation]) -> str:
    """The layer's own kind where it is one of PyTorch's; else that of its heaviest operation."""
    for classes, kind in KINDS:
        if isinstance(module, classes):
            idle = kind == "average pooling" and scope.input_shape == scope.output_shape
            return "identity" if idle else kind
    if not any(o.count.macs or o.count.other for o in operations):
        return "uncounted" if any(o.kind == "uncounted" for o in operations) else "identity"
    heaviest = max(operations, key=lambda o: (o.count.macs, o.count.other))
    return heaviest.kind


def _parameters_formula(parameters: list[tuple[str, nn.Parameter]]) -> str:
    """'3*3*3*64 + 64 biases'; kernel sides first, as papers write them."""
    parts = []
    for name, p in parameters:
        sizes = (*p.shape[2:], *reversed(p.shape[:2])) if p.ndim > 2 else tuple(reversed(p.shape))
        parts.append(f"{product(sizes)}{' biases' if is_bias(name) else ''}")
    return " + ".join(f"{n} * ({t})" if n > 1 else t for t, n in Counter(parts).items())
