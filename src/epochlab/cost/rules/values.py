"""Value by value: activations, sums and products, interpolation, scattering."""

from __future__ import annotations

from typing import Any

from epochlab.cost.counting import Args, Count, Rule, per_output, size_of

ACTIVATIONS = (
    "relu", "relu6", "hardtanh", "leaky_relu", "elu", "selu", "celu", "gelu", "silu", "mish",
    "sigmoid", "tanh", "hardsigmoid", "hardswish", "softplus", "log_sigmoid_forward", "prelu",
    "_prelu_kernel", "rrelu_with_noise", "hardshrink", "softshrink", "threshold", "glu",
)  # fmt: skip


ACTIVATIONS_BACKWARD = (
    "hardtanh", "leaky_relu", "elu", "gelu", "silu", "mish", "sigmoid", "tanh", "hardsigmoid",
    "hardswish", "softplus", "log_sigmoid", "_prelu_kernel", "rrelu_with_noise", "hardshrink",
    "softshrink", "threshold", "glu",
)  # fmt: skip


def rule_of_taps(taps_per_axis: int, axes: int) -> Rule:
    """A weighted mean of taps ** axes values per output value."""
    taps = taps_per_axis**axes
    return Rule("interpolation", lambda args, out: Count(0, (2 * taps - 1) * size_of(out)))


def scattering(args: Args, out: Any) -> Count:
    """One addition per scattered value."""
    source = args[3] if len(args) > 3 and hasattr(args[3], "numel") else args[0]
    return Count(0, source.numel())


RULES = {
    **{n: per_output("activation") for n in ACTIVATIONS},
    **{f"{n}_backward": per_output("activation") for n in ACTIVATIONS_BACKWARD},
    "cat": per_output("concatenation", 0),
    "add": per_output("add"), "sub": per_output("add"), "rsub": per_output("add"),
    "mul": per_output("multiply"), "div": per_output("multiply"),
    **{n: rule_of_taps(2, axes) for n, axes in
       (("upsample_linear1d", 1), ("upsample_bilinear2d", 2), ("upsample_trilinear3d", 3),
        ("_upsample_bilinear2d_aa", 2))},
    **{n: rule_of_taps(4, 2) for n in ("upsample_bicubic2d", "_upsample_bicubic2d_aa")},
    **{n: per_output("interpolation") for n in
       ("upsample_linear1d_backward", "upsample_bilinear2d_backward",
        "upsample_trilinear3d_backward", "upsample_bicubic2d_backward",
        "_upsample_bilinear2d_aa_backward", "_upsample_bicubic2d_aa_backward",
        "upsample_nearest1d_backward", "upsample_nearest2d_backward",
        "upsample_nearest3d_backward")},
    "grid_sampler_2d": rule_of_taps(2, 2),
    "grid_sampler_3d": rule_of_taps(2, 3),
    "grid_sampler_2d_backward": per_output("interpolation", 7),
    "affine_grid_generator": per_output("elementwise", 4),
    **{n: Rule("scatter", scattering) for n in
       ("scatter_add", "index_add", "scatter_reduce", "index_reduce", "index_put",
        "_index_put_impl", "put", "scatter")},
    "embedding_dense_backward": Rule("embedding", lambda args, out: Count(0, args[0].numel())),
    "native_dropout": per_output("dropout"),
    "bernoulli": per_output("random numbers"),
    "mse_loss": per_output("loss", 2), "mse_loss_backward": per_output("loss", 2),
    "smooth_l1_loss": per_output("loss", 2), "huber_loss": per_output("loss", 2),
    "binary_cross_entropy": per_output("loss", 3),
    "binary_cross_entropy_with_logits": per_output("loss", 3),
    "_weight_norm_interface": per_output("weight norm", 4),
    "_weight_norm_interface_backward": per_output("weight norm", 6),
    "torchvision::roi_align": rule_of_taps(2, 2),
    "torchvision::roi_pool": per_output("max pooling"),
    "torchvision::ps_roi_align": rule_of_taps(2, 2),
    "torchvision::nms": Rule("suppression", lambda args, out: Count(
        0, 8 * args[0].shape[0] ** 2 // 2)),
}  # fmt: skip
