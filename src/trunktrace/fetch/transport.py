"""How requests go to Twilio: by its own SDK, or by anything else that can send a GET."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any, Final, Protocol

from trunktrace.errors import MissingDependencyError
from trunktrace.fetch.credentials import Credentials

REQUEST_S: Final = 30.0
"""How long one request may take."""

_INSTALL: Final = "Install it with: pip install 'trunktrace[fetch]'"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: the HTTP status, the body as text, and the headers."""

    status: int
    text: str = ""
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


class Transport(Protocol):
    """Sends requests; raises what it likes where no answer came."""

    async def get(self, url: str, params: Mapping[str, str]) -> Answer:
        """The answer to a GET of that URL, whatever its status."""
        ...

    async def close(self) -> None:
        """Give back what is open."""
        ...


class TwilioSdk:
    """Twilio's SDK: it knows API keys and tokens, regions and edges, and keeps connections.

    Requests go through a thread: the SDK's own asynchronous client stands on a part of aiohttp that
    is going away. Reads TWILIO_REGION and TWILIO_EDGE. Raises MissingDependencyError where the SDK
    is not installed.
    """

    def __init__(self, credentials: Credentials) -> None:
        if find_spec("twilio") is None:
            raise MissingDependencyError(
                f"fetching from Twilio needs its SDK, which is not installed here.\n{_INSTALL}"
            )
        from twilio.http.http_client import TwilioHttpClient  # type: ignore[import-untyped]
        from twilio.rest import Client  # type: ignore[import-untyped]

        self._http = TwilioHttpClient(timeout=REQUEST_S)
        self._client = Client(
            credentials.username,
            credentials.password,
            credentials.account_sid,
            http_client=self._http,
        )

    async def get(self, url: str, params: Mapping[str, str]) -> Answer:
        """The answer to a GET, with the credentials."""
        return await asyncio.to_thread(self._get, url, params)

    def _get(self, url: str, params: Mapping[str, str]) -> Answer:
        response: Any = self._client.request("GET", url, params=dict(params))
        headers: Any = response.headers or {}
        told = {str(name).lower(): str(value) for name, value in headers.items()}
        return Answer(int(response.status_code), str(response.text), told)

    async def close(self) -> None:
        """Close the connections."""
        if self._http.session is not None:
            self._http.session.close()
