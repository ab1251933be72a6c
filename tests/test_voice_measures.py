"""The voice agent's numbers: from marks to measures, and from who speaks when to marks."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunktrace.timeline import MARK_KINDS, Mark, MarkKind, recording_delay_ms
from trunktrace.voice.measures import Transfer, VoiceMeasures, measures_of
from trunktrace.voice.transfers import transferred_to
from trunktrace.voice.turns import TurnBook


def mark(kind: MarkKind, start: float, end: float | None = None, value: str = "") -> Mark:
    return Mark(kind=kind, start=start, end=end, value=value)


ANSWERED = mark("answered", 10.0)


def test_nothing_is_known_of_a_call_without_marks():
    """What nobody saw is None, and counts are 0."""
    assert measures_of([]) == VoiceMeasures()


@pytest.mark.parametrize(
    "speeches, expected",
    [
        ([(10.05, 11.7)], 0.05),
        ([(12.5, None)], 2.5),
        ([(8.0, 9.5), (11.0, 12.0)], 1.0),
        # Begun while it rang and cut by the answer: the caller was greeted by what came next.
        ([(9.0, 10.7), (14.0, 15.0)], 4.0),
        # As the agent learns of the answer some milliseconds after it.
        ([(9.99, 11.7)], 0.0),
        ([(9.9, None)], 0.0),
        ([(9.9, 9.95)], None),
        ([(8.0, 9.0)], None),
        ([], None),
    ],
)
def test_time_to_first_audio_is_from_the_answer(speeches, expected):
    """A greeting spoken while it still rings is not the first audio of the call."""
    marks = [mark("agent_speaking", start, end) for start, end in speeches]
    found = measures_of([ANSWERED, *marks]).time_to_first_audio_s
    assert found == (None if expected is None else pytest.approx(expected))


def test_time_to_first_audio_needs_an_answer():
    """A call that nobody answered has none, however much the agent spoke."""
    assert measures_of([mark("agent_speaking", 1.0, 2.0)]).time_to_first_audio_s is None


def test_counts_and_values():
    """Turns, barge-ins, corrections, tasks, transfers and response times are taken as they are."""
    found = measures_of(
        [
            mark("agent_turn", 10.2),
            mark("user_turn", 12.0, 14.0),
            mark("agent_turn", 15.5, value="1.500"),
            mark("barge_in", 16.0),
            mark("user_turn", 16.0, 17.0),
            mark("correction", 17.5),
            mark("agent_turn", 18.0, value="0.250"),
            mark("transfer", 20.0, 21.0, "human:failed"),
            mark("transfer", 22.0, 24.0, "human:ok"),
            mark("transfer", 25.0, 26.0, "other:ok"),
            mark("task", 19.0, value="failed"),
            mark("task", 18.5, value="completed"),
        ]
    )
    assert found.response_times_s == (1.5, 0.25)
    assert (found.user_turns, found.agent_turns) == (2, 3)
    assert (found.barge_ins, found.corrections) == (1, 1)
    assert found.tasks == ("completed", "failed")
    assert found.transfers == (
        Transfer("human", "failed"),
        Transfer("human", "completed"),
        Transfer("other", "completed"),
    )


@pytest.mark.parametrize(
    "started, expected", [(10.4, 400.0), (9.0, 0.0), (10.0, 0.0), (None, None)]
)
def test_recording_delay_is_from_the_answer(started, expected):
    """A recording that ran before the answer has no delay; none at all has no number."""
    marks = [ANSWERED] + ([mark("recording", started)] if started is not None else [])
    found = recording_delay_ms(marks)
    assert found == (None if expected is None else pytest.approx(expected))
    assert measures_of(marks).recording_start_delay_ms == found
    assert recording_delay_ms(marks[1:], ANSWERED.start) == found


def test_a_stated_recording_delay_stands_where_no_mark_says_it():
    """A source that gives the delay itself is believed where there are no times."""
    facts = {"trunktrace.recording.start_delay_ms": 120.0}
    assert measures_of([], facts).recording_start_delay_ms == 120.0
    late = measures_of([ANSWERED, mark("recording", 12.0)], facts)
    assert late.recording_start_delay_ms == pytest.approx(2000.0)


_TIMES = st.floats(0, 1e5, allow_nan=False)
_MARKS = st.lists(
    st.builds(
        Mark,
        kind=st.sampled_from(sorted(MARK_KINDS)),
        start=_TIMES,
        end=st.none() | _TIMES,
        value=st.sampled_from(["", "1.5", "nan", "inf", "-3", "human:ok", "x", "completed"]),
    ),
    max_size=30,
)


@given(_MARKS, st.randoms(use_true_random=False))
def test_measures_are_the_same_in_any_order_and_never_negative(marks, order: random.Random):
    """Marks of every kind and value give numbers that can be true, whatever their order."""
    found = measures_of(marks)
    for number in (found.time_to_first_audio_s, found.recording_start_delay_ms):
        assert number is None or number >= 0
    assert all(0 <= value < float("inf") for value in found.response_times_s)
    shuffled = list(marks)
    order.shuffle(shuffled)
    again = measures_of(shuffled)
    assert again.time_to_first_audio_s == found.time_to_first_audio_s
    assert sorted(again.response_times_s) == sorted(found.response_times_s)
    assert again.user_turns == sum(one.kind == "user_turn" for one in marks)


@pytest.mark.parametrize(
    "target, to",
    [
        ("tel:+15550001111", "human"),
        ("sip:+15550001111@pbx.example", "human"),
        ("sip:desk@pbx.example;transport=tls", "human"),
        ("<sip:queue@pbx.example:5061>", "human"),
        ("sip:+15550001111@abc123.sip.livekit.cloud", "other"),
        ("sip:agent@abc123.sip.livekit.cloud:5061;transport=tls", "other"),
        ("", "human"),
    ],
)
def test_a_transfer_by_telephone_is_to_a_human_except_where_agents_answer(target, to):
    """Only LiveKit's own SIP addresses are known to be agents."""
    assert transferred_to(target) == to


