"""Tables of hardware: one row per device and link, or one row per figure with its source."""

from __future__ import annotations

from typing import Any

from epochlab.hardware import Device, Figure, Link, load, names
from epochlab.hardware._reading import KINDS
from epochlab.table import Column, Table
from epochlab.units import si_text

# The ending of a key -> how people read its unit.
_UNITS = {
    "flops_per_s": "FLOP/s", "bytes_per_s": "B/s", "bytes": "B", "usd_per_hour": "USD/h",
    "_hz": "Hz", "_w": "W", "_s": "s",
}  # fmt: skip


def overview() -> Table:
    """Every device and link in one row: what it is, peak, bandwidth, memory, price."""
    found = sorted(map(load, names()), key=lambda one: (KINDS.index(one.kind), one.name))
    return Table.of(
        "Hardware", [_row(one) for one in found], label="quoted",
        columns=(
            "name", "kind", "what it is", Column(name="peak fp32", unit="TFLOP/s", format="g"),
            Column(name="bandwidth", unit="GB/s", format="g"),
            Column(name="memory", unit="GB", format="g"),
            Column(name="price", unit="USD/h", format=".2f"),
        ),
        notes=(
            "Peaks at boost clock where base and boost are known; bandwidth of a device's memory, "
            "and of a link in one direction.",
            "Prices are list prices of the date that 'epochlab show NAME' tells, on demand, "
            "without the machine.",
            *(f"'{one.name}' was measured, on {_when(one)}." for one in found if _measured(one)),
        ),
    )  # fmt: skip


def _measured(one: Device | Link) -> bool:
    """Whether any figure was measured rather than published."""
    return any(figure.spread is not None for figure in one.figures().values())


def _when(one: Device | Link) -> str:
    return max(figure.date for figure in one.figures().values() if figure.spread is not None)


def _row(one: Device | Link) -> dict[str, Any]:
    words = {"name": one.name, "kind": one.kind, "what it is": one.title}
    if isinstance(one, Link):
        return {**words, "bandwidth": one.one_way_bytes_per_s / 1e9}
    return {
        **words,
        "peak fp32": one.peak().value / 1e12,
        "bandwidth": one.bandwidth_bytes_per_s.value / 1e9,
        "memory": _scaled(one.memory_bytes, 1e9),
        "price": _scaled(one.price_usd_per_hour, 1),
    }


def _scaled(figure: Figure | None, unit: float) -> float | None:
    return None if figure is None else figure.value / unit


def every_figure(one: Device | Link) -> Table:
    """Each known figure with the key that a file gives it, its source and its date."""
    rows = [_figure_row(key, figure) for key, figure in one.figures().items()]
    for part in one.on_threads if isinstance(one, Device) else ():
        word = f"on {part.threads} thread{'s' * (part.threads > 1)}"
        rows += [_figure_row(key, figure, word) for key, figure in part.figures().items()]
    measured = _measured(one)
    spread = [Column(name="spread", format=".1%")] if measured else []
    notes = [one.note] if one.note else []
    if measured:
        notes.append("Figures with a spread were measured here; it is the distance of the "
                     "quartiles over the median. The others are quoted.")  # fmt: skip
    return Table.of(f"{one.name}: {one.title}", rows, label="measured" if measured else "quoted",
                    columns=("figure", Column(name="value", format="g"), "in words", *spread,
                             "source", "date"),
                    notes=tuple(notes))  # fmt: skip


def _figure_row(key: str, figure: Figure, which: str = "") -> dict[str, Any]:
    return {"figure": f"{key}, {which}" if which else key, "value": figure.value,
            "in words": _words(key, figure.value), "spread": figure.spread,
            "source": figure.source, "date": figure.date}  # fmt: skip


def _words(key: str, value: float) -> str:
    unit = next(text for ending, text in _UNITS.items() if key.endswith(ending))
    if unit == "USD/h":
        return f"{value:g} {unit}"
    if unit == "s":
        return f"{value * 1e6:g} us"
    return si_text(value, unit, digits=4)
