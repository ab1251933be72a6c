"""RADIUS attributes by number: those that say something of a call, and how their values are kept.

Written from RFC 2865, RFC 2866 and RFC 2869, Oracle's Accounting Guide (vendor 9148), Cisco's "CDR
Accounting for Cisco IOS Voice Gateways" (vendor 9) and AudioCodes' user manuals (vendor 5003, and
4923 in their examples). Names are in lower case with hyphens, as `plain_name` makes them, so that
those of a `detail` file compare, whoever wrote the dictionary behind it. Attributes that are in no
table here are read and not looked at.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["text", "number", "address"]

CISCO: Final = 9
AUDIOCODES: Final = frozenset({5003, 4923})
ORACLE: Final = 9148


@dataclass(frozen=True, slots=True)
class Attribute:
    """What an attribute is called here, and how its value is kept in a packet."""

    name: str
    kind: Kind = "text"


def _table(kind: Kind, names: dict[int, str]) -> dict[int, Attribute]:
    return {number: Attribute(name, kind) for number, name in names.items()}


# RFC 2865, 2866, 2869; 101 to 108 are those of Kamailio and OpenSIPS, which have no vendor.
STANDARD: Final = {
    **_table(
        "text",
        {
            1: "user-name",
            30: "called-station-id",
            31: "calling-station-id",
            32: "nas-identifier",
            44: "acct-session-id",
            50: "acct-multi-session-id",
            103: "sip-cseq",
            104: "sip-to-tag",
            105: "sip-from-tag",
            107: "sip-translated-request-uri",
            108: "sip-src-ip",
        },
    ),
    **_table(
        "number",
        {
            5: "nas-port",
            6: "service-type",
            40: "acct-status-type",
            41: "acct-delay-time",
            42: "acct-input-octets",
            43: "acct-output-octets",
            46: "acct-session-time",
            47: "acct-input-packets",
            48: "acct-output-packets",
            49: "acct-terminate-cause",
            55: "event-timestamp",
            61: "nas-port-type",
            101: "sip-method",
            102: "sip-response-code",
        },
    ),
    4: Attribute("nas-ip-address", "address"),
}

_VOICE_GATEWAY: Final = _table(
    "text",
    {
        23: "h323-remote-address",
        24: "h323-conf-id",
        25: "h323-setup-time",
        26: "h323-call-origin",
        27: "h323-call-type",
        28: "h323-connect-time",
        29: "h323-disconnect-time",
        30: "h323-disconnect-cause",
        31: "h323-voice-quality",
        33: "h323-gw-id",
    },
)
_CISCO: Final = {**_VOICE_GATEWAY, **_table("text", {1: "cisco-avpair", 141: "call-id"})}
_AUDIOCODES: Final = {
    **_VOICE_GATEWAY,
    **_table("text", {1: "cisco-avpair", 34: "sip-call-id", 35: "call-terminator",
                      37: "terminator"}),
}  # fmt: skip

_SIDE: Final = (
    "rtcp-packets-lost",
    "rtcp-avg-jitter",
    "rtcp-avg-latency",
    "rtcp-maxjitter",
    "rtcp-maxlatency",
    "rtp-packets-lost",
    "rtp-avg-jitter",
    "rtp-maxjitter",
)
_ORACLE: Final = {
    **_table(
        "text",
        {
            2: "acme-flowtype-fs1-f",
            3: "acme-session-ingress-callid",
            4: "acme-session-egress-callid",
            10: "acme-flow-in-realm-fs1-f",
            20: "acme-flow-out-realm-fs1-f",
            40: "acme-session-generic-id",
            41: "acme-session-ingress-realm",
            42: "acme-session-egress-realm",
            43: "acme-session-protocol-type",
            54: "acme-session-charging-vector",
            64: "acme-primary-routing-number",
            65: "acme-originating-trunk-group",
            66: "acme-terminating-trunk-group",
            67: "acme-originating-trunk-context",
            68: "acme-terminating-trunk-context",
            69: "acme-p-asserted-id",
            70: "acme-sip-diversion",
            74: "acme-ingress-local-addr",
            75: "acme-ingress-remote-addr",
            76: "acme-egress-local-addr",
            77: "acme-egress-remote-addr",
            79: "acme-flowtype-fs1-r",
            134: "acme-egress-final-routing-number",
            235: "acme-sip-method-type",
            239: "acme-reason-phrase",
        },
    ),
    **_table(
        "number",
        {
            28: "acme-calling-octets-fs1",
            29: "acme-calling-packets-fs1",
            44: "acme-called-octets-fs1",
            45: "acme-called-packets-fs1",
            58: "acme-post-dial-delay",
            59: "acme-cdr-sequence-number",
            60: "acme-session-disposition",
            61: "acme-disconnect-initiator",
            62: "acme-disconnect-cause",
            71: "acme-sip-status",
            146: "acme-flow-ptime-fs1-f",
            151: "acme-calling-r-factor",
            152: "acme-calling-mos",
            153: "acme-called-r-factor",
            154: "acme-called-mos",
        },
    ),
    **_table("number", {32 + at: f"acme-calling-{what}-fs1" for at, what in enumerate(_SIDE)}),
    **_table("number", {46 + at: f"acme-called-{what}-fs1" for at, what in enumerate(_SIDE)}),
}

VENDORS: Final = {CISCO: _CISCO, ORACLE: _ORACLE, **dict.fromkeys(AUDIOCODES, _AUDIOCODES)}
"""The tables of vendors by their private enterprise number."""

STATUS: Final = {
    "start": 1,
    "stop": 2,
    "interim-update": 3,
    "alive": 3,
    "interim": 3,
    "accounting-on": 7,
    "accounting-off": 8,
    "failed": 15,
}
"""Acct-Status-Type by the names that servers write (RFC 2866 section 5.1)."""

METHODS: Final = {1: "INVITE", 2: "CANCEL", 4: "ACK", 8: "BYE"}
"""Sip-Method by number, as Kamailio's documentation on RADIUS has it."""

_UNNAMED: Final = re.compile(
    r"(?:attr-26[.-](\d{1,9})[.-](\d{1,3})|vendor-(\d{1,9})-attr-(\d{1,3}))"
)
_PREFIXES: Final = ("vendor-specific-", "request-")
_OF_VENDORS: Final = re.compile(r"(?:cisco|quintum|audiocodes)-(?=h323-|call-id$|sip-call-id$)")
"""Before names of voice gateways, in dictionaries that tell vendors apart."""


def plain_name(name: str) -> str:
    """A name as the tables have it, out of what a server wrote: `Acme-FlowType_FS1_F`."""
    plain = name.lower().replace("_", "-").replace(".", "-").removeprefix("&")
    for prefix in _PREFIXES:
        plain = plain.removeprefix(prefix)
    return _OF_VENDORS.sub("", plain, count=1)


def unnamed(name: str) -> tuple[int, int] | None:
    """Vendor and number of an attribute for which the server had no name (`Attr-26.9148.3`)."""
    found = _UNNAMED.fullmatch(name)
    if found is None:
        return None
    return int(found[1] or found[3]), int(found[2] or found[4])