# Turns ------------------------------------------------------------------------------------------


class Talk:
    """A turn book and the marks that it told; an interval's last word counts."""

    def __init__(self) -> None:
        self._marks: dict[tuple[str, float], Mark] = {}
        self.book = TurnBook(lambda one: self._marks.update({(one.kind, one.start): one}))

    def of(self, kind: str) -> list[tuple[float, float | None, str]]:
        return [(m.start, m.end, m.value) for m in self._marks.values() if m.kind == kind]

    def user(self, start: float, end: float, *, turn: bool = True) -> None:
        self.book.user_started(start)
        self.book.user_stopped(end)
        if turn:
            self.book.user_turn(end + 0.3)

    def agent(self, start: float, end: float, speech: str, *, automatic: bool = True) -> None:
        self.book.agent_started(start, speech, automatic=automatic)
        self.book.agent_stopped(end)
        self.book.speech_done(end, speech, interrupted=False)

    def responses(self) -> list[str]:
        return [value for _, _, value in self.of("agent_turn")]


def test_a_greeting_has_no_response_time_and_an_answer_has():
    """The response time is from the end of the caller's speech to the first audio of the answer."""
    talk = Talk()
    talk.agent(1.0, 2.0, "greeting", automatic=False)
    talk.user(3.0, 4.0)
    talk.agent(5.25, 6.0, "one")
    assert talk.of("agent_turn") == [(1.0, None, ""), (5.25, None, "1.250")]
    assert talk.of("user_turn") == [(3.0, 4.0, "")]
    assert talk.of("agent_speaking") == [(1.0, 2.0, ""), (5.25, 6.0, "")]
    assert talk.of("user_speaking") == [(3.0, 4.0, "")]
    assert talk.of("barge_in") == []


def test_pauses_in_a_turn_are_one_turn_and_the_last_word_counts():
    """A caller who pauses is asked nothing new: one turn, timed from its last word."""
    talk = Talk()
    talk.user(1.0, 2.0, turn=False)
    talk.user(2.5, 4.0)
    talk.agent(5.0, 6.0, "one")
    assert talk.of("user_turn") == [(1.0, 4.0, "")]
    assert talk.responses() == ["1.000"]


def test_a_speech_that_was_paused_and_resumed_is_one_turn():
    """LiveKit takes back a false interruption: the same speech goes on after it."""
    talk = Talk()
    talk.book.agent_started(1.0, "one")
    talk.book.user_started(2.0)
    talk.book.agent_stopped(2.1)
    talk.book.user_stopped(2.3)
    talk.book.agent_started(3.0, "one")
    talk.book.agent_stopped(4.0)
    talk.book.speech_done(4.0, "one", interrupted=False)
    assert len(talk.of("agent_turn")) == 1
    assert len(talk.of("agent_speaking")) == 2
    assert talk.of("barge_in") == []


def test_a_caller_who_speaks_over_the_agent_and_stops_it_barges_in():
    """The barge-in lasts from his first word to the agent's last."""
    talk = Talk()
    talk.book.agent_started(1.0, "one")
    talk.book.user_started(2.0)
    talk.book.agent_stopped(2.5)
    talk.book.speech_done(2.6, "one", interrupted=True)
    talk.book.user_stopped(4.0)
    talk.book.user_turn(4.3)
    talk.agent(5.0, 6.0, "two")
    assert talk.of("barge_in") == [(2.0, 2.5, "")]
    assert talk.responses() == ["", "1.000"]


def test_an_agent_that_is_paused_and_then_interrupted_was_barged_in():
    """LiveKit pauses at the first sound, and gives the speech up when the words are there."""
    talk = Talk()
    talk.book.agent_started(1.0, "one")
    talk.book.user_started(2.0)
    talk.book.agent_stopped(2.5)
    talk.book.user_stopped(2.6)
    talk.book.speech_done(3.4, "one", interrupted=True)
    assert talk.of("barge_in") == [(2.0, 2.5, "")]


