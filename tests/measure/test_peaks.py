"""Peaks of this machine: what is divided by what, how long it goes on, and the device as a file."""

from __future__ import annotations

import datetime
import itertools
from pathlib import Path

import pytest
import torch

from epochlab import hardware
from epochlab.errors import BadOption, StoreError
from epochlab.hardware import Device, Figure, OnThreads, load_device
from epochlab.measure import Effort, device_here, measure_peaks, save_device
from epochlab.measure.files import device_text
from epochlab.measure.guard import cores
from epochlab.measure.peaks import SIZES, thread_counts
from epochlab.measure.stopwatch import Call
from epochlab.train.record import machine

from .fakes import FixedWatch

QUICK = Effort(limit_s=0.2, least=6)


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "hardware"
    folder.mkdir()
    monkeypatch.setenv("EPOCHLAB_HARDWARE", str(folder))
    return folder


def fixed(seconds: float, sizes: tuple[int, ...], **settings: object) -> tuple[Device, FixedWatch]:
    watch = FixedWatch(seconds)
    device = measure_peaks(threads=[1], sizes=sizes, array_bytes=4000, watch=watch,
                           effort=Effort(limit_s=1e3, least=6), **settings)  # type: ignore[arg-type] # fmt: skip
    return device, watch


def test_figures_are_work_over_time() -> None:
    device, _ = fixed(0.5, (8, 16))
    assert device.peak().value == 2 * 16**3 / 0.5
    assert device.peak("bf16").value == 2 * 16**3 / 0.5
    assert device.bandwidth_bytes_per_s.value == 3 * 4000 / 0.5  # the triad moves most
    assert device.launch_s is not None
    assert device.launch_s.value == 0.5
    assert {figure.spread for figure in device.on_threads[0].figures().values()} == {0.0}
    assert device.on_threads[0].threads == 1
    assert device.note == ""


def test_sizes_are_tried_until_two_are_no_faster() -> None:
    class Watch(FixedWatch):
        """Products at a constant rate from the side 16 on, slower before."""

        def seconds(self, call: Call, times: int) -> float:
            size = call.__defaults__[0].shape[0] if getattr(call, "__defaults__", None) else 1  # type: ignore[attr-defined]
            sizes.append(size)
            self.seconds_each = size**3 * (1e-3 if size >= 16 else 2e-3)
            return super().seconds(call, times)

    sizes: list[int] = []
    device = measure_peaks(threads=[1], sizes=(4, 8, 16, 32, 64, 128), array_bytes=4000,
                           watch=Watch(), effort=Effort(limit_s=1e9, least=6))  # fmt: skip
    tried = [size for size, _ in itertools.groupby(sizes) if size > 1]
    assert tried == [4, 8, 16, 32, 64] * 2
    assert device.peak().value == pytest.approx(2000)


def test_a_size_that_would_take_too_long_is_not_tried() -> None:
    device, _ = fixed(200.0, (8, 16))
    assert device.peak().value == 2 * 8**3 / 200.0


def test_this_machine() -> None:
    told: list[float] = []
    device = measure_peaks(sizes=(64, 128), array_bytes=1 << 20, effort=QUICK,
                           tell=lambda what, share: told.append(share))  # fmt: skip
    assert device.name == "this"
    assert device.kind == "cpu"
    assert str(machine()["processor"]) in device.title
    assert f"{cores()} core" in device.title
    assert [one.threads for one in device.on_threads] == thread_counts(cores())
    today = datetime.date.today().isoformat()
    for key, figure in device.figures().items():
        assert figure.date == today
        if key != "memory_bytes":
            assert figure.source.startswith("measured by epochlab measure on ")
            assert figure.source.endswith(str(machine()["processor"]))
            assert figure.spread is not None
    assert told == sorted(told)
    assert 0 <= told[0] <= told[-1] < 1
    assert torch.get_num_threads() >= 1


def test_a_device_is_saved_and_loaded_as_it_was(own_folder: Path) -> None:
    device = measure_peaks(threads=[1], sizes=(64,), array_bytes=1 << 20, effort=QUICK)
    path = save_device(device)
    assert path == own_folder / "this.toml"
    assert hardware.is_known("this")
    assert load_device("this") == device
    assert device_here() == device
    one = device_here(1)
    assert one is not None
    assert one.peak() == device.on_threads[0].peak_fp32_flops_per_s
    assert device_here(999) is None
    assert [p.name for p in own_folder.iterdir()] == ["this.toml"]


def test_awkward_words_survive(own_folder: Path) -> None:
    figure = Figure(value=1.5e9, source='a "chip" \\ of\tCafé 🐢', date="2026-11-21", spread=0.25)
    device = Device(
        name="this", kind="cpu", title="new\nline \x7f", note="'quoted'", memory_bytes=figure,
        peak_fp32_flops_per_s=figure, bandwidth_bytes_per_s=figure,
        on_threads=(OnThreads(threads=1, peak_fp32_flops_per_s=figure,
                              bandwidth_bytes_per_s=figure),),
    )  # fmt: skip
    save_device(device, own_folder)
    assert load_device("this") == device
    assert "[on_threads.1]" in device_text(device)


def test_another_machines_device_is_not_this_one() -> None:
    figure = Figure(value=1e9, source="somebody", date="2026-11-21")
    save_device(Device(name="this", kind="cpu", title="Another chip, 3 cores",
                       peak_fp32_flops_per_s=figure, bandwidth_bytes_per_s=figure))  # fmt: skip
    assert hardware.is_known("this")
    assert device_here() is None


def test_nothing_is_measured_yet() -> None:
    assert device_here() is None


def test_contention_is_noted_in_the_device() -> None:
    class Crowded(FixedWatch):
        def seconds(self, call: Call, times: int) -> float:
            self.clock.wait(5.0)
            return super().seconds(call, times)

    device = measure_peaks(threads=[1], sizes=(8,), array_bytes=4000, watch=Crowded(1.0),
                           effort=Effort(limit_s=10, least=6))  # fmt: skip
    assert device.note.startswith(
        "Spoiled by other processes, measure again: float32 products on 1"
    )


@pytest.mark.parametrize(("most", "counts"), [(1, [1]), (2, [1, 2]), (6, [1, 2, 4, 6]),
                                              (16, [1, 2, 4, 8, 16])])  # fmt: skip
def test_numbers_of_threads(most: int, counts: list[int]) -> None:
    assert thread_counts(most) == counts


def test_mistakes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for threads in ([0], [cores() + 1], [1, -1]):
        with pytest.raises(BadOption, match="from 1 to"):
            measure_peaks(threads=threads)
    with pytest.raises(BadOption, match="nothing to measure"):
        measure_peaks(threads=[])
    assert tuple(sorted(SIZES)) == SIZES
    device, _ = fixed(1.0, (8,))
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"this\.toml cannot be written"):
        save_device(device, tmp_path / "file" / "folder")
    monkeypatch.setattr("epochlab.measure.files.own_folder", lambda: None)
    with pytest.raises(BadOption, match="EPOCHLAB_HARDWARE"):
        save_device(device)
