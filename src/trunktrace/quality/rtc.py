"""The agent leg: what two looks at LiveKit's RTC statistics say about the time between them.

RTC statistics are running totals (W3C WebRTC Statistics). A `Sample` is one look, taken from
protobuf messages or from the JSON of a file alike; `Deltas` turns looks into windows.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

from trunktrace.windows import MediaDirection, MediaWindow

SOURCE: Final = "livekit-rtc"

LEAST_APART_S: Final = 0.2
"""Two looks that are nearer than this are one: a window of a few packets says nothing."""

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


class Deltas:
    """Samples in, windows of the agent leg out (`webrtc.*`), one a direction and step.

    `in`: packets received and lost, jitter, and the share of audible samples that were made up.
    `out`: packets sent; loss, jitter and round trip as the server reports them, only in the windows
    in which a report came. The agent's Opus is sent with DTX, so fewer packets sent is no loss.
    """

    __slots__ = ("_in", "_last", "_out", "_report", "_waiting")

    def __init__(self) -> None:
        self._last: Sample | None = None
        self._in: tuple[float, Inbound] | None = None
        self._out: tuple[float, Outbound] | None = None
        self._report: Outbound | None = None
        self._waiting = False

    def add(self, sample: Sample, track_subscribed: bool | None = None) -> tuple[MediaWindow, ...]:
        """The windows that end at this sample; none for the first, nor for a repeated one.

        `track_subscribed` says whether the caller's track is subscribed now; None is not known.
        Only where it is, and no packet of it was ever seen, is nothing received a count of 0.
        """
        before = self._last
        if before is not None and 0 <= sample.t - before.t < LEAST_APART_S:
            return ()
        if before is not None and sample.t < before.t:
            # The clock was set back: nothing can be said about the time between.
            self._in = self._out = self._report = before = None
        windows = [*self._towards_caller(sample), *self._towards_agent(sample, before)]
        self._waiting = bool(track_subscribed) and sample.inbound is None and not sample.ambiguous
        if self._waiting and self._in is None and before is not None:
            windows.append(_window("in", before.t, sample.t, packet_count=0))
        self._last = sample
        return tuple(windows)

    def _towards_agent(self, sample: Sample, before: Sample | None) -> list[MediaWindow]:
        now = sample.inbound
        if now is None:
            return []
        then, self._in = self._in, (sample.t, now)
        if then is None:
            if not self._waiting or before is None:
                return []
            then = (before.t, Inbound(ssrc=now.ssrc, track_id=now.track_id, packets_received=0))
        start, old = then
        if (old.ssrc, old.track_id) != (now.ssrc, now.track_id):
            return []
        received = now.packets_received - old.packets_received
        if received < 0 or sample.t <= start:
            return []
        lost = max(0, now.packets_lost - old.packets_lost)
        rtt = None if sample.outbound is not None else sample.pair_rtt_s
        return [
            _window(
                "in",
                start,
                sample.t,
                packet_count=received,
                lost_count=lost,
                loss_ratio=lost / (lost + received) if lost + received else None,
                jitter_ms=_ms(now.jitter_s) if received else None,
                rtt_ms=_ms(rtt),
                concealment_ratio=_concealed(old, now),
            )
        ]

    def _towards_caller(self, sample: Sample) -> list[MediaWindow]:
        now = sample.outbound
        if now is None:
            return []
        then, self._out = self._out, (sample.t, now)
        if then is None or then[1].ssrc != now.ssrc or now.packets_sent < then[1].packets_sent:
            self._report = now if now.reported_at is not None else None
            return []
        report, lost, ratio = None, None, None
        if now.reported_at is not None and now.reported_at != then[1].reported_at:
            report, lost, ratio = now, *self._lost_since(now)
            self._report = now
        rtt = sample.pair_rtt_s if now.rtt_s is None else now.rtt_s
        return [
            _window(
                "out",
                then[0],
                sample.t,
                packet_count=now.packets_sent - then[1].packets_sent,
                lost_count=lost,
                loss_ratio=ratio,
                jitter_ms=None if report is None else _ms(report.jitter_s),
                rtt_ms=_ms(rtt),
            )
        ]

    def _lost_since(self, now: Outbound) -> tuple[int | None, float | None]:
        """(packets lost, share of those sent) since the report before this one."""
        old = self._report
        if old is None or old.packets_lost is None or now.packets_lost is None:
            return None, None
        lost = max(0, now.packets_lost - old.packets_lost)
        sent = now.packets_sent - old.packets_sent
        return lost, min(1.0, lost / sent) if sent > 0 else None


def agent_windows(
    samples: Iterable[Sample], *, subscribed: tuple[float, float | None] | None = None
) -> tuple[MediaWindow, ...]:
    """All windows of the agent leg of a call that is over.

    `subscribed` is from when to when (None: to the end) the caller's track was subscribed, unix
    seconds; None is not known, and then nothing received is not said.
    """
    deltas = Deltas()
    windows: list[MediaWindow] = []
    for sample in samples:
        known = None
        if subscribed is not None:
            start, end = subscribed
            known = start <= sample.t and (end is None or sample.t <= end)
        windows.extend(deltas.add(sample, known))
    return tuple(windows)


def nothing_received(
    windows: Iterable[MediaWindow], subscribed: tuple[float, float | None]
) -> tuple[MediaWindow, ...]:
    """Windows `in` with a count of 0, where the agent leg's `windows` show that none ever came.

    For who knows only later that the caller's track was subscribed, and from when to when (unix
    seconds; None: to the end). Empty where anything was received.
    """
    start, end = subscribed
    ours = [one for one in windows if one.leg == "agent" and one.source == SOURCE]
    if any(one.direction == "in" and one.packet_count for one in ours):
        return ()
    return tuple(
        _window("in", max(start, one.start), one.end, packet_count=0)
        for one in ours
        if one.direction == "out" and one.end > start and (end is None or one.end <= end)
    )


def _window(direction: MediaDirection, start: float, end: float, **measures: Any) -> MediaWindow:
    return MediaWindow(
        leg="agent", direction=direction, start=start, end=end, source=SOURCE, **measures
    )


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else seconds * 1000.0


def _concealed(old: Inbound, now: Inbound) -> float | None:
    """Share of the samples that was made up and could be heard: silence made up is none."""
    if now.concealed_samples is None or now.total_samples is None:
        return None
    total = now.total_samples - (old.total_samples or 0)
    heard = now.concealed_samples - (now.silent_concealed_samples or 0)
    before = (old.concealed_samples or 0) - (old.silent_concealed_samples or 0)
    return min(1.0, max(0.0, (heard - before) / total)) if total > 0 else None
