"""What a real AgentSession tells of a call: who spoke when, and what came of it."""

from __future__ import annotations

import asyncio
import gc
import logging
import weakref
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any, Self

import pytest
from livekit.agents import AMD, Agent, AgentSession, AMDCategory, AMDPredictionEvent
from livekit.agents.beta.workflows import WarmTransferTask
from livekit.agents.beta.workflows.warm_transfer import WarmTransferResult
from livekit.agents.voice.recorder_io import RecorderIO
from livekit.api.sip_service import SipService
from livekit.protocol.sip import SIPParticipantInfo, TransferSIPParticipantRequest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

import trunktrace
from trunktrace.diagnosis.story import Story
from trunktrace.errors import ConfigurationError
from trunktrace.guard import guard, reraising
from trunktrace.livekit import listening
from trunktrace.livekit.demo import agent as demo
from trunktrace.livekit.demo.conversation import Conversation, Line, Turn
from trunktrace.livekit.demo.phone import Ear, Mouth
from trunktrace.metrics import CallMetrics
from trunktrace.voice.measures import VoiceMeasures, measures_of

from .behaviour.fakejob import REASON, Job, Participant, Room, callee, caller, settle, until
from .behaviour.kit import CARRIER, Pipeline

WORDS = ("On Tuesday", "No, I said Thursday")
CONVERSATION = Conversation(
    "Hello!",
    (
        Turn(said="On Thursday?", heard=WORDS[0], looks_up="Thursday", reply="At ten."),
        Turn(said="No, I said Thursday.", heard=WORDS[1], reply="Booked."),
    ),
)
A_LONG_SPEECH = " ".join(["word"] * 40)
"""2.4 seconds of the demo's voice."""


class Phone:
    """A call in a job: a caller who joins, a session to talk through, and what it all came to."""

    def __init__(self, **settings: Any) -> None:
        self.job = Job(pipe=Pipeline())
        self._settings = settings
        self.story = Story()

    async def hold(
        self, talk: Callable[[Phone], Awaitable[None]], *, answered: bool = True
    ) -> Phone:
        """Run `talk` in the call's job, answered before it or not, and hang up after it."""

        async def entry(ctx: Any) -> None:
            self.ctx, self.phone = ctx, ctx.room.join(caller())
            if answered:
                self.answer()
            await talk(self)
            ctx.room.status(self.phone, "hangup")
            ctx.room.leave(self.phone, REASON.CLIENT_INITIATED)
            await settle()
            self.story = trunktrace.current_call().story()

        await self.job.run(entry, **self._settings)
        return self

    def answer(self) -> None:
        self.job.room.status(self.phone, "active")

    @property
    def measures(self) -> VoiceMeasures:
        return measures_of(self.story.marks, self.story.facts)

    def marks(self, kind: str) -> list[Any]:
        return [mark for mark in self.story.marks if mark.kind == kind]


class Talk:
    """A session with the demo's ears and voice, to be spoken through by hand."""

    def __init__(self, *turns: Turn) -> None:
        self.session = demo._session(Conversation("", turns))

    async def __aenter__(self) -> Self:
        self.mouth, ear = Mouth(Line(), lambda _: None), Ear(Line(), lambda _: None)
        self.session.input.audio, self.session.output.audio = self.mouth, ear
        await self.session.start(agent=Agent(instructions="Be brief."))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.session.aclose()


async def the_whole_conversation(_: Phone) -> None:
    await demo.play(CONVERSATION, Line(), lambda _: None)


