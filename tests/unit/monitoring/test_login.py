"""Logging in over genuine HTTP: the form, the cookie and its end, where it leads, and what every answer carries."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from monitoring.health.health import Health, health_app
from monitoring.health.login import COOKIE, SESSION_SECONDS, Sessions
from monitoring.health.web import guarded, serving

TOKEN = SecretStr("a-token-of-some-length")
WORD = TOKEN.get_secret_value()
BROWSER = {"Accept": "text/html,*/*;q=0.8"}
BEARER = {"Authorization": f"Bearer {WORD}"}


async def _secret(_: Request) -> PlainTextResponse:
    return PlainTextResponse("secret")


async def _broken(_: Request) -> PlainTextResponse:
    raise RuntimeError("broken on purpose")


def _app() -> Starlette:
    return Starlette(routes=[Route("/actions", _secret), Route("/broken", _broken), Route("/", _secret)])


@contextmanager
def client(*, host: str = "0.0.0.0", token: SecretStr | None = TOKEN) -> Iterator[httpx.Client]:
    """Guarded as on `host`, served on an address that the test reaches."""
    app = guarded(_app(), host, token, token_setting="RISKMON_WEB_TOKEN", login=True, open_paths=())
    with serving(app, "127.0.0.1", 0, "the test") as url, httpx.Client(base_url=url) as found:
        yield found


@pytest.fixture
def browser() -> Iterator[httpx.Client]:
    with client() as found:
        yield found


def log_in(browser: httpx.Client, token: str = WORD, wanted: str = "/", **headers: str) -> httpx.Response:
    return browser.post("/login", data={"token": token, "next": wanted}, headers=BROWSER | headers)


def test_the_form_leads_back_to_the_page_that_was_asked_for(browser: httpx.Client) -> None:
    asked = browser.get("/actions", params={"strategy": "none", "text": 'a&b"<c>'}, headers=BROWSER)
    assert asked.status_code == 401
    assert 'method="post" action="/login"' in asked.text
    assert 'value="/actions?strategy=none&amp;text=a%26b%22%3Cc%3E"' in asked.text
    answer = log_in(browser, wanted="/actions?strategy=none&text=a%26b%22%3Cc%3E")
    assert answer.status_code == 303
    assert answer.headers["location"] == "/actions?strategy=none&text=a%26b%22%3Cc%3E"
    assert browser.get("/actions").text == "secret"


def test_a_token_in_the_address_opens_nothing_and_is_not_carried_on(browser: httpx.Client) -> None:
    answer = browser.get("/actions", params={"token": WORD, "strategy": "none"}, headers=BROWSER)
    assert answer.status_code == 401
    assert "set-cookie" not in answer.headers
    assert WORD not in answer.text
    assert browser.post("/login", params={"token": WORD}).status_code == 401


@pytest.mark.parametrize(
    ("wanted", "location"),
    [
        ("//evil.example/x", "/evil.example/x"),
        ("https://evil.example", "/https://evil.example"),
        ("/\\evil.example", "/evil.example"),
        ("\\\\evil.example", "/evil.example"),
        ("/\t/evil.example", "/%09/evil.example"),
        ("javascript:alert(1)", "/javascript:alert(1)"),
        ("/x\r\nSet-Cookie: a=b", "/x%0D%0ASet-Cookie:%20a=b"),
        ("", "/"),
    ],
)
def test_a_login_leads_nowhere_else(browser: httpx.Client, wanted: str, location: str) -> None:
    answer = log_in(browser, wanted=wanted)
    assert (answer.status_code, answer.headers["location"]) == (303, location)


def test_a_path_that_names_another_host_is_no_way_out(browser: httpx.Client) -> None:
    asked = browser.get("//evil.example/x", headers=BROWSER | {"Host": "evil.example"})
    assert asked.status_code == 401
    # What the form sends back is made a path of this server again.
    assert log_in(browser, wanted="//evil.example/x").headers["location"] == "/evil.example/x"


def test_the_cookie_is_for_this_site_and_ends(browser: httpx.Client) -> None:
    cookie = log_in(browser).headers["set-cookie"]
    for part in ("HttpOnly", "SameSite=strict", "Path=/", f"Max-Age={SESSION_SECONDS}"):
        assert part in cookie
    assert "Secure" not in cookie
    assert WORD not in cookie


@pytest.mark.parametrize(
    ("given", "is_secure"), [("https", True), ("HTTPS, http", True), ("http", False), ("http, https", False)]
)
def test_behind_a_proxy_with_tls_the_cookie_is_secure(browser: httpx.Client, given: str, is_secure: bool) -> None:
    cookie = log_in(browser, **{"X-Forwarded-Proto": given}).headers["set-cookie"]
    assert ("Secure" in cookie) is is_secure


def test_a_session_ends_on_the_server_and_cannot_be_made_longer(browser: httpx.Client) -> None:
    sessions, now = Sessions(TOKEN), time.time()
    ended, good = sessions.begin(now - SESSION_SECONDS - 1), sessions.begin(now)
    end, _, proof = good.partition(".")
    forged = (
        ended,
        f"{int(end) + 1}.{proof}",
        f"{end}.",
        end,
        f".{proof}",
        "",
        "é",
        proof,  # the kind of cookie that riskmon gave before, which never ended
        Sessions(SecretStr("another-token-of-some-length")).begin(now),
    )
    for cookie in forged:
        headers = {b"Cookie": f"{COOKIE}={cookie}".encode()}
        assert browser.get("/actions", headers=headers).status_code == 401, cookie
    assert browser.get("/actions", headers={"Cookie": f"{COOKIE}={good}"}).text == "secret"


def test_a_wrong_token_is_asked_for_again_and_a_foreign_page_may_not_guess(browser: httpx.Client) -> None:
    answer = log_in(browser, token="wrong", wanted="/actions")
    assert answer.status_code == 401
    assert "This is not the token" in answer.text
    assert 'value="/actions"' in answer.text
    assert "set-cookie" not in answer.headers
    for site in ("cross-site", "same-site"):
        answer = log_in(browser, **{"Sec-Fetch-Site": site})
        assert (answer.status_code, "set-cookie" in answer.headers) == (403, False)
    assert log_in(browser, **{"Sec-Fetch-Site": "same-origin"}).status_code == 303


def test_a_login_of_any_shape_is_answered(browser: httpx.Client) -> None:
    for content in (b"", b"\xff\xfe%ff=%zz&&&", b"token", b'{"token": "x"}'):
        assert browser.post("/login", content=content).status_code == 401
    assert browser.post("/login", content=b"token=" + b"x" * 100_000).status_code == 413
    assert browser.get("/login", headers=BROWSER).status_code == 200
    assert browser.head("/login").status_code == 200
    wrong = browser.put("/login")
    assert (wrong.status_code, set(wrong.headers["allow"].split(", "))) == (405, {"GET", "HEAD", "POST"})


def test_every_answer_carries_the_headers_that_keep_it_safe(browser: httpx.Client) -> None:
    answers = [
        browser.get("/", headers=BROWSER),
        browser.get("/"),
        browser.head("/"),
        browser.options("/"),
        browser.get("/login"),
        browser.put("/login"),
        log_in(browser, token="wrong"),
        browser.post("/login", content=b"x" * 100_000),
        log_in(browser, **{"Sec-Fetch-Site": "cross-site"}),
        browser.get("/", headers=BEARER),
        browser.head("/", headers=BEARER),
        browser.options("/", headers=BEARER),
        browser.post("/", headers=BEARER),
        browser.get("/nowhere", headers=BEARER),
        browser.get("/broken", headers=BEARER),
        log_in(browser),
    ]
    with client(host="127.0.0.1", token=None) as here:
        answers += [here.get("/"), here.get("/", headers={"Host": "evil.example"})]
        answers.append(here.get("/", headers={"X-Forwarded-For": "192.0.2.1"}))
    codes = {answer.status_code for answer in answers}
    assert codes == {200, 303, 400, 401, 403, 404, 405, 413, 500}
    for answer in answers:
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"], answer
        assert "form-action 'self'" in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        assert answer.headers["cache-control"] == "no-store", answer


def test_a_proxy_on_this_machine_does_not_let_strangers_in() -> None:
    proxied = {"X-Forwarded-For": "192.0.2.1", "Host": "riskmon.example"}
    with client(host="127.0.0.1", token=None) as here:
        for name in ("X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Real-IP", "Forwarded", "Via"):
            answer = here.get("/actions", headers={name: "x"})
            assert answer.status_code == 403
            assert "RISKMON_WEB_TOKEN" in answer.text
        assert here.get("/actions").text == "secret"
    with client(host="127.0.0.1") as here:
        assert here.get("/actions").text == "secret"
        assert here.get("/actions", headers=proxied).status_code == 401
        assert here.get("/actions", headers=proxied | BEARER).text == "secret"
        assert log_in(here, **proxied).status_code == 303
        assert here.get("/actions", headers={"Host": "riskmon.example"}).status_code == 400


def test_no_redirect_names_a_scheme_or_a_host() -> None:
    with serving(health_app(Health()), "127.0.0.1", 0, "the test") as url:
        assert httpx.get(f"{url}/metrics/").status_code == 404
