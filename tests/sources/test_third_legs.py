"""Calls with a third leg: a desk phone that rang too, or to which a call was handed over."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.sources.asterisk import (
    CALLEE_ID,
    CALLER_ID,
    answered_call,
    callee,
    channel,
    event,
    parse,
    quality,
    variable,
    whole,
)

from trunktrace.facts import Observation
from trunktrace.sources.ends import Bridge
from trunktrace.sources.reading import Reading

LIVEKIT = Reading(bridge=Bridge(frozenset({"livekit"})))
PHONE = "PJSIP/phone-00000003"
PHONE_ID = "1795396417.3"


def _phone(state: int = 6, *, prefix: str = "") -> dict[str, object]:
    return channel(PHONE, state, unique=PHONE_ID, prefix=prefix)


def _by_endpoint(source: str, data: str, **reading: Any) -> dict[str, Observation]:
    parsed = parse(source, data, replace(LIVEKIT, **reading))
    assert parsed.broken == ()
    return {one.ids["endpoint"]: one for one in parsed.observations}


def _transferred(caller_lost: int = 0) -> str:
    """The bridge hands the caller over to a phone, and leaves; there, much is lost."""
    return answered_call(
        event("HangupRequest", **callee(), Cause=16),
        variable("RTPAUDIOQOS", quality(rxcount=1400, txcount=1400, rxjitter=0.001), **callee()),
        event("Hangup", **callee(), Cause=16),
        event("Newchannel", **_phone(0)),
        event("DialBegin", **channel(), **_phone(0, prefix="Dest")),
        event("DialEnd", **channel(), **_phone(prefix="Dest"), DialStatus="ANSWER"),
        event("HangupRequest", **channel(), Cause=16),
        variable(
            "RTPAUDIOQOS",
            quality(lp=caller_lost, rxcount=2950, txcount=2700, rlp=250, rxjitter=0.001),
        ),
        event("Hangup", **channel(), Cause=16),
        event("SoftHangupRequest", **_phone(), Cause=16),
        variable("RTPAUDIOQOS", quality(lp=250, rxcount=1000, txcount=1250), **_phone()),
        event("Hangup", **_phone(), Cause=16),
    )


def test_a_phone_that_takes_the_call_over_stands_aside() -> None:
    """Its leg is neither the trunk's nor has it media: what it lost is no loss of ours."""
    legs = _by_endpoint("asterisk-ami", _transferred())
    assert {name: one.leg for name, one in legs.items()} == {
        "carrier-in": "pstn",
        "livekit": "trunk",
        "phone": "pstn",
    }
    assert [name for name, one in legs.items() if one.is_aside] == ["phone"]
    phone = legs["phone"]
    assert (phone.windows, phone.untimed, phone.attempts) == ((), (), ())
    assert "trunk.id" not in phone.facts


def test_the_bridges_leg_tells_who_ended_its_call() -> None:
    """The bridge left at the transfer; how the caller's talk with the phone ended is another."""
    legs = _by_endpoint("asterisk-ami", _transferred())
    assert legs["livekit"].facts["sip.hangup.source"] == "callee"
    assert "sip.hangup.source" not in legs["carrier-in"].facts


def test_what_a_caller_lost_in_two_talks_is_not_subtracted_from_one() -> None:
    """Which of the gaps the bridge saw nobody says: nothing is lost towards it without a report."""
    legs = _by_endpoint("asterisk-ami", _transferred(caller_lost=50))
    assert whole(legs["livekit"], "in").get("lost_count") in (None, 0)
    assert whole(legs["carrier-in"], "in")["lost_count"] == 50
    assert whole(legs["carrier-in"], "out").get("lost_count") in (None, 0)


@pytest.mark.parametrize("answers", [True, False])
def test_a_group_that_rings_has_one_trunk(answers: bool) -> None:
    """Of two that ring the bridge's leg alone is the trunk, whether it answers or not."""
    ended = ("ANSWER", "CANCEL") if answers else ("CANCEL", "ANSWER")
    legs = _by_endpoint(
        "asterisk-ami",
        event("Newchannel", **channel(state=4))
        + event("Newchannel", **callee(0))
        + event("Newchannel", **_phone(0))
        + event("DialBegin", **channel(state=4), **callee(0, prefix="Dest"))
        + event("DialBegin", **channel(state=4), **_phone(0, prefix="Dest"))
        + event("DialEnd", **channel(state=4), **callee(5, prefix="Dest"), DialStatus=ended[0])
        + event("DialEnd", **channel(state=4), **_phone(5, prefix="Dest"), DialStatus=ended[1])
        + event("Newstate", **channel())
        + event("HangupRequest", **channel(), Cause=16),
    )
    assert legs["livekit"].leg == "trunk"
    assert legs["phone"].is_aside
    assert legs["carrier-in"].facts.get("sip.hangup.source") == ("caller" if answers else None)
    assert legs["livekit"].facts.get("sip.response.status_code") == (200 if answers else None)