async def test_a_conversation_is_told_as_it_was():
    """Turns, response times and the first audio of a call that a real session held."""
    held = await Phone().hold(the_whole_conversation)
    found = held.measures
    assert (found.user_turns, found.agent_turns) == (2, 3)
    assert len(found.response_times_s) == 2
    assert all(0.05 < seconds < 3 for seconds in found.response_times_s)
    assert found.time_to_first_audio_s is not None
    assert 0 < found.time_to_first_audio_s < 3
    assert (found.barge_ins, found.transfers, found.tasks) == (0, (), ())
    kinds = [mark.kind for mark in held.story.marks]
    assert kinds.count("user_speaking") == 2
    assert kinds.count("agent_speaking") == 3
    assert all(mark.end is not None for mark in held.marks("agent_speaking"))
    assert kinds[0] == "ringing"
    assert (kinds.count("answered"), kinds.count("hangup")) == (1, 1)


async def test_response_times_are_those_of_livekits_own_spans():
    """Within 20 ms of what livekit-agents writes as `lk.e2e_latency` on its agent_turn spans."""
    pipe = Pipeline()
    from livekit.agents import telemetry
    from opentelemetry import trace

    telemetry.set_tracer_provider(pipe.provider)
    try:
        held = Phone()
        held.job.pipe = pipe
        await held.hold(the_whole_conversation)
    finally:
        telemetry.set_tracer_provider(trace.get_tracer_provider())
    spans = [span for span in pipe.finished() if span.name == "agent_turn"]
    theirs = [s.attributes["lk.e2e_latency"] for s in spans if "lk.e2e_latency" in s.attributes]
    assert held.measures.response_times_s == pytest.approx(theirs, abs=0.02)
    speaking = sorted(s.start_time / 1e9 for s in pipe.finished() if s.name == "agent_speaking")
    ours = [mark.start for mark in held.marks("agent_speaking")]
    assert ours == pytest.approx(speaking, abs=0.02)


async def test_a_correction_is_counted_and_no_word_is_kept(caplog):
    """The fact that the caller corrected the agent is known; what he said is nowhere."""
    caplog.set_level(logging.DEBUG, logger="trunktrace")
    held = await Phone().hold(the_whole_conversation)
    assert held.measures.corrections == 1
    kept = repr(held.story) + caplog.text + repr(held.job.root())
    assert all(word not in kept for word in ("Tuesday", "Thursday", "Booked"))


def every_turn(text: str, previous: str | None, language: str | None) -> bool:
    """A rule of somebody's own: each turn but the first is a correction."""
    return previous is not None


def no_rule_at_all(text: str, previous: str | None, language: str | None) -> bool:
    """A rule that is broken."""
    raise LookupError(text)


async def test_a_rule_of_ones_own_decides():
    """`correction_rule` replaces ours, and is given the turn before."""
    held = await Phone(correction_rule=every_turn).hold(the_whole_conversation)
    assert held.measures.corrections == 1


async def test_a_rule_that_raises_costs_its_corrections_only(caplog):
    """The conversation goes on, the failure is counted, and the words are not in the log."""
    with reraising(value=False):
        held = await Phone(correction_rule=no_rule_at_all).hold(the_whole_conversation)
    assert held.measures.corrections == 0
    assert held.measures.user_turns == 2
    assert guard.counts["session.correction_rule"] == 2
    assert "Tuesday" not in caplog.text


@pytest.mark.parametrize("rule", ["no, I said", 1, lambda text, previous, language: True])
def test_a_rule_that_cannot_travel_to_a_job_is_refused(rule):
    """It must be a function that a job process finds by its name."""
    with pytest.raises(ConfigurationError, match="correction_rule"):
        trunktrace.traced_call(correction_rule=rule)


async def test_a_caller_who_asks_whether_he_is_heard_is_marked():
    """The question is a mark; the correction that it is not is none."""
    turns = (Turn(said="", heard="Hello? Can you hear me?", reply="Yes."),)
    conversation = Conversation("Hello!", turns)

    async def talk(_: Phone) -> None:
        await demo.play(conversation, Line(), lambda _: None)

    held = await Phone().hold(talk)
    assert len(held.marks("asks_if_heard")) == 1
    assert held.measures.corrections == 0


