"""What the bridge's `call statistics` say: running totals, made into windows.

Counters as in livekit/sip, `pkg/sip/media_port.go` and `pkg/sip/room.go`. Checked against calls
with known loss: `jitter_buffer_packets_lost` is exact, `mux_gaps_sum` is not the number of lost
packets. The bridge counts no RFC 3550 jitter and no round-trip time, and sends and reads no RTCP,
so that nobody in it knows what the far end received.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from trunktrace.sources.draft import Draft
from trunktrace.sources.shapes.jsonlines import Record, count_in, object_in

MOST_SNAPSHOTS: Final = 2048
"""One a minute: a call of a day and a half. Later ones replace the last."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Totals since the call began; None where the bridge's version does not count it.

    `received` are packets of the negotiated codec and telephone events, `packets` all that came to
    the port. `lost` is None without a jitter buffer: nobody counts then. `sent` are frames sent to
    the carrier, `agent_packets` what came from the agent's side, `agent_lost` what was missing
    there.
    """

    at: float
    received: int | None
    packets: int | None
    dropped: int
    lost: int | None
    sent: int | None
    agent_packets: int | None
    agent_lost: int | None

    def since(self, before: Snapshot) -> Snapshot | None:
        """What came between two snapshots; None where a counter ran backwards."""
        if before.at > self.at:
            return None
        try:
            return Snapshot(
                self.at,
                _less(self.received, before.received),
                _less(self.packets, before.packets),
                _less(self.dropped, before.dropped) or 0,
                _less(self.lost, before.lost),
                _less(self.sent, before.sent),
                _less(self.agent_packets, before.agent_packets),
                _less(self.agent_lost, before.agent_lost),
            )
        except ValueError:
            return None


def _less(now: int | None, before: int | None) -> int | None:
    if now is None or before is None:
        return None
    if now < before:
        raise ValueError("a counter ran backwards")
    return now - before


def snapshot_of(record: Record, at: float) -> Snapshot | None:
    """The totals of one `call statistics` line; None where it holds no counters of the port."""
    stats = object_in(record, "stats")
    port, room = object_in(stats, "port"), object_in(stats, "room")
    packets, audio = count_in(port, "packets"), count_in(port, "audio_packets")
    if packets is None and audio is None:
        return None
    lost = count_in(port, "jitter_buffer_packets_lost")
    buffered = record.get("jitterBuf") is True
    agent_lost = count_in(room, "jitter_buffer_packets_lost")
    return Snapshot(
        at=at,
        received=None if audio is None else audio + (count_in(port, "dtmf_packets") or 0),
        packets=packets,
        dropped=count_in(port, "jitter_buffer_packets_dropped") or 0,
        # A counter above zero has counted, whatever the line says of the configuration.
        lost=lost if buffered or lost else None,
        sent=count_in(port, "audio_out_frames"),
        agent_packets=count_in(room, "input_packets"),
        agent_lost=agent_lost if buffered or agent_lost else None,
    )


def tell(draft: Draft, start: float, snapshots: list[Snapshot]) -> None:
    """The windows of a call: one between each two lines, and the whole of it last.

    A call of under a minute has one line, at its end. Counters start at zero with the call.
    """
    for begun, part in _parts(start, snapshots):
        _windows(draft, begun, part)
    if len(snapshots) > 1:
        _windows(draft, start, snapshots[-1])


def _parts(start: float, snapshots: list[Snapshot]) -> Iterator[tuple[float, Snapshot]]:
    if not snapshots:
        return
    yield start, snapshots[0]
    for before, now in pairwise(snapshots):
        part = now.since(before)
        # A line that is told again is no window.
        if part is not None and now.at > before.at:
            yield before.at, part


def _windows(draft: Draft, start: float, part: Snapshot) -> None:
    draft.saw("trunk", "in", start, part.at, _towards_agent(part))
    draft.saw("trunk", "out", start, part.at, {"packet_count": part.sent})
    agent: dict[str, object] = {"packet_count": part.agent_packets}
    if part.agent_packets and part.agent_lost is not None:
        agent |= _loss(part.agent_lost, part.agent_packets)
    draft.saw("agent", "out", start, part.at, agent)


def _towards_agent(part: Snapshot) -> dict[str, object]:
    measures: dict[str, object] = {"packet_count": part.received}
    if part.packets is not None and part.received is not None:
        measures["ignored_count"] = max(0, part.packets - part.received - part.dropped)
    # Without a packet there is no sequence number, and a count of 0 lost would be untrue.
    if part.received and part.lost is not None:
        measures |= _loss(part.lost, part.received)
    return measures


def _loss(lost: int, received: int) -> dict[str, object]:
    return {"lost_count": lost, "loss_ratio": lost / (lost + received)}