@pytest.mark.parametrize("user", [None, (2.0, 2.2)])
def test_what_the_agents_own_code_interrupts_is_no_barge_in(user):
    """Neither silence nor a "mhm" long before the interruption makes one."""
    talk = Talk()
    talk.book.agent_started(1.0, "one")
    if user is not None:
        talk.user(*user, turn=False)
    talk.book.agent_stopped(6.0)
    talk.book.speech_done(6.0, "one", interrupted=True)
    assert talk.of("barge_in") == []


def test_a_speech_that_was_never_heard_is_no_turn():
    """An answer that is given up before its first audio leaves no mark."""
    talk = Talk()
    talk.user(1.0, 2.0)
    talk.book.user_started(2.5)
    talk.book.speech_done(2.6, "early", interrupted=True)
    assert talk.of("barge_in") == talk.of("agent_turn") == []


def test_a_listeners_mhm_waits_for_no_answer():
    """What the caller says into the agent's speech, and is no turn, times nothing."""
    talk = Talk()
    talk.book.agent_started(1.0, "one")
    talk.user(2.0, 2.3, turn=False)
    talk.book.heard()
    talk.book.agent_stopped(4.0)
    talk.agent(9.0, 9.5, "two")
    assert talk.responses() == ["", ""]


def test_a_filler_that_code_says_is_the_first_audio_of_the_answer():
    """ "One moment" answers the caller; what the model says after it has no time of its own."""
    talk = Talk()
    talk.user(1.0, 2.0, turn=False)
    talk.book.heard()
    talk.agent(2.5, 3.0, "filler", automatic=False)
    talk.book.user_turn(3.1, started=1.0, stopped=2.0)
    talk.agent(5.0, 6.0, "answer")
    assert talk.responses() == ["0.500", ""]
    assert talk.of("user_turn") == [(1.0, 2.0, "")]


def test_noise_that_nobody_recognised_starts_no_clock_for_what_code_says():
    """A reminder after a cough is no answer that took so long."""
    talk = Talk()
    talk.user(1.0, 1.4, turn=False)
    talk.agent(16.0, 17.0, "are you still there", automatic=False)
    assert talk.responses() == [""]


def test_a_realtime_model_that_answers_before_the_words_are_known():
    """The turn is told after the answer began: it is timed once, and not again later."""
    talk = Talk()
    talk.user(1.0, 2.0, turn=False)
    talk.book.agent_started(2.4, "one", automatic=True)
    talk.book.user_turn(2.9, started=1.0)
    talk.book.agent_stopped(4.0)
    talk.agent(8.0, 9.0, "later", automatic=False)
    assert talk.responses() == ["0.400", ""]
    assert talk.of("user_turn") == [(1.0, 2.0, "")]


def test_a_detector_that_is_late_is_put_right():
    """Where the end of speech is told afterwards, the response time is from there."""
    talk = Talk()
    talk.user(1.0, 2.55, turn=False)
    talk.book.user_stopped_earlier(2.0)
    talk.book.user_turn(2.7)
    talk.agent(3.0, 4.0, "one")
    assert talk.of("user_speaking") == [(1.0, 2.0, "")]
    assert talk.responses() == ["1.000"]


def test_text_that_nobody_spoke_is_no_turn_of_the_caller():
    """Code may put words into the caller's mouth; a recogniser without a detector may not."""
    talk = Talk()
    assert talk.book.user_turn(1.0) is False
    talk.book.heard()
    assert talk.book.user_turn(2.0) is True
    assert talk.of("user_turn") == [(2.0, None, "")]


def test_what_is_open_at_the_end_is_closed():
    """A session that ends in the middle of a word leaves no interval open."""
    talk = Talk()
    talk.book.agent_started(1.0, "one")
    talk.book.user_started(2.0)
    talk.book.finish(3.0)
    assert talk.of("agent_speaking") == [(1.0, 3.0, "")]
    assert talk.of("user_speaking") == [(2.0, 3.0, "")]


_STEPS = st.sampled_from(
    ["user_started", "user_stopped", "turn", "agent", "agent_stopped", "done", "heard", "earlier"]
)


@given(st.lists(st.tuples(_STEPS, st.floats(-1, 3), st.integers(0, 2)), max_size=60))
def test_any_order_of_events_gives_marks_that_can_be_true(steps):
    """Events that come twice, late or never: no interval is negative, and nothing is raised."""
    talk, now = Talk(), 100.0
    for name, after, number in steps:
        now += max(after, 0.0)
        at, speech = now + min(after, 0.0), f"s{number}"
        match name:
            case "turn":
                talk.book.user_turn(at)
            case "agent":
                talk.book.agent_started(at, speech, automatic=bool(number))
            case "done":
                talk.book.speech_done(at, speech, interrupted=True)
            case "heard":
                talk.book.heard()
            case "earlier":
                talk.book.user_stopped_earlier(at)
            case _:
                getattr(talk.book, name)(at)
    talk.book.finish(now)
    marks = [one for kind in MARK_KINDS for one in talk.of(kind)]
    assert all(end is None or end >= start for start, end, _ in marks)
    assert all(float(value) >= 0 for _, _, value in marks if value)
    assert len(talk.of("barge_in")) <= len(talk.of("agent_turn"))
