"""The course of a call: whether and when it was answered, when it ended, when it was on hold."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from trunktrace import conventions as c
from trunktrace.diagnosis.flows import Flow, Source
from trunktrace.diagnosis.story import Story
from trunktrace.timeline import MarkKind
from trunktrace.windows import Leg, MediaDirection, MediaWindow

Interval = tuple[float, float]
"""(start, end) in unix seconds."""

Place = tuple[Leg, MediaDirection]

SLACK_S: Final = 0.5
"""Two sources of one machine see the answer and the hang-up this far apart."""

LONGEST_SHORT_S: Final = 15.0
"""A longer window speaks about the call, whatever happened within it."""

FOREVER: Final = float("inf")


@dataclass(frozen=True, slots=True)
class Course:
    """When a call was answered and ended, unix seconds.

    `answered` is None where nobody said whether it was. `answered_at` and `ended_at` are None where
    no source gave the time, `ended_at` also while the call goes on. `talk` is the time in which
    media are judged: from the answer to the hang-up, or to now; None where the call is not known to
    have been answered, unless somebody measured loss and nobody speaks of the call itself. `holds`
    are the times in which media were held. `past` is what is known of the windows that a live story
    leaves out: empty where it leaves out none.
    """

    answered: bool | None
    answered_at: float | None
    ended_at: float | None
    talk: Interval | None
    holds: tuple[Interval, ...]
    windows: Mapping[Place, tuple[MediaWindow, ...]]
    past: Mapping[Source, Flow]

    def windows_of(self, leg: Leg, direction: MediaDirection) -> tuple[MediaWindow, ...]:
        """The windows of one place."""
        return self.windows.get((leg, direction), ())

    def is_held_at(self, at: float) -> bool:
        """Whether the call was on hold just before this time, unix seconds."""
        return any(start < at <= end + SLACK_S for start, end in self.holds)

    def unheld(self, times: Interval) -> float:
        """Seconds of `times` in which the call was not on hold."""
        return times[1] - times[0] - overlap(times, self.holds)


def course_of(story: Story) -> Course:
    """The course of a story, as far as its marks, attempts, facts and windows tell."""
    answers = [mark.start for mark in story.marks if mark.kind == "answered"]
    answered_at = min(answers, default=None)
    answered = _was_answered(story, answered_at)
    if answered and answered_at is None:
        answered_at = min((w.start for w in story.windows if w.leg != "agent"), default=None)
    ended_at = _end(story, answered_at)
    talk = _talk(story, answered_at, ended_at) if answered else None
    if answered is None and story.now is None:
        talk = _measured(story)
    holds = tuple(intervals(story, "hold", open_until=ended_at or story.now))
    windows: dict[Place, tuple[MediaWindow, ...]] = {}
    if talk is not None:
        windows = _by_place(story.windows, talk, holds)
    past = _past(story, talk, holds)
    return Course(answered, answered_at, ended_at, talk, holds, windows, past)


def _past(story: Story, talk: Interval | None, holds: Sequence[Interval]) -> Mapping[Source, Flow]:
    """What is known of the windows of the talk that the story leaves out, holds apart."""
    since = story.windows_since
    if since is None or talk is None or talk[0] >= since:
        return {}
    return {
        source: Flow(
            max(flow.began, talk[0]),
            None if (until := flow.flowed_until) is not None and until <= talk[0] else until,
            tuple(
                (start, end)
                for start, end in flow.stops
                if talk[0] <= start < since and not overlap((start, end), holds)
            ),
        )
        for source, flow in story.flows.items()
        if flow.began < since
    }


def _was_answered(story: Story, answered_at: float | None) -> bool | None:
    if answered_at is not None or any(attempt.answered for attempt in story.attempts):
        return True
    code = story.facts.get(c.SIP_RESPONSE_STATUS_CODE)
    if isinstance(code, int):
        return 200 <= code < 300
    if story.attempts:
        return False
    outcome = story.facts.get(c.SIP_CALL_OUTCOME)
    if outcome is not None:
        return outcome == "answered"
    return False if _saw_it_all(story) else None


def _saw_it_all(story: Story) -> bool:
    """Whether one source saw the call come and go: it would have seen an answer."""
    came = {mark.source for mark in story.marks if mark.kind in ("invite", "ringing")}
    return any(mark.kind == "hangup" and mark.source in came for mark in story.marks)


def _end(story: Story, answered_at: float | None) -> float | None:
    ends = [mark.start for mark in story.marks if mark.kind in ("hangup", "media_timeout")]
    if answered_at is None:
        return max(ends, default=None)
    # The hang-up of an earlier attempt is not this call's.
    return min((end for end in ends if end >= answered_at), default=None)


def _talk(story: Story, answered_at: float | None, ended_at: float | None) -> Interval | None:
    if answered_at is None:
        return None
    end = ended_at if ended_at is not None else story.now
    if end is None:
        end = max((window.end for window in story.windows), default=answered_at)
    return (answered_at, max(answered_at, end))


def _measured(story: Story) -> Interval | None:
    """When somebody measured media that came, of a call of which nobody says how it went.

    A phone's or a media proxy's report of loss is worth something without the signalling.
    """
    told = [
        w
        for w in story.windows
        if w.leg != "agent" and w.loss_method != "estimated" and w.loss_ratio is not None
    ]
    if not told:
        return None
    return min(w.start for w in told), max(w.end for w in told)


def intervals(
    story: Story, kind: MarkKind, *, open_until: float | None = None
) -> Iterable[Interval]:
    """The intervals of a kind of mark; one without an end lasts until `open_until`."""
    for mark in story.marks:
        if mark.kind == kind:
            end = mark.end if mark.end is not None else open_until
            yield (mark.start, FOREVER if end is None else max(mark.start, end))


def overlap(times: Interval, others: Iterable[Interval]) -> float:
    """Seconds of `times` that the union of `others` covers."""
    total, reached = 0.0, times[0]
    for start, end in sorted(others):
        low, high = max(start, reached), min(end, times[1])
        if high > low:
            total += high - low
            reached = high
    return total


def spoken_s(story: Story, kind: MarkKind, times: Interval) -> float:
    """Seconds of `times` in which somebody spoke: `agent_speaking` or `user_speaking`."""
    return overlap(times, intervals(story, kind, open_until=times[1]))


def _by_place(
    windows: Iterable[MediaWindow], talk: Interval, holds: Sequence[Interval]
) -> dict[Place, tuple[MediaWindow, ...]]:
    found: dict[Place, list[MediaWindow]] = {}
    for window in windows:
        if _within(window, *talk) and not (holds and _is_held(window, holds)):
            found.setdefault((window.leg, window.direction), []).append(window)
    return {place: tuple(sorted(told, key=_start)) for place, told in found.items()}


def _start(window: MediaWindow) -> float:
    return window.start


def _within(window: MediaWindow, start: float, end: float) -> bool:
    """Whether most of a window lies between two times."""
    if start <= window.start < window.end <= end:
        return True
    inside = min(window.end, end + SLACK_S) - max(window.start, start - SLACK_S)
    return inside > 0 and inside >= 0.5 * window.duration_s


def _is_held(window: MediaWindow, holds: Sequence[Interval]) -> bool:
    """Whether a short window touches a hold: then it says nothing about the line."""
    if window.duration_s > LONGEST_SHORT_S:
        return False
    return any(start < window.end and window.start < end for start, end in holds)
