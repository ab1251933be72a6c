"""Turns of a conversation from who speaks when: a small state machine that tells marks."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from trunktrace.timeline import Mark, MarkKind

OVERLAP_S: Final = 1.0
"""An agent that falls silent this soon after the caller spoke over it was interrupted by him: the
recogniser's words may come only when he has paused."""

_MOST_SPEECHES: Final = 64


@dataclass(slots=True)
class _Interval:
    start: float
    end: float | None = None


class TurnBook:
    """Takes what happened, in the order in which it became known; times are unix seconds.

    Every mark goes to `tell` as soon as it is known; an interval is told when it starts and again
    when it ends. A time that lies before the interval's start counts as its start.
    """

    def __init__(self, tell: Callable[[Mark], None], *, source: str = "livekit") -> None:
        self._tell = tell
        self._source = source
        self._user: deque[_Interval] = deque(maxlen=_MOST_SPEECHES)
        self._turn_start: float | None = None
        self._agent: _Interval | None = None
        self._speech = ""
        self._spoken: dict[str, _Interval] = {}
        self._last_answer: float | None = None
        # The end of the caller's speech that waits for an answer: of a turn that was committed,
        # and of speech that nobody has made a turn of yet.
        self._question: float | None = None
        self._unanswered: float | None = None
        self._heard = False

    # The caller -----------------------------------------------------------------------------------

    def user_started(self, at: float) -> None:
        """The caller began to speak."""
        if self._speaks_now() is not None:
            return
        self._user.append(_Interval(at))
        self._turn_start = at if self._turn_start is None else self._turn_start
        self._mark("user_speaking", at)

    def user_stopped(self, at: float) -> None:
        """The caller fell silent."""
        speech = self._speaks_now()
        if speech is None:
            return
        speech.end = max(at, speech.start)
        self._mark("user_speaking", speech.start, speech.end)
        # Spoken into the agent's speech and not a turn: a listener's "mhm" waits for no answer.
        if self._agent is None:
            self._unanswered, self._heard = speech.end, False

    def user_stopped_earlier(self, at: float) -> None:
        """The caller's last speech had ended already at `at`, as is known only now."""
        if not self._user:
            return
        speech = self._user[-1]
        if speech.end is None or not speech.start <= at < speech.end:
            return
        if self._unanswered == speech.end:
            self._unanswered = at
        if self._question == speech.end:
            self._question = at
        speech.end = at
        self._mark("user_speaking", speech.start, at)

    def heard(self) -> None:
        """Words of the caller were recognised."""
        self._heard = True

    def user_turn(
        self, at: float, *, started: float | None = None, stopped: float | None = None
    ) -> bool:
        """A turn of the caller was taken, at `at`; from when to when he spoke, where it is told.

        False, and no turn, where nobody has spoken: the text came from the agent's own code.
        """
        if stopped is not None:
            self.user_stopped_earlier(stopped)
        start = started if started is not None else self._turn_start
        self._turn_start = None
        if start is None:
            if stopped is None and not self._heard:
                return False
            self._mark("user_turn", at if stopped is None else stopped)
            self._question = stopped
            return True
        end = stopped if stopped is not None else self._last_user_end()
        end = end if end is not None and end >= start else None
        self._mark("user_turn", start, end)
        # Where a realtime model answers before the words are known, it has been answered already.
        answered = self._last_answer is not None and (end is None or end < self._last_answer)
        self._question = None if answered else end
        return True

    # The agent ------------------------------------------------------------------------------------

    def agent_started(self, at: float, speech: str, *, automatic: bool = False) -> None:
        """Audio of the speech with that id began; `automatic`: nobody's code asked for it.

        The first audio of a speech is a turn of the agent. Its value is the response time, where
        the caller had said something that nobody has answered yet.
        """
        if self._agent is not None:
            self.agent_stopped(at)
        self._agent = _Interval(at)
        self._mark("agent_speaking", at)
        if speech and speech == self._speech:
            if speech in self._spoken:
                self._spoken[speech].end = None
            return
        self._speech = speech
        self._remember(speech, at)
        question = self._question
        if question is None and (automatic or self._heard):
            question = self._unanswered
        is_answer = question is not None and question <= at
        value = f"{at - question:.3f}" if question is not None and is_answer else ""
        self._mark("agent_turn", at, value=value)
        self._last_answer = at
        if is_answer:
            self._question = self._unanswered = None
            self._heard = False

    def agent_stopped(self, at: float) -> None:
        """The agent fell silent: it has finished, was interrupted, or pauses."""
        if self._agent is None:
            return
        start, end = self._agent.start, max(at, self._agent.start)
        self._agent = None
        self._mark("agent_speaking", start, end)
        if self._speech in self._spoken:
            self._spoken[self._speech].end = end

    def speech_done(self, at: float, speech: str, *, interrupted: bool) -> None:
        """A speech of the agent is over; `interrupted`: before its end, by whomever."""
        spoken = self._spoken.pop(speech, None)
        if spoken is None or not interrupted:
            return
        end = at if spoken.end is None else spoken.end
        for user in reversed(self._user):
            last = at if user.end is None else user.end
            if user.start <= end and last >= max(spoken.start, end - OVERLAP_S):
                self._mark("barge_in", max(user.start, spoken.start), end)
                return

    def finish(self, at: float) -> None:
        """Nothing more will come: what is open ends now."""
        self.user_stopped(at)
        self.agent_stopped(at)

    # ----------------------------------------------------------------------------------------------

    def note(self, kind: MarkKind, at: float, value: str = "") -> None:
        """Tell a mark that is no interval."""
        self._mark(kind, at, value=value)

    def _speaks_now(self) -> _Interval | None:
        return self._user[-1] if self._user and self._user[-1].end is None else None

    def _last_user_end(self) -> float | None:
        return next((one.end for one in reversed(self._user) if one.end is not None), None)

    def _remember(self, speech: str, at: float) -> None:
        self._spoken[speech] = _Interval(at)
        while len(self._spoken) > _MOST_SPEECHES:
            del self._spoken[next(iter(self._spoken))]

    def _mark(
        self, kind: MarkKind, start: float, end: float | None = None, *, value: str = ""
    ) -> None:
        self._tell(Mark(kind=kind, start=start, end=end, value=value, source=self._source))
