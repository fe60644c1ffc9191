"""The console in a real Chromium, over a real worker on a real Kafka. Waits are for what a reader would wait for."""

import asyncio
import json
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from selenium.webdriver import Chrome, Keys
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

from tests.browser.conftest import HOSTILE, Stage, send
from tests.support.factories import opened
from tests.support.processes import COMMAND

PAGES = ("/", "/actions", "/borrower", "/models", "/stream")


class Page:
    """A page as its reader sees it."""

    def __init__(self, chromium: Chrome, stage: Stage) -> None:
        self.browser = chromium
        self._url = stage.url

    def open(self, path: str) -> None:
        self.browser.get(self._url + path)
        self.until(lambda: self.text("#link") == "Live")

    def one(self, selector: str) -> WebElement:
        return self.browser.find_element(By.CSS_SELECTOR, selector)

    def all(self, selector: str) -> list[WebElement]:
        return self.browser.find_elements(By.CSS_SELECTOR, selector)

    def text(self, selector: str) -> str:
        return self.one(selector).text

    def texts(self, selector: str) -> list[str]:
        # In one call: the page may change between two.
        found: list[str] = self.browser.execute_script(
            "return [...document.querySelectorAll(arguments[0])].map(e => e.innerText)", selector
        )
        return found

    def until(self, holds: Callable[[], object], seconds: float = 20) -> None:
        WebDriverWait(self.browser, seconds, poll_frequency=0.1).until(lambda _: holds())

    def tile(self, label: str) -> str:
        found: str = self.browser.execute_script(
            "return [...document.querySelectorAll('.tile')].find(e => e.children[0].textContent === arguments[0])"
            "?.children[1].textContent ?? ''",
            label,
        )
        return found

    def press(self, *keys: str) -> None:
        self.browser.switch_to.active_element.send_keys(*keys)


@pytest.fixture
def page(chromium: Chrome, stage: Stage) -> Iterator[Page]:
    yield Page(chromium, stage)
    chromium.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    # A refused script, style or request shows here; so does an error in the page's own.
    troubles = [entry["message"] for entry in chromium.get_log("browser") if entry["level"] == "SEVERE"]  # type: ignore[no-untyped-call]
    assert [each for each in troubles if "favicon" not in each and "ERR_CONNECTION_REFUSED" not in each] == []


def borrower(stage: Stage, borrower_id: str) -> dict[str, Any]:
    """What `riskmon borrower --json` says."""
    command = [*COMMAND, "borrower", borrower_id, "--json", "--bootstrap", stage.broker.bootstrap]
    told: dict[str, Any] = json.loads(subprocess.run(command, check=True, capture_output=True, timeout=60).stdout)
    return told


def test_the_overview_updates_by_itself(page: Page, stage: Stage) -> None:
    page.open("/")
    page.until(lambda: page.tile("Active borrowers"))
    assert f"{stage.borrowers} in all" in page.text("#tiles")
    before = int(page.tile("Active borrowers"))
    asyncio.run(send(stage.broker.connection, opened("L-live", "B-live")))
    page.until(lambda: int(page.tile("Active borrowers")) == before + 1)
    rows = page.texts("#matrix tbody tr")
    assert len(rows) == 4
    assert rows[0].startswith("Reminder")
    page.one("#past-due summary").click()
    page.until(lambda: page.all("#past-due tbody tr"))
    assert (page.one("#past-due [role=img]").get_attribute("aria-label") or "").startswith("Borrowers past due")


def test_actions_are_filtered_and_lead_to_the_borrower(page: Page, stage: Stage) -> None:
    page.open("/actions")
    page.until(lambda: len(page.all("#rows tr")) > 20)
    page.browser.execute_script("document.querySelector('input[value=aggressive_recovery]').click()")
    page.until(lambda: set(page.texts("#rows .chip:last-child")) == {"Aggressive recovery"})
    page.one("input[name=text]").send_keys("no reason has these words")
    page.until(lambda: page.one("#empty").is_displayed())
    page.one("input[name=text]").clear()
    page.one("input[name=text]").send_keys("days past due")
    page.until(lambda: page.all("#rows tr"))
    assert "strategy=aggressive_recovery" in page.browser.current_url

    link = page.one("#rows a.id")
    borrower_id = link.text
    link.send_keys(Keys.ENTER)
    page.until(lambda: page.text("h1") == borrower_id and page.tile("Days past due"))
    told = borrower(stage, borrower_id)
    assert page.tile("Days past due") == str(told["days_past_due"])
    assert page.tile("Arrears").replace(",", "") == told["arrears"]
    assert len(page.all("#timeline li")) == len(told["events"]) + len(told["actions"])
    assert len(page.all("#timeline [data-kind=action]")) == len(told["actions"])
    assert told["days"][-1]["days_past_due"] == told["days_past_due"]
    page.one("#days summary").click()
    page.until(lambda: page.all("#days tbody tr"))
    assert page.texts("#days tbody tr")[0].split() == [told["days"][-1]["day"], str(told["days_past_due"])]


