"""The methods through which an agent's audio goes, and who listens; loads no numpy, no LiveKit.

A listener must return at once and keep no frame: LiveKit works on some of them in place. Whatever
it does, the audio goes its way: what it raises is swallowed.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Final, Protocol
from weakref import WeakKeyDictionary

from trunktrace.guard import after_fork_in_child, swallowing


class Listener(Protocol):
    """Is shown every frame of the process that goes one of these ways, and takes its own."""

    def stream_frame(self, stream: Any, frame: Any) -> None:
        """A frame was read from an `AudioStream`."""

    def pushed_frame(self, session: Any, frame: Any) -> None:
        """An `AgentSession` got a frame from its audio input."""

    def captured_frame(self, output: Any, frame: Any) -> None:
        """An `AudioOutput` got a frame to play."""

    def playback_finished(self, output: Any) -> None:
        """An `AudioOutput` has played what it got, or was told to drop the rest."""


class _Listeners:
    """Replaced as a whole, never changed: read without a lock. Jobs may run in several threads."""

    __slots__ = ("__weakref__", "_lock", "now")

    def __init__(self) -> None:
        self.now: tuple[Listener, ...] = ()
        self._lock = threading.Lock()
        after_fork_in_child(self, _Listeners.forget)

    def replace(self, gone: Listener, *added: Listener) -> None:
        with self._lock:
            self.now = (*(other for other in self.now if other is not gone), *added)

    def forget(self) -> None:
        self._lock = threading.Lock()
        self.now = ()


_listeners: Final = _Listeners()
_tracks: Final[WeakKeyDictionary[Any, str]] = WeakKeyDictionary()


def add(listener: Listener) -> None:
    """Show it every frame from now on. Twice is once."""
    _listeners.replace(listener, listener)


def remove(listener: Listener) -> None:
    """Show it no more. One that is not there is none."""
    _listeners.replace(listener)


def track_of(stream: Any) -> str | None:
    """The id of the track that an `AudioStream` plays; None where it was opened unseen."""
    return _tracks.get(stream)


def stream_opened(wrapped: Callable[..., Any], stream: Any, args: Any, kwargs: Any) -> Any:
    """Around `AudioStream.__init__`: remember which track it plays."""
    result = wrapped(*args, **kwargs)
    with swallowing("listening.stream_opened"):
        track = kwargs.get("track", args[0] if args else None)
        if track is not None:
            _tracks[stream] = track.sid
    return result


async def stream_read(wrapped: Callable[..., Any], stream: Any, args: Any, kwargs: Any) -> Any:
    """Around `AudioStream.__anext__`: show what was read to the listeners."""
    event = await wrapped(*args, **kwargs)
    if _listeners.now:
        with swallowing("listening.stream_read"):
            for listener in _listeners.now:
                listener.stream_frame(stream, event.frame)
    return event


def frame_pushed(wrapped: Callable[..., Any], activity: Any, args: Any, kwargs: Any) -> Any:
    """Around `AgentActivity.push_audio`: show the frame to the listeners."""
    if _listeners.now:
        with swallowing("listening.frame_pushed"):
            frame = args[0] if args else kwargs["frame"]
            for listener in _listeners.now:
                listener.pushed_frame(activity.session, frame)
    return wrapped(*args, **kwargs)


def frame_captured(wrapped: Callable[..., Any], output: Any, args: Any, kwargs: Any) -> Any:
    """Around `AudioOutput.capture_frame`, which every output calls: show it to the listeners."""
    if _listeners.now:
        with swallowing("listening.frame_captured"):
            frame = args[0] if args else kwargs["frame"]
            for listener in _listeners.now:
                listener.captured_frame(output, frame)
    return wrapped(*args, **kwargs)


def playback_finished(wrapped: Callable[..., Any], output: Any, args: Any, kwargs: Any) -> Any:
    """Around `AudioOutput.on_playback_finished`: tell the listeners that a segment is over."""
    if _listeners.now:
        with swallowing("listening.playback_finished"):
            for listener in _listeners.now:
                listener.playback_finished(output)
    return wrapped(*args, **kwargs)


OBSERVED: Final[tuple[tuple[str, str, Callable[..., Any]], ...]] = (
    ("livekit.rtc", "AudioStream.__init__", stream_opened),
    ("livekit.rtc", "AudioStream.__anext__", stream_read),
    ("livekit.agents.voice.agent_activity", "AgentActivity.push_audio", frame_pushed),
    ("livekit.agents.voice.io", "AudioOutput.capture_frame", frame_captured),
    ("livekit.agents.voice.io", "AudioOutput.on_playback_finished", playback_finished),
)
"""(module, class.method, wrapper), as in `patches`."""