async def test_a_greeting_while_it_rings_is_not_the_first_audio():
    """What counts is what the callee hears after the answer."""

    async def talk(phone: Phone) -> None:
        async with Talk() as line:
            await line.session.say("Hello there").wait_for_playout()
            phone.answer()
            await line.session.say("Hello again").wait_for_playout()

    held = await Phone().hold(talk, answered=False)
    (answered,) = held.marks("answered")
    early, late = held.marks("agent_speaking")
    assert early.end < answered.start < late.start
    assert held.measures.time_to_first_audio_s == pytest.approx(late.start - answered.start)


async def test_a_caller_who_interrupts_barges_in():
    """The agent stops when the caller speaks over it; one mark says when."""
    turn = Turn(said="Stop!", heard="Stop", reply="Yes?")

    async def talk(_: Phone) -> None:
        async with Talk(turn) as line:
            speech = line.session.say(A_LONG_SPEECH)
            await until(lambda: line.session.agent_state == "speaking")
            await line.mouth.say(0, 40)
            await speech.wait_for_playout()
            assert speech.interrupted
            await until(lambda: line.session.agent_state == "speaking")
            await line.session.current_speech.wait_for_playout()

    held = await Phone().hold(talk)
    assert held.measures.barge_ins == 1
    (barge_in,) = held.marks("barge_in")
    spoken = held.marks("agent_speaking")[0]
    assert spoken.start <= barge_in.start < barge_in.end
    assert barge_in.end == spoken.end
    assert spoken.end - spoken.start < 2.0


async def test_what_the_agents_code_cuts_short_is_no_barge_in():
    """`session.interrupt()` in a silent line is the agent's own doing."""

    async def talk(_: Phone) -> None:
        async with Talk() as line:
            speech = line.session.say(A_LONG_SPEECH)
            await until(lambda: line.session.agent_state == "speaking")
            await line.session.interrupt()
            await speech.wait_for_playout()

    held = await Phone().hold(talk)
    assert (held.measures.agent_turns, held.measures.barge_ins) == (1, 0)


async def test_a_second_session_and_another_agent_go_on_counting():
    """A handoff between agents is no transfer; a session after the first is the same call's."""

    async def talk(_: Phone) -> None:
        for _ in range(2):
            async with Talk() as line:
                await line.session.say("One").wait_for_playout()
                line.session.update_agent(Agent(instructions="Another one."))
                await line.session.say("Two").wait_for_playout()

    held = await Phone().hold(talk)
    assert held.measures.agent_turns == 4
    assert held.measures.transfers == ()
    assert held.measures.user_turns == 0


async def test_a_session_that_is_started_again_counts_once():
    """The same session closed and started: nobody listens to it twice."""

    async def talk(_: Phone) -> None:
        line = Talk()
        for _ in range(2):
            async with line:
                await line.session.say("Hello").wait_for_playout()

    held = await Phone().hold(talk)
    assert len(held.marks("agent_speaking")) == 2
    assert held.measures.agent_turns == 2


async def test_a_session_without_audio_has_no_voice_measures():
    """Text alone is nobody's turn on the telephone, and nothing breaks."""

    async def talk(_: Phone) -> None:
        session: AgentSession[Any] = demo._session(CONVERSATION)
        session.input.audio, session.output.audio = None, None
        await session.start(agent=Agent(instructions="Be brief."))
        await session.say("Hello", audio=None).wait_for_playout()
        session.generate_reply(user_input="On Tuesday")
        await settle()
        await session.aclose()

    held = await Phone().hold(talk)
    assert held.measures == VoiceMeasures()


async def test_listening_keeps_no_session_alive():
    """A worker of many jobs: what a session held goes with it."""
    sessions: list[weakref.ref[Any]] = []

    async def talk(_: Phone) -> None:
        async with Talk() as line:
            await line.session.say("Hello").wait_for_playout()
            sessions.append(weakref.ref(line.session))

    await Phone().hold(talk)
    await until(lambda: bool(gc.collect() or sessions[0]() is None))
    await until(lambda: sessions[0]() is None)


