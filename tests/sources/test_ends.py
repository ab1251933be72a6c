"""Which leg of a PBX is which of ours, by what is known of the bridge."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunktrace import conventions as c
from trunktrace.diagnosis.assemble import story_of
from trunktrace.facts import End, Observation
from trunktrace.sources.draft import Draft
from trunktrace.sources.ends import ENDPOINT, Bridge, Ends, turned

both = pytest.mark.parametrize("bridge", ["caller", "callee"])


@both
def test_what_comes_from_the_far_end_goes_in_on_both_legs(bridge: End) -> None:
    """Audio of the far end is `in` where it is sent and where it is passed on, and so back."""
    ends = Ends(bridge)
    assert ends.leg(bridge) == "trunk"
    assert ends.leg(ends.far) == "pstn"
    assert ends.sent_by(ends.far) == ends.sent_to(bridge) == "in"
    assert ends.sent_by(bridge) == ends.sent_to(ends.far) == "out"


def test_nothing_known_is_an_inbound_call() -> None:
    """Without a word of anybody the callee faces the bridge, and only the far leg says inbound."""
    ends = Bridge().ends(caller=["carrier-in"], callee=["anything"])
    assert ends == Ends("callee", "assumed")
    assert ends.stated_by("caller") == "inbound"
    assert ends.stated_by("callee") is None


@pytest.mark.parametrize(
    "caller, callee, end",
    [(["LiveKit"], ["acme"], "caller"), (["acme"], [None, "livekit"], "callee")],
)
def test_the_named_end_faces_the_bridge(
    caller: list[str | None], callee: list[str | None], end: End
) -> None:
    """A name of the bridge in a record says where it stands, in any case of letters."""
    ends = Bridge(frozenset({"LIVEKIT"}), end="callee").ends(caller=caller, callee=callee)
    assert (ends.bridge, ends.by) == (end, "configured")
    assert ends.stated_by("caller") == ends.stated_by("callee") == ends.direction


@pytest.mark.parametrize(
    "name", ["[2001:db8::5]:5060", "2001:DB8:0::5", "10.0.0.5:5060", "10.0.0.5", "LIVEKIT "]
)
def test_a_host_is_the_same_with_and_without_its_port(name: str) -> None:
    """Addresses are compared in their one form, hosts without their port, names without case."""
    bridge = Bridge(frozenset({name}))
    told = ["2001:db8:0:0::5", "[10.0.0.5]:1", "10.0.0.5:5062", "livekit"]
    assert bridge.ends(callee=told).by == "configured"
    assert bridge.ends(callee=["2001:db8::6", "10.0.0.50", "livekit2"]).by == "assumed"


def test_who_rang_beside_the_bridge_stands_aside() -> None:
    """A leg of the bridge's end that is not the bridge's has facts, and no media of the call."""
    ends = Bridge(frozenset({"livekit"})).ends(caller=["acme"], callee=["livekit", "desk"])
    legs: dict[str, Observation] = {}
    for name, end in (("acme", "caller"), ("livekit", "callee"), ("desk", "callee")):
        draft = Draft("made-pbx")
        draft.identify(ENDPOINT, name)
        draft.place(ends, end, names=[name])  # type: ignore[arg-type]
        draft.answer(487)
        draft.saw("trunk", "out", 1e9, 1e9 + 10, {"lost_count": 5})
        legs[name] = draft.build()
    assert [legs[name].is_aside for name in legs] == [False, False, True]
    assert (legs["livekit"].leg, legs["desk"].leg) == ("trunk", "pstn")
    assert legs["livekit"].windows
    assert not legs["desk"].windows
    assert legs["desk"].facts[c.SIP_RESPONSE_STATUS_CODE] == 487
    assert c.TRUNK_ID not in legs["desk"].facts
    assert not story_of([legs["desk"], legs["acme"]]).facts.get(c.TRUNK_FAULT)
    assert story_of([legs["desk"]]).facts == {}


def test_configuration_wins_over_what_a_record_tells() -> None:
    """A configured end stands before a record's own, and that before the assumption."""
    assert Bridge(end="callee").ends(told="caller") == Ends("callee", "configured")
    assert Bridge().ends(told="caller") == Ends("caller", "told")


def _observed(end: End, by: str = "assumed") -> Observation:
    draft = Draft("made-pbx")
    ends = Ends("callee", by)  # type: ignore[arg-type]
    draft.identify(ENDPOINT, f"gw-{end}")
    draft.place(ends, end)
    draft.saw(ends.leg(end), ends.sent_by(end), 1e9, 1e9 + 10, {"lost_count": 5})
    draft.total(ends.leg(end), ends.sent_to(end), {"packet_count": 7})
    return draft.build()


def test_the_far_endpoint_is_the_trunk() -> None:
    """The endpoint on the far side is the trunk's id, the one that faces the bridge is not."""
    assert _observed("caller").facts[c.TRUNK_ID] == "gw-caller"
    assert c.TRUNK_ID not in _observed("callee").facts


@pytest.mark.parametrize("end", ["caller", "callee"])
def test_a_turned_observation_is_of_the_other_leg(end: End) -> None:
    """In an outbound call legs and directions change places, and so does the trunk's name."""
    before, after = _observed(end), turned(_observed(end), "outbound")
    assert {before.leg, after.leg} == {"trunk", "pstn"}
    for one, other in zip(
        (*before.windows, *before.untimed), (*after.windows, *after.untimed), strict=True
    ):
        assert (one.leg, one.direction) != (other.leg, other.direction)
        assert {one.direction, other.direction} == {"in", "out"}
        assert other.leg == after.leg
    assert after.facts[c.SIP_CALL_DIRECTION] == "outbound"
    assert (c.TRUNK_ID in after.facts) == (after.leg == "pstn")
    assert turned(after, "outbound") == after


@given(st.sampled_from(["caller", "callee"]), st.sampled_from(["inbound", "outbound"]))
def test_turning_twice_gives_back_the_windows(end: End, direction: str) -> None:
    """What was turned and turned back says the same of its media."""
    there = turned(_observed(end), direction)
    back = turned(turned(there, "outbound"), "inbound")
    assert back.windows == _observed(end).windows
    assert back.untimed == _observed(end).untimed


def test_a_configured_observation_stays() -> None:
    """What the user said of the bridge is not overruled by others, nor is who has no two ends."""
    configured = _observed("caller", "configured")
    assert turned(configured, "outbound") is configured
    alone = Draft("made-carrier", leg="pstn").build()
    assert turned(alone, "outbound") is alone
