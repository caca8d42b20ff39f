"""Finds what a counter left out or added, from the sizes of the parts.

The true count is a sum of parts, one for each function that multiplies and each class of module
that calls it. A difference that equals a sum of such parts names what was left out (or counted
twice); an excess that is a small multiple of the number of values some other operators wrote
names what was counted beside products.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

from truth import Truth

CLOSE = 0.002
"largest rest of an explanation, as a share of the true count"
MOST_PARTS = 14
MULTIPLES = (1, 2, 3, 4, 5, 6, 7, 8, 0.5, 2.5)
# Operators on values that some counters hold to be multiply-accumulates.
EXTRAS: Mapping[str, tuple[str, ...]] = {
    "normalisation": ("native_batch_norm", "native_layer_norm", "native_group_norm"),
    "activations": ("relu", "relu_", "hardtanh", "hardtanh_", "hardswish", "hardswish_",
                    "hardsigmoid", "silu", "silu_", "gelu", "sigmoid", "sigmoid_", "tanh",
                    "leaky_relu", "leaky_relu_"),
    "pooling": ("max_pool2d_with_indices", "avg_pool2d", "max_pool3d_with_indices", "avg_pool3d",
                "mean", "_adaptive_avg_pool2d"),
    "softmax": ("_softmax", "_safe_softmax"),
    "elementwise sums and products": ("add", "add_", "mul", "mul_", "sub", "div"),
    "biases": ("bias",),
    "interpolation": ("upsample_nearest2d", "upsample_bilinear2d", "upsample_bicubic2d"),
}  # fmt: skip


def explain(counted: float, truth: Truth) -> str:
    """One short phrase; "unexplained" when no sum of parts fits."""
    rest = counted - truth.macs
    whole = truth.macs
    if whole == 0:
        return "counts where nothing is multiplied and added" if counted else ""
    if abs(rest) <= CLOSE * whole:
        return ""
    if counted == 0:
        return "counts nothing"
    for places in ((), (1,), (2,), (1, 2)):
        parts = _parts(truth.groups, places)
        phrase = _left_out(-rest, parts, whole) if rest < 0 else _twice(rest, parts, whole)
        if phrase:
            return phrase
    for factor, said in ((2.0, "counts everything twice"), (0.5, "counts half of everything")):
        if abs(counted - factor * whole) <= CLOSE * whole:
            return said
    return (_added(rest, truth) or _mixed(rest, truth) or _share(-rest, truth)
            or _unknown(counted, whole))  # fmt: skip


def _unknown(counted: float, whole: int) -> str:
    return f"unexplained ({'over' if counted > whole else 'under'})"


def _parts(groups: Mapping[str, int], places: Sequence[int]) -> dict[str, int]:
    """Sums by function and, if asked for, class of the module (1), of the one around it (2)."""
    parts: dict[str, int] = {}
    for name, macs in groups.items():
        words = name.split(" in ")
        short = " in ".join([words[0], *(words[place] for place in places)])
        parts[short] = parts.get(short, 0) + macs
    return parts


def _subsets(parts: Mapping[str, int], whole: int) -> list[tuple[tuple[str, ...], int]]:
    """Sums of the larger parts, fewest parts first."""
    large = sorted(parts, key=lambda name: -parts[name])[:MOST_PARTS]
    large = [name for name in large if parts[name] > CLOSE * whole]
    return [
        (chosen, sum(parts[name] for name in chosen))
        for size in range(1, len(large) + 1)
        for chosen in combinations(large, size)
    ]


def _left_out(missing: float, parts: Mapping[str, int], whole: int) -> str:
    for chosen, size in _subsets(parts, whole):
        if abs(size - missing) <= CLOSE * whole:
            return f"misses {_listed(chosen)}"
    return ""


def _twice(excess: float, parts: Mapping[str, int], whole: int) -> str:
    for name, size in parts.items():
        if abs(size - excess) <= CLOSE * whole:
            return f"counts {name} twice"
    return ""


def _extras(truth: Truth) -> dict[str, int]:
    values = {said: sum(truth.values.get(n, 0) for n in names) for said, names in EXTRAS.items()}
    return {said: count for said, count in values.items() if count}


def _added(rest: float, truth: Truth) -> str:
    """An excess made of other operators' values, each with one small multiple."""
    extras = _extras(truth)
    if rest <= 0:
        return ""
    # The closest fit of one or two kinds; a third kind would fit anything.
    near = min(CLOSE * truth.macs, 0.02 * rest)
    for name, count in extras.items():
        if any(abs(k * count - rest) <= near for k in MULTIPLES):
            return f"adds {name}"
    for one, other in combinations(extras, 2):
        for k in MULTIPLES:
            for m in MULTIPLES:
                if abs(k * extras[one] + m * extras[other] - rest) <= near:
                    return f"adds {one} and {other}"
    # All that is not a product, at most a few per value, and nothing else could be meant.
    if rest <= 3 * sum(extras.values()):
        return "adds work on single values"
    return ""


def _mixed(rest: float, truth: Truth) -> str:
    """Something left out, and something beside products added; the smallest addition wins."""
    most = min(3 * sum(_extras(truth).values()), 0.05 * truth.macs)
    for places in ((), (1,), (2,)):
        sums = _subsets(_parts(truth.groups, places), truth.macs)
        found = [(rest + size, chosen) for chosen, size in sums if 0 < rest + size <= most]
        if found:
            return f"misses {_listed(min(found)[1])}, adds work on single values"
    return ""


def _share(missing: float, truth: Truth) -> str:
    """A last resort: part of what one function does is left out."""
    for name, size in _parts(truth.groups, ()).items():
        for share, said in ((0.5, "half"), (2 / 3, "two thirds"), (0.25, "a quarter")):
            if size > 0.02 * truth.macs and abs(share * size - missing) <= CLOSE * truth.macs:
                return f"misses {said} of {name}"
    return ""


def _listed(names: Sequence[str]) -> str:
    return " and ".join(sorted(names))
