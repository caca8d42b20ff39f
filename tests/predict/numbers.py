"""Numbers that several tests of predictions share."""

from __future__ import annotations

# Seconds per step with 1 to 16 workers, by batch and servers, from the coefficients for ResNet-50;
# worked out apart from this program.
STEP_SECONDS = {
    (128, 2): "135.84 73.02 53.72 45.30 41.23 39.34 38.69 38.82 39.47 40.48 41.75 43.22 44.84 "
              "46.59 48.42 50.34",
    (128, 4): "134.65 70.60 50.07 40.42 35.12 32.00 30.12 29.02 28.44 28.22 28.26 28.50 28.89 "
              "29.41 30.01 30.70",
    (40, 2): "46.08 28.14 23.80 22.86 23.28 24.38 25.87 27.60 29.49 31.50 33.59 35.74 37.94 40.17 "
             "42.44 44.73",
    (40, 4): "44.89 25.72 20.15 17.98 17.17 17.04 17.30 17.80 18.46 19.24 20.10 21.02 21.99 22.99 "
             "24.03 25.09",
}  # fmt: skip

THIS_TOML = """
kind = "cpu"
title = "a machine that a test made up"
source = "a test"
date = "2026-11-21"
peak_fp32_flops_per_s = 1e11
bandwidth_bytes_per_s = 1e10
memory_bytes = 8e9
"""
