"""The agent leg: what two looks at LiveKit's RTC statistics say about the time between them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from trunktrace.quality.apart import told_apart
from trunktrace.quality.rtc import Inbound, Outbound, Sample
from trunktrace.windows import MediaDirection, MediaWindow

SOURCE: Final = "livekit-rtc"

LEAST_APART_S: Final = 0.2
"""Two looks that are nearer than this are one: a window of a few packets says nothing."""


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
    for sample in told_apart(samples):
        known = None
        if subscribed is not None:
            start, end = subscribed
            known = start <= sample.t and (end is None or sample.t <= end)
        windows.extend(deltas.add(sample, known))
    return tuple(windows)


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
