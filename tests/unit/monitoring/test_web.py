"""Health endpoints and the access rule, over genuine HTTP."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
from pydantic import SecretStr, ValidationError
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from monitoring.health.health import Health, health_app, serving_health
from monitoring.health.web import WebError, guarded, serving
from streams.config.settings import Settings

TOKEN = SecretStr("a-token-of-some-length")


async def _secret(scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse("secret")(scope, receive, send)


@contextmanager
def _guarded_client(*, login: bool) -> Iterator[httpx.Client]:
    # Guarded as on an address that others reach, served on one that the test reaches.
    app = guarded(_secret, "0.0.0.0", TOKEN, login=login, open_paths=["/healthz"])
    with serving(app, "127.0.0.1", 0, "the test") as url, httpx.Client(base_url=url) as client:
        yield client


def test_ready_only_while_no_condition_holds() -> None:
    health, recovering = Health(), threading.Event()
    health.not_ready_while("recovering", recovering.is_set)
    with serving(health_app(health), "127.0.0.1", 0, "the test") as url, httpx.Client(base_url=url) as client:
        assert client.get("/readyz").json() == {"ready": True, "problems": []}
        recovering.set()
        answer = client.get("/readyz")
        assert (answer.status_code, answer.json()) == (503, {"ready": False, "problems": ["recovering"]})
        assert client.get("/healthz").status_code == 200
        health.broken_while("stuck", lambda: True)
        assert client.get("/healthz").json() == {"alive": False, "problems": ["stuck"]}
        assert client.get("/readyz").json()["problems"] == ["stuck", "recovering"]


def test_metrics_are_served_to_prometheus_and_to_people() -> None:
    with serving_health(Settings(metrics_port=0), Health()) as url:
        assert "python_info{" in httpx.get(f"{url}/metrics").text
        openmetrics = {"Accept": "application/openmetrics-text; version=1.0.0"}
        assert httpx.get(f"{url}/metrics", headers=openmetrics).text.endswith("# EOF\n")


def test_a_token_is_needed_beyond_this_machine() -> None:
    with _guarded_client(login=False) as client:
        assert client.get("/").status_code == 401
        assert client.get("/", headers={"Authorization": "Bearer wrong"}).status_code == 401
        assert client.get("/", headers={"Authorization": b"Bearer \xe9\xff"}).status_code == 401
        assert client.get("/", headers={"Authorization": f"Bearer {TOKEN.get_secret_value()}"}).text == "secret"
        # Only the console takes a token from the address.
        assert client.get("/", params={"token": TOKEN.get_secret_value()}).status_code == 401
        assert client.get("/healthz").status_code == 200


def test_a_browser_logs_in_once() -> None:
    with _guarded_client(login=True) as client:
        asked = client.get("/", params={"token": "wrong"}, headers={"Accept": "text/html"})
        assert asked.status_code == 401
        assert 'name="token"' in asked.text
        answer = client.get("/actions", params={"token": TOKEN.get_secret_value(), "strategy": "none"})
        assert answer.status_code == 303
        assert answer.headers["location"].endswith("/actions?strategy=none")
        cookie = answer.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=strict" in cookie
        assert TOKEN.get_secret_value() not in cookie
        assert client.get("/actions").text == "secret"


def test_no_start_beyond_this_machine_without_a_token() -> None:
    with (
        pytest.raises(WebError, match=r"0\.0\.0\.0 .* RISKMON_WEB_TOKEN"),
        serving_health(Settings(metrics_host="0.0.0.0", metrics_port=0), Health()),
    ):
        pass
    with pytest.raises(ValidationError, match="web_token"):
        Settings(web_token=SecretStr("short"))


def test_a_foreign_name_for_this_machine_is_refused() -> None:
    app = guarded(_secret, "127.0.0.1", None, login=False, open_paths=())
    with serving(app, "127.0.0.1", 0, "the test") as url:
        assert httpx.get(url).text == "secret"
        assert httpx.get(url, headers={"Host": "evil.example"}).status_code == 400


def test_a_used_port_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(WebError, match=rf"the test cannot listen on 127\.0\.0\.1 port {port} .*in use"):
            serving(_secret, "127.0.0.1", port, "the test").__enter__()
