"""What each span may know, worked out from the capture alone: nothing of the library is used.

A fact is known from one instant on. In an outbound call with two attempts the first attempt's facts
are true until the second is dialled.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from .capture import Capture

How = Literal["rows", "attributes", "headers"]
"""By what the directory knows the carrier: its own row for the trunk id, participant attributes
that it trusts, or SIP headers that it trusts (read over the RPC where no attribute has them)."""

HOWS: tuple[How, ...] = ("rows", "attributes", "headers")

CARRIER, ROUTE, REGION = "trunk.carrier", "trunk.route", "trunk.region"
DIRECTION, CODE, CODEC = "sip.call.direction", "sip.response.status_code", "rtp.codec"
INHERITED = (CARRIER, ROUTE, REGION, DIRECTION, CODE, CODEC)

UNKNOWN = "unknown"
"""The carrier of a call whose carrier nobody could name: on the root, at its end."""

CODEC_DELAY_NS = 20_000_000
"""After the answer, when the entrypoint's own code records the codec: LiveKit never tells it."""

_IDENTITY = {"carrier": CARRIER, "route": ROUTE, "region": REGION}
_TRUSTED = {"carrier": "carrier.name", "route": "trunk.route", "region": "region"}


@dataclass(frozen=True, slots=True)
class Known:
    """A fact, and between which instants (unix nanoseconds) it is what is known."""

    key: str
    value: str | int
    since_ns: int
    until_ns: int | None = None

    def covers(self, start_ns: int, now_ns: int) -> bool:
        """Whether a span that started at `start_ns` and is open at `now_ns` has been told it."""
        return self.since_ns <= now_ns and (self.until_ns is None or start_ns < self.until_ns)


def held(known: tuple[Known, ...], start_ns: int, now_ns: int) -> dict[str, str | int]:
    """The inherited facts that a span from `start_ns` must have at `now_ns`, and no others."""
    told = sorted((k for k in known if k.covers(start_ns, now_ns)), key=lambda k: k.since_ns)
    return {fact.key: fact.value for fact in told}


def final(known: tuple[Known, ...]) -> dict[str, str | int]:
    """What is known when the call is over."""
    return held(known, 2**63, 2**63)


def known_facts(capture: Capture, how: How) -> tuple[Known, ...]:
    """Every inherited fact of the call and its time."""
    facts = [*_direction(capture), *_codes(capture), *_codec(capture)]
    if how == "rows":
        facts += _by_rows(capture)
    elif how == "attributes":
        facts += _by_attributes(capture)
    else:
        facts += _by_headers(capture)
    return tuple(facts)


def rows(capture: Capture) -> dict[str, dict[str, str]]:
    """What the operator's directory says of each trunk id, made from `facts.json`."""
    facts = capture.facts
    if capture.inbound:
        carrier, route = (
            facts["expected_carrier"],
            facts.get("expected_route", facts["route_header"]),
        )
        return {facts["trunk"]["id"]: {"carrier": carrier, "route": route, "region": "eu-1"}}
    return {
        attempt["trunk"]: {
            "carrier": attempt["carrier"],
            "route": attempt["trunk_name"],
            "region": f"us-{attempt['attempt']}",
        }
        for attempt in facts["attempts"]
    }


def answered_ns(capture: Capture) -> int | None:
    """When the agent could first know that the call was answered."""
    told = [at for at in (capture.status_at("active"),) if at is not None]
    told += [dial.ended_ns for dial in capture.dials if dial.body["ok"]]
    return min(told, default=None)


def _direction(capture: Capture) -> Iterator[Known]:
    first = capture.connected_ns if capture.inbound else capture.dials[0].started_ns
    yield Known(DIRECTION, capture.facts["direction"], first)


def _codes(capture: Capture) -> Iterator[Known]:
    for index, dial in enumerate(capture.dials):
        later = capture.dials[index + 1 :]
        if not dial.body["ok"] and dial.sip_code is not None:
            until = later[0].started_ns if later else None
            yield Known(CODE, dial.sip_code, dial.ended_ns, until)
    if (answered := answered_ns(capture)) is not None:
        yield Known(CODE, 200, answered)


def _codec(capture: Capture) -> Iterator[Known]:
    if (answered := answered_ns(capture)) is not None:
        codec = capture.facts["codec"]["negotiated"].lower()
        yield Known(CODEC, codec, answered + CODEC_DELAY_NS)


def _by_rows(capture: Capture) -> Iterator[Known]:
    table = rows(capture)
    if capture.inbound:
        times = [(capture.facts["trunk"]["id"], capture.connected_ns, None)]
    else:
        ends: list[int | None] = [dial.started_ns for dial in capture.dials[1:]]
        pairs = zip(capture.dials, [*ends, None], strict=True)
        times = [(dial.trunk_id, dial.started_ns, until) for dial, until in pairs]
    for trunk_id, since, until in times:
        for name, value in table[trunk_id].items():
            yield Known(_IDENTITY[name], value, since, until)


def _by_attributes(capture: Capture) -> Iterator[Known]:
    for person in capture.present_at_connect:
        yield from _named(person["attributes"], capture.connected_ns)
    for event in capture.events:
        if event.name == "participant_attributes_changed":
            yield from _named(event.body["changed"], event.at_ns)


def _named(attributes: Mapping[str, str], at_ns: int) -> Iterator[Known]:
    for name, key in _TRUSTED.items():
        if key in attributes:
            yield Known(_IDENTITY[name], attributes[key], at_ns)


def _by_headers(capture: Capture) -> Iterator[Known]:
    """Inbound the headers of the INVITE are there at once; outbound those of the 200 OK."""
    asked = capture.connected_ns if capture.inbound else capture.status_at("active")
    if asked is None:
        return
    joined = [person["attributes"] for person in capture.present_at_connect]
    for name, header in (("carrier", "X-Carrier"), ("route", "X-Route")):
        told = [a[key] for a in joined if (key := f"sip.h.{header.lower()}") in a]
        if told:
            yield Known(_IDENTITY[name], told[0], asked)
        elif header in capture.headers:
            yield Known(_IDENTITY[name], capture.headers[header], asked + capture.header_delay_ns)
