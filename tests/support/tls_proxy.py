"""A proxy with TLS in front of a server that speaks plain HTTP, as docs/access.md asks for one."""

import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import httpx
import trustme
import uvicorn
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route
from starlette.types import Lifespan

from streams.command.local_kafka.broker import free_port

_METHODS = ["GET", "HEAD", "POST", "PUT", "OPTIONS"]


@contextmanager
def tls_proxy(behind: str, folder: Path) -> Iterator[str]:
    """Passes all requests on to the URL `behind` while the block runs; yields its own."""
    certificate = folder / "proxy.pem"
    trustme.CA().issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(str(certificate))
    port = free_port()
    config = uvicorn.Config(
        _passing_on(behind), port=port, ssl_certfile=certificate, log_config=None, timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        yield f"https://localhost:{port}"
    finally:
        server.should_exit = True
        thread.join(10)


def _passing_on(behind: str) -> Starlette:
    async def pass_on(request: Request) -> StreamingResponse:
        client: httpx.AsyncClient = request.state.client
        headers = request.headers.mutablecopy()
        headers["x-forwarded-for"], headers["x-forwarded-proto"] = "192.0.2.1", "https"
        # The address as it came, double slashes and all.
        url = httpx.URL(behind).copy_with(raw_path=request.scope["raw_path"] + _query(request))
        asked = client.build_request(request.method, url, headers=headers.raw, content=await request.body())
        answer = await client.send(asked, stream=True)
        passed = StreamingResponse(answer.aiter_raw(), answer.status_code)
        passed.raw_headers = answer.headers.raw
        passed.background = BackgroundTask(answer.aclose)
        return passed

    return Starlette(routes=[Route("/{path:path}", pass_on, methods=_METHODS)], lifespan=_client())


def _query(request: Request) -> bytes:
    query: bytes = request.scope["query_string"]
    return b"?" + query if query else b""


def _client() -> Lifespan[Starlette]:
    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[dict[str, httpx.AsyncClient]]:
        async with httpx.AsyncClient(timeout=None) as client:
            yield {"client": client}

    return lifespan
