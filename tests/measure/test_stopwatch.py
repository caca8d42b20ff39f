"""Which clock times a device, and how many threads torch may have."""

from __future__ import annotations

import pytest
import torch

from epochlab.errors import BadOption
from epochlab.measure.guard import cores
from epochlab.measure.stopwatch import CpuStopwatch, CudaStopwatch, on_threads, stopwatch_for
from epochlab.measure.timing import Effort, time_call

from .fakes import FakeClock, FakeCuda


def test_cuda_is_timed_between_two_events() -> None:
    cuda, clock = FakeCuda(), FakeClock()
    watch = CudaStopwatch(clock, cuda)
    assert watch.seconds(lambda: cuda.launch(0.25), 4) == 1.0
    assert cuda.log == ["synchronize", "record", *["launch"] * 4, "record", "synchronize"]
    assert clock.wall_s == 100.0  # the device's time, not the caller's


def test_a_timing_on_cuda() -> None:
    cuda = FakeCuda()
    timing = time_call(lambda: cuda.launch(0.5), watch=CudaStopwatch(FakeClock(), cuda),
                       effort=Effort(least=7, limit_s=1))  # fmt: skip
    assert timing.median_s == 0.5
    assert not timing.spoiled


def test_waiting_for_the_device() -> None:
    cuda = FakeCuda()
    CudaStopwatch(FakeClock(), cuda).synchronize()
    assert cuda.log == ["synchronize"]
    CpuStopwatch().synchronize()


def test_the_device_chooses() -> None:
    assert isinstance(stopwatch_for("cpu"), CpuStopwatch)
    with pytest.raises(BadOption, match="allowed: cpu, cuda"):
        stopwatch_for("meta")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_no_cuda_device() -> None:
    with pytest.raises(BadOption, match="sees no CUDA device"):
        stopwatch_for("cuda")


def test_threads_are_set_for_a_while() -> None:
    before = torch.get_num_threads()
    with on_threads(1) as used:
        assert used == torch.get_num_threads() == 1
    assert torch.get_num_threads() == before
    with on_threads(None) as used:
        assert used == before


@pytest.mark.parametrize("threads", [0, -1, 10**6, True, 1.0])
def test_threads_that_cannot_be(threads: int) -> None:
    with pytest.raises(BadOption, match=rf"from 1 to {cores()}"), on_threads(threads):
        pass
