"""The report in a real Chromium: all pictures are drawn, nothing is loaded from anywhere, and values stay text."""

import subprocess
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from models.training.sample import simulated_snapshot
from producers.simulator.simulate import SimulationConfig
from streams.account.rules import AccountRules
from streams.command.app import app
from tests.support.machine import command

HOSTILE = "</script><script>document.title='broken'</script>"
FORMULA = "=HYPERLINK(A1)"
PICTURES = 10


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    frame = simulated_snapshot(SimulationConfig(borrowers=400, days=330, seed=2), AccountRules())
    frame.loc[0, ["Recovery_Status", "Payment_History", "Borrower_ID"]] = HOSTILE
    frame.loc[1, "Borrower_ID"] = FORMULA
    frame.to_csv(folder / "table.csv", index=False)
    done = CliRunner().invoke(app, ["report", str(folder / "table.csv"), "--out", str(folder / "page.html")])
    assert done.exit_code == 0, done.output
    return folder / "page.html"


def in_browser(page: Path, profile: Path) -> str:
    """The page's DOM after its scripts ran."""
    dump = [
        command("chromium", "chromium"),
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-background-networking",
        f"--user-data-dir={profile}",
        "--virtual-time-budget=5000",
        "--dump-dom",
        page.as_uri(),
    ]
    return subprocess.run(dump, check=True, capture_output=True, text=True, timeout=120).stdout


def test_the_page_draws_every_picture_and_takes_nothing_from_outside(report: Path, tmp_path: Path) -> None:
    dom = in_browser(report, tmp_path)
    # Plotly marks a drawn picture's first layer by this class, twice a picture.
    assert dom.count('class="main-svg"') >= 2 * PICTURES
    assert dom.count("<figure ") == PICTURES
    assert "<title>Portfolio report: table.csv</title>" in dom
    markup = report.read_text().split("</script>", 1)[1]
    assert 'src="http' not in markup
    assert "<link" not in markup
    assert "default-src 'none'" in dom


def test_every_borrower_has_a_strategy_in_the_csv(report: Path) -> None:
    table = pd.read_csv(report.with_name("page-strategies.csv"))
    source = pd.read_csv(report.with_name("table.csv"))
    assert sorted(table["Borrower_ID"]) == sorted(source["Borrower_ID"].replace(FORMULA, f"'{FORMULA}"))
    assert table["Score"].is_monotonic_decreasing
    by_score = pd.cut(
        table["Score"], [-1, 0.5, 0.75, 1], labels=["automated_reminder", "settlement_offer", "aggressive_recovery"]
    )
    away = ~table["Score"].isin([0.5, 0.75])
    assert (table["Strategy"] == by_score.astype(str))[away].all()
    assert table.loc[table["Strategy"] == "aggressive_recovery", "Reasons"].notna().all()
