"""Live pages over genuine HTTP, without a Kafka: how many there may be, what they share, and when they end."""

import asyncio
import re
import socket
import time
from collections.abc import Iterator

import httpx
import pytest
from pydantic import SecretStr

from monitoring.console import live
from monitoring.console.app import PAGES, serving_console
from monitoring.console.live import Shared
from monitoring.health.login import COOKIE, SESSION_SECONDS, Sessions
from streams.config.settings import Settings

TOKEN = SecretStr("a-token-of-some-length")
BEARER = {"Authorization": f"Bearer {TOKEN.get_secret_value()}"}
MOST = 3
PERSONAL = (*PAGES, "/borrowers?like=B", *(f"/live/{page}" for page in ("overview", "actions", "borrower", "models")))


@pytest.fixture
def url() -> Iterator[str]:
    settings = Settings(
        bootstrap="127.0.0.1:1", console_host="0.0.0.0", console_port=0, web_token=TOKEN, console_live_pages=MOST
    )
    with serving_console(settings) as found:
        yield found


async def _follow(client: httpx.AsyncClient, page: str, closing: asyncio.Event) -> int:
    """Follow a page until `closing`; what it was answered."""
    async with client.stream("GET", f"/live/{page}") as answer:
        if answer.status_code == 200:
            # Held on to: an iterator that is thrown away closes the connection.
            lines = answer.aiter_lines()
            assert (await anext(lines)).startswith("data:")
            await closing.wait()
        return answer.status_code


async def test_two_hundred_browsers_get_as_many_live_pages_as_there_may_be(url: str) -> None:
    closing = asyncio.Event()
    async with httpx.AsyncClient(base_url=url, headers=BEARER, limits=httpx.Limits(max_connections=None)) as client:
        pages = ("overview", "actions", "borrower", "stream")
        asked = [asyncio.create_task(_follow(client, pages[number % 4], closing)) for number in range(200)]
        while sum(task.done() for task in asked) < 200 - MOST:
            await asyncio.sleep(0.05)
        refused = await client.get("/live/overview")
        assert (refused.status_code, refused.headers["content-type"]) == (503, "text/plain; charset=utf-8")
        assert int(refused.headers["retry-after"]) > 0
        assert "RISKMON_CONSOLE_LIVE_PAGES" in refused.text
        assert (await client.head("/live/overview")).status_code == 503
        # Pages themselves are still served.
        assert (await client.get("/")).status_code == 200
        closing.set()
        answers = await asyncio.gather(*asked)
        assert sorted(set(answers)) == [200, 503]
        assert answers.count(200) == MOST
        # What is closed makes room.
        await _eventually_followed(client)


async def _eventually_followed(client: httpx.AsyncClient) -> None:
    done = asyncio.Event()
    done.set()
    async with asyncio.timeout(10):
        while await _follow(client, "overview", done) != 200:
            await asyncio.sleep(0.1)


async def test_what_is_no_stream_takes_no_room(url: str) -> None:
    done = asyncio.Event()
    done.set()
    async with httpx.AsyncClient(base_url=url, headers=BEARER) as client:
        for _ in range(2 * MOST):
            assert (await client.head("/live/overview")).status_code == 200
            assert (await client.get("/live/nothing")).status_code == 404
            assert (await client.post("/live/overview")).status_code == 405
        assert await _follow(client, "overview", done) == 200


async def test_a_reader_that_does_not_read_gives_its_room_up(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "SEND_SECONDS", 0.5)
    # Longer than the buffers of both sides hold, and always new.
    monkeypatch.setattr("monitoring.console.views.overview", lambda _, now: {"at": str(now), "long": "x" * 20_000_000})
    port = int(url.rpartition(":")[2])
    asked = f"GET /live/overview HTTP/1.1\r\nHost: here\r\nAuthorization: {BEARER['Authorization']}\r\n\r\n".encode()
    deaf = [socket.create_connection(("127.0.0.1", port)) for _ in range(MOST)]
    try:
        for each in deaf:
            each.sendall(asked)
        async with httpx.AsyncClient(base_url=url, headers=BEARER) as client:
            while (await client.head("/live/models")).status_code == 200:
                await asyncio.sleep(0.02)
            async with asyncio.timeout(10):
                while (await client.head("/live/models")).status_code == 503:
                    await asyncio.sleep(0.1)
    finally:
        for each in deaf:
            each.close()