# Answered by, transfers ---------------------------------------------------------------------------


def prediction(category: AMDCategory) -> AMDPredictionEvent:
    return AMDPredictionEvent(
        speech_duration=1.0, category=category, reason="llm", transcript="Hi", delay=0.1
    )


@pytest.mark.parametrize(
    "category, answered_by",
    [
        (AMDCategory.HUMAN, "human"),
        (AMDCategory.MACHINE_VM, "machine"),
        (AMDCategory.MACHINE_IVR, "machine"),
        (AMDCategory.MACHINE_UNAVAILABLE, "machine"),
        (AMDCategory.UNCERTAIN, None),
    ],
)
async def test_livekits_answering_machine_detection_says_who_answered(category, answered_by):
    """Human or machine as LiveKit decides; unsure is unknown."""

    async def talk(_: Phone) -> None:
        line = Talk()
        detector = AMD(line.session, llm=None, stt=None, suppress_compatibility_warning=True)
        async with line:
            detector.emit("amd_prediction", prediction(category))

    held = await Phone().hold(talk)
    assert held.job.root().get("sip.answered_by") == answered_by


class Api:
    """LiveKit's SIP service with its far side in our hands."""

    def __init__(self, failure: Exception | None = None) -> None:
        session: Any = object()
        self.sip = SipService(session, "http://livekit.invalid", "key", "secret" * 6)
        self.sip._client = SimpleNamespace(request=self._request)  # type: ignore[assignment]
        self._failure = failure

    async def _request(self, *_: Any, **__: Any) -> SIPParticipantInfo:
        if self._failure is not None:
            raise self._failure
        return SIPParticipantInfo()


@pytest.mark.parametrize(
    "target, failure, expected",
    [
        ("tel:+15550001111", None, ("human", "completed")),
        ("sip:desk@pbx.example", TimeoutError(), ("human", "failed")),
        ("sip:+15550001111@abc.sip.livekit.cloud", None, ("other", "completed")),
    ],
)
async def test_a_transfer_by_refer_is_counted_with_its_result(target, failure, expected):
    """The request returns when the transfer has gone through, and raises when it has not."""

    async def talk(phone: Phone) -> None:
        request = TransferSIPParticipantRequest(
            participant_identity=phone.phone.identity, room_name="r", transfer_to=target
        )
        transferring = Api(failure).sip.transfer_sip_participant(request)
        assert await asyncio.gather(transferring, return_exceptions=True) == [
            SIPParticipantInfo() if failure is None else failure
        ]

    held = await Phone().hold(talk)
    (found,) = held.measures.transfers
    assert (found.to, found.result) == expected
    assert target not in repr(held.story)


@pytest.mark.parametrize("result", ["completed", "failed"])
async def test_livekits_warm_transfer_is_counted_with_its_result(result):
    """A colleague who takes the call is a transfer; one who declines is a failed one."""

    async def talk(_: Phone) -> None:
        task = WarmTransferTask(sip_call_to="+15550001111", sip_trunk_id="ST_1")
        good = WarmTransferResult(human_agent_identity="human-agent-sip")
        task.complete(good if result == "completed" else RuntimeError("declined"))

    held = await Phone().hold(talk)
    assert [(t.to, t.result) for t in held.measures.transfers] == [("human", result)]


async def test_a_session_in_another_room_is_not_the_callers():
    """A warm transfer talks to the colleague in a room of its own: those are no turns of ours."""

    async def talk(phone: Phone) -> None:
        session: AgentSession[Any] = demo._session(CONVERSATION)
        elsewhere: Any = Room()
        with pytest.raises(Exception):  # noqa: B017, PT011  # no real room: it cannot start
            await session.start(agent=Agent(instructions=""), room=elsewhere)
        session.emit("agent_state_changed", speaking())

    held = await Phone().hold(talk)
    assert held.marks("agent_speaking") == []


