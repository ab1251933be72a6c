"""Nothing of a person comes out: numbers in ids, names, users of URIs, digits, in every source."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from behaviour.b.console import run
from trunktrace.sources.table import SOURCES

from .hepkit import apart, payloads, together
from .shelf import HOME, raw
from .test_broken import EACH

NEW = "+4930901820"


def rewritten(source: str, data: bytes, old: bytes, new: bytes) -> bytes:
    """The record with another text, HEP's inside its packets."""
    if source == "hep":
        return together(payloads(apart(data), lambda p: p.replace(old, new)))
    return data.replace(old, new)


def said(source: str, data: bytes, folder: Path) -> str:
    """Everything that the command and the reader say."""
    file = folder / "x"
    file.write_bytes(data)
    ran = run("parse", source, file)
    assert "Traceback" not in ran.err
    return ran.out + ran.err + repr(SOURCES[source].parse(data))


@EACH
@pytest.mark.parametrize("user", ["jane.doe", "agent_smith", "5551234", "00493090182077"])
def test_a_user_of_a_uri_is_no_id(source, name, user, tmp_path):
    """SIP users by name, short and national numbers in place of E.164."""
    data = (HOME / name).read_bytes()
    for old in (b"+15555550199", b"%2B15555550199", b"15555550190", b"+15555550192", b"5004"):
        data = rewritten(source, data, old, user.encode())
    if user.encode() not in data and source != "hep":
        return
    text = said(source, data, tmp_path)
    assert user not in text, text[max(0, text.find(user) - 120) : text.find(user) + 40]


CALL_IDS = [
    ("asterisk-ami", "asterisk/01-clean/ami.txt", "43d0018f9aca103f"),
    ("freeswitch-cdr", "freeswitch/01-clean/a-leg.cdr.json", "bbb941fe37870b6c"),
    ("freeswitch-esl", "freeswitch/01-clean/esl-plain.txt", "bbb941fe37870b6c"),
    ("kamailio-acc", "kamailio/01-clean/kamailio.log", "6e352d2472154c40"),
    ("kamailio-acc-json", "kamailio/01-clean/json_acc.log", "6e352d2472154c40"),
    ("hep", "kamailio/01-clean/hep-sip.hex", "6e352d2472154c40"),
    ("rtpengine", "rtpengine/01-clean/rtpengine.log", "6e352d2472154c40"),
    ("vq-rtcpxr", "vq-rtcpxr/snom821-callterm.txt", "825962570309-8ds5sl3mca99"),
    (
        "signalwire",
        "signalwire/status-completed-58s.form",
        "SipCallId=45998e41-1360-4034-b8c7-227c945ef389",
    ),
]


@pytest.mark.parametrize("source,name,old", CALL_IDS, ids=lambda v: v[:20])
def test_a_number_in_a_call_id_is_not_printed(source, name, old, tmp_path):
    """Some phones write their number into the Call-ID."""
    new = f"{NEW}-77aa@gw.example"
    new = "SipCallId=%2B4930901820-77aa" if old.startswith("SipCallId") else new
    data = rewritten(source, (HOME / name).read_bytes(), old.encode(), new.encode())
    assert "4930901820" not in said(source, data, tmp_path)


@pytest.mark.parametrize("source,name,old", CALL_IDS[:8], ids=lambda v: v[:20])
def test_the_address_in_a_call_id_is_cut(source, name, old, tmp_path):
    """`abc@203.0.113.9` is `abc` under sip.call_id; a host name stays."""
    for host, stays in (("203.0.113.9", False), ("pbx.example.com", True)):
        data = rewritten(source, (HOME / name).read_bytes(), old.encode(), f"abc-1@{host}".encode())
        found = SOURCES[source].parse(data).observations
        told = {o.facts["sip.call_id"] for o in found if "sip.call_id" in o.facts}
        assert ("abc-1@pbx.example.com" in told) if stays else ("abc-1" in told), told
        assert not any(host in each for each in told if not stays), told


@pytest.mark.parametrize("call", ["01-clean", "03-one-way"])
def test_digits_are_counted_and_never_told(call, tmp_path):
    """DTMF events of AMI."""
    data = raw("asterisk", call, "ami.txt")
    head = data.split(b"\r\n\r\n")[0]
    uid = re.search(rb"Uniqueid: (\S+)", head)[1]
    event = (
        b"Event: DTMFEnd\r\nPrivilege: dtmf,all\r\nChannel: PJSIP/carrier-in-00000002\r\n"
        b"Uniqueid: " + uid + b"\r\nLinkedid: " + uid + b"\r\nDigit: 7\r\nDurationMs: 180\r\n"
        b"Direction: Received\r\nDigits: 4242424\r\n\r\n"
    )
    cut = data.rindex(b"Event: HangupRequest")
    found = SOURCES["asterisk-ami"].parse(data[:cut] + event * 3 + data[cut:])
    assert "4242424" not in repr(found)
    counts = {o.facts.get("sip.dtmf_count") for o in found.observations}
    assert counts <= {None, 3}


def test_digits_of_freeswitch_are_not_told():
    """digits_dialed and DTMF events."""
    document = json.loads(raw("freeswitch", "01-clean", "a-leg.cdr.json"))
    document["variables"] |= {"digits_dialed": "4929876", "digits": "4929876", "pin": "4929876"}
    assert "4929876" not in repr(SOURCES["freeswitch-cdr"].parse(json.dumps(document).encode()))


@pytest.mark.parametrize(
    "reason",
    [
        "+4930901820 is busy",
        "User sip:jane.doe@example.org busy",
        "call 004930901820 rejected",
        "15555550101 not available",
    ],
)
def test_a_reason_phrase_with_a_person_is_masked(reason, tmp_path):
    """Reason phrases are the other side's free text."""
    for source, name, old in (
        ("kamailio-acc", "kamailio/04-busy-486/kamailio.log", b"Busy Here"),
        ("kamailio-acc-json", "kamailio/04-busy-486/json_acc.log", b"Busy Here"),
        ("hep", "kamailio/04-busy-486/hep-sip.hex", b"Busy Here"),
        ("freeswitch-cdr", "freeswitch/03-busy-486/b-leg.cdr.json", b"Busy Here"),
        ("freeswitch-esl", "freeswitch/03-busy-486/esl-json.txt", b"Busy Here"),
    ):
        data = rewritten(source, (HOME / name).read_bytes(), old, reason.encode())
        text = said(source, data, tmp_path)
        assert "30901820" not in text, source
        assert "15555550101 not" not in text, source
        assert "jane.doe" not in text, source
