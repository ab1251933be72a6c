"""Calls that suffer, each from one thing, end to end: each has its finding and no other.

Packets are really lost, on a wire that counts them (network.py); what the callers do is in
ailments.py. Some of the calls go at the same time, all through one worker, twenty clean ones among
them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence

import pytest

from . import ailments, checks
from .ailments import Call, Course
from .calls import CARRIERS, Carrier, inbound
from .conftest import HASH_KEY, Measured, WorkerFactory
from .harness import CallResult, collect
from .jaeger_api import Event, Trace, root
from .network import Network
from .polling import NotInTime
from .pulse import Pulse
from .servers import LiveKitServer
from .worker import Worker, WorkerOptions

CLEAN = 20
TOGETHER = 6
MADE_AGAIN = 2
"""So often at most a call is made again that this machine was too busy to make."""

OPTIONS = WorkerOptions(
    provider="environment", idle=TOGETHER, env={"TRUNKTRACE_HASH_KEY": HASH_KEY}
)

Finding = tuple[object, object, object]
"""Mode, leg, direction."""

TRUTH: dict[str, Finding | None] = {
    "nothing_is_heard": ("one_way_audio", "agent", "out"),
    "clipped": ("media_degradation", "trunk", "in"),
    "lost_before_the_server": ("media_degradation", "agent", "in"),
    "lost_behind_the_server": ("media_degradation", "agent", "in"),
    "lost_from_the_agent": ("media_degradation", "agent", "out"),
    "muted": None,
    "held": None,
    "nothing_arrives": ("one_way_audio", "agent", "in"),
    "nothing_is_published": ("one_way_audio", "agent", "in"),
}
"""What is wrong with each call: one finding, or None."""

EVIDENCE = {
    "nothing_is_heard": "OWA-3",
    "clipped": "MED-8",
    "lost_before_the_server": "MED-1",
    "lost_behind_the_server": "MED-1",
    "lost_from_the_agent": "MED-1",
    "nothing_arrives": "OWA-1",
    "nothing_is_published": "OWA-1",
}
"""The rule that has to be among those that say so."""

STATES = {"media_degradation": {"degraded", "bad"}, "one_way_audio": {"one_way"}}
LOSSY = {
    "lost_before_the_server": ("in", 0.02),
    "lost_behind_the_server": ("in", 0.02),
    # The server reports each few seconds what it did not get; the last report is missing.
    "lost_from_the_agent": ("out", 0.04),
}
"""Whose loss is on the root, and how far from the wire's own count it may be."""

LARGEST_CLEAN_LOSS = 0.005
STARVED_S = 1.0
FAULT, STATE = "trunk.fault", "trunktrace.media.state"
OTHERS = frozenset({"carrier", "network", "operator"})


class Heard:
    """A call that went over the wire, and its trace."""

    def __init__(self, call: Call, result: CallResult) -> None:
        self.result = result
        self.losses = call.losses
        self.whole = 50.0 * call.lossless_s
        """Packets that may have come before the wire began to lose."""
        began_ns = (call.truth.answered or 0.0) * 1e9
        stalls = [
            one
            for one in result.spans
            if one.name == "event_loop_blocked" and one.end_ns > began_ns
        ]
        longest_ns = max((one.end_ns - one.start_ns for one in stalls), default=0)
        self.starved = longest_ns / 1e9 >= STARVED_S
        """LiveKit says that the agent's event loop stood still: the agent's audio did suffer."""
        self.top = root(result.spans)

    @property
    def events(self) -> list[Event]:
        """Every finding that was told while it happened."""
        return [one for one in self.top.events if one.name == "trunktrace.failure"]

    @property
    def findings(self) -> list[Finding]:
        """Mode, leg and direction of each."""
        keys = ("trunktrace.failure.mode", "trunktrace.leg", "rtp.direction")
        return [tuple(map(one.attributes.get, keys)) for one in self.events]  # type: ignore[misc]

    @property
    def trunk_losses(self) -> dict[str, object]:
        """Each loss above that of a clean line that some span says of the trunk, by the span."""
        return {
            span.name: value
            for span in self.result.spans
            if (value := span.attributes.get(checks.LOSS)) is not None
            and value > LARGEST_CLEAN_LOSS
        }

    def __repr__(self) -> str:
        told = {
            key: value
            for key, value in sorted(self.top.attributes.items())
            if key.startswith(("trunktrace.", "webrtc.", "rtp.", "trunk.fault"))
        }
        lost = [(one.lost, one.put_out) for one in self.losses]
        return f"{told} {[dict(one.attributes) for one in self.events]} lost {lost}"


