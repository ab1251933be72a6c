"""One look at LiveKit's RTC statistics, taken from protobuf messages or a file's JSON alike.

RTC statistics are running totals (W3C WebRTC Statistics). What two looks say about the time
between them is in `deltas`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

_KINDS: Final = frozenset({"inbound_rtp", "outbound_rtp", "remote_inbound_rtp", "candidate_pair"})
_LARGEST: Final = 2**53


@dataclass(frozen=True, slots=True, kw_only=True)
class Inbound:
    """One remote audio track as the agent received it until now: running totals, None unknown.

    `last_packet_at` is unix seconds. Samples are audio samples after the jitter buffer; concealed
    ones were made up by it, `inserted` ones by stretching speech.
    """

    ssrc: int
    track_id: str = ""
    packets_received: int
    packets_lost: int = 0
    jitter_s: float | None = None
    last_packet_at: float | None = None
    total_samples: int | None = None
    concealed_samples: int | None = None
    silent_concealed_samples: int | None = None
    inserted_samples: int | None = None
    concealment_events: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outbound:
    """The agent's own audio track until now, and what the server last reported of it.

    `reported_at` (unix seconds) is when that report came, None while there was none; `packets_lost`
    is its running total. `rtt_s` is None until it was measured once.
    """

    ssrc: int
    packets_sent: int
    reported_at: float | None = None
    packets_lost: int | None = None
    fraction_lost: float | None = None
    jitter_s: float | None = None
    rtt_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One look at the statistics, at `t` by their own clock (unix seconds).

    `inbound` is the caller's track: None where none has had a packet, after it has ended, and where
    several tracks arrive and nobody says which is the caller's (`ambiguous`). `pair_rtt_s` is the
    round trip of the connection itself; 0 is a value, None is not measured.
    """

    t: float
    inbound: Inbound | None = None
    outbound: Outbound | None = None
    pair_rtt_s: float | None = None
    ambiguous: bool = False


def sample_of(
    entries: Iterable[tuple[str, Any]], *, at: float, ssrcs: Collection[int] | None = None
) -> Sample:
    """The sample that a list of (kind, statistics object) holds.

    An object is a protobuf message or a mapping with the same names. `at` (unix seconds) is used
    where the statistics carry no time. `ssrcs` are those of the caller's track, where known.
    """
    found: dict[str, list[Any]] = {}
    for kind, entry in entries:
        if kind in _KINDS:
            found.setdefault(kind, []).append(entry)
    heard = [one for one in found.get("inbound_rtp", ()) if _is_audio(one)]
    if ssrcs is not None:
        heard = [one for one in heard if _count(_at(one, "stream", "ssrc")) in ssrcs]
    said = max(
        (one for one in found.get("outbound_rtp", ()) if _is_audio(one)),
        key=lambda one: _count(_at(one, "sent", "packets_sent")) or 0,
        default=None,
    )
    stamps = (_stamp(_at(one, "rtc", "timestamp")) for one in (*heard, said) if one is not None)
    pairs = found.get("candidate_pair", ())
    times = (*stamps, *(_stamp(_at(one, "rtc", "timestamp")) for one in pairs))
    return Sample(
        t=next((t for t in times if t is not None), at),
        inbound=_inbound(heard[0]) if len(heard) == 1 else None,
        outbound=None if said is None else _outbound(said, found.get("remote_inbound_rtp", ())),
        pair_rtt_s=_pair_rtt(pairs),
        ambiguous=len(heard) > 1,
    )


def ssrcs_in(entries: Iterable[tuple[str, Any]]) -> frozenset[int]:
    """The SSRCs of all audio streams that come, in a list as for `sample_of`."""
    heard = (one for kind, one in entries if kind == "inbound_rtp" and _is_audio(one))
    return frozenset(_count(_at(one, "stream", "ssrc")) or 0 for one in heard)


def _inbound(entry: Any) -> Inbound | None:
    received = _count(_at(entry, "received", "packets_received"))
    if received is None:
        return None
    inbound = _get(entry, "inbound")
    return Inbound(
        ssrc=_count(_at(entry, "stream", "ssrc")) or 0,
        track_id=str(_get(inbound, "track_identifier") or ""),
        packets_received=received,
        packets_lost=_whole(_at(entry, "received", "packets_lost")) or 0,
        jitter_s=_seconds(_at(entry, "received", "jitter")),
        last_packet_at=_stamp(_get(inbound, "last_packet_received_timestamp")),
        total_samples=_count(_get(inbound, "total_samples_received")),
        concealed_samples=_count(_get(inbound, "concealed_samples")),
        silent_concealed_samples=_count(_get(inbound, "silent_concealed_samples")),
        inserted_samples=_count(_get(inbound, "inserted_samples_for_deceleration")),
        concealment_events=_count(_get(inbound, "concealment_events")),
    )


def _outbound(entry: Any, reports: Iterable[Any]) -> Outbound | None:
    sent = _count(_at(entry, "sent", "packets_sent"))
    if sent is None:
        return None
    ssrc = _count(_at(entry, "stream", "ssrc")) or 0
    report = next((one for one in reports if _count(_at(one, "stream", "ssrc")) == ssrc), None)
    if report is None:
        return Outbound(ssrc=ssrc, packets_sent=sent)
    remote = _get(report, "remote_inbound")
    measured = _count(_get(remote, "round_trip_time_measurements"))
    return Outbound(
        ssrc=ssrc,
        packets_sent=sent,
        reported_at=_stamp(_at(report, "rtc", "timestamp")),
        packets_lost=_whole(_at(report, "received", "packets_lost")),
        fraction_lost=_seconds(_get(remote, "fraction_lost")),
        jitter_s=_seconds(_at(report, "received", "jitter")),
        rtt_s=_seconds(_get(remote, "round_trip_time")) if measured else None,
    )


def _pair_rtt(pairs: Iterable[Any]) -> float | None:
    """Round trip of the pair in use; 0 counts once an answer has come, else it is not measured."""
    for entry in pairs:
        pair = _get(entry, "candidate_pair")
        if _get(pair, "nominated") and _count(_get(pair, "responses_received")):
            return _seconds(_get(pair, "current_round_trip_time"))
    return None


def _is_audio(entry: Any) -> bool:
    return _at(entry, "stream", "kind") in ("audio", "", None)


def _get(thing: Any, name: str) -> Any:
    if isinstance(thing, Mapping):
        return cast("Mapping[str, Any]", thing).get(name)
    return getattr(thing, name, None)


def _at(thing: Any, outer: str, name: str) -> Any:
    return _get(_get(thing, outer), name)


def _whole(value: Any) -> int | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return int(value) if is_number and -_LARGEST < value < _LARGEST else None


def _count(value: Any) -> int | None:
    whole = _whole(value)
    return whole if whole is not None and whole >= 0 else None


def _seconds(value: Any) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and 0 <= value < 1e6 else None


def _stamp(value: Any) -> float | None:
    """Unix seconds of a time in micro- or milliseconds: libwebrtc's statistics hold both."""
    whole = _count(value)
    if not whole:
        return None
    if whole > 10**14:
        return float(value) / 1e6
    return float(value) / 1e3 if whole > 10**11 else None
