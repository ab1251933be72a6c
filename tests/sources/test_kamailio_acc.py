"""Kamailio's accounting, in the syslog and as JSON, against the captured calls and by its traps."""

from __future__ import annotations

import json
import random
import re
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.sources.proxies import ANSWERED, CALLS, FAILED, LOSSY, legs, parse, record, truth
from tests.sources.quick import lines_of_json

from trunktrace.facts import Observation
from trunktrace.sources.ends import Bridge
from trunktrace.sources.output import as_json
from trunktrace.sources.reading import Reading

FILES = {"kamailio-acc": "kamailio.log", "kamailio-acc-json": "json_acc.log"}
BOTH = pytest.mark.parametrize("source", list(FILES))
HEAD = "Nov 23 01:00:00 sbc1 kamailio[7]: NOTICE: acc [acc.c:261]: acc_log_request(): ACC: "
T = 1795396000


def _data(source: str, call: str) -> bytes:
    return record("kamailio", call, FILES[source])


def _line(
    kind: str, at: float, method: str, code: int | str, reason: str = "x", **more: str
) -> str:
    fields = {"from_tag": "ft", "to_tag": "tt", "call_id": "c1", **more}
    core = {name: fields.pop(name) for name in ("from_tag", "to_tag", "call_id")}
    told = {"method": method, **core, "code": str(code), "reason": reason, **fields}
    whole, part = divmod(round(at * 1e6), 1_000_000)
    times = f"timestamp={whole};time_exten={part};"
    return f"{HEAD}{kind}: {times}" + ";".join(f"{k}={v}" for k, v in told.items())


def _cdr(start: float, end: float, **more: str) -> str:
    fields = {"call_id": "c1", **more}
    head = "Nov 23 01:00:00 sbc1 kamailio[7]: NOTICE: acc [acc_cdr.c:395]: log_write_cdr(): "
    core = f"start_time={start:.3f}; end_time={end:.3f}; duration={end - start:.3f}; "
    return head + core + "; ".join(f"{k}={v}" for k, v in fields.items())


def _log(*lines: str) -> bytes:
    return "\n".join(lines).encode() + b"\n"


def _attempts(one: Observation) -> list[tuple[str | None, str | None, int | None]]:
    return [(a.carrier, a.route, a.status_code) for a in one.attempts]


# The captured calls -----------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("call", CALLS)
def test_codes_of_both_legs(source: str, call: str) -> None:
    """The caller's leg says what the caller got, the callee's what the gateway answered."""
    told, facts = legs(parse(source, _data(source, call))), truth(call)
    assert told["caller"].facts["sip.response.status_code"] == facts["sip_code"]
    gateway = facts["attempts"][-1]["sip_code"] or 408
    assert told["callee"].facts["sip.response.status_code"] == gateway
    (attempt,) = told["callee"].attempts
    assert (attempt.carrier, attempt.route, attempt.status_code) == ("acme", "gw-east", gateway)
    assert not told["caller"].attempts


@BOTH
@pytest.mark.parametrize("call", CALLS)
def test_identity(source: str, call: str) -> None:
    """Both legs have the Call-ID, the carrier and the route; the trunk is at the bridge's end."""
    told, facts = legs(parse(source, _data(source, call))), truth(call)
    for one in told.values():
        assert one.ids["call_id"] == one.ids["linked_id"] == facts["call_id"]
        assert one.facts["trunk.carrier"] == facts["carrier"]
        assert one.facts["trunk.route"] == facts["trunk"]
        assert one.facts["sip.call.direction"] == "outbound"
        assert one.facts["sip.caller.number"] == "+1*******99"
        assert one.facts["sip.callee.number"] == "+1*******01"
    assert (told["caller"].leg, told["callee"].leg) == ("trunk", "pstn")
    assert told["callee"].facts["trunk.id"] == "gw-east"
    assert told["callee"].ids["host"] == facts["attempts"][0]["gateway"]


@BOTH
@pytest.mark.parametrize("call", ANSWERED)
def test_answered_calls(source: str, call: str) -> None:
    """The duration is from the 200 to the BYE, and who sent it is known."""
    facts = truth(call)
    for one in legs(parse(source, _data(source, call))).values():
        assert one.facts["sip.call.duration_ms"] == facts["duration_s"] * 1000
        assert one.facts["sip.hangup.source"] == facts["hung_up_by"]
        assert one.facts["sip.call.outcome"] == "answered"
        assert "sip.setup_ms" not in one.facts
        assert [mark.kind for mark in one.marks] == ["answered", "hangup"]


