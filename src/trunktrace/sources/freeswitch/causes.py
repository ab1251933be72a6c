"""FreeSWITCH's names of hang-up causes: their Q.850 numbers, and what they say of a call.

Plivo writes the same names. Numbers as in FreeSWITCH's `switch_types.h`; those from 128 on are its
own and no Q.850 (`ORIGINATOR_CANCEL` is 487). Outcomes are for calls without a SIP code; causes
that stand for one code (`DECLINE`: 603) have that code's.
"""

from __future__ import annotations

from typing import Final

_Q850: Final[dict[str, int]] = {
    "UNALLOCATED_NUMBER": 1,
    "NO_ROUTE_TRANSIT_NET": 2,
    "NO_ROUTE_DESTINATION": 3,
    "CHANNEL_UNACCEPTABLE": 6,
    "CALL_AWARDED_DELIVERED": 7,
    "NORMAL_CLEARING": 16,
    "USER_BUSY": 17,
    "NO_USER_RESPONSE": 18,
    "NO_ANSWER": 19,
    "SUBSCRIBER_ABSENT": 20,
    "CALL_REJECTED": 21,
    "NUMBER_CHANGED": 22,
    "REDIRECTION_TO_NEW_DESTINATION": 23,
    "EXCHANGE_ROUTING_ERROR": 25,
    "DESTINATION_OUT_OF_ORDER": 27,
    "INVALID_NUMBER_FORMAT": 28,
    "FACILITY_REJECTED": 29,
    "RESPONSE_TO_STATUS_ENQUIRY": 30,
    "NORMAL_UNSPECIFIED": 31,
    "NORMAL_CIRCUIT_CONGESTION": 34,
    "NETWORK_OUT_OF_ORDER": 38,
    "NORMAL_TEMPORARY_FAILURE": 41,
    "SWITCH_CONGESTION": 42,
    "ACCESS_INFO_DISCARDED": 43,
    "REQUESTED_CHAN_UNAVAIL": 44,
    "PRE_EMPTED": 45,
    "FACILITY_NOT_SUBSCRIBED": 50,
    "OUTGOING_CALL_BARRED": 52,
    "INCOMING_CALL_BARRED": 54,
    "BEARERCAPABILITY_NOTAUTH": 57,
    "BEARERCAPABILITY_NOTAVAIL": 58,
    "SERVICE_UNAVAILABLE": 63,
    "BEARERCAPABILITY_NOTIMPL": 65,
    "CHAN_NOT_IMPLEMENTED": 66,
    "FACILITY_NOT_IMPLEMENTED": 69,
    "SERVICE_NOT_IMPLEMENTED": 79,
    "INVALID_CALL_REFERENCE": 81,
    "INCOMPATIBLE_DESTINATION": 88,
    "INVALID_MSG_UNSPECIFIED": 95,
    "MANDATORY_IE_MISSING": 96,
    "MESSAGE_TYPE_NONEXIST": 97,
    "WRONG_MESSAGE": 98,
    "IE_NONEXIST": 99,
    "INVALID_IE_CONTENTS": 100,
    "WRONG_CALL_STATE": 101,
    "RECOVERY_ON_TIMER_EXPIRE": 102,
    "MANDATORY_IE_LENGTH_ERROR": 103,
    "PROTOCOL_ERROR": 111,
    "INTERWORKING": 127,
}

_OUTCOMES: Final[dict[str, str]] = {
    "UNALLOCATED_NUMBER": "invalid_number",
    "INVALID_NUMBER_FORMAT": "invalid_number",
    "NUMBER_CHANGED": "invalid_number",
    "DOES_NOT_EXIST_ANYWHERE": "invalid_number",
    "USER_BUSY": "busy",
    "BUSY_EVERYWHERE": "busy",
    "NO_PICKUP": "no_answer",
    "NO_USER_RESPONSE": "no_answer",
    "NO_ANSWER": "no_answer",
    "SUBSCRIBER_ABSENT": "no_answer",
    "USER_NOT_REGISTERED": "no_answer",
    "ALLOTTED_TIMEOUT": "no_answer",
    "PROGRESS_TIMEOUT": "timeout",
    "RECOVERY_ON_TIMER_EXPIRE": "timeout",
    "CALL_REJECTED": "rejected",
    "DECLINE": "rejected",
    "UNWANTED": "blocked",
    "NO_IDENTITY": "blocked",
    "BAD_IDENTITY_INFO": "blocked",
    "UNSUPPORTED_CERTIFICATE": "blocked",
    "INVALID_IDENTITY": "blocked",
    "STALE_DATE": "blocked",
    "ORIGINATOR_CANCEL": "canceled",
    "LOSE_RACE": "canceled",
    "PICKED_OFF": "canceled",
    "NORMAL_CIRCUIT_CONGESTION": "congestion",
    "SWITCH_CONGESTION": "congestion",
    "REQUESTED_CHAN_UNAVAIL": "congestion",
    "REDIRECTION_TO_NEW_DESTINATION": "redirected",
    "EXCHANGE_ROUTING_ERROR": "loop",
    "DESTINATION_OUT_OF_ORDER": "failed",
    "GATEWAY_DOWN": "failed",
    "INCOMPATIBLE_DESTINATION": "failed",
    "INTERWORKING": "failed",
    "INVALID_GATEWAY": "failed",
    "INVALID_PROFILE": "failed",
    "INVALID_URL": "failed",
    "MANDATORY_IE_MISSING": "failed",
    "MEDIA_TIMEOUT": "failed",
    "NETWORK_OUT_OF_ORDER": "failed",
    "NOT_ACCEPTABLE": "failed",
    "NO_ROUTE_DESTINATION": "failed",
    "NO_ROUTE_TRANSIT_NET": "failed",
    "NORMAL_TEMPORARY_FAILURE": "failed",
    "OUTGOING_CALL_BARRED": "rejected",
    "INCOMING_CALL_BARRED": "rejected",
    "PROTOCOL_ERROR": "failed",
    "SERVICE_UNAVAILABLE": "failed",
}

OF_ITS_OWN: Final = frozenset(
    {
        "ALLOTTED_TIMEOUT",
        "CRASH",
        "GATEWAY_DOWN",
        "MANAGER_REQUEST",
        "MEDIA_TIMEOUT",
        "SRTP_READ_ERROR",
        "SYSTEM_SHUTDOWN",
    }
)
"""Causes with which FreeSWITCH itself ends an answered call: a limit, an order, no RTP."""

HANDED_OVER: Final = frozenset({"ATTENDED_TRANSFER", "BLIND_TRANSFER"})
"""Causes with which FreeSWITCH ends the leg that handed its call over (REFER)."""


def cause_named(name: str | None) -> int | None:
    """The Q.850 number of a cause's name; None for FreeSWITCH's own causes and unknown names."""
    return _Q850.get(name) if name else None


def outcome_of(name: str | None) -> str | None:
    """What a call that was not answered came to; None where the name does not say."""
    return _OUTCOMES.get(name) if name else None
