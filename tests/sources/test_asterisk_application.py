"""Events of applications (ARI): what they say of each leg, as the manager's events do."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.sources.asterisk import by_leg, parse, quality, whole

from trunktrace.sources.ends import Bridge
from trunktrace.sources.parsed import Observation
from trunktrace.sources.reading import Reading

ARI = "asterisk-ari"
BRIDGE = Reading(bridge=Bridge(frozenset({"livekit"})))
CALLER, CALLEE = "1795335704.8974", "1795335708.8978"
BEGAN = 1795335704.282
STRING = quality(
    ssrc=1, themssrc=2, rxcount=426, txcount=420, txjitter=0.000875, rxmes=87, txmes=88
)


def _time(seconds: float) -> str:
    return f"2026-11-22T09:21:{44.282 + seconds:06.3f}+0100"


def _channel(state: str = "Up", **values: object) -> dict[str, object]:
    return {
        "id": CALLER,
        "name": "PJSIP/carrier-in-0000051d",
        "state": state,
        "protocol_id": "714737594818e7a1@192.0.2.56:5060",
        "caller": {"name": "", "number": "+15555550142"},
        "connected": {"name": "", "number": ""},
        "accountcode": "",
        "dialplan": {
            "context": "from-carrier",
            "exten": "+15555550143",
            "priority": 2,
            "app_name": "Stasis",
            "app_data": "hello",
        },
        "creationtime": _time(0),
        "language": "en",
    } | values


def _dialed(state: str = "Up", **values: object) -> dict[str, object]:
    own = {
        "id": CALLEE,
        "name": "PJSIP/livekit-0000051f",
        "protocol_id": "628bf32b-8ea8-47af-92b8-a83b03cb346d",
        "caller": {"name": "Bob", "number": "+15555550142"},
        "connected": {"name": "", "number": "+15555550142"},
        "dialplan": {"context": "default", "exten": "s", "app_name": "AppDial2", "priority": 1},
        "creationtime": _time(3),
    }
    return _channel(state) | own | values


def _event(kind: str, at: float, **values: object) -> dict[str, object]:
    return {"type": kind, "timestamp": _time(at), "application": "hello",
            "asterisk_id": "00:15:5d:00:2a:0d", **values}  # fmt: skip


def _dial(status: str, at: float, state: str) -> dict[str, object]:
    return _event("Dial", at, dialstatus=status, forward="", dialstring="agent",
                  peer=_dialed(state))  # fmt: skip


def _entered(at: float, channel: dict[str, object], *members: str, kind: str = "mixing") -> Any:
    bridge = {"id": "ec34542e", "bridge_type": kind, "technology": "simple_bridge",
              "channels": list(members)}  # fmt: skip
    return _event("ChannelEnteredBridge", at, bridge=bridge, channel=channel)


CALL = [
    _event("StasisStart", 0.001, args=[], channel=_channel("Ring")),
    _event("ChannelStateChange", 0.2, channel=_channel()),
    _event("PlaybackStarted", 0.3, playback={"id": "1", "target_uri": f"channel:{CALLER}"}),
    _entered(0.5, _channel(), CALLER, kind="holding"),
    _dial("", 3.0, "Down"),
    _event("ChannelStateChange", 3.1, channel=_dialed("Ringing")),
    _dial("RINGING", 3.1, "Ringing"),
    _event("ChannelStateChange", 8.2, channel=_dialed()),
    _dial("ANSWER", 8.2, "Up"),
    _event("StasisStart", 8.3, args=["dialed"], channel=_dialed(
        dialplan={"context": "default", "exten": "s", "app_name": "Stasis"})),
    _entered(8.5, _channel(), CALLER),
    _entered(8.5, _dialed(), CALLER, CALLEE),
    _event("ChannelVarset", 8.5, variable="BRIDGEPEER", value="PJSIP/livekit-0000051f",
           channel=_channel()),
    _event("ChannelDtmfReceived", 9.0, digit="4", duration_ms=120, channel=_channel()),
    _event("ChannelHold", 10.0, channel=_channel()),
    _event("ChannelUnhold", 11.0, channel=_channel()),
    _event("RecordingStarted", 11.5, recording={"name": "r", "target_uri": f"channel:{CALLER}"}),
    _event("RecordingFinished", 12.5, recording={"name": "r", "target_uri": f"channel:{CALLER}"}),
    _event("ChannelVarset", 13.0, variable="RTPAUDIOQOS", value=STRING, channel=_channel()),
    _event("ChannelHangupRequest", 13.2, cause=16, channel=_channel()),
    _event("StasisEnd", 13.2, channel=_channel()),
    _event("ChannelDestroyed", 13.3, cause=16, cause_txt="Normal Clearing", channel=_channel()),
    _event("ChannelHangupRequest", 13.4, cause=16, soft=True, channel=_dialed()),
    _event("ChannelDestroyed", 13.5, cause=16, cause_txt="Normal Clearing", channel=_dialed()),
]  # fmt: skip


def _legs(*events: object, reading: Reading | None = None) -> dict[str, Observation]:
    parsed = parse(ARI, "\n".join(json.dumps(one) for one in events), reading)
    assert parsed.broken == ()
    return by_leg(parsed)


def test_both_legs_of_an_answered_call() -> None:
    """An inbound call that an application answers, and connects to a channel it originates."""
    for reading in (None, BRIDGE):
        legs = _legs(*CALL, reading=reading)
        far, ours = legs["pstn"], legs["trunk"]
        assert far.ids["channel_id"] == far.ids["linked_id"] == ours.ids["linked_id"] == CALLER
        assert (far.ids["endpoint"], ours.ids["endpoint"]) == ("carrier-in", "livekit")
        assert ours.ids["call_id"] == "628bf32b-8ea8-47af-92b8-a83b03cb346d"
        assert far.facts["sip.call.direction"] == "inbound"
        assert far.facts["sip.caller.number"] == "+1*******42"
        assert far.facts["sip.callee.number"] == "+1*******43"
        # A channel that was originated has the number of him for whom it was.
        assert "sip.callee.number" not in ours.facts
        for one in (far, ours):
            assert one.facts["sip.response.status_code"] == 200
            assert one.facts["sip.reason.q850"] == 16
            assert one.facts["sip.hangup.source"] == "caller"
            assert one.completeness == "complete"


def test_times_are_those_of_the_events() -> None:
    """Creation, ringing, answer and end, to the millisecond."""
    legs = _legs(*CALL)
    far, ours = legs["pstn"], legs["trunk"]
    assert (far.start, far.end) == (pytest.approx(BEGAN), pytest.approx(BEGAN + 13.2))
    assert far.facts["sip.setup_ms"] == pytest.approx(200.0, abs=0.01)
    assert far.facts["sip.call.duration_ms"] == pytest.approx(13_000.0, abs=0.01)
    assert ours.facts["sip.pdd_ms"] == pytest.approx(100.0, abs=0.01)
    assert ours.facts["sip.setup_ms"] == pytest.approx(5200.0, abs=0.01)
    assert {mark.kind for mark in far.marks} == {
        "invite", "answered", "hold", "recording", "hangup"
    }  # fmt: skip


def test_quality_and_digits_are_of_their_channel() -> None:
    """`RTPAUDIOQOS` as a variable, and DTMF that is counted and never told."""
    far = _legs(*CALL)["pstn"]
    assert far.facts["sip.dtmf_count"] == 1
    assert whole(far, "in")["packet_count"] == 426
    assert whole(far, "in")["jitter_ms"] == 0.875
    assert whole(far, "out")["packet_count"] == 420


def test_no_number_stands_in_clear() -> None:
    """Numbers in caller, connected, extension and the names of channels are masked."""
    parsed = parse(ARI, json.dumps(CALL))
    assert "555555014" not in repr(parsed)
    named = [one | {"channel": _channel(name="PJSIP/+15555550142-0000051d")}
             if one.get("channel") else one for one in CALL]  # fmt: skip
    assert "555555014" not in repr(parse(ARI, json.dumps(named)))


def test_an_id_of_the_applications_own_may_hold_a_number() -> None:
    """`channelId` of a request to originate is anything: the number in it is scrubbed."""
    body = {"channel_uniqueid": "to-+15555550178", "rxcount": 1, "txcount": 2}
    told = _event("ChannelDestroyed", 9, cause=16, channel=_channel(id="to-+15555550177"))
    for data in ([told, body], [body]):
        assert "5555501" not in repr(parse(ARI, json.dumps(data)).observations)


@pytest.mark.parametrize(
    "cause, tech, code, outcome",
    [(1, 404, 404, "invalid_number"), (17, 486, 486, "busy"), (17, None, None, None),
     (0, None, None, None), (19, "unknown", None, None)],
)  # fmt: skip
def test_a_channel_that_is_destroyed_before_the_answer(
    cause: int, tech: object, code: int | None, outcome: str | None
) -> None:
    """`tech_cause` is the SIP code (since the end of 2025), `cause` that of Q.850; 0 is unknown."""
    more = {} if tech is None else {"tech_cause": tech}
    told = _event("ChannelDestroyed", 4, cause=cause, channel=_dialed("Ringing"), **more)
    (one,) = parse(ARI, json.dumps([_dial("", 3, "Down"), told])).observations
    assert one.facts.get("sip.response.status_code") == code
    assert one.facts.get("sip.call.outcome") == outcome
    assert one.facts.get("sip.reason.q850") == (cause or None)
    assert one.completeness == "complete"
    assert "sip.call.direction" not in one.facts
    assert "linked_id" not in one.ids


def test_a_caller_who_gives_up_is_canceled() -> None:
    """A request of its far end before the answer; `StasisEnd` may be the last that is told."""
    start = _event("StasisStart", 0.1, channel=_channel("Ring"))
    request = _event("ChannelHangupRequest", 2, cause=127, channel=_channel("Ring"))
    one = _legs(start, request, _event("StasisEnd", 2, channel=_channel("Ring")))["pstn"]
    assert one.facts["sip.call.outcome"] == "canceled"
    assert one.facts["sip.hangup.source"] == "caller"
    assert one.facts["sip.reason.q850"] == 127
    assert one.completeness == "partial"


def test_the_application_hung_up() -> None:
    """`soft`: Asterisk ends the call, at nobody's wish; a cause of 0 says nothing."""
    one = _legs(
        *CALL[:2], _event("ChannelHangupRequest", 5, soft=True, cause=16, channel=_channel())
    )["pstn"]
    assert "sip.hangup.source" not in one.facts


