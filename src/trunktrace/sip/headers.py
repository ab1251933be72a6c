"""SIP header names, and the names of the attributes in which LiveKit gives their values."""

from __future__ import annotations

import re
from typing import Final

_TOKEN: Final = re.compile(r"[A-Za-z0-9!%'*+._`~-]{1,128}")
_ATTRIBUTE_PREFIX: Final = "sip.h."

PARTY_HEADERS: Final = frozenset({
    "from", "f", "to", "t", "contact", "m", "p-asserted-identity", "p-preferred-identity",
    "p-called-party-id", "remote-party-id", "diversion", "history-info", "referred-by", "b",
    "refer-to", "r", "reply-to", "identity", "p-charge-info", "p-associated-uri", "call-info",
})  # fmt: skip
"""Headers that name the people of a call (number, SIP user), lower case, with compact forms.

`identity` is STIR's (RFC 8224): its token holds both numbers.
"""


def is_header_name(name: str) -> bool:
    """Whether `name` can be a SIP header name (a token of RFC 3261, at most 128 characters)."""
    return _TOKEN.fullmatch(name) is not None


def header_attribute(name: str) -> str:
    """The participant attribute in which LiveKit puts a header: `sip.h.x-route` for `X-Route`.

    Source: livekit/sip, `pkg/sip/types.go`.
    """
    return _ATTRIBUTE_PREFIX + name.lower()