@BOTH
@pytest.mark.parametrize("call", FAILED)
def test_failed_calls(source: str, call: str) -> None:
    """A failed call has no duration and nobody who hung up, though a CDR was written for it."""
    for one in legs(parse(source, _data(source, call))).values():
        assert not {"sip.call.duration_ms", "sip.hangup.source", "sip.setup_ms"} & one.facts.keys()
        assert [mark.kind for mark in one.marks] == ["invite"]
        assert not one.windows
        assert not one.untimed
        assert one.start is not None
        assert one.end is not None
        assert one.start <= one.end


@BOTH
@pytest.mark.parametrize("call", LOSSY)
def test_what_each_end_heard(source: str, call: str) -> None:
    """Score and delay stand on its own leg; the loss of the way to it on the caller's, derived."""
    told, ends = legs(parse(source, _data(source, call))), truth(call)["legs"]
    for end, other in (("caller", "callee"), ("callee", "caller")):
        one = told["caller" if end == "caller" else "callee"]
        (window,) = (each for each in one.windows if each.mos is not None)
        missing = max(ends[other]["in"]["loss_ratio"], ends[end]["out"]["loss_ratio"])
        (heard,) = (each for each in told["caller"].windows if each.direction == window.direction)
        assert heard.loss_method == "derived"
        assert heard.loss_ratio == pytest.approx(missing, abs=0.01)
        for each in told["callee"].windows:
            assert each.loss_ratio in (None, 0.0)
        assert window.direction == ("in" if one.leg == "trunk" else "out")
        assert window.mos is not None
        assert 3.5 < window.mos < 4.5
        assert window.mos_algorithm == "rtpengine"
        assert window.rtt_ms is not None
        assert window.rtt_ms < 2
        assert window.jitter_ms is None
        assert (window.start, window.end) == (one.start, one.end)


@BOTH
def test_no_score_where_nothing_was_measured(source: str) -> None:
    """Empty variables of a one-way call are unknown, not perfect and not worst."""
    told = parse(source, _data(source, "07-one-way-callee-silent"))
    assert not any(one.windows or one.untimed for one in told.observations)


@BOTH
def test_zeros_where_nothing_was_measured(source: str) -> None:
    """A MOS of 0 is unknown, and so is the loss of 0 beside it; a loss that is not 0 is told."""
    data = _data(source, "03-loss5-proxy-to-caller").decode()
    for name in ("mos_avg_a", "mos_avg_b", "rtt_avg_a", "rtt_avg_b"):
        data = re.sub(rf'({name}"?[=:] ?"?)[\d.]+', r"\g<1>0", data)
    told = legs(parse(source, data.encode()))
    (window,) = told["caller"].windows
    assert (window.mos, window.mos_algorithm, window.rtt_ms) == (None, None, None)
    assert window.loss_ratio == 0.059
    assert not told["callee"].windows


@pytest.mark.parametrize("call", CALLS)
def test_every_line_is_accounted_for(call: str) -> None:
    """The script's own line is ignored, and nothing is broken."""
    parsed = parse("kamailio-acc", _data("kamailio-acc", call))
    assert (parsed.broken, parsed.ignored) == ((), 1)
    parsed = parse("kamailio-acc-json", _data("kamailio-acc-json", call))
    assert (parsed.broken, parsed.ignored) == ((), 0)


@BOTH
def test_calls_of_one_file_are_kept_apart(source: str) -> None:
    """All calls in one file say what each says alone."""
    alone = [one for call in CALLS for one in parse(source, _data(source, call)).observations]
    together = parse(source, b"".join(_data(source, call) for call in CALLS))
    assert list(together.observations) == alone


# Traps ------------------------------------------------------------------------------------------


