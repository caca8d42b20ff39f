"""Other work on the cores is noticed, marked and repeated; a quiet machine is not accused."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from epochlab.measure import Effort, time_call
from epochlab.measure.guard import OtherLoad, Reading, SystemClock, cores, disturbance
from epochlab.measure.stopwatch import CpuStopwatch
from epochlab.train.clocks import SPOILED_WAIT_SHARE, run_queue_wait_s

from .fakes import FakeClock


def reading(wall: float, cpu: float, queue: float | None) -> Reading:
    return Reading(wall_s=wall, cpu_s=cpu, queue_s=queue)


def test_shares_of_a_stretch_of_time() -> None:
    found = disturbance(reading(10, 3, 1.0), reading(12, 4.5, 1.5))
    assert (found.cpu_share, found.wait_share, found.spoiled) == (0.75, 0.25, True)


@pytest.mark.parametrize(("waited", "spoiled"), [(0.0, False), (0.19, False), (0.21, True)])
def test_spoiled_from_the_share_on_that_training_uses(waited: float, spoiled: bool) -> None:
    assert SPOILED_WAIT_SHARE == 0.10
    found = disturbance(reading(0, 0, 0), reading(2, 2 - waited, waited))
    assert found.spoiled is spoiled


def test_a_device_that_is_waited_for_is_no_contention() -> None:
    """On a GPU the process sleeps; a kernel that tells of waiting does not hold it against it."""
    assert not disturbance(reading(0, 0, 0), reading(2, 0.1, 0)).spoiled


def test_without_the_kernel_what_lacks_of_a_core_stands_for_waiting() -> None:
    found = disturbance(reading(0, 0, None), reading(2, 1.5, None))
    assert (found.wait_share, found.spoiled) == (0.25, True)
    assert not disturbance(reading(0, 0, None), reading(2, 3.9, None)).spoiled


def test_the_load_of_others_is_the_machines_without_our_own() -> None:
    clock = FakeClock(others=1.5)
    load = OtherLoad(clock)
    assert load.look() is None
    clock.work(0.1)
    assert load.look() is None  # too soon to mean anything
    clock.work(0.4)
    assert load.look() == pytest.approx(1.5)
    clock.others = 0.0
    clock.work(1.0)
    assert load.look() == pytest.approx(0.0, abs=1e-9)


def test_where_the_system_says_nothing_the_load_average_serves(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("os.getloadavg", lambda: (3.25, 0.0, 0.0))
    load = OtherLoad(FakeClock(busy_s=None))
    assert load.look() == 2.25
    monkeypatch.setattr("os.getloadavg", lambda: (0.5, 0.0, 0.0))
    assert load.look() == 0.0
    monkeypatch.delattr("os.getloadavg")
    assert load.look() is None


def test_a_quiet_clock_is_not_marked() -> None:
    clock = FakeClock()
    timing = time_call(lambda: clock.work(0.01), watch=CpuStopwatch(clock))
    assert not timing.spoiled
    assert timing.disturbed == 0
    assert timing.state == "ok"
    assert timing.median_s == pytest.approx(0.01)
    assert {round(s.cpu_share, 9) for s in timing.samples} == {1.0}
    assert {s.wait_share for s in timing.samples} == {0.0}


def test_this_machines_clocks() -> None:
    clock = SystemClock()
    before = clock.read()
    torch.ones(200, 200) @ torch.ones(200, 200)
    after = clock.read()
    assert after.wall_s > before.wall_s
    assert after.cpu_s > before.cpu_s
    assert (before.queue_s is None) == (run_queue_wait_s() is None)
    busy = clock.machine_busy_s()
    assert (busy is not None and busy > 0) == Path("/proc/stat").exists()


# --- real contention ------------------------------------------------------------------------------


# A test that died leaves no process behind for long.
SPIN = """
import time
until = time.monotonic() + 120
print("running", flush=True)
while time.monotonic() < until:
    sum(range(20_000))
"""


@pytest.fixture
def crowd() -> Iterator[None]:
    """Three busy processes for each core that this one may use."""
    crowd = [subprocess.Popen([sys.executable, "-S", "-c", SPIN], stdout=subprocess.PIPE)
             for _ in range(3 * cores())]  # fmt: skip
    try:
        for process in crowd:
            assert process.stdout is not None
            assert process.stdout.readline() == b"running\n"
        yield
    finally:
        for process in crowd:
            process.kill()
            process.communicate()


@pytest.mark.usefixtures("crowd")
def test_busy_processes_are_noticed_marked_and_repeated() -> None:
    x = torch.randn(256, 256)
    # Samples of a fifth of a second are longer than any turn that the kernel gives a process.
    effort = Effort(sample_s=0.2, limit_s=1.5, least=5)
    timing = time_call(lambda: x @ x, effort=effort)
    assert timing.spoiled
    assert timing.state == "spoiled"
    assert timing.disturbed >= 3
    spoiled = [sample for sample in timing.samples if sample.spoiled]
    assert all(sample.wait_share > SPOILED_WAIT_SHARE for sample in spoiled)
    assert all(sample.cpu_share < 1 for sample in spoiled)
    if Path("/proc/stat").exists():
        assert timing.others_cores is not None and timing.others_cores > 0.25
