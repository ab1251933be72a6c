"""One hop of a call in a trace: the SIP messages of one Call-ID between two addresses."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from trunktrace.facts import End
from trunktrace.sip.message import SipMessage
from trunktrace.sip.sdp import Audio, audio_in, is_hold
from trunktrace.sources.hep.packet import Packet

CHALLENGES: Final = frozenset({401, 407})
CLOCK_STEP_S: Final = 0.0011
"""Asterisk's HEP has whole milliseconds of what it received: an answer may seem that much older
than its request."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A SIP message and the packet that held it."""

    packet: Packet
    message: SipMessage

    @property
    def time(self) -> float:
        """When the capture agent saw it, unix seconds."""
        return self.packet.time


@dataclass(slots=True)
class Transaction:
    """One INVITE with its answers; retransmissions count once."""

    start: float
    request: SipMessage | None = None
    progress_at: float | None = None
    progress: SipMessage | None = None
    final_at: float | None = None
    final: SipMessage | None = None

    @property
    def status(self) -> int | None:
        """The final code."""
        return self.final.status if self.final else None

    def answer(self, time: float, message: SipMessage) -> None:
        """Take an answer; of several finals the first counts."""
        status = message.status or 0
        if 180 <= status < 190 and (self.progress_at is None or time < self.progress_at):
            self.progress_at = time
        if 180 <= status < 190 and (self.progress is None or message.sdp):
            self.progress = message
        if status >= 200 and (self.final_at is None or time < self.final_at):
            self.final_at, self.final = time, message


@dataclass(slots=True)
class Hop:
    """What two neighbours said about one call. `client` sent the first INVITE to `server`."""

    client: str
    server: str
    call_id: str
    seen: list[Seen]
    invites: list[Transaction] = field(default_factory=list[Transaction])
    """INVITEs that set up the call: attempts, and those after a challenge."""
    holds: list[tuple[float, bool]] = field(default_factory=list[tuple[float, bool]])

    @property
    def start(self) -> float:
        """The first INVITE, or the first message where none was seen."""
        return min(one.start for one in self.invites) if self.invites else self.seen[0].time

    @property
    def attempts(self) -> list[Transaction]:
        """INVITEs in order of time, without those that were only challenged."""
        told = sorted(self.invites, key=lambda one: one.start)
        last = len(told) - 1
        return [one for at, one in enumerate(told) if at == last or one.status not in CHALLENGES]

    @property
    def decisive(self) -> Transaction | None:
        """The INVITE that was answered, else the last."""
        told = self.attempts
        answered = [one for one in told if one.status is not None and one.status < 300]
        return answered[0] if answered else told[-1] if told else None

    @property
    def answered_at(self) -> float | None:
        """The first 2xx to an INVITE that set up the call."""
        found = self.decisive
        return found.final_at if found and found.status and found.status < 300 else None

    @property
    def progress_at(self) -> float | None:
        """The first 18x."""
        return min((one.progress_at for one in self.invites if one.progress_at), default=None)

    def first(self, method: str) -> Seen | None:
        """The earliest request of a method."""
        told = (one for one in self.seen if one.message.method == method)
        return min(told, key=lambda one: one.time, default=None)

    def sent_by(self, one: Seen) -> End:
        """The end from whose side a message came."""
        return "caller" if self.label(one, sender=True) == self.client else "callee"

    def label(self, one: Seen, *, sender: bool) -> str:
        """Sender or receiver of a message as `client` and `server` name them."""
        return labels(one.packet)[0 if sender else 1]

    def invitation(self) -> SipMessage | None:
        """The first INVITE that was seen."""
        told = [one for one in self.invites if one.request is not None]
        return min(told, key=lambda one: one.start).request if told else None

    def audio(self) -> Audio | None:
        """What was agreed for the audio of an answered call: its answer, or the offer's only."""
        found = self.decisive
        if self.answered_at is None or found is None or found.final is None:
            return None
        offered = audio_in(found.request.sdp) if found.request else None
        acked = self.first("ACK")
        if found.request is not None and offered is None and acked is not None:
            # An offer in the 2xx is answered in the ACK (RFC 3264).
            told = audio_in(acked.message.sdp)
            if told is not None:
                return told
        answer = audio_in(found.final.sdp)
        return answer or (audio_in(found.progress.sdp) if found.progress else None)


def labels(packet: Packet) -> tuple[str, str]:
    """Names of sender and receiver: hosts, with ports where both are on one host."""
    source, target = packet.source, packet.target
    if source.host == target.host:
        return f"{source.host}:{source.port}", f"{target.host}:{target.port}"
    return source.host, target.host


def hops_of(call_id: str, told: Iterable[Seen]) -> list[Hop]:
    """The hops of one Call-ID, in order of their first INVITEs."""
    pairs: dict[frozenset[str], list[Seen]] = {}
    for one in sorted(told, key=lambda one: one.time):
        pairs.setdefault(frozenset(labels(one.packet)), []).append(one)
    hops = [_hop(call_id, group) for group in pairs.values()]
    return sorted(hops, key=lambda hop: hop.start)


def _hop(call_id: str, group: list[Seen]) -> Hop:
    first = next((one for one in group if _sets_up(one.message)), None)
    if first is None:
        told = [one for one in group if one.message.cseq_method == "INVITE"] or group
        first = told[0]
    client, server = labels(first.packet)
    if not first.message.is_request:
        client, server = server, client
    hop = Hop(client, server, call_id, group)
    _take_invites(hop)
    _take_holds(hop)
    return hop


def _sets_up(message: SipMessage) -> bool:
    return message.method == "INVITE" and message.receiver.tag is None


def _take_invites(hop: Hop) -> None:
    found: dict[tuple[int, str | None], Transaction] = {}
    later = {
        one.message.cseq
        for one in hop.seen
        if one.message.method == "INVITE" and one.message.receiver.tag is not None
    }
    for one in hop.seen:
        if _sets_up(one.message):
            key = (one.message.cseq, one.message.branch)
            known = found.setdefault(key, Transaction(one.time, one.message))
            known.start = min(known.start, one.time)
    for one in hop.seen:
        message = one.message
        if message.is_request or message.cseq_method != "INVITE":
            continue
        key = (message.cseq, message.branch)
        if key not in found:
            same = [known for known in found if known[0] == message.cseq]
            if not same and (message.cseq in later or found):
                continue
            key = same[-1] if same else key
        found.setdefault(key, Transaction(one.time)).answer(one.time, message)
    hop.invites = list(found.values())


def _take_holds(hop: Hop) -> None:
    """Offers in the dialog that stop and start media; one that was refused changes nothing."""
    refused = {
        (one.message.cseq, one.message.cseq_method)
        for one in hop.seen
        if one.message.status is not None and one.message.status >= 300
    }
    for one in hop.seen:
        message = one.message
        if message.method not in ("INVITE", "UPDATE") or message.receiver.tag is None:
            continue
        if message.sdp and (message.cseq, message.method) not in refused:
            hop.holds.append((one.time, is_hold(message.sdp)))
