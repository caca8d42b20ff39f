"""The files of the package: each loads, each figure has a source and a date, numbers as printed."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from epochlab.errors import BadOption
from epochlab.hardware import FOLDER, Device, Figure, Link, load, load_device, load_link, names
from epochlab.hardware._reading import WORDS

FILES = sorted(FOLDER.glob("*.toml"))


@pytest.fixture(autouse=True)
def packaged_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EPOCHLAB_HARDWARE", raising=False)
    monkeypatch.setenv("EPOCHLAB_CACHE", str(tmp_path / "cache"))


def test_names_are_the_files() -> None:
    assert names() == sorted(path.stem for path in FILES)
    assert {"k80", "k80_board", "p100", "v100", "t4", "a100", "h100", "pcie3", "nvlink2",
            "ethernet10", "infiniband", "i7_5930k"} <= set(names())  # fmt: skip


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_each_figure_of_the_file_arrives_with_source_and_date(path: Path) -> None:
    content = tomllib.loads(path.read_text(encoding="utf-8"))
    one = load(path.stem)
    written = {key: value for key, value in content.items() if key not in WORDS}
    assert written
    assert set(one.figures()) == set(written)
    for key, figure in one.figures().items():
        given = written[key]
        own = given if isinstance(given, dict) else {"value": given}
        assert figure.value == own["value"]
        assert figure.source == own.get("source", content["source"])
        assert figure.date == own.get("date", content["date"])


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_nothing_is_said_from_memory(path: Path) -> None:
    assert "mem]" not in path.read_text(encoding="utf-8")
    assert "unsourced" not in path.read_text(encoding="utf-8")


@pytest.mark.parametrize(("name", "key", "value"), [
    ("k80_board", "peak_fp32_base_flops_per_s", 5_600_000_000_000),
    ("k80_board", "peak_fp32_boost_flops_per_s", 8_740_000_000_000),
    ("k80_board", "bandwidth_bytes_per_s", 480_000_000_000),
    ("k80_board", "power_w", 300),
    ("k80", "memory_bytes", 12_000_000_000),
    ("k80", "price_usd_per_hour", 0.45),
    ("k80", "price_with_machine_usd_per_hour", 0.9),
    ("k20", "peak_fp32_flops_per_s", 3_520_000_000_000),
    ("k20x", "peak_fp32_flops_per_s", 3_935_000_000_000),
    ("k40", "bandwidth_bytes_per_s", 288_000_000_000),
    ("titan_x", "peak_fp32_flops_per_s", 6_144_000_000_000),
    ("titan_x", "bandwidth_bytes_per_s", 336_500_000_000),
    ("i7_5930k", "peak_fp32_flops_per_s", 289_000_000_000),
    ("p100", "peak_fp16_flops_per_s", 21_200_000_000_000),
    ("v100", "peak_fp16_tensor_flops_per_s", 125_000_000_000_000),
    ("t4", "power_w", 70),
    ("a100", "bandwidth_bytes_per_s", 1_555_000_000_000),
    ("h100", "peak_fp8_tensor_flops_per_s", 1_979_000_000_000_000),
    ("h200", "memory_bytes", 141_000_000_000),
    ("ethernet10", "bandwidth_bytes_per_s", 1_250_000_000),
    ("infiniband", "bandwidth_bytes_per_s", 8_750_000_000),
    ("pcie3", "bandwidth_bytes_per_s", 16_000_000_000),
    ("nvlink4", "bandwidth_both_directions_bytes_per_s", 900_000_000_000),
])  # fmt: skip
def test_published_numbers(name: str, key: str, value: float) -> None:
    assert load(name).figures()[key].value == value


def test_one_k80_is_half_of_the_board() -> None:
    half, board = load("k80").figures(), load("k80_board").figures()
    for key in ("peak_fp32_base_flops_per_s", "peak_fp32_boost_flops_per_s",
                "bandwidth_bytes_per_s", "memory_bytes"):  # fmt: skip
        assert 2 * half[key].value == board[key].value


def test_boost_peak_agrees_with_cores_and_clock() -> None:
    clock = load_device("k80_board").clock_boost_hz
    assert clock is not None
    assert 2 * 2496 * 2 * clock.value == pytest.approx(8.74e12, rel=1e-3)


@pytest.mark.parametrize("name", ["ethernet1", "ethernet10", "ethernet20", "ethernet25",
                                  "ethernet100"])  # fmt: skip
def test_ethernet_is_called_by_its_rate(name: str) -> None:
    assert load_link(name).one_way_bytes_per_s * 8 / 1e9 == int(name.removeprefix("ethernet"))


def test_which_peak() -> None:
    k80 = load_device("k80")
    assert k80.peak().value == 4.37e12
    assert k80.peak(clock="base").value == 2.8e12
    v100 = load_device("v100")
    assert v100.peak(clock="base") == v100.peak() == v100.peak_fp32_flops_per_s
    assert v100.peak("fp16_tensor").value == 125e12
    with pytest.raises(BadOption, match=r"No peak of 'k80' .* tf32_tensor\. Known: peak_fp32_base"):
        k80.peak("tf32_tensor")


def test_only_the_base_clock_is_known() -> None:
    figure = Figure(value=1e12, source="a sheet", date="2026")
    one = Device(name="card", title="a card", kind="gpu", peak_fp32_base_flops_per_s=figure,
                 bandwidth_bytes_per_s=figure)  # fmt: skip
    assert one.peak() == figure


def test_kinds_are_not_mixed_up() -> None:
    assert isinstance(load_link("pcie3"), Link)
    with pytest.raises(BadOption, match=r"'pcie3' is a link, not a device\. Allowed: a100, ge"):
        load_device("pcie3")
    with pytest.raises(BadOption, match=r"'k80' is a gpu, not a link\. Allowed: aws, ethernet1"):
        load_link("k80")


def test_names_are_read_kindly() -> None:
    assert load("K80-Board") == load("k80_board")


@pytest.mark.parametrize("words", [("list",), ("list", "hardware"), ("list", "hardware", "k80"),
                                   ("show", "k80")])  # fmt: skip
def test_looking_up_hardware_imports_nothing_heavy(words: tuple[str, ...]) -> None:
    code = (
        "import sys; from epochlab.cli import main; assert main(sys.argv[1:]) == 0; "
        "print(*sorted({'torch', 'numpy', 'rich'} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True,
                          check=True)  # fmt: skip
    assert done.stdout.strip()
    assert done.stderr.strip() == ""
