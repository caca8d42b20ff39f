"""What each operator does to receptive fields: one table of rules for the operators of PyTorch.

This file holds element-wise operators, normalisation, reductions and matrix products, and collects
the rules for windows and views. An operator that is not in the table makes its outputs unknown.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from epochlab.cost.receptive.call import (
    Call,
    JointRule,
    SingleRule,
    Spans,
    axes_of,
    for_all,
)
from epochlab.cost.receptive.laws import Law, hull, pixels_at, tidy
from epochlab.cost.receptive.parts import JOIN_RULES, PART_RULES
from epochlab.cost.receptive.spans import Extent, union
from epochlab.cost.receptive.views import VIEW_RULES, broadcast
from epochlab.cost.receptive.windows import WINDOW_RULES

# --- element by element ---------------------------------------------------------------------------


def same(spans: Spans, call: Call) -> Spans:
    """Each element of the output sees what its own element of the input sees."""
    return spans


def nothing(spans: Spans, call: Call) -> None:
    """The output takes its shape from the input, and no number."""


def elementwise(call: Call) -> Spans:
    """Operators on several tensors that are broadcast to the shape of the output."""
    shape = call.outputs[0].shape
    spans = call.tracked[0][1]
    if len(call.tracked) == 1:
        return broadcast(spans, call, call.tracked[0][0].shape, shape)
    wide = [broadcast(spans, call, tensor.shape, shape) for tensor, spans in call.tracked]
    if all(other == wide[0] for other in wide[1:]):
        return wide[0]
    return together(wide, call)


def together(several: Sequence[Spans], call: Call) -> Spans:
    """An element that is made of one element of each of several tensors."""
    return tuple(
        union([spans[place] for spans in several], length)
        for place, length in enumerate(call.lengths)
    )


def copied(call: Call) -> Spans | None:
    """copy_: what was in the target before does not matter."""
    source = call.args[1]
    spans = call.spans_of(source)
    if spans is None:
        return None
    return broadcast(spans, call, source.shape, call.outputs[0].shape)


# --- along axes -----------------------------------------------------------------------------------


def softmax(spans: Spans, call: Call) -> Spans:
    """Operators that keep the shape and make every element along `dim` depend on all of them."""
    rank = call.args[0].ndim
    return call.mixed(spans, axes_of(call.get("dim", -1), rank))


def layer_norm(spans: Spans, call: Call) -> Spans:
    """The last axes are normalised together, so each element sees all of theirs."""
    rank = call.args[0].ndim
    return call.mixed(spans, range(rank - len(call.get("normalized_shape")), rank))


def group_norm(spans: Spans, call: Call) -> Spans:
    """Each group of channels is normalised over all positions."""
    if call.get("group") != 1:
        spans = call.blurred(spans, (1,))
    return call.mixed(spans, range(1, call.args[0].ndim))


def batch_norm(spans: Spans, call: Call) -> Spans:
    """Element-wise, in training too, where strictly a mean over the batch and the image is taken.

    The exception are normalisations that have no other statistics than those of the image itself:
    instance normalisation (which PyTorch runs as batch normalisation of one sample that has all
    samples' channels) and batch normalisation without running statistics.
    """
    own = call.get("training", True) and call.get("running_mean") is None
    return call.mixed(spans, (0, *range(2, call.args[0].ndim))) if own else spans


def reduction(spans: Spans, call: Call) -> Spans:
    """Sums, means, extremes and their places, over some axes or all."""
    rank, left = call.args[0].ndim, call.outputs[0].ndim
    axes = axes_of(call.get("dim"), rank)
    spans = call.mixed(spans, axes)
    if left == rank:
        return spans
    kept = iter(range(left))
    return call.moved(spans, [None if axis in axes else next(kept) for axis in range(rank)])


def running(spans: Spans, call: Call) -> Spans:
    """Cumulative sums and the like: each element sees itself and all before it along `dim`."""
    axis = axes_of(call.get("dim"), call.args[0].ndim)[0]
    size = call.args[0].shape[axis]

    def so_far(law: Law) -> Law:
        seen = [pixels_at(law, 0)]
        for place in range(1, size):
            seen.append(hull((seen[-1], pixels_at(law, place))))
        return tidy(Law(tuple(seen), None))

    return call.along(spans, axis, size, size, so_far)


def gated(spans: Spans, call: Call) -> Spans:
    """glu joins element i with element i + n / 2 along `dim`."""
    return call.blurred(spans, axes_of(call.get("dim", -1), call.args[0].ndim))


# --- elements that data choose --------------------------------------------------------------------


def chosen(call: Call) -> Spans:
    """index_select, gather: which element comes to which place along `dim` is not known."""
    spans = call.spans_of(call.args[0])
    if spans is None or len(call.tracked) > 1:
        return (Extent.UNKNOWN,) * len(call.lengths)
    return call.blurred(spans, axes_of(call.get("dim"), call.args[0].ndim))


def indexed(call: Call) -> Spans:
    """x[..., indices, ...] with one list of indices; other forms are unknown."""
    spans, indices = call.spans_of(call.args[0]), call.get("indices")
    used = [axis for axis, index in enumerate(indices) if index is not None]
    if spans is None or len(call.tracked) > 1 or len(used) != 1 or indices[used[0]].ndim != 1:
        return (Extent.UNKNOWN,) * len(call.lengths)
    return call.blurred(spans, used)


def embedding(call: Call) -> Spans:
    """One row of the table for each index: indices keep their axes."""
    spans = call.spans_of(call.args[1])
    if spans is None or len(call.tracked) > 1:
        return (Extent.UNKNOWN,) * len(call.lengths)
    return spans


# --- products -------------------------------------------------------------------------------------


def _factor(call: Call, tensor: Tensor, summed: int, places: Sequence[int | None]) -> list[Spans]:
    """One factor of a product: summed over an axis, the others renamed; [] if it is constant."""
    spans = call.spans_of(tensor)
    return [] if spans is None else [call.moved(call.mixed(spans, (summed,)), places)]


def product(call: Call) -> Spans:
    """mm, bmm, mv, dot and their relatives that add the product to a first argument."""
    *added, a, b = (value for value in call.args if isinstance(value, Tensor))
    rows = a.ndim - 1
    parts = _factor(call, a, rows, [*range(rows), None])
    if b.ndim == 1:
        parts += _factor(call, b, 0, [None])
    else:
        parts += _factor(call, b, b.ndim - 2, [*range(b.ndim - 2), None, b.ndim - 1])
    for tensor in added:
        spans = call.spans_of(tensor)
        if spans is not None:
            parts.append(broadcast(spans, call, tensor.shape, call.outputs[0].shape))
    return parts[0] if len(parts) == 1 else together(parts, call)


def attention(call: Call) -> list[Spans | None]:
    """softmax(q k^T) v: a query sees itself, all keys and all values."""
    query, key, value = call.args[:3]
    rank = query.ndim
    parts = []
    for tensor, axes in ((query, (rank - 1,)), (key, (rank - 2, rank - 1)), (value, (rank - 2,))):
        spans = call.spans_of(tensor)
        if spans is not None:
            parts.append(call.mixed(spans, axes))
    if len(parts) < len(call.tracked):  # a mask that depends on the input
        return [(Extent.UNKNOWN,) * len(call.lengths)] * len(call.outputs)
    unknown: Spans = (Extent.UNKNOWN,) * len(call.lengths)
    return [together(parts, call), *[unknown] * (len(call.outputs) - 1)]


# --- the table ------------------------------------------------------------------------------------

SINGLE_RULES: dict[str, SingleRule] = {
    **WINDOW_RULES,
    **VIEW_RULES,
    **PART_RULES,
    **for_all(
        """
        clone detach alias contiguous lift_fresh lift_fresh_copy _to_copy to type_as
        resolve_conj resolve_neg _conj conj
        """,
        same,
    ),
    **for_all(
        """
        empty_like zeros_like ones_like full_like rand_like randn_like randint_like new_empty
        new_zeros new_ones new_full new_empty_strided zero fill normal uniform random exponential
        """,
        nothing,
    ),
    **for_all(
        """
        sum nansum mean prod amax amin max min aminmax argmax argmin any all var std var_mean
        std_mean logsumexp norm linalg_vector_norm count_nonzero median nanmedian
        """,
        reduction,
    ),
    **for_all("softmax _softmax _safe_softmax log_softmax _log_softmax sort topk", softmax),
    **for_all(
        """
        native_batch_norm _native_batch_norm_legit _native_batch_norm_legit_no_training
        cudnn_batch_norm miopen_batch_norm batch_norm
        """,
        batch_norm,
    ),
    **for_all("native_layer_norm _fused_rms_norm", layer_norm),
    "native_group_norm": group_norm,
    **for_all("cumsum cumprod logcumsumexp cummax cummin", running),
    "glu": gated,
}
JOINT_RULES: dict[str, JointRule] = {
    **JOIN_RULES,
    **for_all(
        """
        abs neg positive sign sgn sqrt rsqrt square reciprocal exp exp2 expm1 log log2 log10 log1p
        sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh atan2 erf erfc erfinv sigmoid
        logit floor ceil round trunc frac relu relu6 leaky_relu elu celu selu gelu silu mish
        softplus log_sigmoid_forward hardtanh hardsigmoid hardswish hardshrink softshrink threshold
        prelu _prelu_kernel rrelu_with_noise clamp clamp_min clamp_max nan_to_num
        add sub rsub mul div pow fmod remainder floor_divide maximum minimum fmax fmin addcmul
        addcdiv lerp hypot xlogy copysign heaviside where masked_fill
        eq ne lt le gt ge logical_and logical_or logical_xor logical_not bitwise_and bitwise_or
        bitwise_xor bitwise_not isnan isinf isfinite
        native_dropout dropout bernoulli poisson
        """,
        elementwise,
    ),
    "copy": copied,
    **for_all("index_select gather", chosen),
    "index": indexed,
    "embedding": embedding,
    **for_all("mm bmm mv dot vdot addmm baddbmm addmv", product),
    **for_all(
        """
        _scaled_dot_product_flash_attention _scaled_dot_product_flash_attention_for_cpu
        _scaled_dot_product_efficient_attention _scaled_dot_product_cudnn_attention
        _scaled_dot_product_attention_math _scaled_dot_product_fused_attention_overrideable
        """,
        attention,
    ),
}
