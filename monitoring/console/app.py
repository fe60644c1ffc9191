"""The console's web application: pages from templates, and their data as server-sent events."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.datastructures import QueryParams
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.templating import Jinja2Templates

from monitoring.console import views
from monitoring.console.action_log import ActionFilter
from monitoring.console.board import Board
from monitoring.console.borrower_pages import BorrowerPages
from monitoring.console.feed import Feed
from monitoring.console.live import REFRESH_SECONDS, AtMost, Shared, event, live
from monitoring.health.health import HEALTHZ, Health, healthz
from monitoring.health.login import FORM_FILES, session_end
from monitoring.health.web import guarded, serving
from streams.config.settings import Settings
from streams.contracts.vocabulary import Strategy

_HERE = Path(__file__).parent
_SUGGESTIONS = 12
_LONGEST_TEXT = 100
PAGES = {
    "/": ("overview", "Overview"),
    "/actions": ("actions", "Actions"),
    "/borrower": ("borrower", "Borrower"),
    "/models": ("models", "Models"),
    "/stream": ("stream", "Stream"),
}


@contextmanager
def serving_console(settings: Settings) -> Iterator[str]:
    """Serve the console where the settings say while the block runs; yields the URL.

    Raises `monitoring.health.web.WebError` if the port is taken, or a token is needed and missing.
    """
    stopping = threading.Event()
    app = guarded(
        Console(settings, stopping).app,
        settings.console_host,
        settings.web_token,
        token_setting="RISKMON_WEB_TOKEN",
        login=True,
        open_paths=(*FORM_FILES, HEALTHZ),
    )
    with serving(app, settings.console_host, settings.console_port, "the console") as url:
        try:
            yield url
        finally:
            # The live streams never end by themselves, and the server waits for them.
            stopping.set()


class Console:
    """The application around one board, which a feed keeps current for as long as it is served."""

    def __init__(self, settings: Settings, stopping: threading.Event) -> None:
        self._settings = settings
        self._stopping = stopping
        self._board = Board.empty(settings, _now())
        health = Health()
        health.broken_while("the feed has ended", lambda: self._board.has_ended)
        self._templates = Jinja2Templates(_HERE / "templates")
        self._shared = Shared()
        self._borrowers = BorrowerPages(settings, self._board, self._shared)
        self.app = Starlette(
            routes=[
                *(Route(path, self._page) for path in PAGES),
                Route("/live/{page}", self._live, middleware=[Middleware(AtMost, most=settings.console_live_pages)]),
                Route("/borrowers", self._suggest),
                healthz(health),
                Mount("/static", _OwnFiles(directory=_HERE / "static")),
            ],
            lifespan=self._lifespan,
        )
        # It would name the scheme of this server, not that of the proxy in front of it.
        self.app.router.redirect_slashes = False

    @asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        feed = asyncio.create_task(Feed(self._settings.kafka, self._settings, self._board).run())
        try:
            yield
        finally:
            feed.cancel()
            await asyncio.gather(feed, return_exceptions=True)

    async def _page(self, request: Request) -> Response:
        page, title = PAGES[request.scope["path"]]
        context = {
            "page": page,
            "title": title,
            "pages": PAGES,
            "bootstrap": self._settings.bootstrap,
            "thresholds": (self._settings.settlement_from, self._settings.recovery_above),
            "most_records": self._settings.history_records,
        }
        return self._templates.TemplateResponse(request, f"{page}.html", context)

    async def _suggest(self, request: Request) -> Response:
        part = request.query_params.get("like", "")[:_LONGEST_TEXT]
        return JSONResponse(self._board.portfolio.ids_like(part, _SUGGESTIONS))

    async def _live(self, request: Request) -> Response:
        page, asked, end = request.path_params["page"], request.query_params, session_end(request)

        def goes_on() -> bool:
            return not self._stopping.is_set() and time.time() < end

        if page == "borrower":
            return live(self._borrowers.follow(asked.get("id", "")[:_LONGEST_TEXT], goes_on))
        wanted = _filter(asked) if page == "actions" else ActionFilter()
        shown: dict[str, Callable[[], dict[str, Any]]] = {
            "overview": lambda: views.overview(self._board, _now()),
            "actions": lambda: views.actions(self._board, _now(), wanted),
            "models": lambda: views.models(self._board, _now()),
            "stream": lambda: views.stream(self._board, _now()),
        }
        if page not in shown:
            return Response(status_code=404)
        return live(self._changes((page, wanted), lambda: event(shown[page]()), goes_on))

    async def _changes(
        self, shown: object, make: Callable[[], bytes], goes_on: Callable[[], bool]
    ) -> AsyncIterator[bytes]:
        """What the page shows, now and whenever it has changed, at most once a second."""
        last = b""
        while goes_on():
            message = self._shared.get(shown, make)
            if message != last:
                last = message
                yield message
            await asyncio.sleep(REFRESH_SECONDS)


class _OwnFiles(StaticFiles):
    """Scripts and styles, which hold nothing of anybody: kept by browsers, and asked for anew by their tag."""

    def file_response(self, *args: Any, **options: Any) -> Response:
        answer = super().file_response(*args, **options)
        answer.headers["Cache-Control"] = "no-cache"
        return answer


def _filter(asked: QueryParams) -> ActionFilter:
    strategy = asked.get("strategy", "")
    return ActionFilter(
        Strategy(strategy) if strategy in set(Strategy) else None,
        asked.get("borrower", "")[:_LONGEST_TEXT],
        asked.get("text", "")[:_LONGEST_TEXT],
    )


def _now() -> datetime:
    return datetime.now(UTC)
