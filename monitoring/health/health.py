"""What a process says of itself over HTTP: /metrics, /healthz (is it alive?) and /readyz (does it do its work?)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from prometheus_client import REGISTRY
from prometheus_client.exposition import choose_encoder
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from monitoring.health.web import guarded, serving

if TYPE_CHECKING:
    from streams.config.settings import Settings

Test = Callable[[], bool]
HEALTHZ = "/healthz"
_OPEN_PATHS = (HEALTHZ, "/readyz")


class Health:
    """Problems a process may have, each with a test whether it has it now.

    Tests are called from the web server's thread: they must be quick and thread-safe, such as reading a flag.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._broken: dict[str, Test] = {}
        self._not_ready: dict[str, Test] = {}

    def broken_while(self, problem: str, test: Test) -> None:
        """Not alive while the test holds: only a restart helps. It is not ready then, either."""
        with self._lock:
            self._broken[problem] = test

    def not_ready_while(self, problem: str, test: Test) -> None:
        """Not ready while the test holds; it may pass by itself."""
        with self._lock:
            self._not_ready[problem] = test

    def broken(self) -> list[str]:
        """The problems that only a restart mends."""
        with self._lock:
            tests = dict(self._broken)
        return [problem for problem, holds in tests.items() if holds()]

    def not_ready(self) -> list[str]:
        """Everything that keeps the process from its work."""
        with self._lock:
            tests = self._broken | self._not_ready
        return [problem for problem, holds in tests.items() if holds()]


def healthz(health: Health) -> Route:
    """/healthz alone: 503 while only a restart helps."""

    async def answer(_: Request) -> Response:
        return _verdict("alive", health.broken())

    return Route(HEALTHZ, answer)


def health_app(health: Health) -> Starlette:
    """200 where all is well, else 503; /healthz and /readyz name the problems as JSON."""

    async def readyz(_: Request) -> Response:
        return _verdict("ready", health.not_ready())

    app = Starlette(routes=[Route("/metrics", _metrics), healthz(health), Route("/readyz", readyz)])
    # It would name the scheme of this server, not that of the proxy in front of it.
    app.router.redirect_slashes = False
    return app


@contextmanager
def serving_health(settings: Settings, health: Health) -> Iterator[str]:
    """Serve metrics and health where the settings say while the block runs; yields the URL.

    Beyond this machine /metrics asks for a token. Raises `monitoring.health.web.WebError` if it cannot be served so.
    """
    app = guarded(
        health_app(health),
        settings.metrics_host,
        settings.metrics_token,
        token_setting="RISKMON_METRICS_TOKEN",
        login=False,
        open_paths=_OPEN_PATHS,
    )
    with serving(app, settings.metrics_host, settings.metrics_port, "the metrics server") as url:
        yield url


async def _metrics(request: Request) -> Response:
    encode, content_type = choose_encoder(request.headers.get("accept", ""))
    return Response(encode(REGISTRY), headers={"Content-Type": content_type})


def _verdict(word: str, problems: list[str]) -> JSONResponse:
    return JSONResponse({word: not problems, "problems": problems}, 503 if problems else 200)
