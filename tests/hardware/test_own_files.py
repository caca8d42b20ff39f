"""A user's own files add and override; each mistake in them is one paragraph and exit code 2."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from epochlab.cli import main
from epochlab.errors import BadData, BadOption, UnknownName
from epochlab.hardware import Device, Figure, Link, load, load_device, load_link, names

CARD = """
kind = "gpu"
title = "a card"
source = "its data sheet"
date = "2026-03"
peak_fp32_flops_per_s = 20e12
bandwidth_bytes_per_s = 500e9
"""


def write(path: Path, text: str) -> str:
    path.write_text(text, encoding="utf-8")
    return str(path)


def said(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert main(words) == 0
    return capsys.readouterr().out


def refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert main(words) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    text = " ".join(captured.err.split())
    assert text.startswith("error: ")
    assert text.count("error: ") == 1
    assert "Traceback" not in text
    return text


@pytest.fixture(autouse=True)
def packaged_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EPOCHLAB_HARDWARE", raising=False)
    monkeypatch.setenv("EPOCHLAB_CACHE", str(tmp_path / "cache"))


def test_a_file_by_its_path(tmp_path: Path) -> None:
    card = load(write(tmp_path / "my.toml", CARD + 'memory_bytes = { value = 8e9, date = "2025" }'))
    sheet = "its data sheet"
    assert card == Device(
        name="my", title="a card", kind="gpu",
        peak_fp32_flops_per_s=Figure(value=20e12, source=sheet, date="2026-03"),
        bandwidth_bytes_per_s=Figure(value=500e9, source=sheet, date="2026-03"),
        memory_bytes=Figure(value=8e9, source=sheet, date="2025"),
    )  # fmt: skip
    assert "my" not in names()


def test_dates_may_stand_without_quotation_marks(tmp_path: Path) -> None:
    cases = {"2026": "2026", "2026-11-21": "2026-11-21", "2026-11-21T10:00:00": "2026-11-21",
             '"read 2026-11"': "read 2026-11"}  # fmt: skip
    for written, read in cases.items():
        card = load(write(tmp_path / "my.toml", CARD.replace('"2026-03"', written)))
        assert {figure.date for figure in card.figures().values()} == {read}


def test_a_folder_adds_and_overrides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = load_device("k80")
    write(tmp_path / "card.toml", CARD)
    write(tmp_path / "k80.toml", 'based_on = "k80"\nsource = "our contract"\ndate = 2026-11-21\n'
                                 "price_usd_per_hour = 0.4")  # fmt: skip
    monkeypatch.setenv("EPOCHLAB_HARDWARE", str(tmp_path))
    assert "card" in names()
    assert load("card").title == "a card"
    after = load_device("k80")
    assert after.price_usd_per_hour == Figure(value=0.4, source="our contract", date="2026-11-21")
    changed = {key for key, figure in after.figures().items() if before.figures()[key] != figure}
    assert changed == {"price_usd_per_hour"}
    assert (after.title, after.note, after.kind) == (before.title, before.note, before.kind)


def test_an_own_peak_takes_the_place_of_both_clocks(tmp_path: Path) -> None:
    path = write(tmp_path / "my.toml", 'based_on = "k80"\nsource = "us"\ndate = "2026"\n'
                                       "peak_fp32_flops_per_s = 4e12")  # fmt: skip
    card = load_device(path)
    assert card.peak().value == card.peak(clock="base").value == 4e12
    assert card.memory_bytes == load_device("k80").memory_bytes
    path = write(tmp_path / "link.toml", 'based_on = "nvlink2"\nsource = "us"\ndate = "2026"\n'
                                         "bandwidth_bytes_per_s = 1e9\nlatency_s = 0")  # fmt: skip
    assert load_link(path).one_way_bytes_per_s == 1e9


def test_one_based_on_another_of_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EPOCHLAB_HARDWARE", str(tmp_path))
    write(tmp_path / "card.toml", CARD)
    write(tmp_path / "big_card.toml", 'based_on = "card"\ntitle = "a big card"\n'
          'memory_bytes = { value = 80e9, source = "us", date = "2026" }')  # fmt: skip
    big = load_device("big_card")
    assert big.peak().value == 20e12
    assert big.memory_bytes == Figure(value=80e9, source="us", date="2026")
    write(tmp_path / "card.toml", 'based_on = "big_card"\ntitle = "round and round"')
    with pytest.raises(BadData, match="based on this file in turn"):
        load("card")


MISTAKES = [
    (
        CARD + "bandwith_bytes_per_s = 1",
        [
            "no key of a device named 'bandwith_bytes_per_s'",
            "Did you mean 'bandwidth_bytes_per_s'?",
            "my.toml",
        ],
    ),
    (CARD + "memory_bytes = -5", ["my.toml: memory_bytes", "-5", "not negative"]),
    (CARD + "memory_bytes = nan", ["memory_bytes", "finite"]),
    (CARD + "memory_bytes = 0", ["memory_bytes is 0", "above 0"]),
    (CARD + "memory_bytes = true", ["memory_bytes", "must be a number"]),
    (CARD + 'memory_bytes = "8 GB"', ["memory_bytes", "'8 GB'", "must be a number"]),
    (CARD + "memory_bytes = { source = 'me' }", ["memory_bytes has no value"]),
    (CARD + "memory_bytes = { value = 1, sourse = 'me' }", ["'sourse'", "Did you mean 'source'?"]),
    (CARD.replace('source = "its data sheet"', ""), ["peak_fp32_flops_per_s has no source"]),
    (CARD.replace("its data sheet", " "), ["must say who published"]),
    (CARD.replace("2026-03", "2026-13"), ["'2026-13'", "2026-11"]),
    (CARD.replace("2026-03", "last year"), ["'last year'", "read 2026-11"]),
    (CARD.replace('"gpu"', '"tpu"'), ["'kind' is 'tpu'", "gpu, cpu, link"]),
    (CARD.replace('"a card"', "7"), ["'title' is 7", "must be text"]),
    (CARD.replace('title = "a card"', ""), ["no 'title'"]),
    (CARD.replace("bandwidth_bytes_per_s = 500e9", ""), ["no 'bandwidth_bytes_per_s'"]),
    (CARD.replace("peak_fp32_flops_per_s = 20e12", ""), ["no peak_fp32_flops_per_s"]),
    (CARD.replace('"gpu"', '"link"'), ["no key of a link named 'peak_fp32_flops_per_s'"]),
    ('based_on = "k8"', ["no hardware named 'k8'", "Did you mean 'k80'?"]),
    ('based_on = "pcie3"\nkind = "gpu"', ["'pcie3'", "is a link"]),
    ("kind = gpu", ["my.toml is not valid TOML", "line 1"]),
]


@pytest.mark.parametrize(("text", "parts"), MISTAKES)
def test_mistakes_in_a_file(
    text: str, parts: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "my.toml", text)
    for words in (["show", "my.toml"], ["list", "hardware", "my.toml"]):
        message = refused(words, capsys)
        for part in parts:
            assert part in message, message


def test_the_card_itself_is_no_mistake(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path / "my.toml", CARD)
    assert "20 TFLOP/s" in said(["show", "my.toml"], capsys)


def test_bytes_that_are_not_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "my.toml").write_bytes(b"\xff\xfe\x00")
    assert "my.toml is not valid TOML" in refused(["show", "my.toml"], capsys)


def test_a_folder_that_is_none(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("EPOCHLAB_HARDWARE", "nowhere")
    message = refused(["list", "hardware"], capsys)
    assert "EPOCHLAB_HARDWARE is 'nowhere', which is not a folder" in message


def test_names_that_are_not_known(capsys: pytest.CaptureFixture[str]) -> None:
    message = refused(["list", "hardware", "k81"], capsys)
    assert "no hardware named 'k81'. Did you mean 'k80'?" in message
    message = refused(["show", "k81"], capsys)
    assert "no run named 'k81'" in message
    assert "Hardware with a name like it: 'k80'." in message
    assert "no file named 'mine.toml'" in refused(["show", "mine.toml"], capsys)
    assert "--part chooses a table of a run" in refused(["show", "k80", "--part", "time"], capsys)
    with pytest.raises(UnknownName) as error:
        load("v10")
    assert error.value.nearest == "v100"


def test_figures_made_in_python_are_checked() -> None:
    with pytest.raises(BadOption, match="not negative"):
        Figure(value=-1, source="us", date="2026")
    with pytest.raises(BadOption, match="one is needed"):
        Link(name="wire", title="a wire")


def test_list_and_show(capsys: pytest.CaptureFixture[str]) -> None:
    rows = {row["family"]: row["components"]
            for row in json.loads(said(["list", "--json"], capsys))["rows"]}  # fmt: skip
    assert rows["hardware"].split(", ") == names()
    table = json.loads(said(["list", "hardware", "--json"], capsys))
    assert table["label"] == "quoted"
    by_name = {row["name"]: row for row in table["rows"]}
    assert sorted(by_name) == names()
    assert by_name["v100"] == {
        "name": "v100", "kind": "gpu", "what it is": "NVIDIA V100 SXM2, 16 GB",
        "peak fp32": 15.7, "bandwidth": 900, "memory": 16, "price": 2.48,
    }  # fmt: skip
    assert by_name["nvlink2"]["bandwidth"] == 150
    assert by_name["nvlink2"]["price"] is None
    shown = json.loads(said(["show", "k80", "--json"], capsys))
    assert shown["label"] == "quoted"
    figures = load("k80").figures()
    assert [(row["figure"], row["value"], row["source"], row["date"]) for row in shown["rows"]] == [
        (key, f.value, f.source, f.date) for key, f in figures.items()
    ]
    assert said(["list", "hardware", "k80"], capsys) == said(["show", "k80"], capsys)
    assert "k80: NVIDIA Tesla K80, one of its two GPUs [quoted]" in said(["show", "k80"], capsys)


@pytest.mark.parametrize("name", names())
def test_everything_can_be_shown(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = said(["show", name], capsys)
    for key, figure in load(name).figures().items():
        (line,) = (line for line in text.splitlines() if line.startswith(key + " "))
        assert figure.source in line
        assert line.endswith(figure.date)
