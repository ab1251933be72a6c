"""A window: what one source says about the media of one leg and direction between two times."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, TypedDict

from trunktrace.belief import (
    Check,
    Value,
    believable_text,
    believed_by,
    count,
    name_of_ours,
    number,
    ratio,
)

Leg = Literal["agent", "trunk", "pstn"]
MediaDirection = Literal["in", "out"]
LossMethod = Literal["counted", "derived", "estimated"]
"""`counted` by a receiver of that leg; `derived` from what a record holds instead of a count (a
mean interval, whole percents, a count that stops before the end); `estimated` by the agent."""

LOSS_METHODS: Final[tuple[LossMethod, ...]] = ("counted", "derived", "estimated")
"""The most believed first."""

LEGS: Final = frozenset({"agent", "trunk", "pstn"})
MEDIA_DIRECTIONS: Final = frozenset({"in", "out"})
_LATEST_UNIX_S: Final = 1e11


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaWindow:
    """What one source says about one leg and direction between two times (unix seconds).

    `direction` is `in` towards the agent, `out` towards the caller. Ratios are 0..1, times
    milliseconds; None is unknown. Counts are of this window alone, never running totals:
    `packet_count` is packets received by whoever counted, or sent where nobody received
    (`webrtc` out); `gap_count` holes in the audio that the agent got; `ignored_count` packets that
    came from an address or in a payload that was not agreed. `level_dbfs` is the level of voiced
    audio, dB relative to full scale.

    Raises ValueError from `checked_window` only; the class itself does not check.
    """

    leg: Leg
    direction: MediaDirection
    start: float
    end: float
    source: str = "api"
    loss_ratio: float | None = None
    loss_method: LossMethod = "counted"
    packet_count: int | None = None
    lost_count: int | None = None
    discarded_count: int | None = None
    burst_ratio: float | None = None
    jitter_ms: float | None = None
    jitter_max_ms: float | None = None
    clipping_ratio: float | None = None
    silence_ratio: float | None = None
    mos: float | None = None
    r_factor: float | None = None
    mos_algorithm: str | None = None
    rtt_ms: float | None = None
    concealment_ratio: float | None = None
    level_dbfs: float | None = None
    gap_count: int | None = None
    ignored_count: int | None = None

    @property
    def duration_s(self) -> float:
        """Length of the window in seconds."""
        return self.end - self.start

    def measures(self) -> dict[str, Value]:
        """What the window says besides its place and time, by field name, unknown left out."""
        found = ((name, getattr(self, name)) for name in MEASURES)
        return {name: value for name, value in found if value is not None}


MEASURES: Final[dict[str, Check]] = {
    "loss_ratio": ratio,
    "packet_count": count,
    "lost_count": count,
    "discarded_count": count,
    "burst_ratio": number(0.0, 1000.0),
    "jitter_ms": number(0.0, 60_000.0),
    "jitter_max_ms": number(0.0, 60_000.0),
    "clipping_ratio": ratio,
    "silence_ratio": ratio,
    "mos": number(1.0, 5.0),
    "r_factor": number(0.0, 130.0),
    "mos_algorithm": believable_text,
    "rtt_ms": number(0.0, 600_000.0),
    "concealment_ratio": ratio,
    "level_dbfs": number(-200.0, 10.0),
    "gap_count": count,
    "ignored_count": count,
}


class MediaFields(TypedDict, total=False):
    """The measures that `call.record_media()` takes besides leg, direction and times."""

    loss_ratio: float | None
    packet_count: int | None
    lost_count: int | None
    discarded_count: int | None
    burst_ratio: float | None
    jitter_ms: float | None
    jitter_max_ms: float | None
    clipping_ratio: float | None
    silence_ratio: float | None
    mos: float | None
    r_factor: float | None
    mos_algorithm: str | None
    rtt_ms: float | None
    concealment_ratio: float | None
    level_dbfs: float | None
    gap_count: int | None
    ignored_count: int | None


def unix_seconds(value: object) -> float | None:
    """A time as unix seconds: a finite number, or an aware `datetime`; None for anything else."""
    if isinstance(value, datetime):
        return value.timestamp() if value.tzinfo is not None else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 < value < _LATEST_UNIX_S else None


def _check_place(leg: str, direction: str, loss_method: str) -> None:
    if leg not in LEGS:
        raise ValueError(f"leg is none of {sorted(LEGS)}")
    if direction not in MEDIA_DIRECTIONS:
        raise ValueError("direction is neither 'in' (towards the agent) nor 'out'")
    if loss_method not in LOSS_METHODS:
        raise ValueError("loss_method is neither 'counted' nor 'derived' nor 'estimated'")


def checked_window(
    *,
    leg: str,
    direction: str,
    start: object,
    end: object,
    source: object,
    loss_method: str,
    measures: Mapping[str, object],
) -> MediaWindow:
    """A window with only what can be believed in it.

    Raises ValueError naming the field where leg, direction, method, source or times are wrong, or
    where no measure is left.
    """
    _check_place(leg, direction, loss_method)
    start_s, end_s = unix_seconds(start), unix_seconds(end)
    named = believed_by(name_of_ours, source)
    if not isinstance(named, str):
        raise ValueError("source is no name")
    if start_s is None or end_s is None or end_s < start_s:
        raise ValueError("start and end are not unix seconds or aware datetimes in that order")
    believed = {
        name: value
        for name, check in MEASURES.items()
        if (value := believed_by(check, measures.get(name))) is not None
    }
    if not believed:
        raise ValueError("there is no measure that can be believed")
    return MediaWindow(
        leg=leg,  # type: ignore[arg-type]  # checked above
        direction=direction,  # type: ignore[arg-type]
        start=start_s,
        end=end_s,
        source=named,
        loss_method=loss_method,  # type: ignore[arg-type]
        **believed,  # type: ignore[arg-type]
    )


def same_window(one: MediaWindow, other: MediaWindow) -> bool:
    """Whether two windows are one that was told twice: one teller, one time, one place."""
    return (one.start, one.end, one.source, one.loss_method, one.leg, one.direction) == (
        other.start,
        other.end,
        other.source,
        other.loss_method,
        other.leg,
        other.direction,
    )
