"""A measured device: spread, bf16, figures per number of threads, and where its file lies."""

from __future__ import annotations

from pathlib import Path

import pytest

from epochlab.cli import main
from epochlab.errors import BadData, BadOption, UnknownName
from epochlab.hardware import (
    Device,
    Figure,
    OnThreads,
    load,
    load_device,
    names,
    own_folder,
)

CHIP = """
kind = "cpu"
title = "a chip"
source = "measured by us"
date = "2026-11-21"
peak_fp32_flops_per_s = { value = 200e9, spread = 0.02 }
peak_bf16_flops_per_s = { value = 400e9, spread = 0.03 }
bandwidth_bytes_per_s = { value = 40e9, spread = 0.1 }
memory_bytes = { value = 16e9, source = "the operating system" }
launch_s = 2e-6

[on_threads.2]
peak_fp32_flops_per_s = 200e9
bandwidth_bytes_per_s = 40e9

[on_threads.1]
peak_fp32_flops_per_s = { value = 100e9, spread = 0.01 }
bandwidth_bytes_per_s = 30e9
launch_s = 1e-6
"""


@pytest.fixture(autouse=True)
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "own"
    folder.mkdir()
    monkeypatch.setenv("EPOCHLAB_HARDWARE", str(folder))
    (folder / "this.toml").write_text(CHIP)
    return folder


def test_figures_have_a_spread() -> None:
    this = load_device("this")
    assert this.peak() == Figure(value=200e9, source="measured by us", date="2026-11-21",
                                 spread=0.02)  # fmt: skip
    assert this.peak("bf16").value == 400e9
    assert this.launch_s is not None
    assert this.launch_s.spread is None


def test_figures_of_fewer_threads() -> None:
    this = load_device("this")
    assert [one.threads for one in this.on_threads] == [1, 2]
    one = this.with_threads(1)
    assert one.peak().value == 100e9
    assert one.peak().source == "measured by us"
    assert one.bandwidth_bytes_per_s.value == 30e9
    assert one.launch_s is not None
    assert one.launch_s.value == 1e-6
    assert one.memory_bytes == this.memory_bytes
    assert this.with_threads(2).launch_s == this.launch_s  # not measured on two
    with pytest.raises(BadOption, match=r"no figures for 3 threads\. Known: 1, 2\."):
        this.with_threads(3)
    with pytest.raises(BadOption, match="Known: none"):
        load_device("k80").with_threads(1)


def test_a_file_based_on_it_keeps_them(own: Path) -> None:
    (own / "dear.toml").write_text('based_on = "this"\nprice_usd_per_hour = 0.1\n'
                                   'source = "us"\ndate = "2026"')  # fmt: skip
    assert load_device("dear").on_threads == load_device("this").on_threads


def test_show_and_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "this", "--markdown"]) == 0
    text = capsys.readouterr().out
    assert "[measured]" in text
    assert "| peak_fp32_flops_per_s, on 1 thread | 1e+11 | 100 GFLOP/s | 1.0% |" in text
    assert "| launch_s | 2e-06 | 2 us | - |" in text
    assert main(["list", "hardware"]) == 0
    text = capsys.readouterr().out
    assert "'this' was measured, on 2026-11-21." in text
    assert main(["show", "k80"]) == 0
    text = capsys.readouterr().out
    assert "[quoted]" in text
    assert "spread" not in text


@pytest.mark.parametrize(("old", "new", "said"), [
    ("spread = 0.02", "spread = -0.02", "spread is -0.02; it must be finite and at least 0"),
    ("spread = 0.02", 'spread = "little"', "spread is 'little'; it must be a number"),
    ("[on_threads.1]", "[on_threads.one]", "'on_threads.one' is not a table named by a whole"),
    ("[on_threads.1]", "[on_threads.0]", "threads is 0"),
    ("bandwidth_bytes_per_s = 30e9", "", "on_threads.1] needs peak_fp32"),
    ("bandwidth_bytes_per_s = 30e9", "bandwidth_bytes_per_s = 0", "on 1 threads is 0"),
    ('kind = "cpu"', 'kind = "cpu"\non_threads = 2', "Cannot overwrite"),
])  # fmt: skip
def test_mistakes(own: Path, old: str, new: str, said: str) -> None:
    assert old in CHIP
    (own / "this.toml").write_text(CHIP.replace(old, new))
    with pytest.raises(BadData, match=r"this\.toml") as caught:
        load("this")
    if said != "Cannot overwrite":
        assert said in str(caught.value)


def test_more_mistakes(own: Path) -> None:
    (own / "this.toml").write_text(CHIP.replace("launch_s = 1e-6", "lunch_s = 1e-6"))
    with pytest.raises(UnknownName, match="Did you mean 'launch_s'"):
        load("this")
    link = 'kind = "link"\ntitle = "a"\nsource = "b"\ndate = "2026"\nbandwidth_bytes_per_s = 1e9\n'
    (own / "wire.toml").write_text(link + "[on_threads.1]\nbandwidth_bytes_per_s = 1e9")
    with pytest.raises(UnknownName, match="no key of a link named 'on_threads'"):
        load("wire")
    (own / "flat.toml").write_text(CHIP.partition("[on")[0] + "on_threads = 2")
    with pytest.raises(BadData, match="one table"):
        load("flat")
    figure = Figure(value=1.0, source="us", date="2026")
    with pytest.raises(BadOption, match="threads is True"):
        OnThreads(threads=True, peak_fp32_flops_per_s=figure, bandwidth_bytes_per_s=figure)


def test_where_the_users_files_lie(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert own_folder() == tmp_path / "own"
    monkeypatch.delenv("EPOCHLAB_HARDWARE")
    monkeypatch.setenv("EPOCHLAB_CACHE", str(tmp_path / "cache"))
    assert own_folder() == tmp_path / "cache" / "hardware"
    assert "this" not in names()
    (tmp_path / "cache" / "hardware").mkdir(parents=True)
    (tmp_path / "cache" / "hardware" / "this.toml").write_text(CHIP)
    assert "this" in names()
    monkeypatch.delenv("EPOCHLAB_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "shared"))
    assert own_folder() == tmp_path / "shared" / "epochlab" / "hardware"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert own_folder() == tmp_path / ".cache" / "epochlab" / "hardware"
    monkeypatch.setattr(Path, "home", _homeless)
    assert own_folder() is None
    assert "k80" in names()


def _homeless() -> Path:
    raise RuntimeError("no home")


def test_not_measured_yet(own: Path) -> None:
    (own / "this.toml").unlink()
    with pytest.raises(UnknownName, match="'epochlab measure' measures this machine"):
        load("this")


def test_a_device_of_ones_own_making_is_unchanged() -> None:
    figure = Figure(value=1e9, source="us", date="2026")
    one = Device(name="a", title="b", kind="cpu", peak_fp32_flops_per_s=figure,
                 bandwidth_bytes_per_s=figure)  # fmt: skip
    assert one.on_threads == ()
    assert hash(one) == hash(Device(**vars(one)))