def test_a_paused_feed_stands_still_and_says_what_waits(page: Page, stage: Stage) -> None:
    page.open("/actions")
    page.until(lambda: len(page.all("#rows tr")) > 20)
    page.one("#pause").click()
    shown = page.texts("#rows .id")
    # A refinanced borrower's new loan changes the strategy from none to a reminder.
    asyncio.run(send(stage.broker.connection, opened("L-again", HOSTILE, first_due=90)))
    page.until(lambda: "1 newer" in page.text("#count"))
    assert page.texts("#rows .id") == shown
    page.one("#pause").click()
    page.until(lambda: page.texts("#rows .id")[0] == HOSTILE)


def test_a_hostile_id_stays_text(page: Page) -> None:
    page.open("/actions")
    page.one("input[name=borrower]").send_keys(HOSTILE)
    page.until(lambda: set(page.texts("#rows .id")) == {HOSTILE})
    page.one("#rows .id").send_keys(Keys.ENTER)
    page.until(lambda: page.text("h1") == HOSTILE and page.all("#timeline li"))
    assert "<b>L</b>" in page.text("#loans")
    page.one("#id").clear()
    page.one("#id").send_keys("<img")
    page.until(lambda: page.all("#suggestions option"))
    assert page.one("#suggestions option").get_attribute("value") == HOSTILE
    assert page.all("img, main script, [onerror], #loans b b") == []


def test_an_unknown_borrower_is_said_to_be_unknown(page: Page) -> None:
    page.open("/borrower?id=nobody")
    page.until(lambda: "No borrower nobody is known" in page.text("#empty"))
    assert not page.one("#content").is_displayed()


def test_models_and_stream_tell_of_outcomes_and_workers(page: Page) -> None:
    page.open("/models")
    page.until(lambda: len(page.texts("#measures tbody tr")) == 3)
    assert page.texts("#measures tbody tr")[0].split()[-1] != "–"
    page.open("/stream")
    page.until(lambda: page.tile("Workers") == "1" and page.tile("Lag") == "0")
    assert len(page.all("#partitions tbody tr")) == 2
    assert "invalid event" in page.text("#reasons")


def test_a_narrow_screen_needs_no_scrolling_sideways(page: Page) -> None:
    size = {"width": 360, "height": 740, "deviceScaleFactor": 1, "mobile": False}
    page.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    for path in PAGES:
        page.open(path)
        page.until(lambda: page.one("main").get_attribute("aria-busy") == "false")
        assert page.browser.execute_script("return document.documentElement.scrollWidth") <= 360, path


def test_the_keyboard_reaches_everything(page: Page) -> None:
    page.open("/actions")
    page.press(Keys.TAB)
    assert page.browser.switch_to.active_element.text == "Skip to content"
    page.press(Keys.ENTER)
    assert page.browser.switch_to.active_element.get_attribute("id") == "main"
    page.press(Keys.TAB)
    assert page.browser.switch_to.active_element.get_attribute("name") == "strategy"
    page.press(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
    page.until(lambda: set(page.texts("#rows .chip:last-child")) == {"Settlement offer"})
    theme = page.one("#theme")
    before = page.browser.execute_script("return getComputedStyle(document.body).backgroundColor")
    theme.send_keys(Keys.ENTER)
    assert page.browser.execute_script("return getComputedStyle(document.body).backgroundColor") != before
    page.browser.refresh()
    assert page.browser.execute_script("return getComputedStyle(document.body).backgroundColor") != before


def test_a_broker_that_goes_away_is_said_and_comes_back(page: Page, stage: Stage) -> None:
    page.open("/")
    page.until(lambda: page.tile("Active borrowers"))
    before = int(page.tile("Active borrowers"))
    stage.broker.kill()
    page.until(lambda: page.text("#link") == "Kafka away")
    assert "has not answered since" in page.text("#banner")
    assert page.tile("Active borrowers") == str(before)
    stage.broker.start()
    page.until(lambda: page.text("#link") == "Live")
    assert not page.one("#banner").is_displayed()
    asyncio.run(send(stage.broker.connection, opened("L-back", "B-back")))
    page.until(lambda: int(page.tile("Active borrowers")) == before + 1, seconds=60)