async def test_the_colleague_of_a_warm_transfer_is_not_the_call():
    """Whom a session in another room talks to is neither the caller nor what the taps hear."""

    async def talk(phone: Phone) -> None:
        session: AgentSession[Any] = demo._session(CONVERSATION)
        elsewhere: Any = Room()
        with pytest.raises(Exception):  # noqa: B017, PT011  # no real room: it cannot start
            await session.start(agent=Agent(instructions=""), room=elsewhere)
        session._on_room_io_participant_linked(callee())
        assert all(taps._session() is not session for taps in listening._listeners.now)

    held = await Phone().hold(talk)
    root = held.job.root()
    assert root["sip.call.direction"] == "inbound"
    assert root["trunk.id"] == "ST_in"
    assert root["sip.response.status_code"] == 200


def speaking() -> Any:
    return SimpleNamespace(old_state="listening", new_state="speaking", created_at=1.0)


# Recording and policy -----------------------------------------------------------------------------


async def test_the_sessions_own_recorder_is_a_recording(tmp_path):
    """From its start to its end; how long after the answer it began stands on the root."""

    async def talk(phone: Phone) -> None:
        async with Talk() as line:
            recorder = RecorderIO(agent_session=line.session)
            recorder.record_input(line.session.input.audio)
            recorder.record_output(line.session.output.audio)
            await recorder.start(output_path=tmp_path / "audio.ogg")
            await recorder.aclose()

    held = await Phone().hold(talk)
    (recording,) = held.marks("recording")
    assert recording.end > recording.start
    delay = held.measures.recording_start_delay_ms
    assert delay is not None
    assert 0 <= delay < 5000
    assert held.job.root()["trunktrace.recording.start_delay_ms"] == delay


async def test_livekit_egress_is_a_recording():
    """The room says that it is recorded, and when no more."""

    async def talk(phone: Phone) -> None:
        for is_recording in (True, True, False, True):
            phone.ctx.room.is_recording = is_recording
            phone.ctx.room.emit("room_updated")

    held = await Phone().hold(talk)
    first, second = held.marks("recording")
    assert first.end is not None
    assert second.end is None
    assert held.job.root()["trunktrace.recording.start_delay_ms"] >= 0


async def test_a_recording_that_ran_before_the_answer_is_not_late():
    """The delay is 0, and the answer that comes after it settles that."""

    async def talk(phone: Phone) -> None:
        trunktrace.current_call().record_recording()
        assert "trunktrace.recording.start_delay_ms" not in trunktrace.current_call().attributes
        phone.answer()

    held = await Phone().hold(talk, answered=False)
    assert held.job.root()["trunktrace.recording.start_delay_ms"] == 0.0


async def test_a_room_that_says_nothing_of_a_recording_has_none():
    """Older rooms, and the mock of a simulated job, do not say: unknown is absent."""

    async def talk(phone: Phone) -> None:
        phone.ctx.room.emit("room_updated")
        phone.ctx.room.is_recording = SimpleNamespace()
        phone.ctx.room.emit("room_updated")

    held = await Phone().hold(talk)
    assert held.marks("recording") == []
    assert "trunktrace.recording.start_delay_ms" not in held.job.root()


async def nothing(_: Phone) -> None:
    await settle()


@pytest.mark.parametrize(
    "given, environment, expected",
    [
        (True, None, True),
        (None, "1", True),
        (None, "false", False),
        (False, "1", False),
        (None, None, None),
        (None, "", None),
    ],
)
async def test_the_operator_says_whether_calls_are_recorded(
    monkeypatch, given, environment, expected
):
    """By the decorator, else by the environment; what nobody says is unknown."""
    monkeypatch.delenv("TRUNKTRACE_MUST_RECORD", raising=False)
    if environment is not None:
        monkeypatch.setenv("TRUNKTRACE_MUST_RECORD", environment)
    held = await Phone(must_record=given).hold(nothing)
    assert held.story.must_record is expected


