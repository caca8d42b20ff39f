"""The page in a real browser: charts come alive, nothing is fetched, no error is reported."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from epochlab.report import write_report
from epochlab.report.content import Report
from tests.report.reading import Page

CHROMIUM = next((p for n in ("chromium", "chromium-browser", "google-chrome")
                 if (p := shutil.which(n))), None)  # fmt: skip

# Appended to a copy of the page: sorts a table, flips the theme, and notes what happened.
PROBE = """<script type="module">
const refused = [];
document.addEventListener("securitypolicyviolation", (e) => refused.push(e.violatedDirective));
// Frames, not seconds: charts come alive when a frame shows that they are near.
const frame = () => new Promise((done) => requestAnimationFrame(done));
const alive = () => document.querySelectorAll(".vega-embed svg").length;
for (let i = 0; i < 2000 && alive() < 4; i++) await frame();
document.querySelectorAll("#table-1 th")[1].click();
document.getElementById("theme").click();
const rows = [...document.querySelectorAll("#table-1 tbody tr")];
const column = rows.map((row) => row.cells[1].textContent);
const told = document.createElement("output");
told.textContent = JSON.stringify([alive(), column,
  document.documentElement.dataset.theme, getComputedStyle(document.body).backgroundColor,
  getComputedStyle(document.querySelector(".role-axis-label text")).fill, refused]);
document.body.append(told);
</script></body>"""


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no chromium is installed; the page was not run")
def test_charts_come_alive_offline(report: Report, tmp_path: Path) -> None:
    page = write_report(report, tmp_path / "r")
    html = page.read_text(encoding="utf-8")
    end = html.rindex("</body>")
    probe = tmp_path / "r" / "probe.html"
    probe.write_text(html[:end] + PROBE + html[end + len("</body>") :], encoding="utf-8")
    assert CHROMIUM is not None
    done = subprocess.run(
        [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr",
         f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=60000", "--run-all-compositor-stages-before-draw",
         "--blink-settings=preferredColorScheme=1", "--window-size=1280,6000", "--dump-dom",
         probe.as_uri()],
        capture_output=True, text=True, timeout=240, check=True,
    )  # fmt: skip
    assert not re.findall(r"CONSOLE.*", done.stderr)
    told = Page(done.stdout).all("output")[0].text
    assert told == (
        '[4,["86.00","88.60","89.90","91.20","nan"],"dark","rgb(20, 23, 28)",'
        '"rgb(169, 177, 187)",[]]'
    )