def test_one_gateway_fails_and_the_next_answers() -> None:
    """Each gateway that was tried is an attempt; the leg has what the last one answered."""
    east = {"gw": "203.0.113.11", "gw_attrs": "carrier=acme;trunk=gw-east"}
    west = {"gw": "203.0.113.12", "gw_attrs": "carrier=zenith;trunk=gw-west"}
    parsed = parse(
        "kamailio-acc",
        _log(
            _line("call missed", T + 1.5, "INVITE", 503, **east),
            _line("call missed", T + 3, "INVITE", 408, **east),
            _line("transaction answered", T + 5, "INVITE", 200, "OK", **west),
        ),
    )
    told = legs(parsed)
    assert _attempts(told["callee"]) == [
        ("acme", "gw-east", 503),
        ("acme", "gw-east", 408),
        ("zenith", "gw-west", 200),
    ]
    assert told["callee"].facts["sip.attempt_count"] == 3
    assert [a.start for a in told["callee"].attempts] == [None, T + 1.5, T + 3]
    for one in told.values():
        assert one.facts["sip.response.status_code"] == 200
        assert one.facts["trunk.carrier"] == "zenith"
        assert one.completeness == "partial"


def test_all_gateways_fail() -> None:
    """The callee's leg has the last gateway's code, the caller's what went back."""
    east = {"gw_attrs": "carrier=acme;trunk=gw-east"}
    west = {"gw_attrs": "carrier=zenith;trunk=gw-west"}
    parsed = parse(
        "kamailio-acc",
        _log(
            _line("call missed", T + 1, "INVITE", 503, **east),
            _line("call missed", T + 2, "INVITE", 480, **west),
            _line("transaction answered", T + 2.01, "INVITE", 480, **west),
        ),
    )
    told = legs(parsed)
    assert [a[2] for a in _attempts(told["callee"])] == [503, 480]
    assert told["callee"].facts["sip.response.status_code"] == 480
    assert told["caller"].facts["sip.response.status_code"] == 480
    assert told["callee"].facts["trunk.carrier"] == "zenith"


def test_a_missed_call_does_not_say_what_the_caller_got() -> None:
    """With attempts alone (no `failed_transaction_flag`) the caller's code is unknown."""
    told = legs(parse("kamailio-acc", _log(_line("call missed", T, "INVITE", 503))))
    assert "sip.response.status_code" not in told["caller"].facts
    assert told["callee"].facts["sip.response.status_code"] == 503


@pytest.mark.parametrize("code, to_tag, gateway", [(486, "tt", 486), (500, "tt", None),
                         (404, "", None)])  # fmt: skip
def test_a_failure_without_attempts(code: int, to_tag: str, gateway: int | None) -> None:
    """What the caller got is the gateway's, unless it is a 500 or the proxy's own."""
    line = _line("transaction answered", T, "INVITE", code, to_tag=to_tag)
    told = legs(parse("kamailio-acc", _log(line)))
    assert told["caller"].facts["sip.response.status_code"] == code
    callee = told.get("callee")
    assert (callee.facts["sip.response.status_code"] if callee else None) == gateway


def test_a_challenge_is_not_the_final_answer() -> None:
    """A 407 that was answered by a second INVITE is neither the call's code nor an attempt's."""
    lines = (
        _line("transaction answered", T, "INVITE", 407, to_tag=""),
        _line("transaction answered", T + 2, "INVITE", 486),
    )
    told = legs(parse("kamailio-acc", _log(*lines)))
    assert told["caller"].facts["sip.response.status_code"] == 486
    assert told["callee"].facts["sip.response.status_code"] == 486


def test_re_invites_are_no_attempts() -> None:
    """INVITEs in the dialog, answered or refused, change neither the code nor the times."""
    lines = [
        _line("transaction answered", T + 1, "INVITE", 200, "OK"),
        _line("transaction answered", T + 9, "INVITE", 200, "OK", from_tag="tt", to_tag="ft"),
        _line("transaction answered", T + 12, "INVITE", 491),
        _line("transaction answered", T + 31, "BYE", 200, "OK"),
    ]
    for one in legs(parse("kamailio-acc", _log(*lines))).values():
        assert one.facts["sip.response.status_code"] == 200
        assert one.facts["sip.call.duration_ms"] == 30_000
        assert len(one.attempts) <= 1


