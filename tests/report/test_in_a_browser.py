"""The page in a real browser: charts come alive, nothing is fetched, no error is reported."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from epochlab.report import write_report
from epochlab.report.content import Report
from tests.report.browser import CHROMIUM, Browser

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium is installed; the page was not run"),
]
FADED = """[...document.querySelectorAll('#figure-1 path')]
    .filter((path) => path.getAttribute('opacity') === '0.12').length"""


@pytest.fixture(scope="module")
def browser(report: Report, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    folder = tmp_path_factory.mktemp("browser")
    page = write_report(report, folder / "report")
    with Browser(folder / "profile") as made:
        for domain in ("Page", "Runtime", "Log", "Network"):
            made.ask(f"{domain}.enable")
        made.ask("Emulation.setEmulatedMedia",
                 features=[{"name": "prefers-color-scheme", "value": "light"}])  # fmt: skip
        made.ask("Page.navigate", url=page.as_uri())
        made.wait_for("document.querySelectorAll('.vega-embed svg').length === 4")
        yield made


def test_nothing_is_fetched_and_nothing_goes_wrong(browser: Browser) -> None:
    asked = [e["params"]["request"]["url"] for e in browser.events
             if e.get("method") == "Network.requestWillBeSent"]  # fmt: skip
    assert {url.partition(":")[0] for url in asked} <= {"file", "data"}
    assert sum(url.startswith("file:") for url in asked) == 1
    wrong = ("Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded")
    assert [json.dumps(e) for e in browser.events if e.get("method") in wrong] == []


def test_a_click_in_the_legend_singles_a_line_out(browser: Browser) -> None:
    assert browser.value(FADED) == 0
    browser.value("document.querySelector('#figure-1').scrollIntoView()")
    name = "[...document.querySelectorAll('#figure-1 .role-legend-label text')][1]"
    x, y = browser.value(
        f"(r => [r.x + r.width / 2, r.y + r.height / 2])({name}.getBoundingClientRect())"
    )
    for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
        browser.ask("Input.dispatchMouseEvent", type=kind, x=x, y=y, clickCount=1,
                    button="none" if kind == "mouseMoved" else "left")  # fmt: skip
    # All lines but one, and the cross of the one that diverged.
    browser.wait_for(f"{FADED} === 5")


def test_a_click_on_a_heading_sorts_numbers(browser: Browser) -> None:
    column = "[...document.querySelectorAll('#table-1 tbody tr')].map(r => r.cells[1].textContent)"
    browser.value("document.querySelectorAll('#table-1 th')[1].click()")
    assert browser.value(column) == ["86.00", "88.60", "89.90", "91.20", "nan"]
    browser.value("document.querySelectorAll('#table-1 th')[1].click()")
    assert browser.value(column) == ["91.20", "89.90", "88.60", "86.00", "nan"]
    assert browser.value("document.querySelectorAll('#table-1 th')[1].ariaSort") == "descending"


def test_the_theme_turns_page_and_charts(browser: Browser) -> None:
    colours = ("[getComputedStyle(document.body).backgroundColor, getComputedStyle("
               "document.querySelector('.role-axis-label text')).fill]")  # fmt: skip
    assert browser.value(colours) == ["rgb(255, 255, 255)", "rgb(86, 93, 102)"]
    browser.value("document.getElementById('theme').click()")
    assert browser.value(colours) == ["rgb(20, 23, 28)", "rgb(169, 177, 187)"]


def test_a_saved_picture_needs_no_page(browser: Browser) -> None:
    saved = """new Promise((done) => {
      const make = URL.createObjectURL;
      URL.createObjectURL = (blob) => { blob.text().then(done); return make(blob); };
      document.querySelector('#figure-1 [data-save=svg]').click();
    })"""
    picture = browser.value(saved)
    assert picture.startswith("<svg ")
    assert "var(--" not in picture
    assert "learning rate / 10" in picture
