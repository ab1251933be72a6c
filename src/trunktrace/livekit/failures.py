"""What livekit-api's exceptions know about a dial that failed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, cast

_CODE_DIGITS: Final = 3


def sip_answer(error: BaseException) -> tuple[int | None, str | None]:
    """Code and reason of the final SIP response, each None where the exception has none.

    `SipCallError` (livekit-api 1.2 and later) has them as properties; before, they stand in the
    metadata of a plain `TwirpError`. The HTTP status of either (408, 503) is no SIP code.
    """
    code, reason = _stated(error, "sip_status_code"), _stated(error, "sip_status")
    if isinstance(code, str) and code.isascii() and code.isdecimal() and len(code) == _CODE_DIGITS:
        code = int(code)
    return (
        code if isinstance(code, int) else None,
        reason if isinstance(reason, str) and reason else None,
    )


def _stated(error: BaseException, name: str) -> object:
    own: object = getattr(error, name, None)
    metadata: object = getattr(error, "metadata", None)
    if own is not None or not isinstance(metadata, Mapping):
        return own
    return cast("Mapping[str, object]", metadata).get(name)
