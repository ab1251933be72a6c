"""Records of a call from Twilio's Voice Insights: summary, metrics, events, as Twilio writes them.

A summary is partial within 10 minutes of the call and complete within about 30, so it is asked for
again and again. What comes is Twilio's JSON, unchanged: `trunktrace parse` reads it. Twilio's own
SDK sends the requests (`fetch.transport`); its resource classes are not used, because they leave
out what they do not know. Sources: Twilio's pages "Call Summary", "Call Metrics", "Call Events",
and errors 17001 and 17007.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self, cast
from urllib.parse import urlsplit

from trunktrace.errors import ConfigurationError, FetchError
from trunktrace.fetch.credentials import Credentials
from trunktrace.fetch.retry_after import retry_after_s
from trunktrace.fetch.transport import REQUEST_S, Answer, Transport, TwilioSdk

BASE_URL: Final = "https://insights.twilio.com"
SUMMARY_WAIT_S: Final = 45 * 60.0
"""How long a summary is waited for: Twilio needs about 30 minutes."""
PAGES_WAIT_S: Final = 3 * 60.0
"""How long metrics and events are waited for: Twilio needs about 90 seconds."""
UNKNOWN_WAIT_S: Final = 3 * 60.0
"""How long a call that Twilio does not know is asked for again: it may just have ended."""

Json = dict[str, object]
Sleep = Callable[[float], Awaitable[object]]
Report = Callable[[str], None]

_CALL_SID: Final = re.compile(r"CA[0-9a-fA-F]{32}")
_PAUSES_S: Final = (15.0, 30.0, 60.0)
"""Pauses between two looks; the last one from then on."""
_SHORTEST_PAUSE_S: Final = 1.0
_PAGE_SIZE: Final = 50
"""Samples of a page: more would make bodies that are too long for a reader of records."""
_MOST_PAGES: Final = 1000
_NOT_COMPLETE: Final = 17001
_NOT_ACTIVE_THEN: Final = 17007
_LATER: Final = frozenset({408, 425, 429})
_REFUSED: Final = {
    401: "Twilio refused the credentials (401): check TWILIO_ACCOUNT_SID, and TWILIO_API_KEY with "
    "TWILIO_API_SECRET or TWILIO_AUTH_TOKEN",
    403: "Twilio does not allow it (403): activate Voice Insights Advanced Features for the "
    "account, or use a key that may read Voice Insights",
}
_UNKNOWN: Final = (
    "Twilio does not know this CallSid (404), or it belongs to another account: check the CallSid "
    "and the account, and that Voice Insights Advanced Features are active"
)
_MISTAKES: Final = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    ImportError,
    LookupError,
    NameError,
    NotImplementedError,
    RecursionError,
    SyntaxError,
    TypeError,
)
"""What a mistake in a program raises, in a transport or in the SDK: asking again mends none."""

_TOO_LATE: Final = (
    "Voice Insights Advanced Features were not active when the call was made (error 17007): "
    "activate them, for the calls to come"
)


@dataclass(frozen=True, slots=True)
class _Look:
    """What one request gave: an object, or why there is none, and what Twilio asks to wait.

    `is_unknown`: Twilio knows no such call, or not yet.
    """

    body: Json | None
    why: str = ""
    retry_after_s: float | None = None
    is_unknown: bool = False


class VoiceInsights:
    """A client of Twilio's Voice Insights.

    Without `credentials` the environment is read (`Credentials.from_environment`). `base_url`,
    `transport`, `sleep` and `clock` (seconds that only grow) can be given; `report` is told, in a
    sentence, each time that something is waited for. Use it as `async with`, or `close()` it.
    Raises ConfigurationError for credentials that are missing, and MissingDependencyError without
    Twilio's SDK where no `transport` is given.
    """

    def __init__(
        self,
        credentials: Credentials | None = None,
        *,
        base_url: str = BASE_URL,
        transport: Transport | None = None,
        sleep: Sleep = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
        report: Report | None = None,
    ) -> None:
        if transport is None:
            transport = TwilioSdk(credentials or Credentials.from_environment())
        self._transport = transport
        self._base_url = base_url.rstrip("/")
        self._sleep = sleep
        self._clock = clock
        self._report = report

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._transport.close()

    async def summary(self, call_sid: str, *, wait_s: float = SUMMARY_WAIT_S) -> Json:
        """The Call Summary, complete; the last partial one when `wait_s` seconds are over.

        `processing_state` in it says which. Raises FetchError where there is none at all, after
        three minutes where Twilio does not know the call, and at once where Twilio refuses;
        ConfigurationError for what is no CallSid. A mistake in a transport's program comes through
        as it is.
        """
        url = self._url(call_sid, "Summary")
        ends_at = self._clock() + wait_s
        look, known = await self._until(url, {}, ends_at, _is_complete)
        if look.body is not None and _is_complete(look.body):
            return look.body
        if look.retry_after_s is None or look.retry_after_s <= ends_at - self._clock():
            # Unless it is asked for, Twilio does not give a partial one.
            last = await self._look(url, {"ProcessingState": "partial"})
            if last.body is not None:
                return last.body
            look = look if look.why else last
        if known is not None:
            return known
        raise FetchError(look.why)

    async def metrics(self, call_sid: str, *, wait_s: float = PAGES_WAIT_S) -> list[Json]:
        """The Call Metrics, page by page; waits `wait_s` seconds for the first sample.

        Raises as `summary` does.
        """
        return await self._pages(self._url(call_sid, "Metrics"), "metrics", wait_s)

    async def events(self, call_sid: str, *, wait_s: float = PAGES_WAIT_S) -> list[Json]:
        """The Call Events, page by page; waits `wait_s` seconds for the first one.

        Raises as `summary` does.
        """
        return await self._pages(self._url(call_sid, "Events"), "events", wait_s)

    async def _pages(self, url: str, key: str, wait_s: float) -> list[Json]:
        ends_at = self._clock() + wait_s
        params: Mapping[str, str] = {"PageSize": str(_PAGE_SIZE)}
        look, known = await self._until(url, params, ends_at, lambda body: bool(body.get(key)))
        page = look.body or known
        pages: list[Json] = []
        seen = {url}
        while page is not None:
            pages.append(page)
            following = self._next_url(page)
            if following is None or following in seen or len(pages) >= _MOST_PAGES:
                return pages
            seen.add(following)
            look, page = await self._until(following, {}, ends_at, lambda _: True)
        raise FetchError(look.why)

    def _url(self, call_sid: str, what: str) -> str:
        if not _CALL_SID.fullmatch(call_sid):
            # Not quoted: a number may have been given by mistake.
            raise ConfigurationError(
                "call_sid",
                f"{len(call_sid)} characters",
                "give Twilio's CallSid: CA and 32 hexadecimal digits",
            )
        return f"{self._base_url}/v1/Voice/{call_sid}/{what}"

    def _next_url(self, page: Json) -> str | None:
        """Where the next page is: the path that is told, on our own host, and on no other."""
        meta = page.get("meta")
        told = cast("Json", meta).get("next_page_url") if isinstance(meta, dict) else None
        if not isinstance(told, str):
            return None
        try:
            parts = urlsplit(told)
        except ValueError:
            return None
        return f"{self._base_url}{parts.path}?{parts.query}"

    async def _until(
        self,
        url: str,
        params: Mapping[str, str],
        ends_at: float,
        is_done: Callable[[Json], bool],
    ) -> tuple[_Look, Json | None]:
        """Look until it is done or the time is over: the last look, and the last object seen."""
        known: Json | None = None
        unknown_until = min(ends_at, self._clock() + UNKNOWN_WAIT_S)
        looks = 0
        while True:
            look = await self._look(url, params)
            known = look.body or known
            if look.body is not None and is_done(look.body):
                return look, known
            left_s = (unknown_until if look.is_unknown else ends_at) - self._clock()
            pause_s = min(_PAUSES_S[min(looks, len(_PAUSES_S) - 1)], left_s)
            if look.retry_after_s is not None:
                pause_s = max(look.retry_after_s, _SHORTEST_PAUSE_S)
            if left_s <= 0 or pause_s > left_s:
                return look, known
            looks += 1
            if self._report is not None:
                why = look.why or "what Twilio has is not complete yet"
                self._report(f"{why}; the next look is in {pause_s:.0f} s")
            await self._sleep(pause_s)

    async def _look(self, url: str, params: Mapping[str, str]) -> _Look:
        """One request. Raises FetchError where asking again would change nothing."""
        try:
            async with asyncio.timeout(REQUEST_S):
                answer = await self._transport.get(url, params)
        except _MISTAKES:
            raise
        except Exception as error:
            # Only the kind of it is told: its text may hold the URL, and that of a proxy.
            return _Look(None, f"Twilio cannot be reached ({type(error).__name__})")
        if answer.status == 200:
            body = _object(answer.text)
            return _Look(body, "" if body is not None else "Twilio's answer is no JSON object")
        code = (_object(answer.text) or {}).get("code")
        if code == _NOT_ACTIVE_THEN:
            raise FetchError(_TOO_LATE)
        if answer.status == 404:
            if code == _NOT_COMPLETE:
                return _Look(None, "Twilio has not completed the summary yet")
            return _Look(None, _UNKNOWN, is_unknown=True)
        if answer.status in _LATER or answer.status >= 500:
            wait_s = retry_after_s(answer.headers)
            asked = f", and asks to wait {wait_s:.0f} s" if wait_s is not None else ""
            return _Look(None, f"Twilio is busy ({answer.status}){asked}: try again later", wait_s)
        raise FetchError(_REFUSED.get(answer.status) or _other(answer, code))


def _is_complete(summary: Json) -> bool:
    return summary.get("processing_state") != "partial"


def _other(answer: Answer, code: object) -> str:
    error = f", error {code}" if isinstance(code, int) else ""
    return f"Twilio does not take the request ({answer.status}{error}): check the CallSid"


def _object(text: str) -> Json | None:
    try:
        value: object = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return cast("Json", value) if isinstance(value, dict) else None