@pytest.fixture(scope="module")
def far_worker(far_livekit: LiveKitServer, workers: WorkerFactory) -> Iterator[Worker]:
    """A worker whose calls go over the wire; it ends before its server does."""
    worker = workers(OPTIONS, far_livekit)
    yield worker
    worker.__exit__(None, None, None)


class Calls:
    """Makes the calls, some at the same time, and says which it had to make again."""

    def __init__(self, worker: Worker, wire: Network) -> None:
        self._worker = worker
        self._wire = wire
        self._pulse = Pulse()
        self.again: list[str] = []

    async def make(self, courses: Sequence[Course]) -> list[Call | BaseException]:
        """Each call, or why there is none."""
        lines = asyncio.Semaphore(TOGETHER)

        async def one(number: int, course: Course) -> Call:
            async with lines:
                return await self._one(CARRIERS[number % len(CARRIERS)], course)

        with self._pulse:
            every = (one(number, course) for number, course in enumerate(courses))
            return await asyncio.gather(*every, return_exceptions=True)

    @property
    def held_up(self) -> bool:
        """Whether this machine let the test process wait in the meantime."""
        return self._pulse.times > 0

    def __str__(self) -> str:
        pulse = self._pulse
        late = f"this process was held up {pulse.times} times, by {pulse.held_up():.2f} s at most"
        return "; ".join([f"{len(self.again)} made again", late, *self.again])

    async def _one(self, carrier: Carrier, course: Course, left: int = MADE_AGAIN) -> Call:
        """One call; again if it did not come about in time and this process was held up meanwhile.

        A call that came to its end is judged, however busy the machine was, and so is what its job
        did afterwards.
        """
        call, begun = Call(inbound(carrier), self._worker, self._wire), self._pulse.now
        try:
            await course(call)
        except (TimeoutError, NotInTime) as error:
            late = self._pulse.held_up(begun)
            if call.truth.hung_up is not None or not left or not late:
                raise
            self.again.append(f"{course.__name__}, {late:.2f} s late: {error!r}")
            return await self._one(carrier, course, left - 1)
        return call


@pytest.fixture(scope="module")
def calls(far_worker: Worker, network: Network) -> Calls:
    """Makes the calls of this module."""
    return Calls(far_worker, network)


@pytest.fixture(scope="module")
def every_call(calls: Calls, far_worker: Worker, measured: Measured) -> list[Heard | BaseException]:
    """A call for each thing that can be wrong, and twenty clean ones; some at the same time."""
    courses = [getattr(ailments, name) for name in TRUTH] + [ailments.clean] * CLEAN
    made = asyncio.run(calls.make(courses))
    measured(f"{len(courses)} calls, six at a time", calls)
    return [_heard(far_worker, call) for call in made]


def _heard(worker: Worker, call: Call | BaseException) -> Heard | BaseException:
    """What reached Jaeger, or why there is nothing to look at: the other calls can be judged."""
    if isinstance(call, BaseException):
        return call
    try:
        # A caller who hangs up while the agent speaks leaves LiveKit spans whose parent never ends.
        return Heard(call, collect(worker, call.truth, _has_root))
    except Exception as error:
        return error


def _has_root(spans: Trace) -> bool:
    return any(span.parent_id is None for span in spans)


def _of(heard: Heard | BaseException) -> Heard:
    if isinstance(heard, BaseException):
        raise heard
    return heard


@pytest.fixture
def ailing(every_call: list[Heard | BaseException]) -> Callable[[str], Heard]:
    """The call with which something was wrong, by the name of what it was."""
    calls = dict(zip(TRUTH, every_call, strict=False))
    return lambda name: _of(calls[name])


@pytest.fixture
def clean(every_call: list[Heard | BaseException]) -> list[Heard]:
    """The others."""
    return [_of(call) for call in every_call[len(TRUTH) :]]


