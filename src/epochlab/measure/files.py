"""The measured device and its operator timings as files in the user's folder of hardware."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, fields
from datetime import date
from pathlib import Path
from typing import Any

from epochlab.cost.step_operators import as_record, from_record
from epochlab.errors import BadData, BadOption, StoreError
from epochlab.hardware import THIS, VARIABLE, Device, Figure, load_device, names, own_folder
from epochlab.measure.calibration import Calibration, NetworkTiming
from epochlab.measure.operators import OperatorTiming
from epochlab.train.record import machine, versions

CALIBRATION = "this_operators.json"
FORM = 2
"""Version of the calibration file's form."""


def device_text(device: Device) -> str:
    """The device as TOML, as `epochlab.hardware` reads it."""
    lines = [f"kind = {_quoted(device.kind)}", f"title = {_quoted(device.title)}"]
    if device.note:
        lines.append(f"note = {_quoted(device.note)}")
    shared = _shared(device.figures())
    lines += [f"source = {_quoted(shared[0])}", f"date = {_quoted(shared[1])}", ""]
    lines += _figure_lines(device.figures(), shared)
    for part in device.on_threads:
        lines += ["", f"[on_threads.{part.threads}]", *_figure_lines(part.figures(), shared)]
    return "\n".join(lines) + "\n"


def save_device(device: Device, folder: Path | None = None) -> Path:
    """Write the device's file and return its path. Raises BadOption, StoreError."""
    return _write((folder or _own_folder()) / f"{device.name}.toml", device_text(device))


def device_here(threads: int | None = None) -> Device | None:
    """The measured machine, with the figures of so many threads; None where not measured.

    A device that was measured on another processor is not this machine.
    """
    if THIS not in names():
        return None
    device = load_device(THIS)
    if str(machine()["processor"]) not in device.title:
        return None
    if threads is None:
        return device
    try:
        return device.with_threads(threads)
    except BadOption:
        return None


def calibration_path() -> Path:
    """Where this machine's operator timings lie. Raises BadOption for a user without a home."""
    return _own_folder() / CALIBRATION


def save_calibration(calibration: Calibration, path: Path | None = None) -> Path:
    """Write a calibration; those for other numbers of threads in the file stay.

    Raises BadOption, StoreError.
    """
    path = path or calibration_path()
    before = _content(path)["calibrations"] if path.exists() else {}
    content = {
        "form": FORM, "date": date.today().isoformat(), "machine": machine(),
        "versions": versions(),
        "calibrations": {**before, str(calibration.threads): {
            "operators": [_record(one) for one in calibration.operators],
            "networks": [asdict(one) for one in calibration.networks],
        }},
    }  # fmt: skip
    return _write(path, json.dumps(content, separators=(",", ":"), allow_nan=False) + "\n")


def load_calibration(threads: int, path: Path | None = None) -> Calibration:
    """The calibration for so many threads, by default this machine's.

    Raises BadData for a file that is missing, not understood, or without that number of threads.
    """
    path = path or calibration_path()
    known = _content(path)["calibrations"]
    if str(threads) not in known:
        plural = "" if list(known) == ["1"] else "s"
        raise BadData(
            f"This machine is calibrated for {', '.join(known)} thread{plural}, not for {threads}. "
            f"'epochlab measure --calibrate --threads {threads}' does that."
        )
    try:
        rows = known[str(threads)]
        return Calibration(
            threads=threads, operators=tuple(_timing(row) for row in rows["operators"]),
            networks=tuple(NetworkTiming(**row) for row in rows["networks"]),
        )  # fmt: skip
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise BadData(f"{path}: a row lacks something or has too much ({error}). "
                      "'epochlab measure --calibrate' writes it anew.") from error  # fmt: skip


def _content(path: Path) -> Any:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise BadData(f"{path} does not exist: the operators of this machine have not been timed. "
                      "'epochlab measure --calibrate' does that.") from error  # fmt: skip
    except (OSError, ValueError) as error:
        raise BadData(f"{path} cannot be read as a calibration: {error}. "
                      "'epochlab measure --calibrate' writes it anew.") from error  # fmt: skip
    if (
        not isinstance(content, dict)
        or content.get("form") != FORM
        or not isinstance(content.get("calibrations"), dict)
    ):
        raise BadData(f"{path} is not a calibration of form {FORM}. "
                      "'epochlab measure --calibrate' writes it anew.")  # fmt: skip
    return content


# --- writing --------------------------------------------------------------------------------------


def _own_folder() -> Path:
    folder = own_folder()
    if folder is None:
        raise BadOption(f"There is no home folder to save this machine's figures in. Set "
                        f"{VARIABLE} to a folder for them.")  # fmt: skip
    return folder


def _write(path: Path, text: str) -> Path:
    """All or nothing: to a temporary name first."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error.strerror}. Set {VARIABLE} to a folder "
                         "that can.") from error  # fmt: skip
    return path


def _shared(figures: Mapping[str, Figure]) -> tuple[str, str]:
    """Source and date of the first figure, which most others share."""
    first = next(iter(figures.values()))
    return first.source, first.date


def _figure_lines(figures: Mapping[str, Figure], shared: tuple[str, str]) -> list[str]:
    lines = []
    for key, figure in figures.items():
        parts = [f"value = {figure.value!r}"]
        if figure.spread is not None:
            parts.append(f"spread = {figure.spread!r}")
        if (figure.source, figure.date) != shared:
            parts += [f"source = {_quoted(figure.source)}", f"date = {_quoted(figure.date)}"]
        lines.append(f"{key} = {{ {', '.join(parts)} }}")
    return lines


def _quoted(text: str) -> str:
    # What JSON escapes, TOML's basic strings escape in the same way; DEL only TOML does.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _record(timing: OperatorTiming) -> dict[str, Any]:
    own = {f.name: getattr(timing, f.name) for f in fields(timing) if f.name != "operator"}
    return {"operator": as_record(timing.operator), **own}


def _timing(row: Mapping[str, Any]) -> OperatorTiming:
    rest = {key: value for key, value in row.items() if key != "operator"}
    return OperatorTiming(operator=from_record(row["operator"]), **rest)
