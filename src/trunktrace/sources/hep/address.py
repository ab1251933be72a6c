"""To which leg of which call an RTCP packet belongs: by correlation id, and by addresses in SDP."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Final

from trunktrace.sip.sdp import audio_in
from trunktrace.sources.hep.legs import Part
from trunktrace.sources.hep.packet import Address
from trunktrace.sources.hep.rtcp import Link, Report

_EARLY_S: Final = 5.0
_LATE_S: Final = 60.0
_MOST: Final = 16


@dataclass(frozen=True, slots=True)
class _Place:
    """An address of one side of one leg while a call lasted; the end's own, or the element's."""

    chain: Hashable
    part: int
    is_peer: bool
    start: float
    end: float

    def covers(self, time: float) -> bool:
        return self.start - _EARLY_S <= time <= self.end + _LATE_S


class Places:
    """Addresses of media by what SDP says of them, and the reports that were put there."""

    def __init__(self) -> None:
        self._by_address: dict[tuple[str, int], list[_Place]] = {}
        self._by_host: dict[tuple[Hashable, str], _Place] = {}
        self._chains: dict[str, Hashable] = {}
        self._links: dict[Hashable, dict[int, Link]] = {}

    def add(self, chain: Hashable, parts: Sequence[Part]) -> None:
        """Make the legs of a call known."""
        for number, part in enumerate(parts):
            self._chains.setdefault(part.call.call_id, chain)
            for hop in part.hops:
                start, end = hop.seen[0].time, hop.seen[-1].time
                if hop.first("BYE") is None:
                    end = float("inf")
                sides: dict[bool, set[str]] = {True: set(), False: set()}
                for one in hop.seen:
                    audio = audio_in(one.message.sdp)
                    is_peer = hop.sent_by(one) == (part.end or "callee")
                    sides[is_peer].add(one.packet.source.host)
                    if audio is None or audio.host is None:
                        continue
                    place = _Place(chain, number, is_peer, start, end)
                    for port in {audio.port, audio.port + 1, audio.rtcp_port}:
                        known = self._by_address.setdefault((audio.host, port), [])
                        known.append(place)
                        del known[:-_MOST]
                for host in sides[True]:
                    place = _Place(chain, number, True, start, end)
                    self._by_host.setdefault((chain, host), place)

    def take(self, report: Report) -> bool:
        """Put a report to its leg; False where no call is known that it belongs to."""
        chain = self._chains.get(report.packet.correlation or "")
        place = self._place(report.packet.source, report, chain)
        from_peer = place.is_peer if place is not None else False
        if place is None:
            place = self._place(report.packet.target, report, chain)
            from_peer = not place.is_peer if place is not None else False
        if place is None and chain is not None:
            place, from_peer = self._near(report, chain)
        if place is None:
            return False
        links = self._links.setdefault(place.chain, {})
        source, target = report.packet.source.host, report.packet.target.host
        peer, element = (source, target) if from_peer else (target, source)
        link = links.setdefault(place.part, Link(peer, element, [], []))
        (link.from_peer if from_peer else link.from_element).append(report)
        return True

    def links(self, chain: Hashable) -> dict[int, Link]:
        """The RTCP of each leg of a call, by the leg's number."""
        return self._links.get(chain, {})

    def _place(self, address: Address, report: Report, chain: Hashable | None) -> _Place | None:
        found = [
            place
            for place in self._by_address.get((address.host, address.port), ())
            if place.covers(report.time) and (chain is None or place.chain is chain)
        ]
        return found[-1] if found else None

    def _near(self, report: Report, chain: Hashable) -> tuple[_Place | None, bool]:
        """By hosts alone, where ports are not those of the SDP (NAT)."""
        source = self._by_host.get((chain, report.packet.source.host))
        if source is not None:
            return source, True
        return self._by_host.get((chain, report.packet.target.host)), False
