"""Attention and recurrent layers where one operator does all of it."""

from __future__ import annotations

import math
from typing import Any

from epochlab.cost.counting import Args, Count, Rule, product

# Operations of a softmax per value: largest, difference, exponential, sum, quotient.
SOFTMAX_EACH = 5
# Operations of one cell per hidden unit beside its matrix products (gates' functions, products and
# sums): LSTM 3 sigmoid + 2 tanh + 3 products + 1 sum + 4 sums of the two products' results.
LSTM_EACH, GRU_EACH, RNN_EACH = 13, 12, 2


def attention(args: Args, out: Any) -> Count:
    """Queries times keys, softmax, times values: [batch, heads, length, width] operands."""
    query, key, value = args[:3]
    return _attention(query, key, value, 1)


def attention_backward(args: Args, out: Any) -> Count:
    """Four products for three gradients, and the scores once more, as they were not kept."""
    query, key, value = args[1:4]
    once = _attention(query, key, value, 1)
    scores = math.prod(query.shape[:-1]) * key.shape[-2]
    macs = scores * (3 * query.shape[-1] + 2 * value.shape[-1])
    return Count(macs, 2 * once.other, f"gradients of {once.formula}")


def _attention(query: Any, key: Any, value: Any, times: int) -> Count:
    scores = math.prod(query.shape[:-1]) * key.shape[-2]
    macs = times * scores * (query.shape[-1] + value.shape[-1])
    heads = product(tuple(query.shape[:-2]))
    formula = (f"{heads} heads * {product(query.shape[-2], key.shape[-2])} scores * "
               f"({query.shape[-1]} + {value.shape[-1]})")  # fmt: skip
    return Count(macs, times * (SOFTMAX_EACH + 1) * scores, formula)


def whole_attention(args: Args, out: Any) -> Count:
    """Projections of queries, keys and values, attention, and the projection of its result.

    PyTorch's single operator for inference; heads share the width, so their number is of no matter.
    """
    query, key, width = args[0], args[1], args[3]
    rows, keys = query.shape[0] * query.shape[1], key.shape[0] * key.shape[1]
    projected = 2 * (rows + keys) * width * width
    scores = rows * key.shape[1]
    formula = f"2*({rows} + {keys}) rows * {width}*{width} + 2*{rows}*{key.shape[1]}*{width}"
    return Count(projected + 2 * scores * width, (SOFTMAX_EACH + 1) * scores * args[4], formula)


def encoder_layer(args: Args, out: Any) -> Count:
    """`whole_attention` of a sequence with itself, and the two matrices that follow."""
    source, width, heads, first, second = args[0], args[1], args[2], args[14], args[16]
    attended = whole_attention((source, source, source, width, heads), out)
    rows = source.shape[0] * source.shape[1]
    weights = first.numel() + second.numel()
    return Count(attended.macs + rows * weights, attended.other + rows * first.shape[0],
                 f"{attended.formula} + {rows} rows * {weights} weights")  # fmt: skip


def recurrent_layer(args: Args, out: Any) -> Count:
    """One direction of an LSTM layer in oneDNN's form: both weight matrices at every step."""
    inputs, from_input, from_hidden = args[0], args[1], args[2]
    steps = inputs.shape[0] * inputs.shape[1]
    weights = from_input.numel() + from_hidden.numel()
    hidden = from_hidden.shape[1]
    formula = f"{product(weights)} weights * {product(steps)} steps"
    return Count(weights * steps, LSTM_EACH * hidden * steps, formula)


def cudnn_layers(args: Args, out: Any) -> Count:
    """All layers at once: every weight matrix is used at every step of every sequence."""
    inputs, matrices = args[0], [w for w in args[1] if w.ndim == 2]
    steps = inputs.shape[0] * inputs.shape[1]
    weights = sum(w.numel() for w in matrices)
    other = LSTM_EACH * steps * sum(w.shape[0] for w in matrices) // 8
    return Count(weights * steps, other, f"{product(weights)} weights * {product(steps)} steps")


RULES = {
    **{f"_scaled_dot_product_{n}": Rule("attention", attention)
       for n in ("flash_attention", "flash_attention_for_cpu", "efficient_attention",
                 "cudnn_attention", "fused_attention_overrideable")},
    **{f"_scaled_dot_product_{n}_backward": Rule("attention", attention_backward)
       for n in ("flash_attention", "flash_attention_for_cpu", "efficient_attention",
                 "cudnn_attention", "fused_attention_overrideable")},
    "_flash_attention_forward": Rule("attention", attention),
    "_efficient_attention_forward": Rule("attention", attention),
    "_native_multi_head_attention": Rule("attention", whole_attention),
    "_transformer_encoder_layer_fwd": Rule("attention", encoder_layer),
    "mkldnn_rnn_layer": Rule("recurrent", recurrent_layer),
    "_cudnn_rnn": Rule("recurrent", cudnn_layers),
    "_thnn_fused_lstm_cell": Rule("recurrent", lambda args, out: Count(
        0, LSTM_EACH * args[2].numel())),
    "_thnn_fused_gru_cell": Rule("recurrent", lambda args, out: Count(
        0, GRU_EACH * args[2].numel())),
}  # fmt: skip