def test_a_dial_of_the_dialplan_names_both_channels() -> None:
    """With a `caller` in `Dial` both are one call before they meet; the dialled one is a callee."""
    dial = _event("Dial", 3, dialstatus="", dialstring="+15555550143@acme", caller=_channel("Ring"),
                  peer=_dialed("Down"))  # fmt: skip
    busy = dial | {"dialstatus": "BUSY", "timestamp": _time(4)}
    legs = _legs(CALL[0], dial, busy)
    assert legs["trunk"].ids["linked_id"] == CALLER
    assert legs["trunk"].facts["sip.call.outcome"] == "busy"
    assert legs["trunk"].facts["sip.callee.number"] == "+1*******43"


def test_a_channel_that_was_up_before_was_answered_some_time() -> None:
    """The first event of a channel may be its last: 200, its creation and its end."""
    told = _event("ChannelDestroyed", 9, cause=16, channel=_channel())
    one = _legs(told)["pstn"]
    assert one.facts["sip.response.status_code"] == 200
    assert "sip.call.duration_ms" not in one.facts
    assert (one.start, one.end) == (pytest.approx(BEGAN), pytest.approx(BEGAN + 9))


def test_the_state_at_the_end_is_of_no_known_time() -> None:
    """A channel that rings when it is destroyed began to do so some time before."""
    told = _event("ChannelDestroyed", 30, cause=0, channel=_dialed("Ringing"))
    left = _event("StasisEnd", 30, channel=_channel())
    for events in ([told], [CALL[0], left]):
        (one,) = parse(ARI, json.dumps(events)).observations
        assert not {"sip.pdd_ms", "sip.setup_ms", "sip.call.duration_ms"} & one.facts.keys()


