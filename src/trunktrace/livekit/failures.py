"""What livekit-api's exceptions know about a dial that failed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, cast

from trunktrace.sip.dialling import CLIENT_ERRORS, failure_of, final_answer

_CODE_DIGITS: Final = 3
_FIRST_REFUSAL: Final = 300
_LAST_CODE: Final = 699
_FIRST_SERVER_ERROR: Final = 500


def sip_answer(error: BaseException) -> tuple[int | None, str | None]:
    """Code and reason of the final SIP response, each None where the exception has none.

    `SipCallError` (livekit-api 1.2 and later) has them as properties; before, they stand in the
    metadata of a plain `TwirpError`, or in its message alone. The HTTP status of either (408, 503)
    is no SIP code.
    """
    code, reason = _stated(error, "sip_status_code"), _stated(error, "sip_status")
    if isinstance(code, str) and code.isascii() and code.isdecimal() and len(code) == _CODE_DIGITS:
        code = int(code)
    if code is None and twirp_code(error) is not None:
        told = final_answer(_message(error))
        if told is not None:
            code, reason = told[0], reason or told[1]
    is_code = isinstance(code, int) and _FIRST_REFUSAL <= code <= _LAST_CODE
    return (
        code if is_code and isinstance(code, int) else None,
        reason if isinstance(reason, str) and reason else None,
    )


def failure_of_error(error: BaseException) -> str:
    """Why a dial request that gave no SIP code failed, as in `Attempt.failure`.

    A request that its own side gave up (cancelled, or closed with its loop) is `canceled`. An
    HTTP error without the API's words, as a proxy before it sends, is a `client_error`: what became
    of the INVITE is not known.
    """
    if not isinstance(error, Exception):
        return "canceled"
    code, text = twirp_code(error), _message(error)
    status: object = getattr(error, "status", None)
    is_foreign = code == "unknown" and not text and isinstance(status, int)
    if is_foreign and isinstance(status, int) and status >= _FIRST_SERVER_ERROR:
        return "client_error"
    kind = _client_error(error) or type(error).__name__
    return failure_of(kind=kind, code=code, text=text)


def _client_error(error: BaseException) -> str | None:
    names = (kind.__name__ for kind in type(error).__mro__)
    return next((name for name in names if name in CLIENT_ERRORS), None)


def twirp_code(error: BaseException) -> str | None:
    """The API's own word for an error, such as `not_found`; None for what the API did not say."""
    if _client_error(error) is not None:
        return None  # aiohttp's have a `code` that warns whoever reads it
    code: object = getattr(error, "code", None)
    return code if isinstance(code, str) else None


def _message(error: BaseException) -> str:
    message: object = getattr(error, "message", None)
    return message if isinstance(message, str) else str(error)


def _stated(error: BaseException, name: str) -> object:
    own: object = getattr(error, name, None)
    metadata: object = getattr(error, "metadata", None)
    if own is not None or not isinstance(metadata, Mapping):
        return own
    return cast("Mapping[str, object]", metadata).get(name)


def is_answer(error: BaseException) -> bool:
    """Whether the API answered with this error, and the request was not lost on its way."""
    return twirp_code(error) is not None and failure_of_error(error) != "client_error"
