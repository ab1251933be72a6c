"""Looks once a second at the statistics of a job's room, and tells the call what they say.

One task a job, off the agent's path: it waits, asks, and does less than a millisecond of work. What
fails here costs a look, never the call.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, Final

from trunktrace.clock import clock
from trunktrace.guard import guarded, swallowing
from trunktrace.livecall import LiveCall
from trunktrace.livekit.tracks import KIND_AUDIO, audio_of
from trunktrace.media import LONGEST_WINDOW_S
from trunktrace.quality.apart import ToldApart
from trunktrace.quality.deltas import Deltas
from trunktrace.quality.estimate import TrunkLossEstimator
from trunktrace.quality.rtc import Sample, sample_of, ssrcs_in
from trunktrace.sip import participant as sip
from trunktrace.windows import MediaWindow

EVERY_S: Final = 1.0
TIMEOUT_S: Final = 2.0
MOST_SKIPPED: Final = 30
"""After failures in a row 1, 3, 7, ... looks are left out, at most so many."""

_MOST_TRACKS: Final = 64
"""Tracks whose streams are remembered."""

_MOST_ASKED: Final = 8
"""Tracks of others that are asked for theirs in one look, where the caller's is not known."""

OnTick = Callable[[float], None]


def sample_from(stats: Iterable[Any], *, at: float, ssrcs: frozenset[int] | None = None) -> Sample:
    """The sample that LiveKit's protobuf statistics hold; `at` and `ssrcs` as for `sample_of`."""
    return sample_of(_entries(stats), at=at, ssrcs=ssrcs)


def _entries(stats: Iterable[Any]) -> Iterator[tuple[str, Any]]:
    for one in stats:
        kind = one.WhichOneof("stats")
        if kind is not None:
            yield kind, getattr(one, kind)


