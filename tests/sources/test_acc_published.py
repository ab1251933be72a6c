"""Accounting of Kamailio and OpenSIPS in shapes that people published, with invented values."""

from __future__ import annotations

import json

import pytest
from tests.sources.proxies import legs, parse

T = 1430579770
TRANSACTION = "timestamp=%d;method=%s;from_tag=ft;to_tag=tt;call_id=c1;code=%d;reason=OK"
ANSWERED = "ACC: transaction answered: " + TRANSACTION
PREFIX = "NOTICE: acc [acc.c:279]: acc_log_request(): "
DATAGRAM = """\
method::INVITE
from_tag::87d02470
to_tag::a671a98
callid::05dac0aa@0:0:0:0:0:0:0:0
sip_code::{code}
sip_reason::{reason}
time::{time}
cgr_account::+15555550199
cgr_destination::+15555550101
originalUri::sip:1002@192.0.2.77
"""


def _event(name: str, code: int = 200, reason: str = "OK", time: int = T, more: str = "") -> str:
    return f"{name}\n" + DATAGRAM.format(code=code, reason=reason, time=time) + more


# OpenSIPS: events as text -----------------------------------------------------------------------

MORE = f"duration::5\nms_duration::4250\nsetuptime::7\ncreated::{T - 7}\n"
CDR = _event("E_ACC_CDR", more=MORE)


@pytest.mark.parametrize("data", [CDR, f"{CDR}\n#\n", f"\n{CDR}", CDR.replace("\n", "\r\n")])
def test_a_cdr_as_a_datagram(data: str) -> None:
    """Code, duration, set-up and times are those of the event; the Call-ID has no address."""
    parsed = parse("opensips-acc", data.encode())
    assert not parsed.broken
    for one in legs(parsed).values():
        assert one.facts["sip.response.status_code"] == 200
        assert one.facts["sip.call.duration_ms"] == 4250
        assert one.facts["sip.setup_ms"] == 7000
        assert one.facts["sip.call_id"] == "05dac0aa"
        assert one.facts["sip.callee.number"] == "+1*******01"
        assert [mark.start for mark in one.marks] == [T - 7, T, T + 4.25]


def test_transactions_as_datagrams() -> None:
    """INVITE and BYE: the length between them, and who sent the BYE by its tags."""
    bye = _event("E_ACC_EVENT", time=T + 27).replace("::INVITE", "::BYE")
    swapped = bye.replace("from_tag::87d02470", "from_tag::a671a98", 1)
    swapped = swapped.replace("to_tag::a671a98", "to_tag::87d02470", 1)
    heading = "U 2015/05/17 14:52:59.015958 192.0.2.1:44151 -> 192.0.2.2:8020\n"
    data = f"{heading}{_event('E_ACC_EVENT')}duration::\n\n#\n{heading}{swapped}"
    parsed = parse("opensips-acc", data.encode())
    told = legs(parsed)
    assert {one.facts["sip.call.duration_ms"] for one in told.values()} == {27_000}
    assert {one.facts["sip.hangup.source"] for one in told.values()} == {"callee"}
    assert (parsed.broken, parsed.ignored) == ((), 3)


def test_a_missed_event_with_the_numbers_of_another_call() -> None:
    """Version 2.4 leaves duration, set-up time and creation of the CDR before it."""
    left = f"duration::41\nms_duration::41679\nsetuptime::10\ncreated::{T - 54}\n"
    missed = _event("E_ACC_MISSED_EVENT", 487, "Request Terminated", more=left)
    told = legs(parse("opensips-acc", missed.encode()))
    (attempt,) = told["callee"].attempts
    assert (attempt.status_code, attempt.start, attempt.end) == (487, None, T)
    assert not any("duration" in key or "setup" in key for key in told["callee"].facts)


@pytest.mark.parametrize("broken", ["E_ACC_CDR\nmethod::INVITE\n", "E_ACC_EVENT\n",
                                    CDR.replace("sip_code::200", "sip_code::x")])  # fmt: skip
