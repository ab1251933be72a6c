"""How requests go to Twilio: by its own SDK, or by anything else that can send a GET."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final, Protocol

from trunktrace.errors import MissingDependencyError
from trunktrace.fetch.credentials import Credentials

if TYPE_CHECKING:
    from twilio.http.async_http_client import (  # type: ignore[import-untyped]
        AsyncTwilioHttpClient,
    )
    from twilio.rest import Client  # type: ignore[import-untyped]

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

    Reads TWILIO_REGION and TWILIO_EDGE. Raises MissingDependencyError where it is not installed.
    """

    def __init__(self, credentials: Credentials) -> None:
        if find_spec("twilio") is None:
            raise MissingDependencyError(
                f"fetching from Twilio needs its SDK, which is not installed here.\n{_INSTALL}"
            )
        self._credentials = credentials
        self._http: AsyncTwilioHttpClient | None = None
        self._client: Client | None = None

    async def get(self, url: str, params: Mapping[str, str]) -> Answer:
        """The answer to a GET, with the credentials."""
        response: Any = await self._opened().request_async("GET", url, params=dict(params))
        headers: Any = response.headers or {}
        told = {str(name).lower(): str(value) for name, value in headers.items()}
        return Answer(int(response.status_code), str(response.text), told)

    async def close(self) -> None:
        """Close the connections."""
        if self._http is not None:
            await self._http.close()
        self._http = self._client = None

    def _opened(self) -> Client:
        """The SDK's client; made when a loop runs, because its HTTP session needs one."""
        from twilio.http.async_http_client import (  # pyright: ignore[reportMissingTypeStubs]
            AsyncTwilioHttpClient,
        )
        from twilio.rest import Client  # pyright: ignore[reportMissingTypeStubs]

        if self._client is None:
            who = self._credentials
            self._http = AsyncTwilioHttpClient()
            self._client = Client(
                who.username, who.password, who.account_sid, http_client=self._http
            )
        return self._client
