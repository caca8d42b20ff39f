"""Predicted against measured times of networks and batches that the calibration never saw.

python benchmarks/prediction.py [--only lenet5,...] [--limit-s S] [--calibration FILE] [--json FILE]

This machine is measured ('epochlab measure', 'epochlab measure --calibrate') where its figures are
not there yet. Then every network is timed as a whole: forward pass, forward and backward pass of
training, and training step with plain SGD; one thread. Beside our calibrated model stand, with
PALEO's formulas (Qi, Sparks, Talwalkar, ICLR 2017), PALEO at this machine's peak, and PALEO with a
percent of peak that is fitted to the same sample networks as our model's; and the plain roofline.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from epochlab import hardware
from epochlab.cost.loading import find_network
from epochlab.hardware import Device
from epochlab.measure import (
    Calibration,
    Effort,
    calibrate,
    calibration_path,
    load_calibration,
    measure_peaks,
    sample_networks,
    save_calibration,
    save_device,
    time_forward,
    time_training,
)
from epochlab.predict.calibrated import COVERAGE, MachineModel, fit_machine
from epochlab.predict.paleo.timing import PercentOfPeak
from epochlab.predict.step_time import step_time
from epochlab.table import Column, Table
from measuring import save

BATCHES: dict[str, tuple[int, ...]] = {
    "lenet5": (1, 16, 64, 256), "mlp": (1, 16, 256), "resnet20": (1, 32, 256),
    "squeezenet": (1, 16), "mobilenet_v1": (1, 16), "mobilenet_v2": (1, 16), "alexnet": (1, 32),
    "googlenet": (1, 8, 32), "resnet50": (1, 4, 16), "vgg16": (1, 4),
}  # fmt: skip
THREADS = 1
QUANTITIES = ("forward", "forward + backward", "step")
MODELS = ("calibrated", "paleo", "paleo, fitted", "roofline")
WANTED = 0.10

Predictor = Callable[[str, int], dict[str, float]]


@dataclass(frozen=True)
class Point:
    """One network with one batch size; seconds per quantity."""

    network: str
    batch: int
    measured: dict[str, float]
    spread: float
    spoiled: bool
    predicted: dict[str, dict[str, float]]
    "model -> quantity -> seconds"
    interval_s: tuple[float, float]

    def error(self, model: str, quantity: str) -> float:
        return self.predicted[model][quantity] / self.measured[quantity] - 1


def points(names: list[str], model: MachineModel, predictors: dict[str, Predictor],
           effort: Effort) -> Iterator[Point]:  # fmt: skip
    """Time and predict one network after the other."""
    for name in names:
        found = find_network(name)
        shape = found.natural_input
        assert shape is not None
        for batch in BATCHES[name]:
            alone = model.step(found.build(), shape, batch=batch, loop="forward")
            step = model.step(found.build(), shape, batch=batch)
            predicted = {"calibrated": {
                "forward": alone.step_s, "forward + backward": step.forward_s + step.backward_s,
                "step": step.step_s,
            }}  # fmt: skip
            predicted |= {key: predict(name, batch) for key, predict in predictors.items()}
            module = found.build(real=True)
            x = torch.randn(batch, *shape)
            forward = time_forward(module, x, threads=THREADS, effort=effort)
            training = time_training(module, x, threads=THREADS, effort=effort)
            yield Point(
                name, batch, {
                    "forward": forward.median_s, "step": training.step.median_s,
                    "forward + backward": training.forward_backward.median_s,
                }, training.step.spread, forward.spoiled or training.step.spoiled, predicted,
                (step.low_s, step.high_s),
            )  # fmt: skip


def paleo_at(device: Device, percent: PercentOfPeak | str, model: str) -> Predictor:
    """PALEO, or the roofline, at this machine's peak times a percent of peak."""

    def predict(name: str, batch: int) -> dict[str, float]:
        found = find_network(name)
        made = step_time(found.build(), found.natural_input, device, batch=batch, model=model,
                         percent_of_peak=percent)  # fmt: skip
        return {"forward": made.forward_s, "forward + backward": made.forward_s + made.backward_s,
                "step": made.step_s}  # fmt: skip

    return predict


