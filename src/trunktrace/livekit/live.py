"""What runs once a second beside a call: statistics, the sound itself, and a look by the rules."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from trunktrace import conventions as c
from trunktrace.clock import clock
from trunktrace.guard import guarded
from trunktrace.livecall import LiveCall
from trunktrace.livekit.media import MediaPoller
from trunktrace.livekit.tracks import Tracks

if TYPE_CHECKING:
    from trunktrace.livekit.audio import AudioTaps


class LiveMedia:
    """The media of one job's call, while it lasts. `caller()` names the participant that calls."""

    def __init__(self, room: Any, call: LiveCall, caller: Callable[[], str | None]) -> None:
        self._call = call
        self._taps: AudioTaps | None = None
        self._talks = False
        self._over_at = 0.0
        self._poller = MediaPoller(room, call, caller=caller, on_tick=(self._on_tick,))
        self._tracks = Tracks(room, call, caller, self._poller.held)

    def start(self) -> None:
        """Begin, in the running event loop."""
        self._tracks.start()
        self._poller.start()

    @guarded
    def listen(self, session: Any) -> None:
        """Measure what this `AgentSession` hears and says; an earlier one is let go."""
        if self._taps is None:
            # Not above: it loads numpy. A job process has loaded both before its job came.
            from trunktrace.livekit.audio import AudioTaps

            self._taps = AudioTaps(self._call, self._codec)
        self._taps.attach(session)

    @guarded
    def hung_up(self) -> None:
        """The caller has gone: tell what is left, before the rules look for the last time."""
        self._last_sound()
        self._poller.hung_up()
        self._talks, self._over_at = False, clock.now_s()

    @guarded
    def stop(self) -> None:
        """The job is over. May be called more than once."""
        self._last_sound()
        taps, self._taps = self._taps, None
        if taps is not None:
            taps.close()
        self._poller.stop()

    @guarded
    def _last_sound(self) -> None:
        if self._taps is None or self._call.finished:
            return
        self._taps.flush(clock.now_s())
        # Nobody is expected to speak while it rings, or after the hang-up.
        if self._talks and (quiet := self._taps.dead_air_s) is not None:
            self._call.annotate({c.TRUNKTRACE_DEAD_AIR_MS: quiet * 1000.0})

    def _codec(self) -> str | None:
        codec = self._call.attributes.get(c.RTP_CODEC)
        return codec if isinstance(codec, str) else None

    def _on_tick(self, now_s: float) -> None:
        if self._call.finished:
            self.stop()
            return
        self._look_for_answer()
        self._tracks.tick(now_s)
        if self._taps is not None:
            self._taps.flush(now_s)
        self._call.look()

    def _look_for_answer(self) -> None:
        answered = None if self._talks else self._call.time_of("answered")
        # One from before the hang-up is that of the call that is over.
        if answered is None or answered <= self._over_at:
            return
        self._talks = True
        self._poller.answered(answered)
        if self._taps is not None:
            self._taps.answered(answered)
