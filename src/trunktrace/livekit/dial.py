"""`dial`: one number over several trunks, one after the other, so that two phones never ring."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from opentelemetry import trace

from trunktrace.directory import Directory
from trunktrace.errors import ConfigurationError
from trunktrace.guard import guarded, swallowing, warn_once
from trunktrace.livecall import NO_CALL, LiveCall
from trunktrace.livekit import pickling
from trunktrace.livekit.cleanup import CleanUp
from trunktrace.livekit.dial_plan import Callee, Plan, Timing
from trunktrace.livekit.dialled import DialFailed, DialResult, Trunk
from trunktrace.livekit.failures import is_answer, sip_answer
from trunktrace.livekit.identities import identities
from trunktrace.livekit.invite import Invite
from trunktrace.livekit.job import JobCall, current_job
from trunktrace.livekit.pauses import pauses
from trunktrace.livekit.removal import SETTLING_S, Departure, Removal
from trunktrace.livekit.requests import observed_here, place
from trunktrace.livekit.room import RoomObserver
from trunktrace.livekit.settings import Settings
from trunktrace.redaction import Redaction
from trunktrace.sip.failover import Decision, attempt_result, decide
from trunktrace.start import current_call, tracer_of
from trunktrace.timeline import Attempt

if TYPE_CHECKING:
    from livekit.agents import JobContext
    from livekit.api import LiveKitAPI
    from livekit.protocol.sip import CreateSIPParticipantRequest

_OK: Final = 200


async def dial(
    ctx: JobContext,
    number: str,
    *,
    trunks: Iterable[str | Trunk],
    identity: str | None = None,
    name: str | None = None,
    ringing_timeout_s: float | None = None,
    after_progress: bool = False,
    backoff_s: float = 1.0,
    longest_pause_s: float = 10.0,
    removal_timeout_s: float = 10.0,
    request: CreateSIPParticipantRequest | None = None,
    api: LiveKitAPI | None = None,
) -> DialResult:
    """Who answered, over the first of `trunks` that gets through.

    `trunks` are LiveKit's ids (`ST_...`) or `Trunk`s, the first choice first. The next one is tried
    only after a transport error or a final code that says "not here, not now" (408, 480, 500 to
    504, 580), without progress (18x) before it unless `after_progress`, and once the participant is
    seen to be gone. `identity` and `name` are the participant's (default: one without the number).
    The phone rings for `ringing_timeout_s` (default: the template's, else 30 s). Between attempts
    lie `backoff_s`, or a Retry-After up to `longest_pause_s`; to be gone, a participant has
    `removal_timeout_s`. `request` is a template for all other fields, copied; `api` the client
    (default: `ctx.api`).

    Raises ConfigurationError before anything is dialled, and DialFailed from the last attempt's own
    exception. A cancellation passes; the phone is made to stop ringing in the background. One dial
    of an identity runs at a time; it waits for that clean-up.
    """
    timing = Timing(
        backoff_s=backoff_s, longest_pause_s=longest_pause_s, removal_timeout_s=removal_timeout_s
    )
    room = _connected_room(ctx)
    plan = Plan.make(room, Callee(number, identity, name, ringing_timeout_s), trunks, request)
    client = _client(ctx) if api is None else api
    async with identities.held(plan.room, plan.identity):
        plan.check_free(room)
        with _observing(ctx) as observer:
            return await _Dial(plan, timing, observer, room, client, after_progress).run()


class _Dial:
    """One run over the trunks; used once."""

    def __init__(
        self,
        plan: Plan,
        timing: Timing,
        observer: RoomObserver | None,
        room: Any,
        api: Any,
        after_progress: bool,
    ) -> None:
        self._plan = plan
        self._timing = timing
        self._observer = observer
        self._api = api
        self._after_progress = after_progress
        self._removal = Removal(room, api, plan.identity, timing.removal_timeout_s)
        self._attempts: list[Attempt] = []
        self._invite: Invite | None = None
        self._departure: Departure | None = None
        self._asked_over: Trunk | None = None

    async def run(self) -> DialResult:
        """Try each trunk in turn."""
        try:
            return await self._in_turn(list(self._plan.trunks))
        except asyncio.CancelledError:
            if self._asked_over is not None:
                self._stop_ringing(self._asked_over)
            raise

    async def _in_turn(self, trunks: list[Trunk]) -> DialResult:
        while True:
            try:
                answer = await self._place(trunks.pop(0))
            except Exception as error:
                answer = await self._after(error, is_last=not trunks)
            if answer is not None:
                return DialResult(answer, tuple(self._attempts))

    async def _place(self, trunk: Trunk) -> Any:
        """One attempt; what became of it is the last of `_attempts`."""
        self._invite = self._departure = None
        self._asked_over = trunk
        timeout_s = self._plan.request_timeout_s(trunk)

        async def send(request: Any) -> Any:
            return await self._send(request, timeout_s)

        try:
            request = self._plan.request(trunk)
            if self._observer is None:
                answer = await send(request)
            else:
                answer, _ = await place(self._observer, request, send, on_start=self._started)
        except Exception as error:
            self._attempts.append(self._failed(trunk, error))
            raise
        self._attempts.append(self._answered(trunk))
        return answer

    async def _send(self, request: Any, timeout_s: float) -> Any:
        """The API's answer; or the participant's own, where the request was lost on its way."""
        try:
            with observed_here():
                return await self._api.sip.create_sip_participant(request, timeout=timeout_s)
        except Exception as error:
            answered = self._removal.here()
            if answered is None and not is_answer(error):
                self._departure = await self._removal.until_gone(SETTLING_S)
                answered = self._departure.answered
            if answered is None:
                raise
            return answered

    async def _after(self, error: Exception, *, is_last: bool) -> Any:
        """After a failed attempt: None once another one may be made; or who answered all the same.

        Raises DialFailed from `error` where no other trunk may be tried.
        """
        attempt = self._attempts[-1]
        left = self._departure
        if left is not None and not left.gone:
            raise self._end(left.why) from error
        if attempt.answered:
            # Between two looks; whoever is put out by then cannot be called back in.
            raise self._end("the callee answered as the participant was put out") from error
        decision = self._decide()
        if is_last or not decision.goes_on:
            if attempt.status_code is None and left is None:
                await self._removal.ask()
            why = "there is no further trunk"
            raise (self._end(why) if decision.goes_on else self._end_of(decision)) from error
        # Looked for again after the pause: who was gone may have joined late.
        for pause_s in (0.0, self._timing.pause_s(attempt.retry_after_s)):
            await pauses.wait(pause_s)
            left = await self._removal.until_gone()
            if left.answered is not None:
                self._amend(status_code=_OK, failure=None)
                return left.answered
            if not left.gone:
                raise self._end(left.why) from error
            if not self._attempts[-1].progress and (left.rang or self._has_rung()):
                self._amend(progress=True)
            if not (decision := self._decide()).goes_on:
                raise self._end_of(decision) from error
        return None

    def _amend(self, **known: Any) -> None:
        """More is known of the last attempt than when its span ended; the call takes it still."""
        attempt = self._attempts[-1] = dataclasses.replace(self._attempts[-1], **known)
        if self._observer is not None and self._invite is not None:
            self._observer.dial_amended(self._invite, attempt)

    def _has_rung(self) -> bool:
        """Whether the room has told of a 18x by now; it is slower than the API."""
        leg = None if self._invite is None else self._invite.leg
        return leg is not None and leg.progress_at is not None

    def _decide(self) -> Decision:
        return decide(self._attempts[-1], after_progress=self._after_progress)

    def _end_of(self, decision: Decision) -> DialFailed:
        return DialFailed(self._attempts, decision.why)

    def _end(self, why: str) -> DialFailed:
        return DialFailed(self._attempts, f"{attempt_result(self._attempts[-1])}: {why}")

    def _started(self, invite: Invite | None) -> None:
        self._invite = invite

    def _failed(self, trunk: Trunk, error: Exception) -> Attempt:
        if self._invite is not None and self._invite.attempt.over:
            return self._invite.attempt
        # Our own observer failed: no more than the exception knows, and that is no reason to go on.
        code = sip_answer(error)[0]
        return Attempt(trunk_id=trunk.id, status_code=code, failure=None if code else "other")

    def _answered(self, trunk: Trunk) -> Attempt:
        attempt = Attempt(trunk_id=trunk.id) if self._invite is None else self._invite.attempt
        if attempt.answered:
            return attempt
        return dataclasses.replace(attempt, status_code=_OK, failure=None)

    def _stop_ringing(self, trunk: Trunk) -> None:
        plan = self._plan
        identities.clean_up(plan.room, plan.identity, CleanUp(self._removal, trunk.id))


def _connected_room(ctx: Any) -> Any:
    room: Any = getattr(ctx, "room", None)
    # A stand-in for a room may not say it; one that does not is taken for connected.
    if room is None or not getattr(room, "isconnected", lambda: True)():
        raise ConfigurationError(
            "ctx", type(ctx).__name__, "give a JobContext whose room is connected: ctx.connect()"
        )
    return room


def _client(ctx: Any) -> Any:
    try:
        return ctx.api
    except Exception as error:
        raise ConfigurationError(
            "api",
            None,
            "ctx has no API client: set LIVEKIT_URL, LIVEKIT_API_KEY and LIVEKIT_API_SECRET, "
            "or give api=livekit.api.LiveKitAPI(...)",
        ) from error


@contextmanager
def _observing(ctx: Any) -> Generator[RoomObserver | None, None, None]:
    """Who watches the attempts: the job's own observer, or one for this dial alone.

    None where that could not be made, by a fault of ours: then nobody does.
    """
    job = current_job()
    if job is not None and job.ctx.room is ctx.room:
        yield job.observer
        return
    observer = _own_observer(ctx, job)
    try:
        yield observer
    finally:
        if observer is not None:
            with swallowing("dial.observer"):
                observer.stop()


@guarded
def _own_observer(ctx: Any, job: JobCall | None) -> RoomObserver:
    call, settings = _call_here(job)
    made_by = call.tracer_provider
    tracer = None if made_by is None else partial(tracer_of, made_by)
    observer = RoomObserver(ctx.room, getattr(ctx, "job", None), call, settings, tracer)
    observer.start(legs_only=True)
    return observer


def _call_here(job: JobCall | None) -> tuple[LiveCall, Settings]:
    """The call that a dial outside a traced job belongs to, and what it is told."""
    settings = _settings()
    call = current_call() if job is None else NO_CALL
    if call and call.facts.direction != "inbound":
        return call, settings
    # Registered nowhere: there is no call to be counted, only attempts to be followed.
    here = trace.get_current_span().get_span_context()
    alone = LiveCall(
        trace_id=here.trace_id, root_span_id=here.span_id, redaction=settings.redaction
    )
    return alone, settings


def _settings() -> Settings:
    """What the worker was told, else files and environment.

    Nobody has read those before, and here somebody waits for a phone: a wrong one is told in the
    log, and the call is dialled without names and without headers of ours.
    """
    if pickling.registered.latest is not None:
        return pickling.registered.latest
    try:
        return Settings.load()
    except ConfigurationError as error:
        warn_once("dial.settings", "trunktrace.dial goes on without its configuration: %s", error)
        return Settings(Directory.parse(""), Redaction(), sip_headers=None)