def test_an_event_may_have_the_id_alone() -> None:
    """Of a channel that is known its name is known; of another one nothing is."""
    told = _event("ChannelDestroyed", 9, cause=31, channel={"id": CALLER})
    stranger = _event("ChannelDestroyed", 9, cause=31, channel={"id": "17.1"})
    parsed = parse(ARI, json.dumps([*CALL[:2], told, stranger]))
    (one,) = parsed.observations
    assert one.facts["sip.reason.q850"] == 31
    assert (parsed.broken, parsed.ignored) == ((), 1)


def test_channels_and_statistics_beside_events_are_of_the_same_legs() -> None:
    """What was polled meanwhile counts, whichever comes first in the file."""
    body = {"channel_uniqueid": CALLER, "rxcount": 100, "txcount": 90, "rxploss": 0, "txploss": 0,
            "local_normdevjitter": 0.002}  # fmt: skip
    for order in ([body, *CALL[:2], _channel()], [*CALL[:2], _channel(), body]):
        one = _legs(*order)["pstn"]
        assert whole(one, "in") == {"packet_count": 100, "loss_ratio": 0.0, "lost_count": 0,
                                    "jitter_ms": 2.0}  # fmt: skip


def test_statistics_of_a_channel_without_events_do_not_say_where_the_call_went() -> None:
    """Beside another call's events they are a leg of their own, without a direction."""
    body = {"channel_uniqueid": "17.1", "rxcount": 100, "txcount": 90}
    parsed = parse(ARI, json.dumps([*CALL, body]))
    (one,) = [seen for seen in parsed.observations if seen.record_id == "17.1"]
    assert "sip.call.direction" not in one.facts
    assert "endpoint" not in one.ids


