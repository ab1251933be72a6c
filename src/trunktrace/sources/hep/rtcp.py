"""RTCP as JSON in HEP packets, and which of a call's streams each report is about.

`ssrc` is not trusted for who speaks: Asterisk writes the second of the NTP time there for packets
that it received. The addresses say it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from trunktrace.sources.hep.packet import Packet
from trunktrace.sources.parsed import Broken
from trunktrace.sources.rtcp.flow import Block, clock_of, signed_24
from trunktrace.sources.shapes.jsonlines import Record, list_in, object_in, record
from trunktrace.sources.shapes.values import count, integer

NTP_EPOCH: Final = 2_208_988_800
"""Seconds from 1900 to 1970."""

_MOST_BLOCKS: Final = 31
_MOST_PACKETS_PER_S: Final = 1_000.0
_UNSEEN_S: Final = 3_600.0


@dataclass(frozen=True, slots=True)
class Report:
    """One RTCP packet: what its sender has sent so far, and what it heard."""

    packet: Packet
    ssrc: int | None
    sent: int | None
    """Packets so far; None in a report of one that does not send."""
    middle: int | None
    """The middle 32 bits of its NTP time, which come back as LSR."""
    blocks: tuple[Block, ...]
    timestamp: int | None = None
    """The RTP timestamp of a sender report."""

    @property
    def time(self) -> float:
        """When the capture agent saw it, unix seconds."""
        return self.packet.time


def read_report(packet: Packet) -> Report | Broken | None:
    """The report in a packet; None where it holds neither counts nor report blocks (SDES, BYE)."""
    told = record(packet.payload, packet.line)
    if isinstance(told, Broken):
        return told
    sender = object_in(told, "sender_information")
    sent = count(sender.get("packets"))
    blocks = list_in(told, "report_blocks")
    if len(blocks) > _MOST_BLOCKS:
        return Broken(packet.line, f"more than {_MOST_BLOCKS} report blocks")
    read = [_block(one, packet.time) for one in blocks]
    good = tuple(one for one in read if one is not None)
    if len(good) < len(read):
        return Broken(packet.line, "a report block without its counts")
    if sent is None and not good:
        return None
    ticks = count(sender.get("rtp_timestamp")) if sent is not None else None
    return Report(packet, count(told.get("ssrc")), sent, _middle(sender), good, ticks)


def _block(value: object, time: float) -> Block | None:
    told: Record = {str(key): one for key, one in value.items()} if isinstance(value, dict) else {}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    ssrc, lost = count(told.get("source_ssrc")), integer(told.get("packets_lost"))
    highest = count(told.get("highest_seq_no"))
    if ssrc is None or lost is None or highest is None or not -(1 << 23) <= lost < 1 << 24:
        return None
    fraction = count(told.get("fraction_lost"))
    return Block(
        time=time,
        source_ssrc=ssrc,
        lost=signed_24(lost),
        highest=highest,
        fraction=fraction if fraction is not None and fraction < 256 else None,
        jitter=count(told.get("ia_jitter")),
        lsr=count(told.get("lsr")),
        dlsr=count(told.get("dlsr")),
    )


def _middle(sender: Record) -> int | None:
    """Asterisk: unix seconds and microseconds, as strings; rtpengine: NTP seconds and fraction."""
    seconds, part = count(sender.get("ntp_timestamp_sec")), count(sender.get("ntp_timestamp_usec"))
    if seconds is None or part is None or not 0 < seconds < 1 << 32:
        return None
    if seconds < NTP_EPOCH:
        seconds, part = seconds + NTP_EPOCH, (part << 32) // 1_000_000
    return ((seconds & 0xFFFF) << 16) | ((part >> 16) & 0xFFFF)


@dataclass(slots=True)
class Link:
    """Reports between an end of a call (`peer`) and the PBX or media proxy (`element`)."""

    peer: str
    element: str
    from_peer: list[Report]
    from_element: list[Report]

    @property
    def start(self) -> float:
        """The end's first report."""
        return min((one.time for one in self.from_peer), default=float("inf"))

    def refuse(self, since: float | None) -> list[Report]:
        """Take out and return reports whose counts cannot be, of media that began at `since`.

        An agent that reads SRTCP as if it were RTCP makes such numbers of it. Media may be an hour
        older than what was seen of it (a transfer).
        """
        times = [one.time for one in (*self.from_peer, *self.from_element)]
        begun = (since if since is not None else min(times, default=0.0)) - _UNSEEN_S
        bad = [one for one in (*self.from_peer, *self.from_element) if not _can_be(one, begun)]
        if bad:
            self.from_peer = [one for one in self.from_peer if _can_be(one, begun)]
            self.from_element = [one for one in self.from_element if _can_be(one, begun)]
        return bad

    def peer_ssrcs(self) -> frozenset[int]:
        """SSRCs with which the end sends."""
        return frozenset(one.ssrc for one in self.from_peer if one.ssrc and one.sent is not None)


def _can_be(report: Report, begun: float) -> bool:
    most = max(0.0, report.time - begun) * _MOST_PACKETS_PER_S
    lost = [block.lost for block in report.blocks]
    return (report.sent or 0) <= most and all(one <= most for one in lost)


def counts(told: Iterable[Report]) -> list[tuple[float, int]]:
    """(time, packets so far) in order of time."""
    return sorted((one.time, one.sent) for one in told if one.sent is not None)


def clock_hz(told: Iterable[Report]) -> int | None:
    """The media clock of who sent these reports; None where they do not tell."""
    return clock_of(sorted((one.time, one.timestamp) for one in told if one.timestamp is not None))


def middles(told: Iterable[Report]) -> dict[int, float]:
    """When each sender report was seen, by the middle bits of its NTP time."""
    found: dict[int, float] = {}
    for one in told:
        if one.middle is not None:
            found[one.middle] = min(one.time, found.get(one.middle, one.time))
    return found


def degrees(told: Iterable[Report]) -> dict[str, int]:
    """On how many links each host stands."""
    pairs = {frozenset((_name(one, sender=True), _name(one, sender=False))) for one in told}
    found: dict[str, int] = {}
    for pair in pairs:
        for host in pair:
            found[host] = found.get(host, 0) + 1
    return found


def links_of(told: Iterable[Report], degree: Mapping[str, int]) -> list[Link]:
    """The links over which reports went, the end that reported last first.

    The element is the host that stands on more links of the file (`degrees`), else the receiver of
    the first report: agents see what comes in. The caller hears the answer after the callee has
    sent it, so its reports begin later.
    """
    pairs: dict[frozenset[str], list[Report]] = {}
    for one in sorted(told, key=lambda one: one.time):
        hosts = frozenset((_name(one, sender=True), _name(one, sender=False)))
        pairs.setdefault(hosts, []).append(one)
    links = [_link(group, degree) for group in pairs.values()]
    return sorted(links, key=lambda link: link.start, reverse=True)


def _link(group: list[Report], degree: Mapping[str, int]) -> Link:
    source, target = _name(group[0], sender=True), _name(group[0], sender=False)
    element, peer = target, source
    if degree.get(source, 0) > degree.get(target, 0):
        element, peer = source, target
    ours = [one for one in group if _name(one, sender=True) == peer]
    theirs = [one for one in group if _name(one, sender=True) != peer]
    return Link(peer, element, ours, theirs)


def _name(report: Report, *, sender: bool) -> str:
    source, target = report.packet.source, report.packet.target
    one = source if sender else target
    return f"{one.host}:{one.port}" if source.host == target.host else one.host
