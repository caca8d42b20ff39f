"""Reads from PyTorch's profiler how many bytes the CPU's allocator had handed out, and when."""

from __future__ import annotations

from typing import Any


def allocations(seen: Any, step: str) -> tuple[list[tuple[int, int]], tuple[int, int]]:
    """(time in ns, bytes handed out in all) of each allocation and release; times of the step.

    `seen` is a finished profile with memory; `step` the name of a recorded function within it.
    """
    totals: list[tuple[int, int]] = []
    span = (0, 0)
    waiting = list(seen.profiler.kineto_results.experimental_event_tree())
    while waiting:
        event = waiting.pop()
        waiting += event.children
        if event.name == step:
            span = (event.start_time_ns, event.end_time_ns)
        total = getattr(event.extra_fields, "total_allocated", None)
        if total is not None:
            totals.append((event.start_time_ns, total))
    return sorted(totals), span