class MediaPoller:
    """Windows of the agent leg each second, and estimated ones of the trunk leg each 5 s.

    `caller()` gives the identity of the SIP participant that is the call, None while there is none;
    without it the room's first SIP participant is. Each of `on_tick` is called once a second with
    the time (unix seconds), whether there are statistics or not. `start()` needs a running loop.
    """

    def __init__(
        self,
        room: Any,
        call: LiveCall,
        *,
        caller: Callable[[], str | None] | None = None,
        on_tick: Iterable[OnTick] = (),
        every_s: float = EVERY_S,
    ) -> None:
        self._room = room
        self._call = call
        self._caller = caller
        self._on_tick = tuple(on_tick)
        self._every_s = every_s
        self._task: asyncio.Task[None] | None = None
        self._streams = ToldApart()
        self._deltas = Deltas()
        self._estimator = TrunkLossEstimator()
        self._ssrcs: dict[str, frozenset[int]] = {}
        self._failures = 0
        self._skip = 0

    @guarded
    def start(self) -> None:
        """Begin to look, once a second from now; a second start does nothing."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(
                self._run(), name="trunktrace-media"
            )

    @guarded
    def stop(self) -> None:
        """The call is over: tell what is left, and look no more. May be called more than once."""
        self.hung_up()
        task, self._task = self._task, None
        if task is not None:
            task.cancel()

    @guarded
    def answered(self, at: float) -> None:
        """The call was answered at `at` (unix seconds)."""
        self._estimator.answered(at)

    @guarded
    def held(self, start: float, end: float | None = None) -> None:
        """The call is on hold since `start`, or was from `start` to `end` (unix seconds)."""
        self._estimator.hold(start, end)

    @guarded
    def hung_up(self) -> None:
        """The caller has gone: tell the windows that are left, and the estimate of the whole."""
        estimator, self._estimator = self._estimator, TrunkLossEstimator()
        # Whoever calls next has a track of its own, of which nothing has been seen.
        self._streams, self._deltas = ToldApart(), Deltas()
        self._tell(estimator.flush())
        whole = estimator.whole()
        # A short whole is what its windows say already, and would be taken for one more of them.
        if whole is not None and whole.duration_s > LONGEST_WINDOW_S:
            self._tell((whole,))

    async def tick(self) -> None:
        """What is done each second: the callbacks, then one look."""
        now = clock.now_s()
        for callback in self._on_tick:
            with swallowing("media.on_tick"):
                callback(now)
        if self._call.finished:
            return
        if self._skip > 0:
            self._skip -= 1
            return
        try:
            looked = await asyncio.wait_for(self._look(), TIMEOUT_S)
        except Exception:  # the room has just gone, or LiveKit is late
            self._failures += 1
            self._skip = min(2 ** min(self._failures, 10) - 1, MOST_SKIPPED)
            return
        self._failures = 0
        if looked is not None:
            stats, subscribed, ssrcs = looked
            self.take(stats, at=now, subscribed=subscribed, ssrcs=ssrcs)

    @guarded
    def take(
        self,
        stats: Iterable[Any],
        *,
        at: float,
        subscribed: bool | None = True,
        ssrcs: frozenset[int] | None = None,
    ) -> None:
        """Take one look: all the work that a second costs, without waiting.

        `subscribed` is whether nothing received is a count of 0; None is not known.
        """
        sample = sample_from(stats, at=at, ssrcs=ssrcs)
        if subscribed is None and sample.inbound is None:
            sample = replace(sample, ambiguous=True)
        sample = self._streams.take(sample, is_sure=bool(ssrcs))
        for window in self._deltas.add(sample, subscribed):
            self._call.observe_media(window)
        self._tell(self._estimator.add(sample))

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        is_over = False
        while not is_over:
            due += self._every_s
            late = loop.time() - due
            if late > 0:
                # What was missed is not made up for: one look is as good as three.
                due += math.ceil(late / self._every_s) * self._every_s
            await asyncio.sleep(due - loop.time())
            # The callbacks are asked once more after the call's end: they let go of what they hold.
            is_over = self._call.finished
            await self.tick()

    async def _look(self) -> tuple[list[Any], bool | None, frozenset[int] | None] | None:
        """(statistics, is nothing received a count, the caller's SSRCs or None: the only ones).

        It is while the caller's track is subscribed, and while the caller has none at all. None:
        streams come, and any of them may be the caller's.
        """
        read = getattr(self._room, "get_rtc_stats", None)
        if read is None or not self._call.is_phone_call or not self._room.isconnected():
            return None
        caller = None if self._caller is None else self._caller()
        if caller is not None and caller not in self._room.remote_participants:
            # Hung up: what the agent sends into an empty room is nobody's call.
            return None
        theirs, others = self._tracks()
        ssrcs: frozenset[int] | None = None
        counts: bool | None = theirs is not None or self._has_no_track()
        if theirs is None:
            ssrcs = frozenset()
        elif others:
            ssrcs = await self._ssrcs_of(theirs)
        stats = await read()
        found = [*stats.publisher_stats, *stats.subscriber_stats]
        if theirs is not None and ssrcs is not None and not ssrcs:
            counts = True if await self._are_all_of(others, found) else None
        return found, counts, ssrcs

    def _has_no_track(self) -> bool:
        """Whether the caller is in the room and publishes no audio: a bridge always does."""
        caller = None if self._caller is None else self._caller()
        participant = None if caller is None else self._room.remote_participants.get(caller)
        return participant is not None and audio_of(participant) is None

    def _tracks(self) -> tuple[Any, list[Any]]:
        """(the caller's subscribed audio track or None, those of the others)."""
        caller = None if self._caller is None else self._caller()
        theirs: list[Any] = []
        others: list[Any] = []
        for participant in list(self._room.remote_participants.values()):
            is_theirs = (
                participant.identity == caller
                if self._caller is not None
                else sip.is_sip(participant) and not theirs
            )
            for publication in list(participant.track_publications.values()):
                if publication.kind != KIND_AUDIO or publication.track is None:
                    continue
                if is_theirs and not theirs:
                    theirs.append(publication.track)
                else:
                    others.append(publication.track)
        return (theirs[0] if theirs else None), others

    async def _ssrcs_of(self, track: Any) -> frozenset[int]:
        """The SSRC of one track: the room's statistics name no track by its LiveKit id.

        Empty where it is unknown: none of its packets has come, or it has had several streams.
        """
        sid = str(track.sid)
        known = self._ssrcs.get(sid)
        if known is None:
            inbound = sample_from(await track.get_stats(), at=clock.now_s()).inbound
            if inbound is None:
                return frozenset()
            if len(self._ssrcs) >= _MOST_TRACKS:
                self._ssrcs.clear()
            known = self._ssrcs[sid] = frozenset({inbound.ssrc})
        return known

    async def _are_all_of(self, tracks: Sequence[Any], stats: Sequence[Any]) -> bool:
        """Whether every stream that comes is known to be of one of these tracks."""
        coming = ssrcs_in(_entries(stats))
        if not coming:
            return True
        if len(tracks) > _MOST_ASKED:
            return False
        known: set[int] = set()
        for track in tracks:
            known |= await self._ssrcs_of(track)
        return coming <= known

    def _tell(self, windows: Iterable[MediaWindow]) -> None:
        for window in windows:
            if not self._call.is_counted(window):
                self._call.observe_media(window)
