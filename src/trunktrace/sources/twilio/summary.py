"""Call Summaries of Twilio's Voice Insights, single, in pages of the API, or by Event Streams.

A summary has facts of the call, and of each edge (media gateway) properties and the sums of both
streams. An edge with media gives an observation of its leg; what is said of the call stands on one
of them: on the trunk leg where there is a `sip_edge`, else on the far one. `from.carrier` and
`to.carrier` are the parties' telephone companies, not our trunk's carrier. Tags are thresholds of
Twilio's and can contradict the measures: a tag alone is no loss, and `silence` beside a missing
stream does not tell whether packets came, so nothing is said of that stream.
Source: Twilio's page "Details: Call Summary".
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from trunktrace.facts import Observation
from trunktrace.sip.uris import is_sip_uri
from trunktrace.sources.draft import Draft
from trunktrace.sources.parsed import Broken, Parsed
from trunktrace.sources.reading import AS_IT_IS, Reading
from trunktrace.sources.shapes.callbacks import Ending, direction_by
from trunktrace.sources.shapes.jsonlines import Record, object_in, text_in
from trunktrace.sources.shapes.values import count, decimal, iso_time
from trunktrace.sources.twilio.words import (
    ANSWERED_BY,
    CARRIER,
    EDGES,
    STREAMS,
    Told,
    codec_in,
    direction_told,
    measured,
    region_in,
    say_country,
    say_ending,
    sid_of,
    told_in,
)
from trunktrace.windows import Leg

NAME: Final = "twilio-summary"

_EVENTS: Final = "com.twilio.voice.insights.call-summary."
_LEGS: Final[dict[str, Leg]] = {"trunking": "trunk", "sip": "trunk", "carrier": "pstn"}
"""The leg that a call of a type has by itself; `client` and `whatsapp` have none of ours."""

_ENDINGS: Final[dict[str, Ending]] = {
    "answered": "answered",
    "completed": "answered",
    "busy": "busy",
    "noanswer": "no_answer",
    "canceled": "canceled",
    "fail": "failed",
}
_SIP_CONNECTIONS: Final = frozenset({"sip_trunk", "sip_interface"})
_REGIONS: Final = ("signaling_region", "media_region", "edge_location")


@dataclass(frozen=True, slots=True)
class _Summary:
    record: Record
    call_sid: str
    complete: bool
    version: int

    @property
    def rank(self) -> tuple[bool, int]:
        return self.complete, self.version

    @property
    def legs(self) -> dict[Leg, Record]:
        """Our edges by leg, the trunk's first; empty where the call has none."""
        return {leg: object_in(self.record, name) for name, leg in EDGES.items()}

    @property
    def main(self) -> Leg | None:
        """The leg on which the call's facts stand; None where no leg is ours."""
        of_type = _LEGS.get(text_in(self.record, "call_type") or "")
        told: list[Leg] = [leg for leg, edge in self.legs.items() if edge]
        if of_type is not None and (not told or of_type in told):
            return of_type
        return told[0] if told else None


def parse(data: bytes, reading: Reading = AS_IT_IS) -> Parsed:
    """An observation for each edge of each call, of its fullest summary; others are ignored."""
    best: dict[str, _Summary] = {}
    broken: list[Broken] = []
    ignored = 0
    for told in told_in(data, "call_summaries"):
        if isinstance(told, Broken):
            broken.append(told)
            continue
        found = _read(told)
        if isinstance(found, Broken):
            broken.append(found)
            continue
        known = best.get(found.call_sid) if found is not None else None
        if found is None or found.main is None or (known is not None and found.rank < known.rank):
            ignored += 1
            continue
        ignored += known is not None
        best[found.call_sid] = found
    legs = [leg for summary in best.values() for leg in _observations(summary, reading)]
    return Parsed(tuple(legs), tuple(broken), ignored)


def _read(told: Told) -> _Summary | Broken | None:
    """A summary; None for an event of another kind."""
    if told.kind and not told.kind.startswith(_EVENTS):
        return None
    record = told.record
    call_sid = sid_of(record.get("call_sid"))
    if call_sid is None:
        return Broken(told.line, "no SID under `call_sid`")
    if not any(key in record for key in ("call_type", "call_state", "processing_state", *EDGES)):
        return Broken(told.line, "no summary of a call")
    state = text_in(record, "processing_state")
    if state is None:
        # Twilio emits `predicted-complete` before it is sure.
        state = told.kind.removeprefix(_EVENTS) or "complete"
    version = count(record.get("processing_version")) or 0
    return _Summary(record, call_sid, state == "complete", version)


def _observations(summary: _Summary, reading: Reading) -> Iterator[Observation]:
    main = summary.main
    for leg in ("trunk", "pstn"):
        edge = summary.legs.get(leg, {})
        if leg != main and not _has_own_facts(edge):
            continue
        draft = _leg(summary, leg, edge)
        if leg == main:
            _say_call(draft, summary, edge)
        draft.say(direction=_direction(summary, leg, edge, reading))
        _say_media(draft, leg, edge, summary.record)
        yield draft.build()