def test_a_broken_datagram(broken: str) -> None:
    """It is told with its line; the next event is read."""
    parsed = parse("opensips-acc", f"{broken}\n{CDR}".encode())
    assert [one.line for one in parsed.broken] == [1]
    assert len(parsed.observations) == 2


def test_other_events_as_datagrams() -> None:
    """Events of other modules say nothing here."""
    parsed = parse("opensips-acc", f"E_DLG_STATE_CHANGED\nhash_id::15\n\n{CDR}".encode())
    assert (len(parsed.observations), parsed.broken, parsed.ignored) == (2, (), 1)


def test_the_name_of_the_event_as_a_parameter() -> None:
    """`event_param`: the method is the operator's own."""
    params = {"event": "E_ACC_MISSED_EVENT", "method": "INVITE", "from_tag": "f", "to_tag": "",
              "callid": "c1", "sip_code": "486", "sip_reason": "Busy Here", "time": T}  # fmt: skip
    data = json.dumps({"jsonrpc": "2.0", "method": "take_event", "params": params})
    told = legs(parse("opensips-acc", data.encode()))
    assert [one.status_code for one in told["callee"].attempts] == [486]


@pytest.mark.parametrize("method, length", [("INVITE", 30_000), ("BYE", 30_000)])
def test_rows_of_the_table(method: str, length: int) -> None:
    """Columns that hold 0 where nothing was counted are no duration of 0."""
    row = {"method": "INVITE", "from_tag": "f", "to_tag": "t", "callid": "c1", "sip_code": "200",
           "sip_reason": "OK", "time": "2026-01-17 22:18:30", "duration": 0, "ms_duration": 0,
           "setuptime": 0, "created": 0}  # fmt: skip
    bye = {**row, "method": "BYE", "time": "2026-01-17 22:19:00"}
    for one in legs(parse("opensips-acc", json.dumps([row, bye]).encode())).values():
        assert one.facts["sip.call.duration_ms"] == length
        assert "sip.setup_ms" not in one.facts


def test_a_row_without_its_call_id() -> None:
    """It is broken, and not passed over like an object of something else."""
    row = {"method": "INVITE", "from_tag": "f", "sip_code": "200", "sip_reason": "OK", "time": T}
    (broken,) = parse("opensips-acc", json.dumps(row).encode()).broken
    assert broken.reason == "no Call-ID"


def test_a_user_whose_name_begins_like_that_of_an_event() -> None:
    """`E_bob` called: the row is read."""
    row = {"method": "INVITE", "from_tag": "f", "callid": "c1", "sip_code": "200",
           "sip_reason": "OK", "time": T, "caller": "E_bob", "callee": "E_BOB"}  # fmt: skip
    assert len(parse("opensips-acc", json.dumps(row).encode()).observations) == 2


# Names of the operator's ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "caller, callee",
    [
        ("from_uri=sip:+15555550199@192.0.2.1", "to_uri=sip:+15555550101@192.0.2.2"),
        ("sip_from=+15555550199", "sip_to=+15555550101"),
        ("src=192.0.2.1;caller_id=+15555550199", "callee_id=+15555550101"),
        ("a_number=+15555550199", "b_number=+15555550101"),
        ("calling_number=+15555550199", "ruri=sip:+15555550101@192.0.2.2"),
    ],
)
def test_who_called_whom(caller: str, callee: str) -> None:
    """Both numbers are told masked, and stand nowhere in clear."""
    line = f"{PREFIX}{ANSWERED % (T, 'INVITE', 200)};{caller};{callee}"
    for one in parse("kamailio-acc", line.encode()).observations:
        assert str(one.facts["sip.caller.number"]).endswith("99")
        assert str(one.facts["sip.callee.number"]).endswith("01")
        assert "55550" not in repr(one)


def test_the_key_of_an_account_is_no_number() -> None:
    """`caller_id` may be either: what is no number is not told as one."""
    line = f"{PREFIX}{ANSWERED % (T, 'INVITE', 200)};caller_id=acct-17;callee_id=9"
    for one in parse("kamailio-acc", line.encode()).observations:
        assert not any("number" in key for key in one.facts)


