"""Logging in with a real Chromium, through a proxy with TLS, to a console that has no Kafka."""

import time
from collections.abc import Callable, Iterator

import httpx
import pytest
from pydantic import SecretStr
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from monitoring.console.app import serving_console
from monitoring.health.login import COOKIE, SESSION_SECONDS, Sessions
from streams.config.settings import Settings
from tests.support.tls_proxy import tls_proxy

TOKEN = SecretStr("a-token-of-some-length")
WANTED = "/actions?strategy=none&borrower=B%261"


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    settings = Settings(bootstrap="127.0.0.1:1", console_port=0, web_token=TOKEN, console_live_pages=1)
    with serving_console(settings) as behind, tls_proxy(behind, tmp_path_factory.mktemp("proxy")) as found:
        yield found


@pytest.fixture
def browser(chromium: Chrome) -> Iterator[Chrome]:
    chromium.get_log("browser")  # type: ignore[no-untyped-call]
    yield chromium
    chromium.delete_all_cookies()
    told = [entry["message"] for entry in chromium.get_log("browser") if entry["level"] == "SEVERE"]  # type: ignore[no-untyped-call]
    # Only what was refused on purpose: no script or style that the policy forbids, no error of the page's own.
    assert [each for each in told if "status of 401" not in each and "status of 503" not in each] == []


def until(browser: Chrome, holds: Callable[[], object]) -> None:
    WebDriverWait(browser, 20, poll_frequency=0.1).until(lambda _: holds())


def text(browser: Chrome) -> str:
    return browser.find_element(By.TAG_NAME, "body").text


def log_in(browser: Chrome, token: str) -> None:
    browser.find_element(By.NAME, "token").send_keys(token)
    browser.find_element(By.TAG_NAME, "button").click()


def test_a_reader_logs_in_and_comes_to_the_page_that_was_asked_for(browser: Chrome, url: str) -> None:
    browser.get(url + WANTED)
    log_in(browser, "a guess")
    until(browser, lambda: "This is not the token." in text(browser))
    log_in(browser, TOKEN.get_secret_value())
    until(browser, lambda: browser.title == "Actions · riskmon")
    assert browser.current_url == url + WANTED
    cookie = browser.get_cookie(COOKIE)
    assert cookie is not None
    assert (cookie["secure"], cookie["httpOnly"], cookie["sameSite"]) == (True, True, "Strict")
    assert cookie["expiry"] == pytest.approx(time.time() + SESSION_SECONDS, abs=60)
    assert browser.execute_script("return document.cookie") == ""
    until(browser, lambda: browser.find_element(By.ID, "link").text != "Connecting")
    browser.get(url + "/borrower?id=B1")
    until(browser, lambda: browser.title == "B1 · riskmon")


def test_a_page_whose_session_ends_asks_again_and_goes_on_where_it_was(browser: Chrome, url: str) -> None:
    browser.get(url + "/login")
    nearly = Sessions(TOKEN).begin(time.time() - SESSION_SECONDS + 5)
    browser.add_cookie({"name": COOKIE, "value": nearly, "secure": True})
    browser.get(url + WANTED)
    assert browser.title == "Actions · riskmon"
    until(browser, lambda: browser.title == "Log in · riskmon")
    assert browser.current_url == url + WANTED
    log_in(browser, TOKEN.get_secret_value())
    until(browser, lambda: browser.title == "Actions · riskmon")


def test_a_page_says_so_when_there_are_too_many_and_goes_on_by_itself(browser: Chrome, url: str) -> None:
    headers = {"Authorization": f"Bearer {TOKEN.get_secret_value()}"}
    browser.get(url + "/login")
    browser.add_cookie({"name": COOKIE, "value": Sessions(TOKEN).begin(time.time()), "secure": True})
    with httpx.Client(base_url=url, headers=headers, verify=False) as other:
        with other.stream("GET", "/live/overview"):
            browser.get(url + "/models")
            until(browser, lambda: "As many live pages are open" in text(browser))
        until(browser, lambda: "As many live pages are open" not in text(browser))
    until(browser, lambda: browser.find_element(By.ID, "link").text in ("Kafka away", "Connecting"))