@pytest.mark.parametrize("page", ["overview", "borrower?id=B1"])
async def test_a_live_page_ends_with_its_session(url: str, page: str) -> None:
    nearly = Sessions(TOKEN).begin(time.time() - SESSION_SECONDS + 3)
    async with httpx.AsyncClient(base_url=url, headers={"Cookie": f"{COOKIE}={nearly}"}, timeout=10) as client:
        async with client.stream("GET", f"/live/{page}") as answer:
            assert answer.status_code == 200
            # To the end, and in good order.
            assert b"data:" in await answer.aread()
        assert (await client.get(f"/live/{page}")).status_code == 401


def test_nothing_personal_is_stored_and_scripts_are_asked_for_anew(url: str) -> None:
    with httpx.Client(base_url=url, headers=BEARER) as client:
        for path in PERSONAL:
            answer = client.head(path)
            assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store"), path
            assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        script = client.get("/static/js/live.js")
        assert script.headers["cache-control"] == "no-cache"
        again = client.get("/static/js/live.js", headers={"If-None-Match": script.headers["etag"]})
        assert (again.status_code, again.headers["cache-control"]) == (304, "no-cache")
        assert client.get("/static/no-such-thing").headers["cache-control"] == "no-store"


def test_the_form_gets_its_style_and_nothing_else_is_open(url: str) -> None:
    form = httpx.get(url, headers={"Accept": "text/html"}).text
    for path in re.findall(r'(?:href|src)="(\S+?)"', form):
        assert httpx.get(f"{url}{path}").status_code == 200, path
    for path in ("/static/console.css", "/static/js/live.js", "/static/../app.py", "/static/login.css/../js/live.js"):
        assert httpx.get(f"{url}{path}").status_code == 401, path
    for path in (*PAGES, *PERSONAL, "/favicon.ico", "/nowhere"):
        assert httpx.get(f"{url}{path}").status_code == 401, path


@pytest.mark.parametrize("host", ["a/b?c", "[", "", "evil.example:x"])
def test_an_odd_host_breaks_no_page(url: str, host: str) -> None:
    assert httpx.get(f"{url}/actions", headers=BEARER | {"Host": host}).status_code == 200
    assert httpx.get(f"{url}/actions", headers={"Host": host, "Accept": "text/html"}).status_code == 401


@pytest.mark.parametrize("path", ["/actions/", "//actions", "/static", "/login/", "/live/overview/"])
def test_no_path_is_answered_by_a_redirect_to_another_scheme_or_host(url: str, path: str) -> None:
    answer = httpx.get(f"{url}{path}", headers=BEARER | {"Host": "evil.example"})
    assert (answer.status_code, answer.headers.get("location")) == (404, None)


def test_a_message_is_made_once_for_all_who_follow_the_same() -> None:
    now = [0.0]
    shared, made = Shared(lambda: now[0]), []

    def make() -> bytes:
        made.append(now[0])
        return b"%d" % len(made)

    assert [shared.get("a", make) for _ in range(200)] == [b"1"] * 200
    assert shared.get("b", make) == b"2"
    now[0] = 0.9
    assert shared.get("a", make) == b"1"
    now[0] = 1.0
    assert shared.get("a", make) == b"3"
    assert made == [0.0, 0.0, 1.0]


def test_what_nobody_follows_any_more_is_forgotten() -> None:
    now = [0.0]
    shared = Shared(lambda: now[0])
    for number in range(1_000):
        now[0] = number / 10
        shared.get(f"filter {number}", lambda: b"x")
        assert len(shared) <= 11
