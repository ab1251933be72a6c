"""Listens to an `AgentSession` and tells the live call who spoke when, and what came of it.

What the times mean, as measured with livekit-agents 1.8.9 (docs/how-to/voice-agent-measures.md):
`agent_state_changed` to `speaking` comes when the first frame of a speech is given to the room's
audio track, and from it when the last was played out; `user_state_changed` carries the time of the
voice activity detector, its own delay taken off. Only public events are used; those that an older
version does not send leave their measures unknown.
"""

from __future__ import annotations

from typing import Any, Final, cast
from weakref import WeakKeyDictionary, ref

from trunktrace.clock import clock
from trunktrace.guard import guarded, swallowing
from trunktrace.livecall import LiveCall
from trunktrace.timeline import Mark
from trunktrace.voice.corrections import (
    CorrectionRule,
    asks_if_heard,
    is_correction,
    prepare,
)
from trunktrace.voice.turns import TurnBook

SOURCE: Final = "livekit"
RECORDER: Final = "livekit-recorder"
_MOST_OPEN_SPEECHES: Final = 256
_SPEAKING: Final = "speaking"


class SessionObserver:
    """One session as marks of one call. Made before the session starts; never raises into it."""

    def __init__(self, session: Any, call: LiveCall, rule: CorrectionRule | None = None) -> None:
        self.call = call
        self._session = session
        self._rule: CorrectionRule = is_correction if rule is None else rule
        self._book = TurnBook(self._tell, source=SOURCE)
        # Speeches that nobody's code asked for: answers to the caller.
        self._automatic: set[str] = set()
        # In memory only, for the rules: no mark, no log and no span of ours holds a word of it.
        self._language: str | None = None
        self._previous_text: str | None = None
        self._recording_since: float | None = None
        prepare()

    def start(self) -> None:
        """Subscribe to the session's events."""
        handlers = {
            "agent_state_changed": self._on_agent_state,
            "user_state_changed": self._on_user_state,
            "user_input_transcribed": self._on_words,
            "conversation_item_added": self._on_item,
            "speech_created": self._on_speech,
            "close": self._on_close,
        }
        # Where LiveKit says that this event is deprecated, it logs so for each listener; there the
        # times of the caller's speech are right without it.
        if "on" not in type(self._session).__dict__:
            handlers["metrics_collected"] = self._on_metrics
        for event, handler in handlers.items():
            self._session.on(event, handler)

    @guarded
    def answered_by(self, prediction: Any) -> None:
        """LiveKit's answering machine detection has come to a result."""
        who = _kind_of_answer(prediction)
        if who is not None and not self.call.finished:
            self.call.observe({"answered_by": who}, source=SOURCE)

    @guarded
    def recording(self, started: object, ended: float | None = None) -> None:
        """The session's own recorder runs, or has ended; from now where it does not say when."""
        if self._recording_since is None:
            if ended is not None:
                return
            self._recording_since = started if isinstance(started, float) else clock.now_s()
        self._tell(Mark(kind="recording", start=self._recording_since, end=ended, source=RECORDER))
        if ended is not None:
            self._recording_since = None

    # Events of the session ------------------------------------------------------------------------

    @guarded
    def _on_agent_state(self, event: Any) -> None:
        if event.new_state == _SPEAKING:
            if not _has_voice(self._session):
                return
            speech = str(getattr(self._session.current_speech, "id", ""))
            self._book.agent_started(event.created_at, speech, automatic=speech in self._automatic)
        elif event.old_state == _SPEAKING:
            self._book.agent_stopped(event.created_at)

    @guarded
    def _on_user_state(self, event: Any) -> None:
        if event.new_state == _SPEAKING:
            self._book.user_started(event.created_at)
        elif event.old_state == _SPEAKING:
            self._book.user_stopped(event.created_at)

    @guarded
    def _on_words(self, event: Any) -> None:
        if event.is_final and event.transcript.strip():
            self._language = getattr(event, "language", None) or self._language
            self._book.heard()

    @guarded
    def _on_metrics(self, event: Any) -> None:
        # In livekit-agents 1.2 the state changes when the detector is sure, and this says since
        # when the caller had been silent; in later versions the message of the turn does.
        ended = getattr(event.metrics, "last_speaking_time", None)
        if isinstance(ended, float) and ended > 0:
            self._book.user_stopped_earlier(ended)

    @guarded
    def _on_item(self, event: Any) -> None:
        item = event.item
        if getattr(item, "type", None) != "message" or item.role != "user":
            return
        measured = cast("dict[str, float]", getattr(item, "metrics", None) or {})
        is_spoken = self._book.user_turn(
            event.created_at,
            started=measured.get("started_speaking_at"),
            stopped=measured.get("stopped_speaking_at"),
        )
        text = item.text_content
        if is_spoken and isinstance(text, str) and text.strip():
            self._judge(text, event.created_at)

    @guarded
    def _on_speech(self, event: Any) -> None:
        handle = event.speech_handle
        if not event.user_initiated and len(self._automatic) < _MOST_OPEN_SPEECHES:
            self._automatic.add(handle.id)
        handle.add_done_callback(self._on_speech_done)

    @guarded
    def _on_speech_done(self, handle: Any) -> None:
        self._automatic.discard(handle.id)
        self._book.speech_done(clock.now_s(), handle.id, interrupted=bool(handle.interrupted))

    @guarded
    def _on_close(self, event: Any) -> None:
        self._book.finish(event.created_at)

    # ----------------------------------------------------------------------------------------------

    def _judge(self, text: str, at: float) -> None:
        previous, self._previous_text = self._previous_text, text
        if asks_if_heard(text, previous, self._language):
            self._book.note("asks_if_heard", at)
        with swallowing("session.correction_rule"):
            if self._rule(text, previous, self._language):
                self._book.note("correction", at)

    def _tell(self, mark: Mark) -> None:
        # The session may close after the call has ended; that is no news, and none is lost.
        if not self.call.finished:
            self.call.mark(mark)


# The value is weak too: it reaches the session, which keeps it alive by its handlers.
_observers: Final[WeakKeyDictionary[Any, ref[SessionObserver]]] = WeakKeyDictionary()


def observe_session(session: Any, call: LiveCall, rule: CorrectionRule | None = None) -> None:
    """Listen to `session` for `call`; once, however often it is started."""
    known = observer_of(session)
    if known is not None and known.call is call:
        return
    observer = SessionObserver(session, call, rule)
    _observers[session] = ref(observer)
    observer.start()


def observer_of(session: Any) -> SessionObserver | None:
    """Who listens to this session, if anybody does."""
    found = None if session is None else _observers.get(session)
    return None if found is None else found()


def _has_voice(session: Any) -> bool:
    # An agent that writes is "speaking" too.
    output = session.output
    return output.audio is not None and bool(getattr(output, "audio_enabled", True))


def _kind_of_answer(prediction: Any) -> str | None:
    """`human` or `machine`; None where the detection is not sure."""
    if getattr(prediction, "is_human", False):
        return "human"
    return "machine" if getattr(prediction, "is_machine", False) else None
