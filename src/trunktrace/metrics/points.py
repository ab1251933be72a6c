"""What one call adds to which metric: a pure function of what is known when it ends."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from trunktrace import conventions as c
from trunktrace.belief import Value
from trunktrace.diagnosis.story import Story
from trunktrace.metrics.ended import EndedCall, Facts, Point, call_labels
from trunktrace.metrics.invites import failovers, invites
from trunktrace.voice.measures import VoiceMeasures, measures_of
from trunktrace.windows import LOSS_METHODS, MediaDirection

DROPPING: Final = frozenset({"carrier", "platform"})
"""Sources of a hang-up that are neither the caller's, the callee's nor the agent's own."""

_DIRECTIONS: Final[tuple[MediaDirection, ...]] = ("in", "out")


_SECONDS_OF_CALL: Final = (
    (c.SIP_CALL_SETUP_DURATION, c.SIP_SETUP_MS),
    (c.SIP_CALL_PDD, c.SIP_PDD_MS),
    (c.SIP_CALL_DURATION, c.SIP_CALL_DURATION_MS),
    (c.RTP_RTT_METRIC, c.RTP_RTT_MS),
)


def durations(call: EndedCall) -> Iterator[Point]:
    """Setup, post-dial delay, duration and round-trip time, in seconds, where known."""
    labels = call_labels(call.facts)
    for name, key in _SECONDS_OF_CALL:
        value_ms = _number(call.facts, key)
        if value_ms is None and key == c.SIP_CALL_DURATION_MS:
            value_ms = _talked_ms(call.story)
        if value_ms is not None:
            yield Point(name, value_ms / 1000.0, labels)


def _talked_ms(story: Story) -> float | None:
    """From the last answer to the last hang-up, where nobody states the duration."""
    answered, ended = (
        max((mark.start for mark in story.marks if mark.kind == kind), default=None)
        for kind in ("answered", "hangup")
    )
    if answered is None or ended is None or ended < answered:
        return None
    return (ended - answered) * 1000.0


def dropped(call: EndedCall) -> Iterator[Point]:
    """One for an answered call that neither side ended.

    That is: the carrier or the platform (bridge, LiveKit, a lost connection) ended it, or the
    bridge did because no audio came (a media timeout). Where nobody knows who ended it, nothing
    is counted.
    """
    source = call.facts.get(c.SIP_HANGUP_SOURCE)
    starved = any(mark.kind == "media_timeout" for mark in call.story.marks)
    if not call.answered or not (starved or source in DROPPING):
        return
    by = source if isinstance(source, str) and source in DROPPING else "platform"
    yield Point(c.SIP_CALLS_DROPPED, 1, call_labels(call.facts) | {c.SIP_HANGUP_SOURCE: by})


_MEDIA: Final = (
    (c.RTP_LOSS_METRIC, "loss_ratio", 1.0),
    (c.RTP_CLIPPING_METRIC, "clipping_ratio", 1.0),
    (c.RTP_JITTER_METRIC, "jitter_ms", 1000.0),
    (c.RTP_MOS_METRIC, "mos", 1.0),
)


def media(call: EndedCall) -> Iterator[Point]:
    """What the trunk leg was like, each direction by itself, and the codec of an answered call."""
    labels = call_labels(call.facts)
    if call.answered and (codec := call.facts.get(c.RTP_CODEC)) is not None:
        yield Point(c.RTP_CALLS, 1, labels | {c.RTP_CODEC: codec})
    for direction in _DIRECTIONS:
        towards = labels | {c.RTP_DIRECTION: direction}
        for name, fact, divisor in _MEDIA:
            value = _number(call.facts, c.MEDIA_KEYS["trunk", direction, fact])
            if value is not None:
                further = _of_measure(call, name, direction)
                yield Point(name, value / divisor, towards | further)


def _of_measure(call: EndedCall, name: str, direction: MediaDirection) -> dict[str, Value]:
    """By which method a loss was found, by which algorithm a MOS."""
    if name == c.RTP_MOS_METRIC:
        algorithm = call.facts.get(c.MEDIA_KEYS["trunk", direction, "mos_algorithm"])
        return {} if algorithm is None else {c.RTP_MOS_ALGORITHM: algorithm}
    if name != c.RTP_LOSS_METRIC:
        return {}
    methods = {
        window.loss_method
        for window in call.story.windows
        if (window.leg, window.direction) == ("trunk", direction) and window.loss_ratio is not None
    }
    # The best one stands on the root: an estimate never replaces a count.
    return {c.RTP_LOSS_METHOD: min(methods, key=LOSS_METHODS.index)} if methods else {}


def failures(call: EndedCall) -> Iterator[Point]:
    """One for each mode, leg and direction that was found."""
    labels = call_labels(call.facts)
    found = {(one.mode, one.leg, one.direction): one for one in call.diagnosis.findings}
    for one in found.values():
        further: dict[str, Value] = {c.TRUNKTRACE_FAILURE_MODE: one.mode}
        if one.direction is not None:
            further[c.RTP_DIRECTION] = one.direction
        yield Point(c.FAILURES, 1, labels | further)


def voice(call: EndedCall) -> Iterator[Point]:
    """What the conversation was like."""
    return _voice(measures_of(call.story.marks, call.facts), call_labels(call.facts))


def _voice(measures: VoiceMeasures, labels: Facts) -> Iterator[Point]:
    if measures.time_to_first_audio_s is not None:
        yield Point(c.TIME_TO_FIRST_AUDIO, measures.time_to_first_audio_s, labels)
    for seconds in measures.response_times_s:
        yield Point(c.TURN_RESPONSE_TIME, seconds, labels)
    yield from _turns(measures, labels)
    for transfer in measures.transfers:
        further = {
            c.VOICE_AGENT_TRANSFER_TO: transfer.to,
            c.VOICE_AGENT_TRANSFER_RESULT: transfer.result,
        }
        yield Point(c.TRANSFERS, 1, {**labels, **further})
    for result in measures.tasks:
        yield Point(c.TASKS, 1, {**labels, c.VOICE_AGENT_TASK_RESULT: result})


def _turns(measures: VoiceMeasures, labels: Facts) -> Iterator[Point]:
    counted = (
        (c.USER_TURNS, measures.user_turns, measures.user_turns),
        (c.USER_CORRECTIONS, measures.corrections, measures.user_turns),
        (c.AGENT_TURNS, measures.agent_turns, measures.agent_turns),
        (c.BARGE_INS, measures.barge_ins, measures.agent_turns),
    )
    for name, count, turns in counted:
        # A known zero is told, so that a rate is 0 and not absent.
        if count or turns:
            yield Point(name, count, labels)


GROUPS: Final = (invites, failovers, durations, dropped, media, failures, voice)
"""What a call adds, group by group: one that fails takes no other with it."""


def _number(facts: Facts, key: str) -> float | None:
    value = facts.get(key)
    return float(value) if isinstance(value, (int, float)) else None
