"""Why an outbound call was not answered, out of the words of LiveKit's bridge and API.

The bridge logs its error, and the API gives the same words in its exception: `INVITE failed: sip
status: 486: Busy Here`, `sip request timed out`. The HTTP status of the API (408, 503) is never a
SIP code.
"""

from __future__ import annotations

import re
from typing import Final

_STATUS: Final = re.compile(r"sip status: ([2-6]\d\d)(?::\s*([^\r\n]{0,200}))?")
_LONGEST: Final = 1024

_RPC_DEADLINE: Final = "context deadline exceeded"
"""In the API's words: a server of LiveKit's did not hear from another in time."""

_TEXTS: Final = (
    ("sip request timed out", "timeout"),
    (_RPC_DEADLINE, "timeout"),
    ("transaction failed to complete (0 ", "no_response"),
    ("transaction failed to complete", "transport"),
    ("transaction terminated", "transport"),
    ("connection refused", "transport"),
    ("network is unreachable", "transport"),
    ("no route to host", "transport"),
    ("no such host", "dns"),
    ("no common media", "sdp"),
    ("no common codec", "sdp"),
    ("cpu exhausted", "no_bridge"),
    ("no response from servers", "no_bridge"),
    ("context canceled", "canceled"),
)
"""In this order: the first that stands in a text says why."""

_CODES: Final = {
    "unavailable": "no_bridge",
    "deadline_exceeded": "client_error",
    "canceled": "canceled",
}
"""Twirp codes, where the text does not say more. `unauthenticated` is none: there the API's key was
refused, and there was no SIP challenge."""

CLIENT_ERRORS: Final = frozenset(
    {
        "ClientConnectionError",
        "ClientConnectorError",
        "ClientError",
        "ClientOSError",
        "ClientPayloadError",
        "ClientResponseError",
        "ConnectionError",
        "ConnectionRefusedError",
        "ConnectionResetError",
        "ConnectionTimeoutError",
        "OSError",
        "ServerConnectionError",
        "ServerDisconnectedError",
        "ServerTimeoutError",
        "SocketTimeoutError",
        "TimeoutError",
    }
)
"""Classes of exceptions (Python's, aiohttp's) of the HTTP client, which are no answer of the API:
nobody knows what became of the INVITE, and what their text says is not said of it."""


def final_answer(text: str) -> tuple[int, str | None] | None:
    """Code and reason phrase of the final SIP answer that a text tells of; None if it tells none.

    The phrase is what the far end wrote: it may hold a number.
    """
    found = _STATUS.search(text[:_LONGEST])
    if found is None:
        return None
    return int(found[1]), (found[2] or "").strip() or None


def failure_in(text: str) -> str | None:
    """What an error's text says came instead of an answer, as in `Attempt.failure`; else None."""
    told = text[:_LONGEST].lower()
    return next((failure for words, failure in _TEXTS if words in told), None)


def failure_of(*, kind: str, code: str | None, text: str) -> str:
    """Why a dial request that gave no SIP code failed, as in `Attempt.failure`.

    `kind` is the exception's class, `code` its Twirp code, `text` its message. `client_error` where
    the request itself was lost, or its answer between LiveKit's own servers: what became of the
    INVITE is not known. `other` where none of them says why.
    """
    if kind in CLIENT_ERRORS or _RPC_DEADLINE in text[:_LONGEST].lower():
        return "client_error"
    if kind == "CancelledError":
        return "canceled"
    return failure_in(text) or _CODES.get(code or "") or "other"