def fitted_percent(calibration: Calibration, device: Device) -> PercentOfPeak:
    """PALEO's recipe: time at the peak over measured time, averaged over the sample networks."""
    known = {one.name: one for one in sample_networks()}
    shares = []
    for timed in calibration.networks:
        one = known[timed.network]
        ideal = step_time(one.build(real=False), one.input_shape, device, batch=timed.batch,
                          model="paleo", percent_of_peak="ideal")  # fmt: skip
        shares.append(min(1.0, ideal.step_s / timed.step_s))
    return PercentOfPeak(compute=statistics.fmean(shares), communication=1.0)


def point_table(found: list[Point]) -> Table:
    rows: list[dict[str, Any]] = []
    for point in found:
        for quantity in QUANTITIES:
            rows.append({
                "network": point.network, "batch": point.batch, "what": quantity,
                "measured": point.measured[quantity] * 1e3,
                "predicted": point.predicted["calibrated"][quantity] * 1e3,
                **{model: point.error(model, quantity) for model in MODELS},
                "spoiled": "yes" if point.spoiled else "",
            })  # fmt: skip
    return Table.of(
        "Predicted and measured times", rows, name="prediction-points",
        columns=("network", "batch", "what", Column(name="measured", unit="ms", format=".4g"),
                 Column(name="predicted", unit="ms", format=".4g"),
                 *(Column(name=model, format="+.1%") for model in MODELS), "spoiled"),
        notes=("Columns of models: predicted over measured, less one.",),
    )  # fmt: skip


def summary_table(found: list[Point]) -> Table:
    rows = []
    for model in MODELS:
        row: dict[str, Any] = {"model": model}
        for quantity in (*QUANTITIES, "all"):
            chosen = QUANTITIES if quantity == "all" else (quantity,)
            errors = [abs(point.error(model, one)) for point in found for one in chosen]
            row[quantity] = statistics.median(errors)
            if quantity == "all":
                row["worst"] = max(errors)
        rows.append(row)
    inside = [low <= point.measured["step"] <= high for point in found
              for low, high in (point.interval_s,)]  # fmt: skip
    return Table.of(
        "Median absolute error of predicted times", rows, name="prediction",
        columns=("model", *(Column(name=one, format=".1%")
                            for one in (*QUANTITIES, "all", "worst"))),
        notes=(f"{len(found)} networks and batches, {THREADS} thread. Wanted of ours: at most "
               f"{WANTED:.0%}.",
               f"The step lay within the interval for {COVERAGE:.0%} in {sum(inside)} of "
               f"{len(inside)}."),
    )  # fmt: skip


def this_device() -> Device:
    if hardware.THIS not in hardware.names():
        save_device(measure_peaks())
    return hardware.load_device(hardware.THIS).with_threads(THREADS)


def this_calibration(path: Path) -> Calibration:
    if not path.exists():
        save_calibration(calibrate(threads=THREADS), path)
    return load_calibration(THREADS, path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", help="networks, separated by commas")
    parser.add_argument("--limit-s", type=float, default=2.0, help="seconds per timed quantity")
    parser.add_argument("--calibration", type=Path, help="a file, by default this machine's")
    parser.add_argument("--json", type=Path, help="also write all numbers to this file")
    given = parser.parse_args()
    device = this_device()
    calibration = this_calibration(given.calibration or calibration_path())
    percent = fitted_percent(calibration, device)
    predictors = {
        "paleo": paleo_at(device, "ideal", "paleo"),
        "paleo, fitted": paleo_at(device, percent, "paleo"),
        "roofline": paleo_at(device, "ideal", "roofline"),
    }
    effort = Effort(narrow=0.02, limit_s=given.limit_s, least=5, warmup=2)
    names = given.only.split(",") if given.only else list(BATCHES)
    found = []
    for point in points(names, fit_machine(calibration), predictors, effort):
        found.append(point)
        print(f"\r{len(found):4d}  {point.network}, batch {point.batch}".ljust(60), end="",
              file=sys.stderr)  # fmt: skip
    print(file=sys.stderr)
    print(point_table(found).text())
    print()
    print(summary_table(found).text())
    print(f"PALEO's percent of peak, fitted: {percent.compute:.2f}")
    if given.json:
        save(given.json, [point_table(found), summary_table(found)], [asdict(one) for one in found])


if __name__ == "__main__":
    main()
