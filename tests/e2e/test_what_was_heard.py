"""Calls that suffer, each from one thing, end to end: each has its finding and no other.

Packets are really lost, on a wire that counts them (network.py); what the callers do is in
ailments.py. Some of the calls go at the same time, all through one worker, twenty clean ones among
them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

import pytest

from . import ailments, checks
from .ailments import Call, Course
from .calls import CARRIERS, inbound
from .conftest import HASH_KEY, Measured, WorkerFactory
from .harness import CallResult, collect
from .jaeger_api import Event, Trace, root
from .network import Network
from .servers import LiveKitServer
from .worker import Worker, WorkerOptions

CLEAN = 20
TOGETHER = 6
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


class Heard:
    """A call that went over the wire, and its trace."""

    def __init__(self, call: Call, result: CallResult) -> None:
        self.result = result
        self.losses = call.losses
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


@pytest.fixture(scope="module")
def every_call(far_worker: Worker, network: Network) -> list[Heard | Exception]:
    """A call for each thing that can be wrong, and twenty clean ones; some at the same time."""
    courses = [getattr(ailments, name) for name in TRUTH] + [ailments.clean] * CLEAN
    calls = [
        Call(inbound(CARRIERS[number % len(CARRIERS)]), far_worker, network)
        for number in range(len(courses))
    ]

    async def every() -> list[BaseException | None]:
        lines = asyncio.Semaphore(TOGETHER)

        async def one(call: Call, course: Course) -> None:
            async with lines:
                await course(call)

        return await asyncio.gather(*map(one, calls, courses), return_exceptions=True)

    ends = asyncio.run(every())
    return [_heard(far_worker, call, end) for call, end in zip(calls, ends, strict=True)]


def _heard(worker: Worker, call: Call, end: BaseException | None) -> Heard | Exception:
    """What reached Jaeger, or why there is nothing to look at: the other calls can be judged."""
    try:
        if end is not None:
            raise end
        # A caller who hangs up while the agent speaks leaves LiveKit spans whose parent never ends.
        return Heard(call, collect(worker, call.truth, _has_root))
    except Exception as error:
        return error


def _has_root(spans: Trace) -> bool:
    return any(span.parent_id is None for span in spans)


def _of(heard: Heard | Exception) -> Heard:
    if isinstance(heard, Exception):
        raise heard
    return heard


@pytest.fixture
def ailing(every_call: list[Heard | Exception]) -> Callable[[str], Heard]:
    """The call with which something was wrong, by the name of what it was."""
    calls = dict(zip(TRUTH, every_call, strict=False))
    return lambda name: _of(calls[name])


@pytest.fixture
def clean(every_call: list[Heard | Exception]) -> list[Heard]:
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
    assert said == pytest.approx(loss.ratio, abs=tolerance), call


def test_nothing_arrived(ailing: Callable[[str], Heard]) -> None:
    """Of the call whose media all got lost, the wire let no packet through."""
    (loss,) = ailing("nothing_arrives").losses
    assert loss.lost == loss.put_out > 100


@pytest.mark.parametrize("name", TRUTH)
def test_the_trunk_is_not_blamed(name: str, ailing: Callable[[str], Heard]) -> None:
    """Nothing of all this happened between carrier and bridge: no loss there, and no fault."""
    call = ailing(name)
    assert call.trunk_losses == {}, call
    assert call.top.attributes.get("trunk.fault") not in {"carrier", "network", "operator"}, call


def test_clean_calls_have_no_finding(clean: list[Heard]) -> None:
    """Of twenty calls with which nothing is wrong none says that something is."""
    assert len(clean) == CLEAN
    assert [call for call in clean if call.events] == []
    assert [call for call in clean if "trunktrace.failure.mode" in call.top.attributes] == []
    assert [
        call for call in clean if call.top.attributes.get("trunk.fault", "none") != "none"
    ] == []
    states = [call.top.attributes.get("trunktrace.media.state") for call in clean]
    assert set(states) == {"good"}, states


def test_clean_calls_have_no_trunk_loss(clean: list[Heard], measured: Measured) -> None:
    """What the agent estimates of a clean trunk's loss stays below half a percent, on any span."""
    assert [call.trunk_losses for call in clean if call.trunk_losses] == []
    known = [one for call in clean if (one := call.top.attributes.get(checks.LOSS)) is not None]
    measured("trunk loss on clean calls", f"largest of {len(known)} estimates: {max(known):.2%}")
    assert known, "no call was long enough for an estimate"
