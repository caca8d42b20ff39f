"""The page is one file that needs nothing, and holds all that the report says."""

from __future__ import annotations

import base64
import dataclasses
import json
import re
from pathlib import Path

import pytest

from epochlab.evidence import Figure
from epochlab.figures.lines import Lines
from epochlab.report import write_report
from epochlab.report.content import Report
from epochlab.report.page import MOST_BYTES
from epochlab.table import Table
from tests.report.reading import Page


@pytest.fixture(scope="session")
def folder(report: Report, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("reports") / "report"
    assert write_report(report, made) == made / "index.html"
    return made


@pytest.fixture(scope="session")
def html(folder: Path) -> str:
    return (folder / "index.html").read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def page(html: str) -> Page:
    return Page(html)


def test_is_well_formed_with_unique_ids(page: Page) -> None:
    assert page.broken == []
    ids = page.ids()
    assert sorted(set(ids)) == sorted(ids)


def test_fetches_nothing(page: Page, html: str) -> None:
    assert page.loads() == []
    policy = page.all("meta")[2].attributes["content"]
    assert "default-src 'none'" in policy
    assert "http" not in policy
    for link in page.all("a"):
        assert not link.attributes["href"].startswith(("http:", "https:", "//"))


def test_holds_vega_once_and_stays_small(folder: Path, html: str) -> None:
    assert html.count("window.vegaEmbed=") == 1
    assert len(html.encode()) <= MOST_BYTES


def test_every_link_inside_the_page_arrives(page: Page) -> None:
    targets = {a.attributes["href"][1:] for a in page.all("a") if a.attributes["href"][0] == "#"}
    assert targets <= set(page.ids())
    assert {"figure-1", "figure-4", "table-2", "claim-3", "outcome", "skipped"} <= targets


def test_every_figure_has_picture_chart_caption_and_words(page: Page, report: Report) -> None:
    figures = [item for item in report.items if item.kind == "figure"]
    assert len(page.all("figure")) == len(figures) == 4
    assert len(page.all("svg")) == 4
    for item, shown in zip(figures, page.all("figure"), strict=True):
        assert isinstance(item.evidence, Figure)
        assert item.evidence.caption in shown.text
        plot = page.all("div", **{"data-spec": f"{item.anchor}-chart"})[0]
        assert item.evidence.title in plot.attributes["aria-label"]
        chart = page.all("script", id=f"{item.anchor}-chart")[0]
        assert json.loads(chart.text)["datasets"]["points"]


def test_the_downloads_are_the_data_files(page: Page, folder: Path, report: Report) -> None:
    links = [a for a in page.all("a") if a.attributes["href"].startswith("data:text/csv")]
    names = {path.name for path in folder.rglob("*.csv")}
    assert {a.attributes["download"] for a in links} == names
    for link in links:
        coded = link.attributes["href"].partition("base64,")[2]
        name = link.attributes["download"]
        files = [p.read_bytes() for p in folder.rglob(name)]
        assert base64.b64decode(coded) in files


def test_says_all_that_the_report_says(page: Page, report: Report) -> None:
    words = page.words()
    for text in (
        report.question, report.command, report.expectation, *report.flags, *report.skipped,
        *report.covers, *report.references, "seeds 0, 1, 2", "23:04", "torch 2.13.0",
        "none declared", report.generated_at, "2 parts left out", "0.01942 to 0.1939",
        "not supported", "272,474", "look-alike data", "resnet_cifar (depth 20, shortcut A)",
    ):  # fmt: skip
        assert " ".join(text.split()) in words


def test_what_was_skipped_stands_in_one_place(html: str, report: Report) -> None:
    for text in report.skipped:
        assert html.count(text) == 1


def test_pictures_change_with_the_theme(page: Page, html: str) -> None:
    body = html.partition("<body>")[2]
    used = set(re.findall(r"var\(--([a-z0-9]+)\)", body))
    assert {"ink", "soft", "grid", "c1", "paper"} <= used
    style = "".join(element.text for element in page.all("style"))
    for name in used:
        assert style.count(f"--{name}:") >= 3, name  # light, dark by wish, dark by toggle
    assert "prefers-color-scheme" in style
    assert "@media print" in style


def test_a_report_without_evidence_is_a_page(tmp_path: Path) -> None:
    write_report(Report(title="Nothing", study="none"), tmp_path / "r")
    page = Page((tmp_path / "r" / "index.html").read_text(encoding="utf-8"))
    assert page.broken == []
    assert "This report holds no results." in page.words()
    assert page.loads() == []


def test_long_data_are_cut_on_the_page_and_whole_beside_it(tmp_path: Path) -> None:
    rows = [{"step": s, "loss": 1 / (1 + s), "arm": f"arm {a}"}
            for a in range(10) for s in range(400)]  # fmt: skip
    evidence = []
    for number in range(12):
        table = Table.of(f"Curves {number}", rows)
        evidence += [Figure(table=table, drawing=Lines(x="step", y="loss", color="arm")), table]
    report = Report(title="Long", study="long", evidence=tuple(evidence))
    folder = tmp_path / "r"
    write_report(report, folder)
    html = (folder / "index.html").read_text(encoding="utf-8")
    assert len(html.encode()) <= MOST_BYTES
    page = Page(html)
    assert page.broken == []
    assert len(page.all("figure")) == 12
    assert "of 4,000 rows." in page.words()
    for image in (e for e in page.all("img") if not e.attributes["src"].startswith("data:")):
        assert (folder / image.attributes["src"]).is_file()
    for link in page.all("a"):
        address = link.attributes["href"]
        if not address.startswith(("#", "data:")):
            assert len((folder / address).read_text().splitlines()) == 4_001


def test_a_title_that_is_the_studys_name_gives_way_to_the_question(report: Report) -> None:
    assert report.headline == report.question
    assert dataclasses.replace(report, title="Five optimizers").headline == "Five optimizers"