def test_a_uri_without_a_user_is_no_number() -> None:
    """`sip:192.0.2.1` names a host: the next field that names somebody counts."""
    uris = "from_uri=sip:192.0.2.1;to_uri=<sip:example.com:5060>;ruri=sip:+15555550101@192.0.2.2"
    line = f"{PREFIX}{ANSWERED % (T, 'INVITE', 200)};{uris}"
    for one in parse("kamailio-acc", line.encode()).observations:
        assert "sip.caller.number" not in one.facts
        assert str(one.facts["sip.callee.number"]).endswith("01")


def test_a_trunk_that_is_called_by_its_number() -> None:
    """Carriers name a trunk by its main number: it is not told in clear."""
    more = "trunk_id=15555550101;gw=192.0.2.9;carrier=acme"
    line = f"{PREFIX}{ANSWERED % (T, 'INVITE', 200)};{more}"
    parsed = parse("kamailio-acc", line.encode())
    assert "5555550101" not in repr(parsed)
    assert legs(parsed)["callee"].ids["endpoint"] == "192.0.2.9"


def test_hosts_under_other_names() -> None:
    """`ip_src`, `ip_dst`, and an address where others write a person."""
    for names in ("ip_src=192.0.2.1;ip_dst=192.0.2.9", "src=192.0.2.1;dst=192.0.2.9"):
        line = f"{PREFIX}{ANSWERED % (T, 'INVITE', 200)};{names}"
        told = legs(parse("kamailio-acc", line.encode()))
        assert (told["caller"].ids["host"], told["callee"].ids["host"]) == (
            "192.0.2.1", "192.0.2.9")  # fmt: skip


def test_early_media_is_no_answer() -> None:
    """With `early_media` a 183 has a line of its own: the call is what became of it."""
    lines = [PREFIX + ANSWERED % (T, "INVITE", 183), PREFIX + ANSWERED % (T + 4, "INVITE", 200),
             PREFIX + ANSWERED % (T + 9, "BYE", 200)]  # fmt: skip
    parsed = parse("kamailio-acc", "\n".join(lines).encode())
    assert {one.facts["sip.call.duration_ms"] for one in parsed.observations} == {5000}
    assert parsed.ignored == 1
    (one,) = parse("kamailio-acc", lines[0].encode() + b"\n" + (
        PREFIX + ANSWERED % (T + 4, "INVITE", 603)).encode()).observations[:1]  # fmt: skip
    assert one.facts["sip.response.status_code"] == 603


def test_two_reason_headers() -> None:
    """`reason_from_hf` with several values: the phrase is the first one's, the cause Q.850's."""
    reason = 'SIP;cause=603;text="Network Blocked", Q.850;cause=21;text="Call Rejected"'
    line = PREFIX + (ANSWERED % (T, "INVITE", 603)).replace("reason=OK", f"reason={reason}")
    for one in parse("kamailio-acc", f"{line};src_user=a;text=b".encode()).observations:
        assert one.facts["sip.reason.q850"] == 21
        assert one.facts["sip.response.reason"] == "Network Blocked"


@pytest.mark.parametrize("gateway, codes", [("192.0.2.8", [407, 503]), ("192.0.2.9", [503])])
def test_a_challenge_of_another_gateway(gateway: str, codes: list[int]) -> None:
    """One whose gateway was asked again is no attempt; one that nobody answered is."""
    missed = PREFIX + "ACC: call missed: " + TRANSACTION
    lines = [
        f"{missed % (T, 'INVITE', 407)};gw={gateway}",
        f"{missed % (T + 1, 'INVITE', 503)};gw=192.0.2.9",
        f"{ANSWERED % (T + 1, 'INVITE', 500)};gw=192.0.2.9",
    ]
    told = legs(parse("kamailio-acc", "\n".join(lines).encode()))
    assert [one.status_code for one in told["callee"].attempts] == codes
    assert told["callee"].facts["sip.response.status_code"] == 503
    assert told["callee"].facts["sip.attempt_count"] == len(codes)


# CDRs of Kamailio -------------------------------------------------------------------------------


def _cdr(start: float, end: float, duration: object, more: str = "") -> bytes:
    times = f"start_time={start}; end_time={end}; duration={duration}; call_id=c1"
    return f"NOTICE: acc [acc_cdr.c:395]: log_write_cdr(): {times}{more}\n".encode()


