"""An ASGI app served from a thread of its own, and who may read it.

On a loopback address everybody on this machine may, but only under a loopback name, so that no foreign web page reads
it through a name of its own (DNS rebinding). On any other address, and of what a proxy passes on, a token is asked for;
the transport is plain HTTP, so TLS belongs in front of it.
"""

from __future__ import annotations

import ipaddress
import socket
import threading
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager

import uvicorn
from pydantic import SecretStr
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from monitoring.health.login import LOGIN_PATH, Login, is_same
from monitoring.health.safe_headers import SafeHeaders

_LOOPBACK_NAMES = ["localhost", "127.0.0.1", "::1", "[::1]"]
_PROXY_HEADERS = {b"forwarded", b"via", b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto", b"x-real-ip"}
_START_SECONDS = 10
_STOP_SECONDS = 2


class WebError(ValueError):
    """The web server cannot start; the text names the port or the setting."""


@contextmanager
def serving(app: ASGIApp, host: str, port: int, what: str) -> Iterator[str]:
    """Serve `app` beside the caller's own work while the block runs; yields the URL. Port 0 picks a free one.

    Raises `WebError`, which names `what` and the port, if it cannot listen there.
    """
    listener = _listen(host, port, what)
    config = uvicorn.Config(
        app,
        # The guard looks at HTTP: there is no other way in.
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_STOP_SECONDS,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name=what, daemon=True)
    thread.start()
    try:
        _await_start(server, thread, what)
        yield f"http://{f'[{host}]' if ':' in host else host}:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(2 * _STOP_SECONDS)


def guarded(
    app: ASGIApp,
    host: str,
    token: SecretStr | None,
    *,
    token_setting: str,
    login: bool,
    open_paths: Collection[str],
) -> ASGIApp:
    """`app` behind the access rule of the address it is served on; `open_paths` need no token anywhere.

    With `login` a browser may give the token once in a form and goes on with a cookie. Raises `WebError`, which names
    `token_setting`, where a token is needed and there is none.
    """
    by_token = _TokenGuard(app, token, frozenset(open_paths), login=login) if token else None
    if _is_loopback(host):
        refuse = PlainTextResponse(f"through a proxy this is served only with a token: set {token_setting}\n", 403)
        local = TrustedHostMiddleware(app, _LOOPBACK_NAMES, www_redirect=False)
        return SafeHeaders(_LocalGuard(local, by_token or refuse))
    if by_token is None:
        raise WebError(f"{host} is not a loopback address: set {token_setting}, which readers must then present")
    return SafeHeaders(by_token)


class _LocalGuard:
    """Tells those on this machine from those whom a proxy on it passes on: these come from anywhere."""

    def __init__(self, local: ASGIApp, proxied: ASGIApp) -> None:
        self._local = local
        self._proxied = proxied

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_proxied = scope["type"] == "http" and not _PROXY_HEADERS.isdisjoint(name for name, _ in scope["headers"])
        await (self._proxied if is_proxied else self._local)(scope, receive, send)


class _TokenGuard:
    """Lets a request through that bears the token, or the cookie a login gave for it."""

    def __init__(self, app: ASGIApp, token: SecretStr, open_paths: frozenset[str], *, login: bool) -> None:
        self._app = app
        self._token = token.get_secret_value()
        self._open_paths = open_paths
        self._login = Login(token) if login else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app: ASGIApp = self._app
        if scope["type"] == "http" and scope["path"] not in self._open_paths:
            app = self._app_for(Request(scope))
        await app(scope, receive, send)

    def _app_for(self, request: Request) -> ASGIApp:
        """The app, or the answer that takes its place."""
        if self._login and request.scope["path"] == LOGIN_PATH:
            return Route(LOGIN_PATH, self._login.answer, methods=["GET", "POST"]).handle
        if self._bears_token(request) or (self._login and self._login.admits(request)):
            return self._app
        if self._login and "text/html" in request.headers.get("accept", ""):
            return self._login.ask(request)
        return PlainTextResponse("a token is needed\n", 401, {"WWW-Authenticate": 'Bearer realm="riskmon"'})

    def _bears_token(self, request: Request) -> bool:
        kind, _, given = request.headers.get("authorization", "").partition(" ")
        return kind.lower() == "bearer" and is_same(given, self._token)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _listen(host: str, port: int, what: str) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise WebError(
            f"{what} cannot listen on {host} port {port} ({error.strerror}): choose another, or 0 for any free one"
        ) from error


def _await_start(server: uvicorn.Server, thread: threading.Thread, what: str) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not server.started:
        if not thread.is_alive() or time.monotonic() > deadline:
            raise WebError(f"{what} did not start; the log says why")
        time.sleep(0.01)
