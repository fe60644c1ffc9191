"""How a browser logs in: a form that takes the token once, and a cookie that proves it until it ends."""

from __future__ import annotations

import hashlib
import hmac
import math
import time
from html import escape
from urllib.parse import parse_qsl, quote, urlencode

from pydantic import SecretStr
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response

LOGIN_PATH = "/login"
COOKIE = "riskmon-session"
SESSION_SECONDS = 12 * 3600
# What the form itself is made of, which whoever sees it has to get.
FORM_FILES = ("/static/login.css", "/static/icon.svg")
_LONGEST_FORM = 16_384
_PAGE = """<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <meta name="color-scheme" content="light dark">
  <title>Log in · riskmon</title>
  <link rel="icon" href="/static/icon.svg" type="image/svg+xml">
  <link rel="stylesheet" href="/static/login.css">
</head>
<body>
  <main>
    <h1>riskmon</h1>
    <form method="post" action="/login">
      <input type="hidden" name="next" value="{wanted}">
      <label for="token">Token</label>
      <input id="token" name="token" type="password" autocomplete="current-password" autofocus required>
      {problem}
      <button>Log in</button>
    </form>
  </main>
</body>
</html>
"""


class Sessions:
    """Cookies that hold their own end, signed with the token: nothing is kept here, and a new token ends them all."""

    def __init__(self, token: SecretStr) -> None:
        self._token = token.get_secret_value().encode()

    def begin(self, now: float) -> str:
        """The cookie of a session that begins now; times are seconds since 1970."""
        end = str(int(now) + SESSION_SECONDS)
        return f"{end}.{self._proof(end)}"

    def end(self, cookie: str, now: float) -> int | None:
        """When the cookie's session ends; None if it has ended, or was not begun here."""
        end, _, proof = cookie.partition(".")
        # The proof first: what is not ours is not even read as a number.
        if not is_same(proof, self._proof(end)) or now >= int(end):
            return None
        return int(end)

    def _proof(self, end: str) -> str:
        # The cookie proves that the token was known, and does not give it away.
        return hmac.new(self._token, f"{COOKIE}.{end}".encode(), hashlib.sha256).hexdigest()


class Login:
    """The login form, and who has come through it."""

    def __init__(self, token: SecretStr) -> None:
        self._token = token
        self._sessions = Sessions(token)

    def admits(self, request: Request) -> bool:
        """Whether the request has a session; its end is noted for answers that go on for long."""
        end = self._sessions.end(request.cookies.get(COOKIE, ""), time.time())
        request.state.session_end = end
        return end is not None

    def ask(self, request: Request) -> Response:
        """The form, in place of a page that needs a session."""
        # An address that still has a token in it, as older ones had, is not kept alive.
        query = urlencode([(name, value) for name, value in request.query_params.multi_items() if name != "token"])
        path = quote(request.scope["path"])
        return _form(f"{path}?{query}" if query else path, 401)

    async def answer(self, request: Request) -> Response:
        """What stands at `LOGIN_PATH`: the form for GET, its evaluation for POST."""
        if request.method != "POST":
            return _form("/", 200)
        # Nobody gains by logging another in, there is only one user; but no foreign page may try tokens from here.
        if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            return PlainTextResponse("log in from riskmon's own page\n", 403)
        body = await _body(request)
        if body is None:
            return PlainTextResponse("the form is too long\n", 413)
        given = dict(parse_qsl(body.decode(errors="replace")))
        wanted = given.get("next", "/")
        if not is_same(given.get("token", ""), self._token.get_secret_value()):
            return _form(wanted, 401, '<p role="alert">This is not the token.</p>')
        return self._logged_in(request, wanted)

    def _logged_in(self, request: Request, wanted: str) -> Response:
        # Always a path of this server: two slashes, or a backslash that browsers read as one, would name another.
        answer = RedirectResponse("/" + wanted.lstrip("/\\"), 303)
        answer.set_cookie(
            COOKIE,
            self._sessions.begin(time.time()),
            max_age=SESSION_SECONDS,
            httponly=True,
            samesite="strict",
            secure=_came_by_https(request),
        )
        return answer


def session_end(request: Request) -> float:
    """When the request's session ends, seconds since 1970; never, if it came without one."""
    end: int | None = getattr(request.state, "session_end", None)
    return math.inf if end is None else end


def is_same(given: str, wanted: str) -> bool:
    """Compare in constant time, so that the time of an answer does not tell how much of a guess was right."""
    return hmac.compare_digest(given.encode(errors="replace"), wanted.encode(errors="replace"))


def _came_by_https(request: Request) -> bool:
    # Believed from anybody: who makes it up only gets a stricter cookie. The first is what the browser spoke.
    spoken = request.headers.get("x-forwarded-proto", request.url.scheme).partition(",")[0]
    return spoken.strip().lower() == "https"


def _form(wanted: str, status: int, problem: str = "") -> Response:
    headers = {"WWW-Authenticate": 'Bearer realm="riskmon"'} if status == 401 else None
    return HTMLResponse(_PAGE.format(problem=problem, wanted=escape(wanted)), status, headers)


async def _body(request: Request) -> bytes | None:
    """The body; None if it is longer than a login can be."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _LONGEST_FORM:
            return None
    return body
