"""RADIUS accounting of SBCs, voice gateways and proxies: `detail` files, or packets.

Packets stand as hex lines, or as they are, one after the other. The Start, Interim-Update and Stop
records of one session are read together. Oracle's SBC tells both legs in one session; Cisco's and
AudioCodes' gateways have one session a leg; Kamailio's proxy has one for a call, whose two legs
have the same Call-ID. A session without anything of these (a dial-up or Wi-Fi session) says nothing
of a call. No record of a real SBC was captured here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import tzinfo
from typing import Final

from trunktrace.facts import Observation
from trunktrace.sources.parsed import Broken, Parsed
from trunktrace.sources.radius import gateway as radius_gateway
from trunktrace.sources.radius import oracle as radius_oracle
from trunktrace.sources.radius import proxy as radius_proxy
from trunktrace.sources.radius.detail import detail_records
from trunktrace.sources.radius.packets import binary_packets, is_binary, record_of
from trunktrace.sources.radius.record import FAILED, INTERIM, START, STOP, RadiusRecord, together
from trunktrace.sources.radius.session import Session
from trunktrace.sources.reading import AS_IT_IS, Reading
from trunktrace.sources.shapes.ordered import in_file_order
from trunktrace.sources.shapes.packets import hex_packets, is_hex

SOURCE: Final = "radius"
_LOOKED_AT: Final = 64 * 1024
_HEX_LINE: Final = re.compile(rb"^[ \t]*+(?:[0-9A-Fa-f]{2}[ \t:]?+){20,}+\r?$", re.MULTILINE)
_OF_CALLS: Final = frozenset({START, STOP, INTERIM, FAILED})
_OF_SERVERS: Final = frozenset(range(7, 15))
"""Accounting-On and -Off, and what RFC 2867 adds for tunnels."""


def parse(data: bytes, reading: Reading = AS_IT_IS) -> Parsed:
    """The legs of the calls of a file. Never raises for what it holds."""
    broken: list[Broken] = []
    sessions: dict[tuple[str, str], list[RadiusRecord]] = {}
    ignored = 0
    for found in _records(data, reading.zone):
        if found is None:
            ignored += 1
            continue
        reason = found.reason if isinstance(found, Broken) else _unreadable(found)
        if isinstance(found, Broken) or reason:
            broken.append(Broken(found.line, reason))
        elif found.status in _OF_SERVERS:
            ignored += 1
        else:
            nas = found.text("nas-ip-address", "nas-identifier") or ""
            key = (nas, found.text("acct-session-id") or "")
            sessions.setdefault(key, []).append(found)
    told = list(_sessions(sessions.values()))
    spoken = [session for session in told if session.kind is not None]
    ignored += sum(len(one.records) for one in told if one.kind is None)
    observations = [one for group in _calls(spoken) for one in _observed(group, reading)]
    return Parsed(tuple(observations), in_file_order(broken), ignored)


def _records(data: bytes, zone: tzinfo) -> Iterator[RadiusRecord | Broken | None]:
    if is_binary(data):
        for number, whole in binary_packets(data):
            yield record_of(whole, number)
        return
    if not _holds_packets(data):
        yield from detail_records(data, zone)
        return
    for number, packet in hex_packets(data):
        yield packet if isinstance(packet, Broken) else record_of(packet, number)


def _holds_packets(data: bytes) -> bool:
    """Whether these are hex lines; the first may be a remark, or broken."""
    return is_hex(data) or _HEX_LINE.search(data, 0, _LOOKED_AT) is not None


def _unreadable(record: RadiusRecord) -> str:
    status = record.status
    if status not in _OF_CALLS | _OF_SERVERS:
        return "no Acct-Status-Type of RFC 2866"
    if status in _OF_CALLS and record.text("acct-session-id") is None:
        return "no Acct-Session-Id"
    return ""


def _sessions(groups: Iterable[list[RadiusRecord]]) -> Iterator[Session]:
    for records in groups:
        for mine in _by_leg(records):
            yield Session(together(mine), tuple(mine))


def _by_leg(records: list[RadiusRecord]) -> Iterable[list[RadiusRecord]]:
    """The records of each leg: Sippy's B2BUA gives both legs of a call one Acct-Session-Id."""
    legs: dict[str, list[RadiusRecord]] = {}
    for one in records:
        legs.setdefault((one.text("h323-call-origin") or "").lower(), []).append(one)
    return legs.values() if {"answer", "originate"} <= legs.keys() else [records]


def _calls(sessions: Iterable[Session]) -> Iterator[list[Session]]:
    """Sessions that are legs of one call, by the id that gateways give to it."""
    calls: dict[str, list[Session]] = {}
    for number, session in enumerate(sessions):
        shared = session.conference if session.kind == "gateway" else None
        calls.setdefault(shared or f"#{number}", []).append(session)
    yield from calls.values()


def _observed(sessions: list[Session], reading: Reading) -> Iterator[Observation]:
    kind = sessions[0].kind
    if kind == "gateway":
        yield from radius_gateway.observations(sessions, reading)
        return
    read = radius_oracle.observations if kind == "oracle" else radius_proxy.observations
    for session in sessions:
        yield from read(session, reading)
