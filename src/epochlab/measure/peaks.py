"""This machine's peaks: matrix products, memory bandwidth, the cost of calling an operator."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import torch

from epochlab.errors import BadOption
from epochlab.hardware import THIS, Device, Figure, OnThreads
from epochlab.measure.guard import cores
from epochlab.measure.stopwatch import Call, Stopwatch, check_threads, on_threads, stopwatch_for
from epochlab.measure.timing import Effort, Tell, Timing, time_call
from epochlab.train.record import machine

SIZES = (256, 512, 1024, 2048, 4096, 8192)
"""Sides of the square matrices that are multiplied, until larger ones are no faster."""

FLAT = 0.02  # a size that gains less than this share is not faster
LEAST_ARRAY_BYTES = 128 << 20


def measure_peaks(
    *, threads: Sequence[int] | None = None, device: str = "cpu", effort: Effort | None = None,
    sizes: Sequence[int] = SIZES, array_bytes: int | None = None, tell: Tell | None = None,
    watch: Stopwatch | None = None,
) -> Device:  # fmt: skip
    """Measure what this machine can do at best, as a device that predictions can name.

    Peaks are those of the fastest repetition at the fastest size (another process, a cold cache or
    a low clock only ever slow it down); their spread is the distance of the quartiles over the
    median. `threads` are the numbers of threads to measure on a CPU, by default 1, 2, 4 ... and
    all cores; the device's own figures are those of the most. `effort.limit_s` holds for each
    matrix size and array. Arrays have `array_bytes` each, by default several times the caches.

    Raises BadOption.
    """
    watch = watch or stopwatch_for(device)
    effort = effort or Effort(limit_s=1.0, least=6, sample_s=5e-3)
    counts = _counts(threads, device)
    host = platform.node() or "this machine"
    source = f"measured by epochlab measure on {host}'s {_chip(device)}"
    found, spoiled = [], []
    for number, count in enumerate(counts):
        words = f" on {count} thread{'s' * (count > 1)}" if device == "cpu" else ""
        bench = _Bench(device, effort, watch, source, _part(tell, number, len(counts), words))
        with on_threads(count if device == "cpu" else None), torch.inference_mode():
            found.append(OnThreads(threads=count, **bench.figures(sizes, array_bytes)))
        spoiled += [what + words for what in bench.spoiled]
    best = found[-1]
    return Device(
        name=THIS if device == "cpu" else "this_gpu", kind="cpu" if device == "cpu" else "gpu",
        title=_title(device, counts[-1]), note=_note(spoiled), **best.figures(),
        memory_bytes=Figure(value=_memory_bytes(device), source="the operating system",
                            date=date.today().isoformat()),
        on_threads=tuple(found) if device == "cpu" else (),
    )  # fmt: skip


def _part(tell: Tell | None, number: int, parts: int, words: str) -> Tell:
    """Tell the share of everything that is done, from within one of several equal parts."""

    def told(what: str, share: float) -> None:
        if tell is not None:
            tell(what + words, (number + share) / parts)

    return told


def thread_counts(most: int) -> list[int]:
    """1, 2, 4 ... and `most`.

    >>> thread_counts(6)
    [1, 2, 4, 6]
    """
    return sorted({2**n for n in range(most.bit_length()) if 2**n < most} | {most})


def _counts(threads: Sequence[int] | None, device: str) -> list[int]:
    if device != "cpu":
        return [1]
    counts = thread_counts(cores()) if threads is None else sorted(set(threads))
    if not counts:
        raise BadOption("There is nothing to measure: no number of threads was given.")
    for count in counts:
        check_threads(count)
    return counts


@dataclass
class _Bench:
    """Measures with what torch is set to."""

    device: str
    effort: Effort
    watch: Stopwatch
    source: str
    tell: Tell

    def __post_init__(self) -> None:
        self.spoiled: list[str] = []

    def figures(self, sizes: Sequence[int], array_bytes: int | None) -> dict[str, Any]:
        """Every figure under its key of the device."""
        steps: tuple[tuple[str, str, Callable[[], Figure]], ...] = (
            ("peak_fp32_flops_per_s", "fp32 matrix products",
             lambda: self.products(torch.float32, sizes)),
            ("peak_bf16_flops_per_s", "bf16 matrix products",
             lambda: self.products(torch.bfloat16, sizes)),
            ("bandwidth_bytes_per_s", "memory", lambda: self.bandwidth(array_bytes)),
            ("launch_s", "smallest operator", self.launch),
        )  # fmt: skip
        found: dict[str, Any] = {}
        for number, (key, words, step) in enumerate(steps):
            self.tell(words, number / len(steps))
            found[key] = step()
        return found

    def products(self, dtype: torch.dtype, sizes: Sequence[int]) -> Figure:
        """FLOP per second of square matrix products, a multiply-accumulate counted as two."""
        best_rate, best, no_gain = 0.0, None, 0
        for size in sizes:
            a, b = (torch.randn(size, size, device=self.device).to(dtype) for _ in range(2))
            out = torch.empty(size, size, dtype=dtype, device=self.device)
            timing = self.timed(lambda a=a, b=b, out=out: torch.mm(a, b, out=out))  # type: ignore[misc] # mypy cannot infer lambdas with defaults
            rate = 2 * size**3 / timing.fastest_s
            no_gain = 0 if rate > (1 + FLAT) * best_rate else no_gain + 1
            if rate > best_rate:
                best_rate, best = rate, timing
            # The next size takes eight times as long, or sixteen.
            if no_gain == 2 or 8 * timing.fastest_s > self.effort.limit_s:
                break
        return self.figure(best_rate, best, f"{str(dtype).removeprefix('torch.')} products")

    def bandwidth(self, array_bytes: int | None) -> Figure:
        """Bytes read and written per second: the better of a copy and of a = b + 3 c.

        As STREAM counts them (McCalpin, "Memory bandwidth and machine balance in current high
        performance computers", IEEE TCCA Newsletter, 1995): what the program asks for, without
        lines that a cache reads before it writes them.
        """
        size = array_bytes or _far_beyond_caches_bytes(self.device)
        a, b, c = (torch.ones(max(1, size // 4), device=self.device) for _ in range(3))
        copy = self.timed(lambda: a.copy_(b))
        triad = self.timed(lambda: torch.add(b, c, alpha=3.0, out=a))
        moved = ((2 * a.nbytes, copy), (3 * a.nbytes, triad))
        size, best = max(moved, key=lambda pair: pair[0] / pair[1].fastest_s)
        return self.figure(size / best.fastest_s, best, "memory bandwidth")

    def launch(self) -> Figure:
        """Seconds of an operator on a single number; the median."""
        x = torch.ones(1, device=self.device)
        timing = self.timed(lambda: torch.neg(x))
        return self.figure(timing.median_s, timing, "smallest operator")

    def timed(self, call: Call) -> Timing:
        return time_call(call, effort=self.effort, watch=self.watch)

    def figure(self, value: float, timing: Timing | None, what: str) -> Figure:
        assert timing is not None
        if timing.spoiled:
            self.spoiled.append(what)
        return Figure(value=value, source=self.source, date=date.today().isoformat(),
                      spread=timing.spread)  # fmt: skip


def _chip(device: str) -> str:
    return str(machine()["processor"]) if device == "cpu" else torch.cuda.get_device_name()


def _title(device: str, threads: int) -> str:
    return _chip(device) + (f", {threads} core{'s' * (threads > 1)}" if device == "cpu" else "")


def _note(spoiled: Sequence[str]) -> str:
    if not spoiled:
        return ""
    return f"Spoiled by other processes, measure again: {', '.join(dict.fromkeys(spoiled))}."


def _memory_bytes(device: str) -> int:
    if device != "cpu":
        return int(torch.cuda.get_device_properties(device).total_memory)
    return int(machine()["memory_bytes"]) or 1


def _far_beyond_caches_bytes(device: str) -> int:
    """Bytes of an array that no cache holds: four times the largest, at least 128 MB."""
    if device != "cpu":
        return 512 << 20
    largest = max(_cache_sizes_bytes(), default=0)
    return min(max(LEAST_ARRAY_BYTES, 4 * largest), max(1 << 20, _memory_bytes(device) // 12))


def _cache_sizes_bytes() -> Iterator[int]:
    """Sizes of the first core's caches, where Linux tells them."""
    units = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
    for path in Path("/sys/devices/system/cpu/cpu0/cache").glob("index*/size"):
        try:
            text = path.read_text(encoding="ascii").strip()
            yield int(text[:-1]) * units[text[-1]] if text[-1] in units else int(text)
        except (OSError, ValueError, IndexError):
            continue