@pytest.mark.parametrize("name", TRUTH)
def test_each_has_its_finding_and_no_other(name: str, ailing: Callable[[str], Heard]) -> None:
    """One event a finding, told once, by the rule that it takes; the root ends with the same."""
    call, truth = ailing(name), TRUTH[name]
    assert call.findings == ([] if truth is None else [truth]), call
    attributes = call.top.attributes
    assert attributes.get("trunktrace.failure.mode") == (None if truth is None else truth[0]), call
    if truth is None:
        assert "trunktrace.failure.evidence" not in attributes, call
        assert attributes["trunktrace.media.state"] == "good", call
    else:
        assert EVIDENCE[name] in attributes["trunktrace.failure.evidence"], call
        assert attributes["trunktrace.media.state"] in STATES[str(truth[0])], call


@pytest.mark.parametrize("name", LOSSY)
def test_the_agent_legs_loss_is_what_the_wire_lost(
    name: str, ailing: Callable[[str], Heard], measured: Measured
) -> None:
    """`webrtc.*` says the share of packets that the wire counted as lost."""
    call, (direction, tolerance) = ailing(name), LOSSY[name]
    (loss,) = call.losses
    said = call.top.attributes[f"webrtc.{direction}.loss_ratio"]
    measured(name, f"wire {loss.lost} of {loss.put_out} = {loss.ratio:.2%}, webrtc {said:.2%}")
    assert loss.lost > 10
    # On a busy machine the wire begins seconds late, and the call's share is less than the wire's.
    least = loss.lost / (loss.put_out + call.whole)
    assert least - tolerance <= said <= loss.ratio + tolerance, (least, loss.ratio, call)


def test_nothing_arrived(ailing: Callable[[str], Heard]) -> None:
    """Of the call whose media all got lost, the wire let no packet through."""
    (loss,) = ailing("nothing_arrives").losses
    assert loss.lost == loss.put_out > 100


@pytest.mark.parametrize("name", TRUTH)
def test_the_trunk_is_not_blamed(name: str, ailing: Callable[[str], Heard]) -> None:
    """Nothing of all this happened between carrier and bridge: no loss there, and no fault."""
    call = ailing(name)
    assert call.trunk_losses == {}, call
    assert call.top.attributes.get("trunk.fault") not in OTHERS, call


def test_clean_calls_have_no_finding(clean: list[Heard], calls: Calls, measured: Measured) -> None:
    """Of twenty calls with which nothing is wrong none says that something is.

    Where LiveKit reports that the agent's process stood still for a second, what the agent heard
    did suffer, and its own leg may say so; whoever brought the call may not be blamed even then.
    """
    assert len(clean) == CLEAN
    assert not _told([call for call in clean if {leg for _, leg, _ in call.findings} - {"agent"}])
    assert not _told([call for call in clean if call.top.attributes.get(FAULT) in OTHERS])
    well = [call for call in clean if not call.starved]
    measured("clean calls", f"{len(well)} of {len(clean)} with an agent that was not starved")
    assert well or calls.held_up
    assert not _told([call for call in well if call.events])
    assert not _told([call for call in well if "trunktrace.failure.mode" in call.top.attributes])
    faults = ("none", None)
    assert not _told([call for call in well if call.top.attributes.get(FAULT) not in faults])
    assert not _told([call for call in well if call.top.attributes.get(STATE) != "good"])


def test_clean_calls_have_no_trunk_loss(
    clean: list[Heard], calls: Calls, measured: Measured
) -> None:
    """What the agent estimates of a clean trunk's loss stays below half a percent, on any span.

    There is an estimate of some, unless the machine was busy: then there may be none, and is none
    of a call whose own packets were late.
    """
    assert not _told([call for call in clean if call.trunk_losses])
    known = [one for call in clean if (one := call.top.attributes.get(checks.LOSS)) is not None]
    assert known or calls.held_up, "no call was long enough for an estimate"
    largest = f"{max(known, default=0.0):.2%}"
    measured("trunk loss on clean calls", f"largest of {len(known)} estimates: {largest}")


def _told(calls: Sequence[Heard]) -> str:
    """The calls in full, a line each: pytest would cut them."""
    return "\n".join(f"{call!r} {call.trunk_losses}" for call in calls)