def test_a_caller_who_gives_up() -> None:
    """A CANCEL is the caller's; with it the 487 is a cancelled call."""
    lines = (
        _line("transaction answered", T + 4, "CANCEL", 200, "canceling", to_tag=""),
        _line("transaction answered", T + 4.01, "INVITE", 487, "Request Terminated"),
    )
    for one in legs(parse("kamailio-acc", _log(*lines))).values():
        assert one.facts["sip.call.outcome"] == "canceled"
        assert one.facts["sip.hangup.source"] == "caller"
        assert "sip.call.duration_ms" not in one.facts


@pytest.mark.parametrize(
    "bye, who",
    [
        ({"src_ip": "192.0.2.1"}, "caller"),
        ({"src_ip": "203.0.113.9"}, "callee"),
        ({"src_ip": "192.0.2.1:5060"}, "caller"),
        ({"src_user": "+15555550101"}, "callee"),
        ({"src_user": "+15555550199"}, "caller"),
        ({"from_tag": "tt", "to_tag": "ft"}, "callee"),
        ({}, "caller"),
        ({"src_ip": "198.51.100.77"}, None),
        ({"src_ip": "198.51.100.77", "from_tag": "tt", "to_tag": "ft"}, "callee"),
    ],
)
def test_who_hung_up_by_the_bye(bye: dict[str, str], who: str | None) -> None:
    """By the host of the BYE, else its user, else its tags; a host of neither end says nothing."""
    call = {"src_ip": "192.0.2.1", "gw": "203.0.113.9"}
    users = {"src_user": "+15555550199", "dst_user": "+15555550101"}
    log = _log(
        _line("transaction answered", T, "INVITE", 200, **call, **users),
        _line("transaction answered", T + 9, "BYE", 200, **bye),
    )
    for one in legs(parse("kamailio-acc", log)).values():
        assert one.facts.get("sip.hangup.source") == who


def test_who_hung_up_by_the_cdr() -> None:
    """`bye_src` of the CDR is compared with where the INVITE came from."""
    for source, who in (("192.0.2.1", "caller"), ("203.0.113.9", "callee")):
        log = _log(
            _line("transaction answered", T, "INVITE", 200, src_ip="192.0.2.1", gw="203.0.113.9"),
            _cdr(T, T + 9, bye_src=source),
        )
        for one in legs(parse("kamailio-acc", log)).values():
            assert one.facts["sip.hangup.source"] == who


def test_who_hung_up_in_a_word() -> None:
    """A field of the operator's that names the end is taken at its word."""
    log = _log(_line("transaction answered", T, "INVITE", 200), _cdr(T, T + 9, hangup_by="callee"))
    for one in legs(parse("kamailio-acc", log)).values():
        assert one.facts["sip.hangup.source"] == "callee"


@pytest.mark.parametrize(
    "prefix", ["", "proxy-1  | ", "2026-11-23T01:00:00.5+00:00 sbc1 ", " 3(7463) NOTICE: "]
)
def test_logs_of_several_kinds(prefix: str) -> None:
    """Whatever stands before it, an accounting line is read, and others are ignored."""
    line = _line("call missed", T, "INVITE", 503).partition("kamailio[7]: ")[2]
    log = _log(f"{prefix or 'Nov  3 01:00:00 h '}kamailio[7]: {line}",
               f"{prefix or 'Nov  3 01:00:00 h '}kamailio[7]: started")  # fmt: skip
    parsed = parse("kamailio-acc", log)
    assert (len(parsed.observations), parsed.broken, parsed.ignored) == (2, (), 1)


def test_a_cdr_that_begins_with_the_invite() -> None:
    """Without `cdr_start_on_confirmed` the setup is told, and is no part of the duration."""
    log = _log(_line("transaction answered", T + 6.5, "INVITE", 200), _cdr(T + 4.25, T + 36.5))
    for one in legs(parse("kamailio-acc", log)).values():
        assert one.facts["sip.setup_ms"] == 2250.0
        assert one.facts["sip.call.duration_ms"] == 30_000.0
        assert [mark.kind for mark in one.marks] == ["invite", "answered", "hangup"]


def test_whole_seconds_give_no_setup_time() -> None:
    """A 2xx whose time is cut to the second cannot say how long the setup took."""
    line = _line("transaction answered", T + 6, "INVITE", 200).replace("time_exten=0;", "")
    for one in legs(parse("kamailio-acc", _log(line, _cdr(T + 4.25, T + 36)))).values():
        assert "sip.setup_ms" not in one.facts
        assert one.facts["sip.call.duration_ms"] == 30_000.0


