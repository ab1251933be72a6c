"""A call as rtpengine saw it: who sent how much, and what each end reported to hear."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, cast

from trunktrace.facts import End
from trunktrace.sources.shapes.jsonlines import (
    Record,
    count_in,
    list_in,
    number_in,
    object_in,
    text_in,
    time_in,
)
from trunktrace.sources.shapes.values import integer

ALGORITHM: Final = "rtpengine"
"""Of its scores, whoever passes them on."""

_MOST_TAGS: Final = 32
MOST_REPORTS: Final = 500
_NOTHING: Final[Record] = {}


@dataclass(slots=True)
class Side:
    """One end as its tag names it. None is what the record does not say.

    `packet_count` counts what rtpengine received from it. `was_offered_to` is whether rtpengine
    made the first offer to it: the callee's end.
    """

    tag: str
    label: str | None = None
    address: str | None = None
    signalled_from: str | None = None
    ssrc: int | None = None
    packet_count: int | None = None
    last_packet: float | None = None
    codec: str | None = None
    sdp: str | None = None
    was_offered_to: bool = False

    @property
    def was_there(self) -> bool:
        """Whether an end stood behind the tag: it sent an SDP.

        A call that nobody answered has a second tag without.
        """
        return bool(self.tag) or self.address is not None or self.sdp is not None


@dataclass(frozen=True, slots=True)
class Report:
    """What an end heard since its report before: times in ms, loss in whole percent, cut off."""

    at: float | None
    loss_percent: int | None = None
    mos: float | None = None
    jitter_ms: float | None = None
    rtt_ms: float | None = None


@dataclass(slots=True)
class Heard:
    """What the owner of an SSRC reported to hear, by its RTCP receiver reports."""

    lost_count: int | None = None
    average: Report | None = None
    reports: list[Report] = field(default_factory=list[Report])


@dataclass(slots=True)
class MediaCall:
    """One call of rtpengine's. `span_s` is its length where no time of it is known.

    `record_count` is of messages or lines that were taken for it.
    """

    call_id: str | None = None
    created: float | None = None
    ended: float | None = None
    span_s: float | None = None
    sides: dict[str, Side] = field(default_factory=dict[str, Side])
    heard: dict[int, Heard] = field(default_factory=dict[int, Heard])
    offered_by: str | None = None
    deleted_by: str | None = None
    has_statistics: bool = False
    is_over: bool = True
    record_count: int = 0

    def side(self, tag: str) -> Side:
        """The side of a tag, a new one where it is not known."""
        if tag not in self.sides and len(self.sides) >= _MOST_TAGS:
            return Side(tag)
        return self.sides.setdefault(tag, Side(tag))

    def ends(self) -> dict[End, Side]:
        """Who is the caller and who the callee: by their labels, else by who offered first.

        Of several callees (a forked call) it is the one that sent most. An answer to `delete` or
        `query` has the tag first that was asked for.
        """
        sides = list(self.sides.values())
        labelled = {_label(side): side for side in sides if _label(side)}
        caller = labelled.get("caller") or self.sides.get(self.offered_by or "")
        if caller is None and any(side.was_offered_to for side in sides):
            offered = (side for side in sides if not side.was_offered_to)
            caller = next((one for one in offered if one is not labelled.get("callee")), None)
        callees = [side for side in sides if side is not caller]
        if caller is None and sides:
            caller = next((one for one in sides if one is not labelled.get("callee")), None)
            callees = [side for side in sides if side is not caller]
        ends: dict[End, Side] = {} if caller is None else {"caller": caller}
        named = [side for side in callees if _label(side) == "callee"] or callees
        if named:
            ends["callee"] = max(named, key=lambda side: side.packet_count or 0)
        return ends

    def heard_by(self, side: Side) -> Heard | None:
        """What that side reported to hear."""
        return None if side.ssrc is None else self.heard.get(side.ssrc)


def _label(side: Side) -> Literal["caller", "callee"] | None:
    label = (side.label or "").lower()
    return "caller" if label == "caller" else "callee" if label == "callee" else None


def take_statistics(call: MediaCall, reply: Record) -> bool:
    """Take the answer to `query` or `delete`; whether it holds any statistics."""
    tags = object_in(reply, "tags")
    if not tags:
        return False
    created = time_in(reply, "created")
    if created is not None:
        call.created = created + (count_in(reply, "created_us") or 0) % 1_000_000 / 1e6
    call.has_statistics = True
    for ssrc, told in object_in(reply, "SSRC").items():
        if ssrc.isascii() and ssrc.isdigit() and len(ssrc) <= 10 and isinstance(told, dict):
            call.heard[int(ssrc)] = _heard(cast("Record", told))
    for tag, told in list(tags.items())[:_MOST_TAGS]:
        if isinstance(told, dict):
            _take_side(call, tag, cast("Record", told))
    seen = [side.last_packet for side in call.sides.values() if side.last_packet is not None]
    if seen and call.ended is None:
        call.ended = max(seen)
    return True


def _take_side(call: MediaCall, key: str, told: Record) -> None:
    tag = text_in(told, "tag") or ("" if key.startswith("<") else key)
    side = call.side(tag)
    side.label = text_in(told, "label") or side.label
    media = _audio(told)
    side.codec = text_in(media, "codec") or side.codec
    # Its own role, whether there is ICE or not: it controls where it offered.
    side.was_offered_to = "ICE controlling" in list_in(media, "flags") or side.was_offered_to
    stream = _first_object(list_in(media, "streams"))
    if not stream:
        return
    side.address = text_in(object_in(stream, "endpoint"), "address") or side.address
    side.ssrc = _ssrc(call, stream, media) or side.ssrc
    side.packet_count = count_in(object_in(stream, "stats"), "packets")
    side.last_packet = time_in(stream, "last packet")


def _ssrc(call: MediaCall, stream: Record, media: Record) -> int | None:
    """The SSRC that an end sends with; of several, one after the other, the one that heard most.

    Since version 13 they are a list of the media (of the stream in some builds), and `SSRC` of the
    stream may be missing.
    """
    listed = [*list_in(stream, "ingress SSRCs"), *list_in(media, "ingress SSRCs")]
    told = [stream, *(cast("Record", one) for one in listed if isinstance(one, dict))]
    numbers = [integer(one.get("SSRC")) for one in told]
    # Some builds write them with a sign.
    known = [one % (1 << 32) for one in numbers if one and abs(one) < 1 << 32]
    return max(known, key=lambda one: _reports(call, one), default=None)


def _reports(call: MediaCall, ssrc: int) -> int:
    heard = call.heard.get(ssrc)
    return 0 if heard is None else len(heard.reports)


def _audio(told: Record) -> Record:
    medias = [cast("Record", one) for one in list_in(told, "medias") if isinstance(one, dict)]
    return next((one for one in medias if one.get("type") in ("audio", None)), _NOTHING)


def _first_object(members: list[object]) -> Record:
    return next((cast("Record", one) for one in members if isinstance(one, dict)), _NOTHING)


def _heard(told: Record) -> Heard:
    reports = [
        _report(cast("Record", entry))
        for entry in list_in(object_in(told, "MOS progression"), "entries")[:MOST_REPORTS]
        if isinstance(entry, dict)
    ]
    average = object_in(told, "average MOS")
    return Heard(
        lost_count=count_in(told, "cumulative loss"),
        average=_report(average) if average else None,
        reports=sorted(reports, key=lambda one: one.at or 0.0),
    )


def _report(told: Mapping[str, object]) -> Report:
    """MOS is ten times itself, round-trip time in µs, 0 of either and of a jitter is unknown.

    The round-trip time is that of this leg: the other one has both in it.
    """
    record = dict(told)
    mos, jitter = number_in(record, "MOS"), number_in(record, "jitter")
    rtt = number_in(record, "round-trip time leg")
    return Report(
        at=time_in(record, "reported at"),
        loss_percent=count_in(record, "packet loss"),
        mos=mos / 10.0 if mos else None,
        jitter_ms=jitter or None,
        rtt_ms=rtt / 1000.0 if rtt else None,
    )
