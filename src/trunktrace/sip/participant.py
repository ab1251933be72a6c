"""What the attributes of a LiveKit SIP participant say; pure.

Attributes and when they come: LiveKit's documentation of SIP participants. All of them can be
written by anyone who holds an API key, and those made of INVITE headers by the caller.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from trunktrace.sip.headers import PARTY_HEADERS, header_attribute

KIND_SIP: Final = 3
"""`ParticipantKind.PARTICIPANT_KIND_SIP` in livekit-protocol."""

STATES: Final = frozenset({"dialing", "ringing", "automation", "active", "hangup"})

CALL_STATUS: Final = "sip.callStatus"
TRUNK_ID: Final = "sip.trunkID"
RULE_ID: Final = "sip.ruleID"
HOSTNAME: Final = "sip.hostname"
PHONE_NUMBER: Final = "sip.phoneNumber"
TRUNK_PHONE_NUMBER: Final = "sip.trunkPhoneNumber"
HEADER_PREFIX: Final = "sip.h."

_PROVIDER_IDS: Final = (
    "sip.twilio.callSid",
    "sip.telnyx.callLegID",
    "sip.amazon.contactId",
)
_VIA: Final = re.compile(r"SIP/2\.0/(UDP|TCP|TLS|WSS|WS)\b", re.IGNORECASE)

# Who ended an answered call, where the reason says so. CLIENT_INITIATED does not: the far end's
# BYE, the bridge's media timeout and an outbound 503 all look like that from the room.
_HANGUP_SOURCES: Final = {
    "PARTICIPANT_REMOVED": "agent",
    "ROOM_DELETED": "agent",
    "ROOM_CLOSED": "agent",
    "AGENT_ERROR": "agent",
    "SERVER_SHUTDOWN": "platform",
    "MIGRATION": "platform",
    "SIGNAL_CLOSE": "platform",
    "CONNECTION_TIMEOUT": "platform",
    "STATE_MISMATCH": "platform",
    "MEDIA_FAILURE": "platform",
}


def is_sip(participant: object) -> bool:
    """Whether a room's participant is a phone leg."""
    kind: object = getattr(participant, "kind", None)
    return isinstance(kind, int) and kind == KIND_SIP


def direction_of(attributes: Mapping[str, str]) -> str:
    """`inbound` if a dispatch rule took the call, else `outbound`."""
    return "inbound" if attributes.get(RULE_ID) else "outbound"


def facts_of(attributes: Mapping[str, str]) -> dict[str, object]:
    """Facts by field name, as the attributes state them; absent where they say nothing."""
    inbound = direction_of(attributes) == "inbound"
    theirs, ours = attributes.get(PHONE_NUMBER), attributes.get(TRUNK_PHONE_NUMBER)
    via = _VIA.search(str(attributes.get("sip.h.via", ""))[:256])
    facts: dict[str, object] = {
        "direction": "inbound" if inbound else "outbound",
        "trunk_id": attributes.get(TRUNK_ID),
        "livekit_rule_id": attributes.get(RULE_ID),
        "livekit_call_id": attributes.get("sip.callID"),
        "call_id": attributes.get("sip.callIDFull"),
        "provider_call_id": next(
            (value for key in _PROVIDER_IDS if (value := attributes.get(key))), None
        ),
        "caller_number": theirs if inbound else ours,
        "callee_number": ours if inbound else theirs,
        "transport": via.group(1).lower() if via else None,
    }
    return {name: value for name, value in facts.items() if value not in (None, "")}


def state_of(attributes: Mapping[str, str]) -> str | None:
    """The call's state, or None if it is absent or one that this version does not know."""
    state = attributes.get(CALL_STATUS)
    return state if state in STATES else None


def persons_in(attributes: Mapping[str, str], *names: str) -> list[str]:
    """Strings that hold numbers or SIP users of the call: attributes, headers, and `names`."""
    keys = (
        PHONE_NUMBER,
        TRUNK_PHONE_NUMBER,
        *(header_attribute(header) for header in sorted(PARTY_HEADERS)),
    )
    found = [value for key in keys if isinstance(value := attributes.get(key), str)]
    return [*found, *(name for name in names if name)]


def hangup_source_of(reason: str) -> str | None:
    """Who hung up an answered call, by LiveKit's DisconnectReason; None where it does not say."""
    return _HANGUP_SOURCES.get(reason)