@pytest.mark.parametrize(
    "extension",
    [
        "time_exten=250000",
        "utime=250000",
        f"utime={T}.250",
        f"time_attr={T}.250",
        "stamp=2026-11-23 01:06:40",
    ],
)
def test_time_modes(extension: str) -> None:
    """Whatever `time_mode` adds behind `timestamp`, the time is read; its fraction where it is."""
    line = _line("transaction answered", T, "INVITE", 200).replace("time_exten=0", extension)
    (answered,) = legs(parse("kamailio-acc", _log(line)))["caller"].marks
    assert answered.start in (T + 0.25, T)
    assert (answered.start == T) == extension.startswith("stamp")


def test_values_that_hold_the_separator() -> None:
    """`;` and `=` in a value neither end a record nor change the fields before it."""
    attributes = "duid=e1;carrier=Acme Telecom;weight=50;trunk=east/1;code=603"
    line = _line("transaction answered", T, "INVITE", 486, "Busy; try later",
                 gw_attrs=attributes, ua="X;y=z; call_id=other")  # fmt: skip
    told = legs(parse("kamailio-acc", _log(line)))["callee"]
    assert told.facts["sip.response.status_code"] == 486
    assert told.facts["sip.response.reason"] == "Busy; try later"
    assert told.facts["trunk.carrier"] == "acme-telecom"
    assert told.facts["trunk.route"] == "east/1"
    assert told.ids["call_id"] == "c1"


def test_the_reason_header_in_place_of_the_phrase() -> None:
    """With `reason_from_hf` the Q.850 cause is told."""
    reason = 'Q.850;cause=34;text="No circuit"'
    told = legs(parse("kamailio-acc", _log(_line("call missed", T, "INVITE", 503, reason))))
    assert told["callee"].facts["sip.reason.q850"] == 34
    assert told["callee"].facts["sip.response.reason"] == "No circuit"


def test_default_configuration() -> None:
    """Without any extra field: code and duration in whole seconds; nothing of carrier or number."""
    lines = [
        _line("transaction answered", T, "INVITE", 200, "OK").replace("time_exten=0;", ""),
        _line("transaction answered", T + 30, "BYE", 200, "OK").replace("time_exten=0;", ""),
    ]
    for one in legs(parse("kamailio-acc", _log(*lines))).values():
        assert one.facts["sip.response.status_code"] == 200
        assert one.facts["sip.call.duration_ms"] == 30_000
        assert not {"trunk.carrier", "trunk.id", "sip.caller.number"} & one.facts.keys()
        assert one.bridge_end_by == "assumed"


def test_the_bridge_by_name() -> None:
    """A bridge that is named stands where it is named, whatever the gateway's attributes say."""
    data = _data("kamailio-acc", "03-loss5-proxy-to-caller")
    reading = Reading(bridge=Bridge(frozenset({"192.0.2.111"})))
    for one in parse("kamailio-acc", data, reading).observations:
        assert one.facts["sip.call.direction"] == "inbound"
        assert one.bridge_end_by == "configured"
        (window,) = (each for each in one.windows if each.mos is not None)
        assert window.direction == ("in" if one.leg == "trunk" else "out")


def test_a_cdr_without_a_call_id() -> None:
    """It belongs to the call that one of its values names; with none of them it is broken."""
    invite = _line("transaction answered", T, "INVITE", 200)
    named = _cdr(T, T + 9).replace("call_id=c1", "ci=c1")
    parsed = parse("kamailio-acc", _log(named, invite))
    assert parsed.observations[0].facts["sip.call.duration_ms"] == 9000
    parsed = parse("kamailio-acc", _log(invite, named.replace("ci=c1", "ci=c2")))
    assert [one.line for one in parsed.broken] == [2]


def test_custom_names_of_a_cdrs_times() -> None:
    """The first three fields of a CDR are its times, whatever the operator calls them."""
    named = _cdr(T, T + 9).replace("start_time", "a").replace("end_time", "b")
    one, _ = parse("kamailio-acc", _log(named.replace("duration", "c"))).observations
    assert one.facts["sip.call.duration_ms"] == 9000


