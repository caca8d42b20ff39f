"""Speeds of ResNet-50 on 1 to 12 workers and 1 to 12 servers, as they were published."""

from __future__ import annotations

from epochlab.predict.optimus_fit import Measurement

SOURCE = (
    "Y. Peng, github.com/pengyanghua/DL2, config_speed.txt: ResNet-50, synchronous, batch 32; sums "
    "over the workers, rounded to a tenth"
)
BATCH = 32

# Samples per second of all workers: 1 to 12 servers down, 1 to 12 workers across.
SAMPLES_PER_SECOND = """
15.8 15.4 13.9 12.3 10.9 10.2  9.0  8.9  7.3  7.6  6.8  6.7
28.7 27.3 23.8 20.6 19.0 16.8 15.3 12.8 12.6 12.2 11.1 11.4
46.7 43.3 35.1 34.0 28.8 30.2 25.5 18.4 21.1 20.9 20.1 19.8
47.2 41.7 38.2 32.4 31.5 28.7 24.1 20.3 22.9 20.5 19.7 18.1
47.3 48.6 46.6 42.8 38.6 31.5 32.3 33.5 31.3 28.7 28.2 25.5
43.1 40.5 39.6 32.5 31.9 32.0 29.3 22.2 25.3 21.7 18.7 19.3
49.3 45.3 37.1 36.7 30.7 33.4 29.4 28.9 24.7 22.8 21.4 23.0
53.4 44.1 42.9 35.7 38.9 36.1 34.7 31.1 27.7 26.0 28.6 25.5
53.1 51.7 46.2 48.1 44.6 39.2 36.0 35.1 31.5 33.9 28.3 29.5
59.0 52.7 55.3 52.9 47.8 45.1 42.8 39.5 40.0 36.7 34.4 32.1
50.2 55.0 54.3 52.8 47.6 45.9 39.6 42.7 39.6 37.6 35.2 33.0
49.0 58.5 55.2 53.3 48.1 46.0 45.4 42.2 39.3 36.4 33.6 33.0
"""


def published_speeds() -> tuple[Measurement, ...]:
    """Workers, servers, steps per second of all 144 combinations."""
    lines = SAMPLES_PER_SECOND.strip().splitlines()
    return tuple(
        (w, p, float(text) / BATCH)
        for p, line in enumerate(lines, start=1)
        for w, text in enumerate(line.split(), start=1)
    )
