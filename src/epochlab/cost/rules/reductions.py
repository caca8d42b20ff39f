"""Pooling, normalisation, softmax, sums, sorting, transforms: many values become one."""

from __future__ import annotations

import math
from typing import Any

from epochlab.cost.counting import Args, Count, Rule, first_tensor, per_input, per_output, size_of
from epochlab.cost.rules.attention import SOFTMAX_EACH

# Per value: subtract the mean, divide by the deviation; scale and shift where they are learned.
NORMALISE, AFFINE = 2, 2
# Per value: sum for the mean; difference, square and sum for the variance.
STATISTICS = 4


def max_pooling(args: Args, out: Any) -> Count:
    """A window of k values takes k - 1 comparisons."""
    return Count(0, (_window(args, out) - 1) * size_of(out))


def mean_pooling(args: Args, out: Any) -> Count:
    """A window of k values takes k - 1 additions and a division."""
    return Count(0, _window(args, out) * size_of(out))


def adaptive_mean(args: Args, out: Any) -> Count:
    """Every value is added once or divided; where nothing shrinks there is nothing to do."""
    before, after = args[0].numel(), size_of(out)
    return Count(0, 0 if before == after else before)


def _window(args: Args, out: Any) -> int:
    result = first_tensor(out)
    assert result is not None
    kernel = args[1]
    axes = args[0].ndim - 2
    return math.prod(kernel) if len(kernel) > 1 else int(kernel[0]) ** max(axes, 1)


def batch_norm(args: Args, out: Any) -> Count:
    """In evaluation the statistics are known; in training they are computed."""
    training = bool(args[5]) if len(args) > 5 and isinstance(args[5], bool) else True
    each = NORMALISE + (AFFINE if args[1] is not None else 0) + (STATISTICS if training else 0)
    return Count(0, each * args[0].numel())


def known_batch_norm(args: Args, out: Any) -> Count:
    """The form without training: no statistics to compute."""
    return Count(0, (NORMALISE + (AFFINE if args[1] is not None else 0)) * args[0].numel())


def norm_of(position: int) -> Rule:
    """Layer or group norm; `position` is that of the weight among the arguments."""
    return Rule("normalisation", lambda args, out: Count(
        0, (NORMALISE + STATISTICS + (AFFINE if args[position] is not None else 0))
        * args[0].numel()))  # fmt: skip


def sorting(args: Args, out: Any) -> Count:
    """n log2 n comparisons along the sorted axis (as an order of magnitude)."""
    inputs = args[0]
    axis = args[1] if len(args) > 1 and isinstance(args[1], int) else -1
    length = inputs.shape[axis] if inputs.ndim and -inputs.ndim <= axis < inputs.ndim else 1
    return Count(0, inputs.numel() * max(1, math.ceil(math.log2(max(2, length)))))


def fourier(args: Args, out: Any) -> Count:
    """5 n log2 n for a complex transform of n values, half of it for a real one (FFTW's count)."""
    axes = args[1] if isinstance(args[1], (list, tuple)) else [args[1]]
    larger = max(args[0], out, key=lambda t: t.numel())
    length = math.prod(larger.shape[a] for a in axes)
    whole = 5 * larger.numel() * math.log2(max(2, length))
    real = not (args[0].is_complex() and out.is_complex())
    return Count(0, int(whole / 2 if real else whole))


def embedding_bag(args: Args, out: Any) -> Count:
    """Every looked-up row is added into its bag."""
    return Count(0, args[1].numel() * args[0].shape[-1])


RULES = {
    **{f"max_pool{n}d_with_indices": Rule("max pooling", max_pooling) for n in (2, 3)},
    **{f"avg_pool{n}d": Rule("average pooling", mean_pooling) for n in (1, 2, 3)},
    **{f"max_pool{n}d_with_indices_backward": per_output("max pooling") for n in (2, 3)},
    **{f"avg_pool{n}d_backward": per_output("average pooling") for n in (2, 3)},
    **{n: Rule("average pooling", adaptive_mean) for n in
       ("_adaptive_avg_pool2d", "_adaptive_avg_pool3d", "adaptive_avg_pool2d")},
    **{n: per_output("average pooling") for n in
       ("_adaptive_avg_pool2d_backward", "_adaptive_avg_pool3d_backward")},
    **{n: per_input("max pooling") for n in ("adaptive_max_pool2d", "adaptive_max_pool3d")},
    **{n: per_output("max pooling") for n in
       ("adaptive_max_pool2d_backward", "adaptive_max_pool3d_backward")},
    "native_batch_norm": Rule("batch normalisation", batch_norm),
    "cudnn_batch_norm": Rule("batch normalisation", batch_norm),
    "_native_batch_norm_legit": Rule("batch normalisation", batch_norm),
    "_native_batch_norm_legit_no_training": Rule("batch normalisation", known_batch_norm),
    "_batch_norm_with_update": per_input("batch normalisation", NORMALISE + AFFINE + STATISTICS),
    "_batch_norm_no_update": Rule("batch normalisation", known_batch_norm),
    "native_batch_norm_backward": per_output("batch normalisation", 8),
    "native_layer_norm": norm_of(2),
    "_fused_rms_norm": per_input("normalisation", 4),
    "native_group_norm": norm_of(1),
    "native_layer_norm_backward": per_output("normalisation", 8),
    "native_group_norm_backward": per_output("normalisation", 8),
    **{n: per_output("softmax", SOFTMAX_EACH) for n in
       ("_softmax", "_log_softmax", "_safe_softmax", "softmax", "log_softmax")},
    **{n: per_output("softmax", 3) for n in
       ("_softmax_backward_data", "_log_softmax_backward_data")},
    **{n: per_input("sum") for n in
       ("sum", "mean", "amax", "amin", "max", "min", "prod", "argmax", "argmin", "any", "all",
        "cumsum", "cumprod", "logsumexp", "norm", "linalg_vector_norm", "nansum", "aminmax",
        "count_nonzero", "logcumsumexp", "cummax", "cummin", "median", "nanmedian", "mode")},
    **{n: per_input("sum", STATISTICS) for n in ("var", "std", "var_mean", "std_mean")},
    **{n: Rule("sorting", sorting) for n in
       ("sort", "topk", "argsort", "kthvalue", "unique_consecutive", "_unique2", "searchsorted",
        "bucketize")},
    **{n: Rule("Fourier transform", fourier) for n in ("_fft_c2c", "_fft_r2c", "_fft_c2r")},
    "_embedding_bag": Rule("embedding", embedding_bag),
    "_embedding_bag_forward_only": Rule("embedding", embedding_bag),
    "_cdist_forward": Rule("distance", lambda args, out: Count(
        0, 3 * size_of(out) * args[0].shape[-1])),
    "nll_loss_forward": per_input("loss"),
    "nll_loss2d_forward": per_input("loss"),
    "nll_loss_backward": per_output("loss"),
    "nll_loss2d_backward": per_output("loss"),
    "bincount": per_input("sum"),
    "histc": per_input("sum"),
}  # fmt: skip