def test_methods_of_other_things_are_ignored() -> None:
    """REGISTER, ACK, OPTIONS say nothing of a call's trunk."""
    lines = [_line("transaction answered", T, method, 200) for method in
             ("REGISTER", "ACK", "OPTIONS", "MESSAGE")]  # fmt: skip
    parsed = parse("kamailio-acc", _log(*lines))
    assert (parsed.observations, parsed.broken, parsed.ignored) == ((), (), 4)


def test_lines_delivered_twice() -> None:
    """A line that a log shipper delivered twice counts once."""
    line = _line("call missed", T, "INVITE", 503)
    parsed = parse("kamailio-acc", _log(line, line, line))
    assert len(legs(parsed)["callee"].attempts) == 1
    assert parsed.ignored == 2


@pytest.mark.parametrize(
    "old, new, reason",
    [
        ("code=503", "code=", "no SIP code"),
        ("code=503", "code=5x3", "no SIP code"),
        ("code=503", "code=99", "no SIP code"),
        ("call_id=c1", "call_id=", "no Call-ID"),
        ("method=INVITE", "method=", "no method"),
        (f"timestamp={T}", "timestamp=now", "no time"),
        (f"timestamp={T}", "timestamp=", "no time"),
        ("timestamp", "", "without its fields"),
    ],
)
def test_broken_lines(old: str, new: str, reason: str) -> None:
    """A line that lacks what it needs is broken, and the others are read."""
    good = _line("call missed", T, "INVITE", 503)
    bad = good.replace(old, new, 1) if old != "timestamp" else good.split("timestamp")[0]
    parsed = parse("kamailio-acc", _log(good, bad, good.replace("c1", "c2")))
    (broken,) = parsed.broken
    assert broken.line == 2
    assert reason in broken.reason
    assert len({one.ids["call_id"] for one in parsed.observations}) == 2


@pytest.mark.parametrize("line", ["garbage", "{", "=;=;=", "\x00\x01"])
def test_what_is_no_line_of_a_log(line: str) -> None:
    """It is broken, not ignored."""
    for source in FILES:
        assert len(parse(source, b"Nov 23 01:00:00 h x[1]: y\n" + line.encode()).broken) == 1


# JSON -------------------------------------------------------------------------------------------


def _object(code: str, **more: Any) -> dict[str, Any]:
    told = {"time": T, "method": "INVITE", "from_tag": "ft", "to_tag": "tt", "callid": "c1",
            "sip_code": code, "sip_reason": "x", "gw": "203.0.113.9"}  # fmt: skip
    return told | more


def _objects(*objects: dict[str, Any]) -> bytes:
    return _log(*map(json.dumps, objects))


@pytest.mark.parametrize(
    "codes, caller, gateways",
    [
        (["486", "486"], 486, [486]),
        (["503", "500"], 500, [503]),
        (["503"], None, [503]),
        (["486"], 486, [486]),
        (["408", "480", "480"], 480, [408, 480]),
        (["503", "200"], 200, [503, 200]),
    ],
)
def test_attempts_and_answer_in_json(
    codes: list[str], caller: int | None, gateways: list[int]
) -> None:
    """JSON writes both alike: the caller's answer is the one that repeats the attempt before it."""
    told = legs(parse("kamailio-acc-json", _objects(*map(_object, codes))))
    assert told["caller"].facts.get("sip.response.status_code") == caller
    assert [attempt.status_code for attempt in told["callee"].attempts] == gateways


def test_the_proxys_own_answer_in_json() -> None:
    """Of two failures the one without a To tag is the proxy's, in whatever order they stand."""
    own = _object("500", to_tag="")
    for objects in ((_object("503"), own), (own, _object("503"))):
        told = legs(parse("kamailio-acc-json", _objects(*objects)))
        assert told["caller"].facts["sip.response.status_code"] == 500
        assert told["callee"].facts["sip.response.status_code"] == 503


def test_plain_json_and_syslog_say_the_same() -> None:
    """The prefix of the syslog changes nothing, nor does a list around the objects."""
    data = _data("kamailio-acc-json", "02-loss5-caller-to-proxy")
    plain = [line.partition("]: ")[2] for line in data.decode().splitlines()]
    expected = parse("kamailio-acc-json", data).observations
    assert parse("kamailio-acc-json", "\n".join(plain).encode()).observations == expected
    assert parse("kamailio-acc-json", f"[{','.join(plain)}]".encode()).observations == expected