@pytest.mark.parametrize("duration", ["136298900000.000000", "301148.400000", "-1"])
def test_a_duration_that_its_own_times_refuse(duration: str) -> None:
    """Kamailio 4.3 wrote some: the call lasted from its start to its end."""
    for one in parse("kamailio-acc", _cdr(T, T + 301, duration)).observations:
        assert one.facts["sip.call.duration_ms"] == 301_000


def test_a_code_in_the_cdr() -> None:
    """With `sip_code` in `cdr_extra` a failed call's CDR says what the caller got."""
    data = _cdr(T, T, 0, "; sip_code=486; sip_reason=Busy Here")
    (one,) = parse("kamailio-acc", data).observations
    assert one.facts["sip.response.status_code"] == 486
    assert one.facts["sip.call.outcome"] == "busy"
    assert "sip.call.duration_ms" not in one.facts


def test_a_code_that_does_not_fit_the_call() -> None:
    """A call that lasted was answered, whatever code the last branch had."""
    for one in parse("kamailio-acc", _cdr(T, T + 9, 9, "; sip_code=487")).observations:
        assert one.facts["sip.response.status_code"] == 200


def test_the_round_trip_of_a_leg() -> None:
    """Variables of one leg count more than those of both legs together."""
    data = _cdr(T, T + 30, 30, "; mos_avg_a=4.2; rtt_avg_a=370414; rtt_leg_avg_a=265979")
    told = legs(parse("kamailio-acc", data))
    assert [one.rtt_ms for one in told["caller"].windows] == [265.979]


# Logs in JSON -----------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["log", "message", "MESSAGE", "msg", "line"])
def test_lines_in_json(key: str) -> None:
    """A container's log, a journal's, or the JSON log engine: the same facts as the bare lines."""
    lines = [PREFIX + ANSWERED % (T, "INVITE", 200), PREFIX + ANSWERED % (T + 9, "BYE", 200)]
    data = "\n".join(json.dumps({key: line + "\n", "stream": "stderr"}) for line in lines)
    other = json.dumps({key: "INFO: <core> [main.c:1]: starting\n"})
    parsed = parse("kamailio-acc", f"{other}\n{data}\n".encode())
    assert parsed.observations == parse("kamailio-acc", "\n".join(lines).encode()).observations
    assert (parsed.broken, parsed.ignored) == ((), 1)
    assert parsed.observations[0].facts["sip.response.reason"] == "OK"


def test_a_cdr_of_opensips_in_json() -> None:
    """OpenSIPS 3 with `syslog_log_format=json` wraps its lines alike."""
    ended = (
        f"ACC: call ended: created={T - 7};call_start_time={T};duration=5;ms_duration=4250;"
        "setuptime=7;method=INVITE;from_tag=f;to_tag=t;call_id=c1;code=200;reason=OK"
    )
    data = json.dumps({"time": "x", "level": "NOTICE", "message": ended})
    for one in legs(parse("opensips-acc", data.encode())).values():
        assert one.facts["sip.call.duration_ms"] == 4250


def test_objects_in_json() -> None:
    """`acc_json`'s lines in a container's log."""
    inner = {"time": T, "method": "INVITE", "from_tag": "f", "to_tag": "t", "callid": "c1",
             "sip_code": "404", "sip_reason": "Not Found", "src_user": None}  # fmt: skip
    bare = json.dumps(inner)
    data = json.dumps({"log": f"json_acc[71]: {bare}\n", "stream": "stdout"})
    parsed = parse("kamailio-acc-json", data.encode())
    assert parsed.observations == parse("kamailio-acc-json", bare.encode()).observations
    assert parsed.observations[0].facts["sip.response.status_code"] == 404


def test_a_broken_object_in_json() -> None:
    """An object that was cut off in a container's log is broken there, too."""
    data = json.dumps({"log": 'json_acc[71]: {"method":"INVITE","callid":"c1","sip_'})
    (broken,) = parse("kamailio-acc-json", f"\n{data}".encode()).broken
    assert broken.line == 2
