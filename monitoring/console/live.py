"""Live pages for many readers: what they follow is made once for all of them, and there are only so many."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Callable
from typing import Any, NamedTuple

from sse_starlette import EventSourceResponse, ServerSentEvent
from sse_starlette.sse import SendTimeoutError
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

REFRESH_SECONDS = 1.0
# A laptop that fell asleep does not say goodbye: who has taken nothing for so long has left.
SEND_SECONDS = 30.0
_RETRY_SECONDS = 5


class _Made(NamedTuple):
    at: float
    message: bytes


class Shared:
    """Messages by what they show, each made at most once a second. What nobody asks for any more is forgotten."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._made: dict[object, _Made] = {}

    def get(self, shown: object, make: Callable[[], bytes]) -> bytes:
        """The message about `shown`, made now if the last is a second old."""
        now = self._clock()
        found = self._made.get(shown)
        if found is None or now - found.at >= REFRESH_SECONDS:
            self._made = {other: made for other, made in self._made.items() if now - made.at < REFRESH_SECONDS}
            found = self._made[shown] = _Made(now, make())
        return found.message

    def __len__(self) -> int:
        return len(self._made)


class AtMost:
    """Serves so many requests at a time and tells the others to come back: each live page costs the event loop time."""

    def __init__(self, app: ASGIApp, most: int) -> None:
        self._app = app
        self._most = most
        self._open = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._open >= self._most:
            text = f"{self._most} live pages are open: close some, or raise RISKMON_CONSOLE_LIVE_PAGES\n"
            await PlainTextResponse(text, 503, {"Retry-After": str(_RETRY_SECONDS)})(scope, receive, send)
            return
        self._open += 1
        try:
            await self._app(scope, receive, send)
        except SendTimeoutError:
            # It has left, see SEND_SECONDS. The server closes a connection whose answer has no end.
            pass
        finally:
            self._open -= 1


def event(data: dict[str, Any]) -> bytes:
    """The data as a server-sent event, ready for the wire."""
    return ServerSentEvent(json.dumps(data, separators=(",", ":"))).encode()


def live(events: AsyncIterator[bytes]) -> EventSourceResponse:
    """An answer that goes on for as long as there are events and its reader takes them."""
    return EventSourceResponse(events, send_timeout=SEND_SECONDS)
