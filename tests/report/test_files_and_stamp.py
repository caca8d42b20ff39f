"""Files beside the page, and when they are written again."""

from __future__ import annotations

import csv
import dataclasses
import importlib
import json
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from epochlab.errors import MissingExtra
from epochlab.evidence import Claim, Figure, Note
from epochlab.figures.lines import Lines
from epochlab.report import write_report
from epochlab.report.content import Report, digest, file_stem, number_text, plain
from epochlab.table import Table


def small(**changes: object) -> Report:
    table = Table.of("Loss", [{"epoch": e, "loss": 1 / e} for e in range(1, 4)])
    figure = Figure(table=table, drawing=Lines(x="epoch", y="loss"))
    made = Report(title="Small", study="small", evidence=(figure, table, figure))
    return dataclasses.replace(made, **changes)  # type: ignore[arg-type]


def test_every_figure_and_table_has_its_files(tmp_path: Path) -> None:
    write_report(small(), tmp_path)
    found = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.*")}
    assert found == {
        "index.html", "report.pdf", "report.json", "evidence.json", "tables/loss.csv",
        "figures/loss.svg", "figures/loss.csv", "figures/loss-2.svg", "figures/loss-2.csv",
    }  # fmt: skip
    with (tmp_path / "figures/loss.csv").open(newline="") as file:
        assert list(csv.reader(file)) == [["epoch", "loss"], ["1", "1.0"], ["2", "0.5"],
                                          ["3", str(1 / 3)]]  # fmt: skip


def test_pictures_are_whole_and_the_same_every_time(report: Report, tmp_path: Path) -> None:
    write_report(report, tmp_path / "a")
    write_report(report, tmp_path / "b")
    pictures = sorted((tmp_path / "a" / "figures").glob("*.svg"))
    assert len(pictures) == 4
    for picture in pictures:
        root = ElementTree.fromstring(picture.read_text(encoding="utf-8"))
        assert root.tag.endswith("svg")
        assert picture.read_bytes() == (tmp_path / "b" / "figures" / picture.name).read_bytes()
        assert "var(--" not in picture.read_text(encoding="utf-8")
    for name in ("report.pdf", "evidence.json", "index.html"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_evidence_holds_everything_as_strict_data(report: Report, tmp_path: Path) -> None:
    write_report(report, tmp_path)

    def refuse(word: str) -> float:
        raise AssertionError(word)

    text = (tmp_path / "evidence.json").read_text(encoding="utf-8")
    content = json.loads(text, parse_constant=refuse)
    assert content == plain(report)
    kinds = [piece["kind"] for piece in content["evidence"]]
    assert kinds.count("figure") == 4 and kinds.count("claim") == 3 and kinds.count("note") == 4
    curves = content["evidence"][1]
    assert curves["drawing"]["kind"] == "Lines"
    assert len(curves["table"]["rows"]) == 10_000
    assert curves["table"]["rows"][3 * 2000 + 1300][1] == "NaN"


def test_an_unchanged_report_is_not_written_again(tmp_path: Path) -> None:
    page = write_report(small(), tmp_path)
    page.write_text("kept")
    assert write_report(small(generated_at="later"), tmp_path).read_text() == "kept"
    write_report(small(question="Another?"), tmp_path)
    assert "Another?" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize("lost", ["figures/loss.svg", "report.pdf", "evidence.json", "index.html"])
def test_a_lost_file_is_written_again(lost: str, tmp_path: Path) -> None:
    write_report(small(), tmp_path)
    (tmp_path / lost).unlink()
    write_report(small(), tmp_path)
    assert (tmp_path / lost).is_file()


@pytest.mark.parametrize("stamp", ["", "{", "[]", '{"digest": 1}', '{"files": 3, "digest": ""}'])
def test_a_broken_stamp_counts_as_none(stamp: str, tmp_path: Path) -> None:
    write_report(small(), tmp_path)
    (tmp_path / "report.json").write_text(stamp)
    (tmp_path / "index.html").unlink()
    assert write_report(small(), tmp_path).is_file()


def test_files_of_an_earlier_report_go_and_others_stay(tmp_path: Path) -> None:
    outside = tmp_path / "outside.csv"
    outside.write_text("mine")
    folder = tmp_path / "r"
    write_report(small(), folder)
    (folder / "notes.txt").write_text("mine")
    stamp = json.loads((folder / "report.json").read_text())
    stamp["files"] += ["../outside.csv", "notes.txt"]
    (folder / "report.json").write_text(json.dumps(stamp))
    write_report(small(evidence=small().evidence[:1]), folder)
    assert not (folder / "figures/loss-2.svg").exists()
    assert not (folder / "tables/loss.csv").exists()
    assert (folder / "figures/loss.svg").is_file()
    assert outside.read_text() == (folder / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize("package", ["altair", "vl_convert", "jinja2", "typst"])
def test_a_missing_package_names_the_extra(
    package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtra, match=r"pip install 'epochlab\[report\]'"):
        write_report(small(), tmp_path / "r")
    assert not (tmp_path / "r").exists()


def test_the_digest_sees_every_field_but_the_time_of_writing() -> None:
    base = digest(small())
    assert digest(small(generated_at="now")) == base
    changes = {
        "title": "x", "study": "x", "question": "x", "preset": "x", "command": "x",
        "settings": Table.of("S", []), "evidence": (), "expectation": "x", "covers": ("x",),
        "references": ("x",), "seeds": (1,), "seconds": 1.0, "machine": Table.of("M", []),
        "versions": (("x", "1"),), "flags": ("x",), "collaboration": "x",
    }  # fmt: skip
    assert {*changes, "generated_at"} == {f.name for f in dataclasses.fields(Report)}
    digests = {digest(small(**{name: value})) for name, value in changes.items()}
    assert len(digests | {base}) == len(changes) + 1


def test_evidence_is_numbered_by_kind_and_skipped_notes_are_set_apart() -> None:
    claim = Claim(statement="s", rule="r", verdict="supported")
    report = small(evidence=(Note(text="a"), claim, Note(text="no", kind="skipped"), claim,
                             Note(text="b", kind="warning")))  # fmt: skip
    assert [item.anchor for item in report.items] == ["note-1", "claim-1", "claim-2", "note-2"]
    assert report.skipped == ("no",)
    assert [item.heading for item in report.claims] == ["Claim 1", "Claim 2"]


@pytest.mark.parametrize(
    ("title", "stem"),
    [("Loss, lr = 0.1", "loss-lr-0-1"), ("../../etc/passwd", "etc-passwd"),
     ("Überblick", "berblick"), ("学習", ""), ("a" * 100, "a" * 60)],
)  # fmt: skip
def test_file_stems_are_safe_on_any_system(title: str, stem: str) -> None:
    assert file_stem(title) == stem


@pytest.mark.parametrize(
    ("value", "text"),
    [(272474.0, "272,474"), (0.31333, "0.3133"), (3.0, "3"), (12345.6, "12,346"),
     (-0.5, "-0.5"), (1e15, "1e+15"), (float("nan"), "nan"), (float("inf"), "inf")],
)  # fmt: skip
def test_numbers_of_claims(value: float, text: str) -> None:
    assert number_text(value) == text


def test_importing_reports_needs_no_drawing_package() -> None:
    import subprocess

    drawers = ("altair", "vl_convert", "jinja2", "typst")
    code = (
        "import sys, epochlab.report.content, epochlab.figures.lines\n"
        f"print([m for m in {drawers} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert importlib.import_module("epochlab.report").write_report is write_report