def test_answers_about_other_things_are_ignored() -> None:
    """Bridges, endpoints and applications are no channels, and not broken."""
    told: list[Any] = [
        {"id": "ec34542e", "technology": "simple_bridge", "bridge_type": "mixing", "name": "",
         "channels": [CALLER]},
        {"technology": "PJSIP", "resource": "acme", "state": "online", "channel_ids": []},
        {"name": "hello", "channel_ids": [], "bridge_ids": []},
    ]  # fmt: skip
    for more in ([], CALL):
        parsed = parse(ARI, json.dumps([*told, *more]))
        assert parsed.broken == ()
        assert parsed.ignored >= 3


@given(st.data())
def test_no_events_raise(data: st.DataObject) -> None:
    """Whatever a value is replaced by, each event is used, ignored or broken."""
    told: Any = json.loads(json.dumps(CALL))
    odd = st.none() | st.booleans() | st.integers() | st.text(max_size=9) | st.lists(st.none())
    for _ in range(data.draw(st.integers(1, 6))):
        at: Any = data.draw(st.sampled_from(told))
        inner: list[Any] = [value for value in at.values() if isinstance(value, dict)]
        at = data.draw(st.sampled_from([at, *inner]))
        at[data.draw(st.sampled_from(sorted(at)))] = data.draw(odd)
    parsed = parse(ARI, json.dumps(told))
    assert len(parsed.observations) <= len(told)
