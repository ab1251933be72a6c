"""The story of a call out of what each source says about it.

Facts are merged by how far each source is believed. Legs are kept apart: of several attempts or
participants, one is the call (the inbound leg; else the attempt that was answered; else the last
one), and of the others only the attempt counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

from trunktrace import conventions as c
from trunktrace.belief import Value
from trunktrace.diagnosis import attempts as tried
from trunktrace.diagnosis import legs
from trunktrace.diagnosis.counting import BRIDGES
from trunktrace.diagnosis.course import LONGEST_SHORT_S, course_of
from trunktrace.diagnosis.story import Story
from trunktrace.diagnosis.whole_way import placed_by_proxy
from trunktrace.facts import Observation
from trunktrace.media import MediaBook
from trunktrace.timeline import Attempt
from trunktrace.windows import MediaWindow

_BELIEVED: Final = ("api", "livekit-sip")
_HEARSAY: Final = ("livekit", "livekit-participant", "livekit-webhook", "livekit-spans")
"""First who saw the signalling itself, then carriers and SBCs, then who was told by LiveKit, and
last what was written down once."""

_SOMETIME: Final = (1.0, 61.0)
"""Where nobody says when a call was: long enough for what is told of the whole call."""

_OURS: Final = frozenset(
    {
        c.TRUNK_FAULT,
        c.TRUNKTRACE_MEDIA_STATE,
        c.TRUNKTRACE_FAILURE_MODE,
        c.TRUNKTRACE_FAILURE_EVIDENCE,
        c.RTP_LOSS_RATIO,
        c.RTP_LOSS_METHOD,
    }
)
"""What a diagnosis makes: a record that repeats one is no evidence for the next."""


def story_of(observations: Iterable[Observation]) -> Story:
    """Everything that sources say about one call that is over, as one value.

    The observations must be of one call: of one room, with all attempts to reach one party. Facts
    are those of the leg that is the call, with the media totals of its windows; marks and windows
    of other legs are left out. What is of the far leg (`pstn`) never becomes the trunk's. Media
    that were told without their time are of the time from the answer to the hang-up; where nobody
    knows it, they are judged without a time. Who rang beside the bridge is no part of it.
    """
    told = sorted((one for one in observations if not one.is_aside), key=_order)
    of_leg = legs.legs_of(told)
    ours_first = [one for one in told if legs.is_of_our_side(one.source)]
    beyond = tried.attempts_of(one for one in told if not legs.is_of_our_side(one.source))
    attempts = tried.attempts_of(ours_first) or beyond
    main = _main_leg(told, attempts)
    ours = [one for one in told if main is None or of_leg.get(id(one), main) == main]
    far = legs.far_answer_of(ours, beyond)
    if any(one.facts.get(c.SIP_CALL_DIRECTION) == "inbound" for one in ours):
        attempts, far = (), None  # whom the agent dials from an inbound call is not its caller
    differs = [one.identity_differs for one in ours if one.identity_differs is not None]
    others = [one for one in told if not any(one is other for other in ours)]
    story = Story(
        facts={**tried.facts_of(attempts), **legs.facts_of(ours, _OURS)},
        windows=tuple(sorted(placed_by_proxy(_windows(ours)), key=_times)),
        marks=tuple(sorted(legs.marks_of(ours, others), key=lambda mark: mark.start)),
        attempts=attempts,
        sources=frozenset(o.source for o in told)
        | frozenset(w.source for o in told for w in o.windows),
        identity_differs=any(differs) if differs else None,
        far_answer=far,
        ends_assumed=any(o.bridge_end is not None and o.bridge_end_by == "assumed" for o in ours),
    )
    return _with_media(story, [window for one in ours for window in one.untimed])


def _with_media(story: Story, untimed: Sequence[MediaWindow]) -> Story:
    """The story with the windows whose time it knows better than they, and with the totals."""
    talk = course_of(story).talk if untimed else None
    if untimed and not (story.windows or story.marks or story.attempts):
        talk, story = _SOMETIME, replace(story, is_untimed=True)
    if talk is not None and talk[1] > talk[0]:
        placed = (
            replace(window, start=talk[0], end=talk[1])
            for window in untimed
            if not _is_told_with_times(window, story.windows)
        )
        told = placed_by_proxy({*story.windows, *placed})
        windows = tuple(sorted(told, key=_times))
        story, untimed = replace(story, windows=windows), ()
    return replace(story, facts={**_totals([*story.windows, *untimed]), **story.facts})


def _is_told_with_times(untimed: MediaWindow, windows: Iterable[MediaWindow]) -> bool:
    """Whether another record of the same source says all of it, and when it was."""
    place = (untimed.source, untimed.leg, untimed.direction)
    return any(
        (one.source, one.leg, one.direction) == place
        and one.duration_s > LONGEST_SHORT_S
        and untimed.measures().keys() <= one.measures().keys()
        for one in windows
    )


def _times(window: MediaWindow) -> tuple[float, float]:
    return window.start, window.end


def _order(observation: Observation) -> tuple[int, bool, bool]:
    """Who is believed first; then the leg that faces the bridge, then who has said everything."""
    return _rank(observation), observation.leg == "pstn", observation.completeness == "partial"


def _rank(observation: Observation) -> int:
    source = observation.source
    if source in _BELIEVED:
        return _BELIEVED.index(source)
    if source in _HEARSAY:
        return len(_BELIEVED) + 1 + _HEARSAY.index(source)
    return len(_BELIEVED)


def _leg_id(observation: Observation) -> str | None:
    return observation.ids.get("livekit_call_id")


def _main_leg(told: Sequence[Observation], attempts: Sequence[Attempt]) -> str | None:
    """The id of the leg that is the call; None where no source names any."""
    named = sorted(
        (one for one in told if _leg_id(one) is not None),
        key=lambda one: one.start if one.start is not None else float("inf"),
    )
    for one in named:
        if one.facts.get(c.SIP_CALL_DIRECTION) == "inbound":
            return _leg_id(one)
    answered = [attempt.livekit_call_id for attempt in attempts if attempt.answered]
    dialled = [attempt.livekit_call_id for attempt in attempts if attempt.livekit_call_id]
    if answered and answered[0] is not None:
        return answered[0]
    if dialled:
        return dialled[-1]
    return _leg_id(named[0]) if named else None


def _windows(ours: Iterable[Observation]) -> Iterator[MediaWindow]:
    seen: set[MediaWindow] = set()
    for one in ours:
        for window in one.windows:
            if window not in seen:
                seen.add(window)
                yield window


def _totals(windows: Iterable[MediaWindow]) -> Mapping[str, Value]:
    """The media attributes of the root, over the whole call: who received says it, not who sent."""
    book = MediaBook()
    places: dict[tuple[str, str], None] = {}
    for window in sorted(windows, key=_is_of_the_sender):
        book.add(window)
        places[window.leg, window.direction] = None
    facts: dict[str, Value] = {}
    for leg, direction in places:
        facts |= book.root_values(leg, direction)
    return facts


def _is_of_the_sender(window: MediaWindow) -> bool:
    """On the trunk the bridge receives what goes in, and sends what goes out."""
    return window.leg == "trunk" and (window.source in BRIDGES) == (window.direction == "out")
