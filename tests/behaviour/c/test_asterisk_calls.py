"""AMI streams of calls that go otherwise: canceled, failed over, placed by the bridge."""

from __future__ import annotations

import re

import pytest

from .shelf import on, parsed, raw, read, reading, values
from .test_asterisk import events


def kind(event: bytes) -> bytes:
    """The name of an event."""
    return event.split(b"\r\n", 1)[0].removeprefix(b"Event: ")


def test_a_caller_that_gives_up_is_canceled():
    """DialStatus CANCEL, cause 127 or 0 on the b-leg: canceled, no code of the callee."""
    data = raw("asterisk", "02-busy-486", "ami.txt")
    data = re.sub(rb"TechCause: 486\r\n", b"", data)
    data = data.replace(b"DialStatus: BUSY", b"DialStatus: CANCEL")
    data = re.sub(rb"Cause: 17\b", b"Cause: 0", data).replace(
        b"Disposition: BUSY", b"Disposition: NO ANSWER"
    )
    rows = events(data)
    # the caller's channel hangs up first, by its own end
    ask = next(e for e in rows if kind(e) == b"HangupRequest")
    mine = re.sub(rb"acme-east-00000007", b"carrier-in-00000006", ask)
    mine = mine.replace(b"Uniqueid: pbx1-1795396500.7", b"Uniqueid: pbx1-1795396500.6")
    rows = [mine if e is ask else e for e in rows]
    records = read("asterisk-ami", b"".join(rows), reading("callee"))
    assert values(records, "sip.call.outcome") == {"canceled"}
    assert values(records, "sip.response.status_code") <= {487}
    assert values(records, "sip.call.duration_ms") == set()
    assert 0 not in values(records, "sip.reason.q850"), "cause 0 says nothing"


def failover() -> bytes:
    """The busy call's b-leg with 503, then a second Dial to acme-west that answers."""
    busy = events(raw("asterisk", "02-busy-486", "ami.txt"))
    tried = []
    for event in busy:
        if b"acme-east-00000007" not in event or kind(event) == b"Cdr":
            continue
        text = event.replace(b"pbx1-1795396500.6", b"pbx1-1795396417.2")
        text = text.replace(b"pbx1-1795396500.7", b"pbx1-1795396417.9")
        text = text.replace(b"carrier-in-00000006", b"carrier-in-00000002")
        text = re.sub(rb"Cause: 17\b", b"Cause: 34", text).replace(
            b"TechCause: 486", b"TechCause: 503"
        )
        text = text.replace(b"Cause-txt: User busy", b"Cause-txt: Circuit/channel congestion")
        tried.append(text.replace(b"DialStatus: BUSY", b"DialStatus: CONGESTION"))
    clean = events(raw("asterisk", "01-clean", "ami.txt"))
    at = next(
        n for n, e in enumerate(clean) if b"acme-east-00000003" in e and kind(e) == b"Newchannel"
    )
    later = [e.replace(b"acme-east", b"acme-west") for e in clean[at:]]
    return b"".join([*clean[:at], *tried, *later])


@pytest.mark.parametrize("end", ["caller", "callee"])
def test_a_second_gateway_that_answers_is_no_refusal(end):
    """The caller's leg has 200; the gateways have 503 and 200, each its own; one duration."""
    found = parsed("asterisk-ami", failover(), reading(end))
    assert not found.broken
    records = read("asterisk-ami", failover(), reading(end))
    mine = [r for r in records if r["ids"].get("endpoint") == "carrier-in"]
    assert values(mine, "sip.response.status_code") == {200}
    assert values(mine, "sip.call.outcome") == {"answered"}
    assert values(mine, "sip.reason.q850") == {16}
    east = [r for r in records if r["ids"].get("endpoint") == "acme-east"]
    west = [r for r in records if r["ids"].get("endpoint") == "acme-west"]
    assert values(west, "sip.response.status_code") == {200}
    tried = {a.status_code for o in found.observations for a in o.attempts}
    assert 503 in values(east, "sip.response.status_code") | tried
    assert 200 not in values(east, "sip.response.status_code")


def test_a_call_that_the_bridge_placed_is_outbound():
    """The bridge's endpoint as caller: its leg is the trunk, the numbers stay whose they are."""
    data = raw("asterisk", "01-clean", "ami.txt").replace(b"carrier-in", b"livekit")
    records = read("asterisk-ami", data, reading(None, ("livekit",)))
    assert values(records, "sip.call.direction") == {"outbound"}
    assert values(on(records, "trunk"), "sip.caller.number") == {"+1*******99"}
    assert values(on(records, "pstn"), "sip.callee.number") == {"+1*******01"}
    assert values(records, "sip.hangup.source") == {"callee"}
    assert values(on(records, "pstn"), "trunk.id") == {"acme-east"}


def test_a_stream_that_starts_in_the_middle_invents_nothing():
    """Events before the connection are unknown: what the end says is told."""
    rows = events(raw("asterisk", "01-clean", "ami.txt"))
    last = [e for e in rows if kind(e) in (b"Hangup", b"VarSet", b"Cdr", b"HangupRequest")]
    records = read("asterisk-ami", b"".join(last), reading("callee"))
    assert values(records, "sip.reason.q850") == {16}
    assert values(records, "sip.response.status_code") <= {200}
    assert values(records, "sip.hangup.source") <= {"callee"}
    assert values(records, "sip.setup_ms") == set()
    assert sorted(each["leg"] for each in records) == ["pstn", "trunk"]
    assert values(on(records, "pstn"), "sip.caller.number") <= {"+1*******99"}


def test_a_stream_that_stops_in_the_middle_knows_no_end():
    """Up to the bridge: answered, no duration, nobody hung up."""
    rows = events(raw("asterisk", "01-clean", "ami.txt"))
    at = next(n for n, e in enumerate(rows) if kind(e) == b"HangupRequest")
    first = [e for e in rows[:at] if b"RTPAUDIOQOS" not in e]
    records = read("asterisk-ami", b"".join(first), reading("callee"))
    assert values(records, "sip.hangup.source") == set()
    assert values(records, "sip.call.duration_ms") == set()
    assert values(records, "sip.response.status_code") <= {200}
    assert len(records) == 2


@pytest.mark.parametrize("status", ["NOANSWER", "CANCEL", "CHANUNAVAIL", "CONGESTION", "BUSY"])
def test_no_dial_status_gives_a_code(status):
    """Without TechCause there is no SIP code, but for what the status alone means."""
    data = re.sub(rb"TechCause: 486\r\n", b"", raw("asterisk", "02-busy-486", "ami.txt"))
    data = data.replace(b"DialStatus: BUSY", b"DialStatus: " + status.encode())
    data = re.sub(rb"Cause: 17\b", b"Cause: 127", data)
    data = data.replace(b"Disposition: BUSY", b"Disposition: NO ANSWER")
    records = read("asterisk-ami", data, reading("callee"))
    right = {
        "NOANSWER": "no_answer",
        "CANCEL": "canceled",
        "CONGESTION": "congestion",
        "BUSY": "busy",
    }
    assert values(records, "sip.call.outcome") <= {right.get(status, "failed"), "failed"}
    assert 200 not in values(records, "sip.response.status_code")
    assert values(records, "sip.response.status_code") <= {486, 487}
