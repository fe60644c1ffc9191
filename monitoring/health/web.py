"""An ASGI app served from a thread of its own, and who may read it.

On a loopback address everybody on this machine may, but only under a loopback name, so that no foreign web page reads
it through a name of its own (DNS rebinding). On any other address a token is asked for; the transport is plain HTTP,
so TLS belongs in front of it.
"""

from __future__ import annotations

import hashlib
import hmac
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
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

_LOOPBACK_NAMES = ["localhost", "127.0.0.1", "::1", "[::1]"]
_COOKIE = "riskmon-session"
_LOGIN_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>riskmon</title>
<meta name="color-scheme" content="light dark"><meta name="referrer" content="no-referrer">
<h1>riskmon</h1><form method="get"><label>Token <input name="token" type="password" autofocus required></label>
<button>Log in</button></form></html>
"""
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
        app, log_config=None, access_log=False, server_header=False, timeout_graceful_shutdown=_STOP_SECONDS
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


def guarded(app: ASGIApp, host: str, token: SecretStr | None, *, login: bool, open_paths: Collection[str]) -> ASGIApp:
    """`app` behind the access rule of the address it is served on; `open_paths` need no token anywhere.

    With `login` a browser may give the token once as `?token=` and goes on with a cookie. Raises `WebError` where a
    token is needed and there is none.
    """
    if _is_loopback(host):
        return TrustedHostMiddleware(app, _LOOPBACK_NAMES, www_redirect=False)
    if token is None:
        raise WebError(f"{host} is not a loopback address: set RISKMON_WEB_TOKEN, which readers must then present")
    return _TokenGuard(app, token.get_secret_value(), frozenset(open_paths), login=login)


class _TokenGuard:
    """Lets a request through that bears the token, or the cookie a login gave for it."""

    def __init__(self, app: ASGIApp, token: str, open_paths: frozenset[str], *, login: bool) -> None:
        self._app = app
        self._token = token
        self._open_paths = open_paths
        self._login = login
        # The cookie proves that the token was known, and does not give it away.
        self._session = hmac.new(token.encode(), _COOKIE.encode(), hashlib.sha256).hexdigest()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app: ASGIApp = self._app
        if scope["type"] == "http" and scope["path"] not in self._open_paths:
            app = self._answer(Request(scope)) or self._app
        await app(scope, receive, send)

    def _answer(self, request: Request) -> Response | None:
        """The answer that takes the app's place; None lets the request through."""
        if self._login and "token" in request.query_params and _same(request.query_params["token"], self._token):
            return self._logged_in(request)
        if self._bears_token(request) or self._has_session(request):
            return None
        headers = {"WWW-Authenticate": 'Bearer realm="riskmon"'}
        if self._login and "text/html" in request.headers.get("accept", ""):
            return HTMLResponse(_LOGIN_PAGE, 401, headers)
        return PlainTextResponse("a token is needed\n", 401, headers)

    def _logged_in(self, request: Request) -> Response:
        answer = RedirectResponse(str(request.url.remove_query_params("token")), 303)
        answer.set_cookie(
            _COOKIE, self._session, httponly=True, samesite="strict", secure=request.url.scheme == "https"
        )
        return answer

    def _bears_token(self, request: Request) -> bool:
        kind, _, given = request.headers.get("authorization", "").partition(" ")
        return kind.lower() == "bearer" and _same(given, self._token)

    def _has_session(self, request: Request) -> bool:
        return self._login and _same(request.cookies.get(_COOKIE, ""), self._session)


def _same(given: str, wanted: str) -> bool:
    # In constant time, so that the time of an answer does not tell how much of a guess was right.
    return hmac.compare_digest(given.encode(), wanted.encode())


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
