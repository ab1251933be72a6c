"""A SIP-kind participant, as the LiveKit SIP bridge puts one into a room.

It carries the real `sip.*` attributes, talks and listens, answers `lk.sip.GetRemoteHeaders`, and
moves `sip.callStatus` the way the bridge does. Nothing here sleeps: every step waits for what it
is about (the agent's state, audio that was heard, a subscription), with a deadline.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from typing import Literal

import numpy as np
from livekit import api, rtc
from livekit.protocol.agent_dispatch import RoomAgentDispatch
from livekit.protocol.room import RoomConfiguration

from . import speech
from .calls import CallTruth, Turn, TurnTimes
from .polling import until_async
from .servers import LiveKitServer

# Nothing is asserted of how long it takes: a busy machine is no failure.
DEADLINE_S = 60.0
HEADERS_RPC = "lk.sip.GetRemoteHeaders"
AGENT_STATE = "lk.agent.state"
_LOUD = 500.0
# Longer than any sentence: one is queued as a whole, so a busy test process leaves no holes in it.
_QUEUE_MS = 10_000


class SipCaller:
    """One phone leg in a room; `truth` is filled as the call goes on."""

    def __init__(self, server: LiveKitServer, truth: CallTruth) -> None:
        self._server = server
        self.truth = truth
        self.gain = 1.0
        """How much louder than usual it speaks; what does not fit into 16 bits is cut off."""
        self.room = rtc.Room()
        self._heard: list[float] = []
        self._left = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._source: rtc.AudioSource | None = None
        self._publication: rtc.LocalTrackPublication | None = None

    async def join(
        self,
        *,
        dispatch: str | None = None,
        metadata: str = "",
        identity: str | None = None,
        attributes: Mapping[str, str] | None = None,
        kind: Literal["sip", "standard"] = "sip",
        hears: bool = True,
    ) -> None:
        """Enter the room with the leg's attributes; `dispatch` names the agent to call there.

        Without `hears` it never subscribes to a track: nothing that the agent says reaches it.
        """
        self.truth.asked = self.truth.asked or time.time()
        token = (
            api.AccessToken(self._server.key, self._server.secret)
            .with_identity(identity or self.truth.identity)
            .with_name(f"Phone {self.truth.remote}")
            .with_kind(kind)
            .with_attributes(dict(self.truth.attributes if attributes is None else attributes))
            .with_grants(
                api.VideoGrants(room_join=True, room=self.truth.room, can_update_own_metadata=True)
            )
        )
        if dispatch is not None:
            agent = RoomAgentDispatch(agent_name=dispatch, metadata=metadata)
            token = token.with_room_config(RoomConfiguration(agents=[agent]))
        self._listen_to_room()
        options = rtc.RoomOptions(auto_subscribe=hears)
        await self.room.connect(self._server.url, token.to_jwt(), options)
        self.room.local_participant.register_rpc_method(HEADERS_RPC, self._remote_headers)
        self.truth.joined = time.time()

    async def publish(self) -> None:
        """Start to send audio: 50 packets a second, of silence until somebody says something.

        Not only for the audio: the server tells others at once what a publisher does, and only
        every few seconds what somebody without a track does.
        """
        self._source = rtc.AudioSource(speech.SAMPLE_RATE, 1, queue_size_ms=_QUEUE_MS)
        track = rtc.LocalAudioTrack.create_audio_track(self.truth.identity, self._source)
        # As the bridge does it: Opus without DTX, and without redundancy that repairs losses.
        options = rtc.TrackPublishOptions(
            source=rtc.TrackSource.SOURCE_MICROPHONE, dtx=False, red=False
        )
        self._publication = await self.room.local_participant.publish_track(track, options)

    async def answered(self) -> None:
        """The call is up: `active`; the bridge says so once the agent has subscribed."""
        await self.subscribed()
        await self.up()

    async def up(self) -> None:
        """Say that the call is up."""
        await self.status("active")
        self.truth.answered = time.time()
        self.truth.status_code = 200

    async def subscribed(self) -> None:
        """Wait until the agent listens to our track."""
        assert self._publication is not None, "publish first"
        async with asyncio.timeout(DEADLINE_S):
            await self._publication.wait_for_subscription()

    async def status(self, value: str, **more: str) -> None:
        """Set `sip.callStatus` (and what else changes with it); returns once the server has it."""
        await self.attributes({"sip.callStatus": value, **more})

    async def attributes(self, changed: Mapping[str, str]) -> None:
        """Change the leg's attributes; returns once the server has them."""
        ours = self.room.local_participant
        # The SDK's own wait for the answer lasts five seconds in about 2 % of the calls, although
        # the change was made at once: so we look at the change and not at the answer.
        asked = asyncio.create_task(ours.set_attributes(dict(changed)), name="caller-attributes")
        self._tasks.append(asked)
        await until_async(
            lambda: all(ours.attributes.get(key) == value for key, value in changed.items()),
            deadline_s=DEADLINE_S,
            what=f"{self.truth.room}: attributes are {dict(changed)}",
        )

    async def greeted(self) -> None:
        """Let the agent greet to the end.

        On a busy machine it is over before its first sound reaches our ear, or before we are told
        that the agent speaks: either tells that it was there.
        """

        def began() -> float | None:
            self.truth.greeting_heard = next(iter(self._heard), None)
            return self.agent_state("speaking", since=0.0) or self.truth.greeting_heard

        await until_async(
            lambda: began() and self.agent_state("listening", since=began() or 0.0),
            deadline_s=DEADLINE_S,
            what=f"{self.truth.room}: the greeting is over (seen: {self.truth.agent_states})",
        )

    async def take(self, turn: Turn, *, wait_to_the_end: bool = True) -> None:
        """Say a turn and hear the answer; to its end unless the next turn interrupts it."""
        started = time.time()
        await self.say(turn.says)
        times = TurnTimes(turn.says, started, ended=time.time())
        self.truth.turns.append(times)
        spoke = await self._agent_is("speaking", since=started)
        # The answer's audio: an interrupted answer may still sound while we begin to speak, and on
        # a busy machine a short answer is over before we are told that the agent speaks.
        times.answered = await self._hear(since=times.ended)
        if wait_to_the_end:
            times.finished = await self._agent_is("listening", since=spoke)

    async def say(self, text: str) -> None:
        """Speak; returns when the last sample went out."""
        assert self._source is not None, "publish first"
        async with asyncio.timeout(DEADLINE_S):
            frame = await asyncio.to_thread(speech.frame, text, self.gain)
            await self._source.capture_frame(frame)
            await self._source.wait_for_playout()

    def mute(self, muted: bool) -> None:
        """Stop to send audio and tell the room so, or begin again."""
        assert self._publication is not None, "publish first"
        track = self._publication.track
        assert isinstance(track, rtc.LocalAudioTrack)
        if muted:
            track.mute()
        else:
            track.unmute()

    async def press(self, digit: str) -> None:
        """Send a DTMF digit."""
        code = "0123456789*#ABCD".index(digit)
        await self.room.local_participant.publish_dtmf(code=code, digit=digit)
        self.truth.dtmf.append(digit)

    async def hang_up(self) -> None:
        """The far end says BYE: `hangup`, and the participant is gone at once."""
        await self.status("hangup")
        self.truth.hung_up = time.time()
        await self.leave()

    async def leave(
        self, reason: rtc.DisconnectReason.ValueType = rtc.DisconnectReason.CLIENT_INITIATED
    ) -> None:
        """Leave the room with `reason`; the attributes stay as they are. Twice is once."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._source is not None:
            await self._source.aclose()
            self._source = None
        await self.room.disconnect(reason=reason)

    async def put_out(self) -> None:
        """Wait until the room has put us out."""
        async with asyncio.timeout(DEADLINE_S):
            await self._left.wait()

    def agent_state(self, state: str, *, since: float) -> float | None:
        """When the agent reported `state` first at or after `since`; None if it has not."""
        times = (at for at, one in self.truth.agent_states if one == state and at >= since)
        return next(times, None)

    async def _agent_is(self, state: str, *, since: float) -> float:
        return await until_async(
            lambda: self.agent_state(state, since=since),
            deadline_s=DEADLINE_S,
            what=f"{self.truth.room}: agent is {state} (seen: {self.truth.agent_states})",
        )

    async def _hear(self, *, since: float) -> float:
        return await until_async(
            lambda: next((at for at in self._heard if at >= since), None),
            deadline_s=DEADLINE_S,
            what=f"{self.truth.room}: audio of the agent is heard",
        )

    def _listen_to_room(self) -> None:
        self.room.on("participant_attributes_changed", self._on_attributes)
        self.room.on("track_subscribed", self._on_track)
        self.room.on("disconnected", lambda *_: self._left.set())

    def _on_attributes(self, changed: dict[str, str], _: rtc.Participant) -> None:
        if AGENT_STATE in changed:
            self.truth.agent_states.append((time.time(), changed[AGENT_STATE]))

    def _on_track(
        self, track: rtc.Track, _: rtc.RemoteTrackPublication, who: rtc.RemoteParticipant
    ) -> None:
        if who.kind == rtc.ParticipantKind.PARTICIPANT_KIND_AGENT:
            self._tasks.append(asyncio.create_task(self._listen(track), name="caller-ear"))

    async def _listen(self, track: rtc.Track) -> None:
        stream = rtc.AudioStream(track, sample_rate=speech.SAMPLE_RATE, num_channels=1)
        try:
            async for event in stream:
                samples = np.frombuffer(event.frame.data, dtype=np.int16).astype(np.float64)
                if samples.size and float(np.sqrt(np.mean(samples**2))) > _LOUD:
                    self._heard.append(time.time())
        finally:
            await stream.aclose()

    async def _remote_headers(self, request: rtc.RpcInvocationData) -> str:
        self.truth.header_requests.append(request.payload)
        asked = json.loads(request.payload or "{}")
        wanted = {name.lower() for name in asked.get("include") or []}
        unwanted = {name.lower() for name in asked.get("exclude") or []}
        headers = {
            name: value
            for name, value in self.truth.headers.items()
            if (not wanted or name.lower() in wanted) and name.lower() not in unwanted
        }
        return json.dumps({"headers": headers})