def test_without_a_name_nobody_stands_aside() -> None:
    """Who of two callees is the bridge is not known unless it is named."""
    parsed = parse("asterisk-ami", _transferred(), Reading(bridge=Bridge(end="callee")))
    assert [one.leg for one in parsed.observations] == ["pstn", "trunk", "trunk"]
    assert not any(one.is_aside for one in parsed.observations)


def test_rows_of_a_call_that_rang_two() -> None:
    """Call detail records: a row for each of the dialled channels."""
    row = (
        '"","+15555550142","+15555550143","in","","PJSIP/carrier-in-00000001","PJSIP/{}","Dial","",'
        '"2026-11-23 00:19:31","{}","2026-11-23 00:21:40",129,124,"{}","DOCUMENTATION",'
        f'"{CALLER_ID}","","","{CALLER_ID}","5"\n'
    )
    legs = _by_endpoint(
        "asterisk-cdr",
        row.format("phone-00000003", "", "NO ANSWER")
        + row.format("livekit-00000002", "2026-11-23 00:19:36", "ANSWERED"),
    )
    assert legs["livekit"].leg == "trunk"
    assert legs["phone"].is_aside
    assert legs["carrier-in"].facts["sip.response.status_code"] == 200


def _ari(unique: str, name: str, caller: str, connected: str, application: str) -> str:
    return (
        f'{{"id": "{unique}", "name": "{name}", "state": "Up",'
        f' "caller": {{"number": "{caller}"}}, "connected": {{"number": "{connected}"}},'
        f' "dialplan": {{"app_name": "{application}"}}}}\n'
        f'{{"channel_uniqueid": "{unique}", "rxcount": 100, "txcount": 100, "rxploss": 20}}\n'
    )


def test_channels_of_a_call_that_rang_two() -> None:
    """ARI: of the dialled channels with one caller, the bridge's alone is the trunk."""
    legs = _by_endpoint(
        "asterisk-ari",
        _ari(CALLER_ID, "PJSIP/carrier-in-00000001", "+15555550142", "+15555550143", "Dial")
        + _ari(CALLEE_ID, "PJSIP/livekit-00000002", "+15555550143", "+15555550142", "AppDial")
        + _ari(PHONE_ID, PHONE, "+15555550144", "+15555550142", "AppDial"),
    )
    assert {name: (one.leg, one.is_aside) for name, one in legs.items()} == {
        "carrier-in": ("pstn", False),
        "livekit": ("trunk", False),
        "phone": ("pstn", True),
    }


_ROWS = (
    "linked_id,call_id,end,endpoint,status_code\n"
    "call-1,leg-a,caller,{},200\n"
    "call-1,leg-b,callee,{},200\n"
    "call-1,leg-c,callee,phone,487\n"
)


_MAP = {"columns": {name: name for name in _ROWS.partition("\n")[0].split(",")}}


def test_rows_of_an_sbc_for_each_leg() -> None:
    """Rows of one call, by `linked_id`, know together which end is the bridge."""
    legs = _by_endpoint("sbc-csv", _ROWS.format("carrier", "livekit"), columns=_MAP)
    assert {name: (one.leg, one.is_aside) for name, one in legs.items()} == {
        "carrier": ("pstn", False),
        "livekit": ("trunk", False),
        "phone": ("pstn", True),
    }


def test_rows_of_an_sbc_where_the_bridge_calls() -> None:
    """The row of a carrier is the far leg, as the row of the bridge says."""
    legs = _by_endpoint("sbc-csv", _ROWS.format("livekit", "carrier"), columns=_MAP)
    assert {name: (one.leg, one.is_aside) for name, one in legs.items()} == {
        "carrier": ("pstn", False),
        "livekit": ("trunk", False),
        "phone": ("pstn", False),
    }


def test_sessions_of_a_gateway_that_called_two() -> None:
    """RADIUS: of the sessions that went out, the bridge's alone is the trunk."""
    told = [("answer", "carrier"), ("originate", "livekit"), ("originate", "phone")]
    legs = _by_endpoint(
        "radius",
        "".join(
            "Mon Nov 23 00:00:00 2026\n"
            "\tAcct-Status-Type = Stop\n"
            f'\tAcct-Session-Id = "{origin}{name}"\n'
            f'\th323-call-origin = "{origin}"\n'
            f'\th323-remote-id = "{name}"\n'
            '\th323-conf-id = "110003f6 52fa39ed"\n\n'
            for origin, name in told
        ),
    )
    assert {name: (one.leg, one.is_aside) for name, one in legs.items()} == {
        "carrier": ("pstn", False),
        "livekit": ("trunk", False),
        "phone": ("pstn", True),
    }
