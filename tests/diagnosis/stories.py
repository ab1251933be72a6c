"""Stories of made-up calls, said in few words. Times are seconds since the answer."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from trunktrace.diagnosis.engine import diagnose
from trunktrace.diagnosis.findings import Diagnosis
from trunktrace.diagnosis.story import Story
from trunktrace.timeline import Attempt, Mark
from trunktrace.windows import MediaWindow

T0 = 1_800_000_000.0
"""The answer, unix seconds."""


def mark(kind: str, start: float, end: float | None = None, **more: Any) -> Mark:
    more.setdefault("source", "livekit-sip")
    return Mark(kind=kind, start=T0 + start, end=None if end is None else T0 + end, **more)  # type: ignore[arg-type]


def window(
    leg: str,
    direction: str,
    start: float,
    end: float,
    *,
    source: str | None = None,
    **measures: Any,
) -> MediaWindow:
    """A window; counts without a loss ratio get it, as a source would."""
    lost, packets = measures.get("lost_count"), measures.get("packet_count")
    if lost is not None and packets is not None and lost + packets:
        measures.setdefault("loss_ratio", lost / (lost + packets))
    named = source or {"trunk": "livekit-sip", "agent": "livekit-rtc", "pstn": "carrier"}[leg]
    return MediaWindow(
        leg=leg,  # type: ignore[arg-type]
        direction=direction,  # type: ignore[arg-type]
        start=T0 + start,
        end=T0 + end,
        source=named,
        **measures,
    )


def windows(
    leg: str,
    direction: str,
    *values: dict[str, Any],
    length: float = 5.0,
    start: float = 0.0,
    **more: Any,
) -> list[MediaWindow]:
    """Windows one after the other, each with its own measures."""
    return [
        window(leg, direction, start + at * length, start + (at + 1) * length, **{**more, **each})
        for at, each in enumerate(values)
    ]


def loss(percent: float, packets: int = 250) -> dict[str, Any]:
    """Measures of a window in which so many percent of the packets were lost."""
    lost = round(packets * percent / 100)
    return {"packet_count": packets - lost, "lost_count": lost}


def answered(
    seconds: float = 60.0,
    *,
    windows: Iterable[MediaWindow] = (),
    marks: Iterable[Mark] = (),
    live: bool = False,
    **more: Any,
) -> Story:
    """A call that was answered and lasted so long; `live` is up to now, and goes on."""
    ends = () if live else (mark("hangup", seconds),)
    return Story(
        facts=more.pop("facts", {"sip.response.status_code": 200, "sip.call.direction": "inbound"}),
        windows=tuple(windows),
        marks=tuple(sorted((mark("answered", 0.0), *marks, *ends), key=lambda each: each.start)),
        now=T0 + seconds if live else None,
        sources=more.pop("sources", frozenset({"livekit-sip"})),
        **more,
    )


def clean_media(seconds: float = 60.0) -> list[MediaWindow]:
    """What the bridge says of a good call."""
    packets = round(seconds * 50)
    return [
        window("trunk", "in", 0, seconds, packet_count=packets, lost_count=0),
        window("trunk", "out", 0, seconds, packet_count=packets),
    ]


def dialled(*attempts: Attempt, live: bool = False, **more: Any) -> Story:
    """An outbound call that was tried so often."""
    return Story(
        facts=more.pop("facts", {"sip.call.direction": "outbound"}),
        attempts=attempts,
        now=T0 + 100 if live else None,
        **more,
    )


def attempt(
    trunk: str, code: int | None = None, failure: str | None = None, *, at: float = 0.0, **more: Any
) -> Attempt:
    over = code is not None or failure is not None
    return Attempt(
        start=T0 + at,
        end=T0 + at + 1 if over else None,
        trunk_id=trunk,
        status_code=code,
        failure=failure,
        **more,
    )


def path(*tried: tuple[str, int | None]) -> Story:
    """An outbound call tried over these trunks with these final codes, one after the other."""
    return dialled(*(attempt(trunk, code, at=3.0 * at) for at, (trunk, code) in enumerate(tried)))


def found(story: Story, **more: Any) -> list[tuple[str, str | None, str | None, tuple[str, ...]]]:
    """(mode, leg, direction, evidence) of each finding."""
    return [(f.mode, f.leg, f.direction, f.evidence) for f in diagnosed(story, **more).findings]


def rules(story: Story) -> set[str]:
    """Every rule that says something."""
    return {rule for finding in diagnosed(story).findings for rule in finding.evidence}


def diagnosed(story: Story, **more: Any) -> Diagnosis:
    return diagnose(story, **more)
