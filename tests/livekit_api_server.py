"""A Twirp server on loopback for livekit-api's own client: where it listens, and how it answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from types import TracebackType
from typing import Any, Self

from aiohttp import web
from livekit import api

HOST = "127.0.0.1"
KEY, SECRET = "devkey", "a secret that is long enough for a signature"

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class LiveKitApiServer:
    """An async context manager; `client` is livekit-api's own client of it (at `url`) while
    it runs.

    `methods` are its Twirp methods, by `SIP/CreateSIPParticipant` or the like; `options` are those
    of the client.
    """

    def __init__(self, methods: Mapping[str, Handler], **options: Any) -> None:
        app = web.Application()
        for name, handler in methods.items():
            app.router.add_post(f"/twirp/livekit.{name}", handler)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        self._options = options
        self.url = ""
        self.client: Any = None

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        await web.TCPSite(self._runner, HOST, 0).start()
        self.url = f"http://{HOST}:{self._runner.addresses[0][1]}"
        self.client = api.LiveKitAPI(self.url, KEY, SECRET, **self._options)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.client.aclose()
        await self._runner.cleanup()


def message(body: Any) -> web.Response:
    """An answer with a protobuf message."""
    return web.Response(body=body.SerializeToString(), content_type="application/protobuf")


def error(
    code: str, text: str, status: int, metadata: Mapping[str, str] | None = None
) -> web.Response:
    """An error of Twirp, with its HTTP status."""
    return web.json_response(
        {"code": code, "msg": text, "meta": dict(metadata or {})}, status=status
    )