def test_a_wrong_word_in_the_environment_is_refused(monkeypatch):
    """The variable, its value and the fix are named."""
    monkeypatch.setenv("TRUNKTRACE_MUST_RECORD", "yes please")
    with pytest.raises(ConfigurationError, match="TRUNKTRACE_MUST_RECORD"):
        trunktrace.traced_call()
    with pytest.raises(ConfigurationError, match="must_record"):
        trunktrace.traced_call(must_record="yes")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "headers, expected",
    [
        ({"sip.h.p-asserted-identity": "<sip:+14155550134@a.example>"}, False),
        ({"sip.h.p-asserted-identity": "<sip:+14155550199@a.example>"}, True),
        ({"sip.h.remote-party-id": '"A" <sip:+14155550199@a.example>;party=calling'}, True),
        (
            {"sip.h.p-asserted-identity": "<sip:+14155550199@a.example>, <tel:+14155550134>"},
            False,
        ),
        ({"sip.h.p-asserted-identity": "<sip:alice@a.example>"}, None),
        ({"sip.h.p-asserted-identity": "<sip:4155550199@a.example>"}, None),
        (
            {
                "sip.h.p-asserted-identity": "<sip:+14155550199@a.example>",
                "sip.h.from": '"Anonymous" <sip:anonymous@anonymous.invalid>;tag=1',
            },
            None,
        ),
        (
            {"sip.h.p-asserted-identity": "<sip:+14155550199@a.example>", "sip.h.privacy": "id"},
            None,
        ),
        ({}, None),
    ],
)
async def test_two_identities_of_a_caller_are_compared_where_both_are_numbers(headers, expected):
    """A withheld number, a name and a national number say nothing."""

    async def talk(phone: Phone) -> None:
        phone.job.room.change(phone.phone, **headers)

    held = await Phone().hold(talk)
    assert held.story.identity_differs is expected
    assert "4155550199" not in repr(held.story)


# Marks of the room --------------------------------------------------------------------------------


async def test_an_outbound_call_is_marked_from_invite_to_hangup():
    """Each moment of the call once, in order."""
    held = Phone()

    async def entry(ctx: Any) -> None:
        phone: Participant = ctx.room.join(callee())
        for status in ("ringing", "active", "active", "hangup"):
            ctx.room.status(phone, status)
        ctx.room.leave(phone, REASON.CLIENT_INITIATED)
        held.story = trunktrace.current_call().story()

    await held.job.run(entry)
    kinds = [mark.kind for mark in held.story.marks]
    assert kinds == ["invite", "ringing", "answered", "hangup"]
    assert held.job.root()[CARRIER] == "twilio"


# Metrics ------------------------------------------------------------------------------------------


async def test_what_a_session_told_is_measured_when_the_call_ends():
    """Each number of the conversation is a metric with the trunk's labels."""
    reader = InMemoryMetricReader()
    CallMetrics().install(MeterProvider([reader]))

    async def talk(phone: Phone) -> None:
        await the_whole_conversation(phone)
        trunktrace.current_call().record_task("completed")

    held = await Phone().hold(talk)
    data = reader.get_metrics_data()
    assert data is not None
    points = {
        metric.name: metric.data.data_points[0]
        for metric in data.resource_metrics[0].scope_metrics[0].metrics
    }
    counted = {
        name: points[f"voice_agent.{name}"].value
        for name in ("user_turns", "agent_turns", "barge_ins", "user_corrections", "tasks")
    }
    assert counted == {
        "user_turns": 2,
        "agent_turns": 3,
        "barge_ins": 0,
        "user_corrections": 1,
        "tasks": 1,
    }
    response = points["voice_agent.turn.response_time"]
    assert response.count == 2
    assert response.sum == pytest.approx(sum(held.measures.response_times_s))
    first = points["voice_agent.time_to_first_audio"]
    assert first.sum == pytest.approx(held.measures.time_to_first_audio_s)
    assert {**first.attributes}["trunk.carrier"] == "telnyx"