@pytest.mark.parametrize("value", ["", None, True, [], {}, "x" * 5000, "\ud800", 10**30])
@pytest.mark.parametrize("key", ["time", "method", "callid", "sip_code", "gw", "gw_attrs"])
def test_odd_values_in_json(key: str, value: object) -> None:
    """An object is read or broken, and what it says can be printed."""
    parsed = parse("kamailio-acc-json", _objects(_object("486", **{key: value}), _object("486")))
    assert len(parsed.observations) in (2, 4)
    json.dumps([as_json(one) for one in parsed.observations]).encode()


def test_objects_of_other_programs_are_ignored() -> None:
    """A log holds JSON of others too."""
    log = b'Nov 23 01:00:00 h app[1]: {"level": "info", "n": 1}\n{"level": "info"}\n'
    assert parse("kamailio-acc-json", log).ignored == 2


# Properties -------------------------------------------------------------------------------------


@BOTH
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32), call=st.sampled_from(CALLS))
def test_order_and_line_ends_do_not_matter(source: str, seed: int, call: str) -> None:
    """Lines in any order, with CRLF, say the same of the call."""
    lines = _data(source, call).splitlines()
    random.Random(seed).shuffle(lines)
    expected = parse(source, _data(source, call)).observations
    assert parse(source, b"\r\n".join(lines)).observations == expected


@BOTH
@settings(max_examples=100, deadline=None)
@given(draw=st.data())
def test_whatever_bytes(source: str, draw: st.DataObject) -> None:
    """Changed bytes give a `Parsed`; every line is in it, and no number in clear."""
    content = _data(source, draw.draw(st.sampled_from(CALLS)))
    for _ in range(draw.draw(st.integers(1, 5))):
        at = draw.draw(st.integers(0, len(content)))
        content = content[:at] + draw.draw(st.binary(max_size=6)) + content[at + draw.draw(
            st.integers(0, 30)) :]  # fmt: skip
    parsed = parse(source, content)
    assert all(1 <= one.line <= content.count(b"\n") + 1 for one in parsed.broken)
    assert all(not re.search(r"\d{7}", one.reason) for one in parsed.broken)
    assert all(one.source == source for one in parsed.observations)


def test_numbers_are_masked_everywhere() -> None:
    """A number that a reason phrase or a Call-ID repeats is masked there too."""
    line = _line("call missed", T, "INVITE", 404, "No route to 15555550101 or 5555550101",
                 src_user="+15555550199", dst_user="15555550101",
                 call_id="15555550101-1@host.invalid")  # fmt: skip
    told = repr(parse("kamailio-acc", _log(line)))
    assert "5555550101" not in told
    assert "5555550199" not in told


def test_addresses_are_no_persons() -> None:
    """An address under a name that others use for users is not taken for one."""
    line = _line("call missed", T, "INVITE", 404, src="192.0.2.7", src_ip="192.0.2.7", dst="x.y.z")
    one = legs(parse("kamailio-acc", _log(line)))["caller"]
    assert one.ids["host"] == "192.0.2.7"
    assert "sip.caller.number" not in one.facts


def test_no_line_takes_long() -> None:
    """The worst line of the longest length takes some milliseconds."""
    fill = 250_000
    worst = [
        HEAD + "x: timestamp=1" + ";" * fill,
        HEAD + "x: timestamp=1" + ";a=" * (fill // 3),
        HEAD + "ACC: " * (fill // 5),
        "log_write_cdr(): a=" + "b=c;" * (fill // 4),
        "log_write_cdr(): " + "a=b=c;d=e; " * (fill // 11),
        "ACC: " + " " * fill,
        _line("call missed", T, "INVITE", 503, "=;" * (fill // 2)),
        _line("call missed", T, "INVITE", 503, src_user="1" * fill, dst_user="+" * fill),
    ]
    parse("kamailio-acc", _log(_line("call missed", T, "INVITE", 503, src_user="+15555550101")))
    for line in worst:
        data = line.encode()
        assert lines_of_json(partial(parse, "kamailio-acc", data)) < 6, line[:160]
