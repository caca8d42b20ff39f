"""Write quantities the way people read them; inside, only bytes, seconds, FLOP and dollars."""

from __future__ import annotations

import math

_SI = ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def seconds_text(seconds: float) -> str:
    """`0.0123` -> '12.3 ms', `75` -> '1:15', `4000` -> '1:06:40'."""
    if not math.isfinite(seconds):
        return "?"
    if seconds < 0:
        return "-" + seconds_text(-seconds)
    if seconds < 1e-3:
        return f"{seconds * 1e6:.3g} us"
    if seconds < 1:
        return f"{seconds * 1e3:.3g} ms"
    if seconds < 60:
        return f"{seconds:.3g} s"
    whole = round(seconds)
    hours, rest = divmod(whole, 3600)
    minutes, second = divmod(rest, 60)
    return f"{hours}:{minutes:02d}:{second:02d}" if hours else f"{minutes}:{second:02d}"


def si_text(value: float, unit: str = "", digits: int = 3) -> str:
    """`215e9, 'FLOP/s'` -> '215 GFLOP/s'."""
    for scale, prefix in _SI:
        if abs(value) >= scale:
            return f"{value / scale:.{digits}g} {prefix}{unit}"
    return f"{value:.{digits}g} {unit}".rstrip()


def bytes_text(size_bytes: float) -> str:
    """`94_089_000` -> '94.1 MB' (decimal units)."""
    return si_text(size_bytes, "B")


def percent_text(fraction: float, digits: int = 2) -> str:
    """`0.9033` -> '90.33 %'."""
    return f"{100 * fraction:.{digits}f} %"


def rounded_text(number: float) -> str:
    """150528 -> '150K', 3211264 -> '3.2M', 1728 -> '1728': two digits, as on a blackboard."""
    if abs(number) < 10_000:
        return f"{number:g}"
    letters = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "K"))
    scale, letter = next(pair for pair in letters if abs(number) >= pair[0])
    return f"{float(f'{number / scale:.2g}'):g}{letter}"