def _has_own_facts(edge: Record) -> bool:
    """Whether an edge says more than where it is."""
    told = object_in(edge, "metrics")
    return any(object_in(told, way) for way in ("inbound", "outbound")) or bool(
        text_in(object_in(edge, "properties"), "sip_call_id")
    )


def _leg(summary: _Summary, leg: Leg, edge: Record) -> Draft:
    """What is known of a leg of the call by its own edge."""
    record, own = summary.record, object_in(edge, "properties")
    # The first version of the schema has the properties of the SIP side among the call's.
    call = object_in(record, "properties") if leg == "trunk" else {}
    draft = Draft(NAME, leg=leg, record_id=summary.call_sid)
    draft.complete = summary.complete
    draft.start = iso_time(record.get("created_time")) or iso_time(record.get("start_time"))
    draft.end = iso_time(record.get("end_time"))
    draft.say(
        carrier=CARRIER,
        provider_call_id=summary.call_sid,
        call_id=text_in(own, "sip_call_id") or text_in(call, "sip_call_id"),
        trunk_id=text_in(own, "trunk_sid") or text_in(call, "trunk_sid"),
    )
    draft.identify("linked_id", sid_of(record.get("parent_call_sid")) or summary.call_sid)
    _name_parties(draft, record)
    return draft


def _name_parties(draft: Draft, record: Record) -> None:
    caller, callee = object_in(record, "from"), object_in(record, "to")
    for party in (caller, callee):
        draft.hide(text_in(party, "caller"), text_in(party, "callee"))
    draft.say(caller_number=caller.get("caller"), callee_number=callee.get("callee"))
    say_country(draft, caller.get("country_code"), callee.get("country_code"))


def _say_call(draft: Draft, summary: _Summary, edge: Record) -> None:
    """What Twilio says of the call as a whole."""
    record, own = summary.record, object_in(edge, "properties")
    call = object_in(record, "properties")
    code, state = count(call.get("last_sip_response_num")), text_in(record, "call_state")
    ending = _ENDINGS.get(state or "")
    say_ending(draft, ending, code)
    if state is None and code is not None:
        draft.answer(code)
    unanswered = ending not in (None, "answered")
    talked = decimal(record.get("connect_duration"))
    if talked is not None and not unanswered and (ending is not None or talked > 0):
        draft.say(duration_ms=talked * 1000.0)
    hung_up = text_in(call, "disconnected_by")
    draft.say(
        hangup_source=hung_up if hung_up in ("caller", "callee") and not unanswered else None,
        pdd_ms=decimal(call.get("pdd_ms")) or None,
        answered_by=ANSWERED_BY.get(text_in(record, "answered_by") or ""),
        q850_cause=count(call.get("q850_cause")) or None,
        region=region_in(own, *_REGIONS) or region_in(call, *_REGIONS),
    )


def _direction(summary: _Summary, leg: Leg, edge: Record, reading: Reading) -> str | None:
    """By the call's direction if it is of a trunk, else by the edge's own, else by the call's."""
    record = summary.record
    caller, callee = object_in(record, "from"), object_in(record, "to")
    word = text_in(object_in(record, "properties"), "direction")
    if not (word or "").lower().startswith("trunking"):
        word = text_in(object_in(edge, "properties"), "direction") or word
    faces_sip = leg == "trunk"
    told = direction_told(word, faces_sip=faces_sip)
    if told is None:
        told = _direction_by_parties(caller, callee)
    return direction_by(reading, told, caller.get("caller"), callee.get("callee"))


def _direction_by_parties(caller: Record, callee: Record) -> str | None:
    """By which party stands on the SIP side, where one of them does."""
    from_sip = _is_sip(caller, "caller")
    to_sip = _is_sip(callee, "callee")
    if from_sip == to_sip:
        return None
    return "outbound" if from_sip else "inbound"


def _is_sip(party: Record, role: str) -> bool:
    return text_in(party, "connection") in _SIP_CONNECTIONS or is_sip_uri(party.get(role))


def _say_media(draft: Draft, leg: Leg, edge: Record, record: Record) -> None:
    """Sums of both streams of an edge, over the time that the call was up."""
    metrics = object_in(edge, "metrics")
    streams = {way: object_in(metrics, way) for way in ("inbound", "outbound")}
    for spoken in map(codec_in, streams.values()):
        if spoken["codec"] is not None:
            draft.say(**spoken)
            break
    start, end = _media_times(record)
    for way, stream in streams.items():
        if start is not None and end is not None:
            draft.saw(leg, STREAMS[leg, way], start, end, *measured(stream))
        else:
            draft.total(leg, STREAMS[leg, way], *measured(stream))


def _media_times(record: Record) -> tuple[float | None, float | None]:
    """When the call was up: `start_time` is the answer in some summaries, the INVITE in others."""
    end = iso_time(record.get("end_time"))
    start = iso_time(record.get("start_time")) or iso_time(record.get("created_time"))
    talked = decimal(record.get("connect_duration"))
    if end is not None and talked is not None and 0 < talked < end:
        return end - talked, end
    return (start, end) if start is not None and end is not None and start <= end else (None, None)
