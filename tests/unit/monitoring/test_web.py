"""Health endpoints and the access rule, over genuine HTTP."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr, ValidationError
from rich.console import Console
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from monitoring.console.app import serving_console
from monitoring.health.health import Health, health_app, serving_health
from monitoring.health.web import WebError, guarded, serving
from monitoring.terminal.scrape import scrape
from producers.faults import FaultConfig
from producers.simulator.simulate import SimulationConfig
from streams.command.demo import DemoConfig, _Demo
from streams.command.local_kafka.broker import free_port
from streams.config.settings import Settings

TOKEN = SecretStr("a-token-of-some-length")


async def _secret(scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse("secret")(scope, receive, send)


@contextmanager
def _guarded_client() -> Iterator[httpx.Client]:
    # Guarded as on an address that others reach, served on one that the test reaches.
    app = guarded(
        _secret, "0.0.0.0", TOKEN, token_setting="RISKMON_METRICS_TOKEN", login=False, open_paths=["/healthz"]
    )
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
    with _guarded_client() as client:
        assert client.get("/").status_code == 401
        assert client.get("/", headers={"Authorization": "Bearer wrong"}).status_code == 401
        assert client.get("/", headers={b"Authorization": b"Bearer \xe9\xff"}).status_code == 401
        assert client.get("/", headers={"Authorization": f"Bearer {TOKEN.get_secret_value()}"}).text == "secret"
        # Neither the address nor a form takes the token here.
        assert client.get("/", params={"token": TOKEN.get_secret_value()}).status_code == 401
        assert client.post("/login", data={"token": TOKEN.get_secret_value()}).status_code == 401
        assert client.get("/healthz").status_code == 200


def test_no_start_beyond_this_machine_without_a_token() -> None:
    with (
        # The console's token opens the console only.
        pytest.raises(WebError, match=r"0\.0\.0\.0 .* RISKMON_METRICS_TOKEN"),
        serving_health(Settings(metrics_host="0.0.0.0", metrics_port=0, web_token=TOKEN), Health()),
    ):
        pass
    with (
        pytest.raises(WebError, match=r"0\.0\.0\.0 .* RISKMON_WEB_TOKEN"),
        serving_console(Settings(console_host="0.0.0.0", console_port=0, metrics_token=TOKEN)),
    ):
        pass


@pytest.mark.parametrize("name", ["web_token", "metrics_token"])
def test_a_token_is_long_and_may_come_from_a_file(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValidationError, match=name):
        Settings.model_validate({name: "short"})
    (tmp_path / f"riskmon_{name}").write_text(TOKEN.get_secret_value())
    monkeypatch.setenv("RISKMON_SECRETS_DIR", str(tmp_path))
    assert getattr(Settings(), name) == TOKEN


def test_one_token_for_both_is_refused() -> None:
    with pytest.raises(ValidationError, match="must differ"):
        Settings(web_token=TOKEN, metrics_token=TOKEN)


def test_metrics_beyond_this_machine_open_to_their_own_token_only() -> None:
    settings = Settings(
        metrics_host="0.0.0.0", metrics_port=0, metrics_token=TOKEN, web_token=SecretStr("the-token-of-the-console")
    )
    with serving_health(settings, Health()) as url:
        port = int(url.rpartition(":")[2])
        assert scrape(port, settings.metrics_token)
        assert scrape(port, settings.web_token) == scrape(port, None) == {}


async def test_the_demo_reads_its_metrics_by_their_token(tmp_path: Path) -> None:
    settings = Settings(
        metrics_host="0.0.0.0",
        metrics_port=free_port(),
        metrics_token=TOKEN,
        web_token=SecretStr("the-token-of-the-console"),
    )
    config = DemoConfig(SimulationConfig(borrowers=1, days=1), FaultConfig(), 0, None)
    with serving_health(settings, Health()):
        assert await _Demo(settings, config, tmp_path, Console())._scraped()


def test_a_foreign_name_for_this_machine_is_refused() -> None:
    app = guarded(_secret, "127.0.0.1", None, token_setting="RISKMON_METRICS_TOKEN", login=False, open_paths=())
    with serving(app, "127.0.0.1", 0, "the test") as url:
        assert httpx.get(url).text == "secret"
        assert httpx.get(url, headers={"Host": "evil.example"}).status_code == 400


def test_a_used_port_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(WebError, match=rf"the test cannot listen on 127\.0\.0\.1 port {port} .*in use"):
            serving(_secret, "127.0.0.1", port, "the test").__enter__()
