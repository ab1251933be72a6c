"""Traces in HEPv3 (Homer): SIP, RTCP as JSON and quality reports of both legs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from trunktrace import conventions as c
from trunktrace.errors import ParseError
from trunktrace.facts import End, Observation
from trunktrace.sip.message import read_message
from trunktrace.sources.draft import Draft
from trunktrace.sources.hep import packet as kinds
from trunktrace.sources.hep.address import Places
from trunktrace.sources.hep.hop import Seen, hops_of
from trunktrace.sources.hep.legs import SOURCE, Part, draft_of, parts_of, place, say_hangup
from trunktrace.sources.hep.link import Call, call_of, link
from trunktrace.sources.hep.media import MediaLeg, say_media
from trunktrace.sources.hep.packet import Packet, packets
from trunktrace.sources.hep.rtcp import Link, Report, degrees, links_of, read_report
from trunktrace.sources.parsed import Broken, Parsed
from trunktrace.sources.reading import AS_IT_IS, Reading
from trunktrace.sources.vq_rtcpxr.reader import observations as quality_of
from trunktrace.sources.vq_rtcpxr.reader import why_broken
from trunktrace.sources.vq_rtcpxr.report import Report as QualityReport
from trunktrace.sources.vq_rtcpxr.report import reports as quality_reports

_OF_CALLS: Final = frozenset({"INVITE", "BYE", "CANCEL"})
_QUALITY: Final = "vq-rtcpxr"


def parse(data: bytes, reading: Reading = AS_IT_IS) -> Parsed:
    """One observation a leg, out of all packets of its call; those of one call share `linked_id`.

    `record_id` is the leg's Call-ID and its number, counted from the caller.
    """
    trace = _Trace()
    for packet in packets(data):
        if isinstance(packet, Broken):
            trace.broken.append(packet)
        else:
            trace.take(packet)
    return trace.told(reading)


class _Trace:
    """What a file holds, sorted by call."""

    def __init__(self) -> None:
        self.broken: list[Broken] = []
        self._ignored = 0
        self._messages: dict[str, list[Seen]] = {}
        self._rtcp: list[Report] = []
        self._quality: list[QualityReport] = []

    def take(self, packet: Packet) -> None:
        """Take a packet that could be read; its payload may still be broken."""
        if packet.kind == kinds.SIP:
            self._take_sip(packet)
        elif packet.kind == kinds.RTCP_JSON:
            report = read_report(packet)
            if isinstance(report, Broken):
                self.broken.append(report)
            elif report is None:
                self._ignored += 1
            else:
                self._rtcp.append(report)
        elif packet.kind in (kinds.RTP_AGENT, kinds.RTCP_XR):
            self._take_quality(packet, packet.payload)
        else:
            self._ignored += 1

    def _take_sip(self, packet: Packet) -> None:
        if not packet.payload.strip(b"\r\n\0 "):
            self._ignored += 1
            return
        try:
            message = read_message(packet.payload)
        except ParseError as error:
            self.broken.append(Broken(packet.line, error.reason))
            return
        if message.is_request and _QUALITY in (message.said.content_type or "").lower():
            self._take_quality(packet, message.body.encode())
        else:
            self._messages.setdefault(message.call_id, []).append(Seen(packet, message))

    def _take_quality(self, packet: Packet, payload: bytes) -> None:
        if payload.lstrip().startswith(b"{"):
            self._ignored += 1
            return
        told = list(quality_reports(payload))
        if packet.kind == kinds.RTP_AGENT and not any(
            isinstance(one, QualityReport) for one in told
        ):
            self._ignored += 1  # statistics of an agent's own kind
            return
        if not told:
            self.broken.append(Broken(packet.line, "no quality report in the packet"))
        for report in told:
            if report is None:
                self._ignored += 1
            elif isinstance(report, Broken):
                self.broken.append(Broken(packet.line, report.reason))
            elif (reason := why_broken(report)) is not None:
                self.broken.append(Broken(packet.line, reason))
            else:
                self._quality.append(report)

    def told(self, reading: Reading) -> Parsed:
        """The observations of all calls."""
        calls = self._calls()
        link(calls)
        places = Places()
        chains: list[_Chain] = []
        for call in calls:
            if call.before is None:
                chain = _Chain(parts_of(call), reading)
                chains.append(chain)
                places.add(chain, chain.parts)
        rest = [one for one in self._rtcp if not places.take(one)]
        found: list[Observation] = []
        for chain in chains:
            links = places.links(chain)
            for number, one in links.items():
                self._refuse(one, chain.parts[number].decisive.answered_at)
            found += chain.observations(links)
        found += self._media_only(rest, reading)
        found += quality_of(self._quality, reading, SOURCE)
        return Parsed(tuple(found), tuple(self.broken), self._ignored)

    def _refuse(self, link: Link, since: float | None) -> None:
        for one in link.refuse(since):
            self.broken.append(Broken(one.packet.line, "an RTCP report whose counts cannot be"))

    def _calls(self) -> list[Call]:
        calls: list[Call] = []
        for call_id, told in self._messages.items():
            if not any(one.message.cseq_method in _OF_CALLS for one in told):
                self._ignored += len(told)
                continue
            named = (one.packet.correlation for one in told)
            correlation = next((one for one in named if one and one != call_id), None)
            calls.append(call_of(call_id, hops_of(call_id, told), correlation))
        return calls

    def _media_only(self, told: Iterable[Report], reading: Reading) -> list[Observation]:
        """Calls of which the trace holds RTCP and no SIP."""
        grouped: dict[object, list[Report]] = {}
        for one in told:
            hosts = frozenset((one.packet.source.host, one.packet.target.host))
            grouped.setdefault(one.packet.correlation or hosts, []).append(one)
        degree = degrees(self._rtcp)
        found: list[Observation] = []
        for group in grouped.values():
            links = links_of(group, degree)
            for each in links:
                self._refuse(each, None)
            links = [each for each in links if each.from_peer or each.from_element]
            if links:
                found += _media_only(links, group[0].packet.correlation, reading)
        return found


class _Chain:
    """The legs of one call."""

    def __init__(self, parts: list[Part], reading: Reading) -> None:
        self.parts = parts
        self.ends = place(parts, reading)

    def observations(self, links: dict[int, Link]) -> list[Observation]:
        """One a leg; `links` are the RTCP of each part by its number."""
        root = Draft(SOURCE)
        root.say(call_id=self.parts[0].call.call_id)
        known = root.known(c.SIP_CALL_ID)
        linked = str(known) if known is not None and len(self.parts) > 1 else None
        drafts = [
            draft_of(part, self.ends, number, linked) for number, part in enumerate(self.parts)
        ]
        say_hangup(self.parts, drafts)
        legs: dict[End, MediaLeg] = {}
        for number, told in links.items():
            part = self.parts[number]
            audio = part.decisive.audio()
            if part.end is not None and part.end not in legs:
                leg = MediaLeg(drafts[number], told, part.decisive.answered_at)
                leg.clock_hz = audio.clock_rate_hz if audio else None
                legs[part.end] = leg
        say_media(legs, self.ends)
        return [draft.build() for draft in drafts]


def _media_only(links: list[Link], call_id: str | None, reading: Reading) -> list[Observation]:
    """Two links are taken as the caller's, whose reports begin later, and the callee's."""
    caller = [links[0].peer]
    callee = [links[-1].peer] if len(links) > 1 else [links[0].element]
    ends = reading.bridge.ends(caller=caller, callee=callee)
    drafts: list[Draft] = []
    legs: dict[End, MediaLeg] = {}
    for number, one in enumerate(links):
        end: End = "caller" if number == 0 else "callee"
        draft = Draft(SOURCE)
        draft.place(ends, end, states_direction=ends.by != "assumed")
        draft.say(call_id=call_id)
        draft.identify("host", one.peer)
        draft.record_id = f"{draft.known(c.SIP_CALL_ID) or 'rtcp'}/{number}"
        told = [report.time for report in (*one.from_peer, *one.from_element)]
        draft.start, draft.end = min(told), max(told)
        drafts.append(draft)
        legs.setdefault(end, MediaLeg(draft, one))
    if len(drafts) > 1 and call_id is not None:
        for draft in drafts:
            known = draft.known(c.SIP_CALL_ID)
            draft.identify("linked_id", str(known) if known is not None else None)
    say_media(legs, ends)
    return [draft.build() for draft in drafts]
