"""Records of Kamailio and OpenSIPS with other codes, gateways, prefixes and order."""

from __future__ import annotations

import json
import re

import pytest

from .shelf import (
    OUTCOMES,
    calls,
    measure,
    on,
    parsed,
    raw,
    read,
    reading,
    same,
    values,
    windows,
)

ACC, JSON = "kamailio-acc", "kamailio-acc-json"
CALLS = calls("kamailio")
FILES = [(ACC, "kamailio.log"), (JSON, "json_acc.log")]


def log(call: str, file: str = "kamailio.log") -> str:
    """A captured log."""
    return raw("kamailio", call, file).decode()


@pytest.mark.parametrize("code", OUTCOMES)
def test_the_code_is_the_code_whatever_the_text(code):
    """'transaction answered' with a failing code is no answer."""
    text = log("04-busy-486").replace("code=486;reason=Busy Here", f"code={code};reason=Other")
    records = read(ACC, text)
    assert values(records, "sip.response.status_code") == {code}
    assert values(records, "sip.call.outcome") == {OUTCOMES[code]}
    text = log("04-busy-486", "json_acc.log").replace('"486"', f'"{code}"')
    records = read(JSON, text.replace("Busy Here", "Other"))
    assert values(records, "sip.response.status_code") == {code}
    assert values(records, "sip.call.outcome") == {OUTCOMES[code]}


def failover() -> str:
    """gw-east says 503, gw-west of another carrier answers; one INVITE of the caller."""
    missed = next(x for x in log("05-unavailable-503").splitlines() if "call missed" in x)
    missed = missed.replace("23a00f6486f12820", "6e352d2472154c40")
    missed = missed.replace("1ecfa17455bafca3", "fabc8d43bd55b966")
    missed = missed.replace("timestamp=1795396972", "timestamp=1795396146")
    missed = missed.replace("time_exten=529002", "time_exten=500000")
    rest = log("01-clean").replace("192.0.2.111", "192.0.2.112")
    rest = rest.replace("carrier=acme;trunk=gw-east", "carrier=zenith;trunk=gw-west")
    return missed + "\n" + rest


def test_each_gateway_that_was_tried_is_told_with_its_code():
    """503 of acme's gw-east, 200 of zenith's gw-west; the caller got 200."""
    found = parsed(ACC, failover())
    assert not found.broken
    records = read(ACC, failover())
    assert values(on(records, "trunk"), "sip.response.status_code") == {200}
    far = on(records, "pstn")
    told = {
        (r["facts"].get("trunk.carrier"), r["facts"].get("sip.response.status_code")) for r in far
    }
    tried = {(a.carrier, a.status_code) for o in found.observations for a in o.attempts}
    assert {("acme", 503), ("zenith", 200)} <= told | tried, (told, tried)
    assert ("acme", 200) not in told | tried
    assert ("zenith", 503) not in told | tried


@pytest.mark.parametrize("source,file", FILES)
@pytest.mark.parametrize("call", ["01-clean", "02-loss5-caller-to-proxy"])
def test_a_callee_that_hangs_up_is_told(source, file, call):
    """BYE from the gateway's address."""
    lines = log(call, file).splitlines()
    changed = []
    for line in lines:
        text = line
        if "method=BYE" in text or '"method": "BYE"' in text:
            text = text.replace("src_ip=192.0.2.101", "src_ip=192.0.2.111")
            text = text.replace('"src_ip": "192.0.2.101"', '"src_ip": "192.0.2.111"')
        text = text.replace("bye_src=192.0.2.101", "bye_src=192.0.2.111")
        changed.append(text.replace('"bye_src": "192.0.2.101"', '"bye_src": "192.0.2.111"'))
    assert values(read(source, "\n".join(changed)), "sip.hangup.source") == {"callee"}


@pytest.mark.parametrize("source,file", FILES)
@pytest.mark.parametrize(
    "call", ["01-clean", "03-loss5-proxy-to-caller", "07-one-way-callee-silent"]
)
def test_without_a_cdr_the_bye_tells_hang_up_and_duration(source, file, call):
    """acc lines alone: from the 200 to the BYE."""
    kept = [
        x
        for x in log(call, file).splitlines()
        if "log_write_cdr" not in x and '"duration"' not in x
    ]
    records = read(source, "\n".join(kept))
    assert values(records, "sip.hangup.source") == {"caller"}
    seconds = {"01": 33.657, "03": 38.627, "07": 28.607}[call[:2]]
    found = values(records, "sip.call.duration_ms")
    assert found
    assert all(abs(each / 1000 - seconds) <= 1 for each in found), found


@pytest.mark.parametrize("source,file", FILES)
@pytest.mark.parametrize("call", ["01-clean", "04-busy-486"])
def test_a_cdr_alone_invents_no_code(source, file, call):
    """A CDR is written for failed calls too and has no code: duration 0 is no answer."""
    kept = [x for x in log(call, file).splitlines() if "log_write_cdr" in x or '"duration"' in x]
    records = read(source, "\n".join(kept))
    if call == "04-busy-486":
        assert values(records, "sip.response.status_code") == set()
        assert values(records, "sip.call.outcome") <= {"failed", "no_answer"}
        assert values(records, "sip.call.duration_ms") == set()
    else:
        assert values(records, "sip.call.duration_ms") == {33657.0}
        assert values(records, "sip.response.status_code") <= {200}


PREFIXES = {
    "rfc5424": "<133>1 2026-11-23T01:09:06.859406Z sbc1 kamailio 7463 - - ",
    "iso": "2026-11-23T01:09:06.859406+00:00 sbc1 kamailio[7463]: ",
    "pri": "<133>Nov 23 01:09:06 sbc1 kamailio[7463]: ",
    "journal": "Nov 23 01:09:06 sbc1 /usr/sbin/kamailio[7463]: ",
    "stderr": "12(7463) ",
    "bare": "",
}


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("call", ["01-clean", "05-unavailable-503"])
def test_other_syslog_prefixes_are_read(call, prefix):
    """RFC 5424, ISO times, a priority, journald, stderr, none: the same facts."""
    swap = re.compile(r"^\w{3} +\d+ [\d:]+ sbc1 kamailio\[\d+\]: ", re.MULTILINE)
    text = swap.sub(PREFIXES[prefix], log(call))
    same(read(ACC, text), read(ACC, log(call)))


@pytest.mark.parametrize("call", CALLS)
def test_the_log_prefix_may_be_missing_or_other(call):
    """`{1 22568 INVITE ...}` is the operator's own: the Call-ID comes from the fields."""
    text = re.sub(r"NOTICE: \{[^}]*\} ", "NOTICE: ", log(call))
    same(read(ACC, text), read(ACC, log(call)))
    text = re.sub(r"NOTICE: (\{[^}]*\} )?acc ", "INFO: acc ", log(call))
    same(read(ACC, text), read(ACC, log(call)))


@pytest.mark.parametrize("source,file", FILES)
def test_calls_that_overlap_are_told_apart(source, file):
    """Lines of all calls dealt like cards: each as it is alone."""
    streams = [log(call, file).splitlines() for call in CALLS]
    alone = [record for call in CALLS for record in read(source, log(call, file))]
    dealt = []
    while any(streams):
        dealt += [stream.pop(0) for stream in streams if stream]
    same(read(source, "\n".join(dealt) + "\n"), alone)


@pytest.mark.parametrize("source,file", FILES)
@pytest.mark.parametrize("call", CALLS)
def test_lines_of_one_second_may_come_in_any_order(source, file, call):
    """acc and CDR lines of several workers are not in order: reversed, the same facts."""
    lines = log(call, file).splitlines()
    same(read(source, "\n".join(lines[::-1])), read(source, "\n".join(lines)))


@pytest.mark.parametrize("source,file", FILES)
@pytest.mark.parametrize("call", CALLS)
def test_how_a_log_arrived_changes_nothing(source, file, call):
    """CRLF, a byte order mark, blank lines, no last line end, lines of other programs."""
    text = log(call, file)
    wanted = read(source, text)
    for data in (
        text.replace("\n", "\r\n"),
        "\ufeff" + text,
        text.replace("\n", "\n\n"),
        text.rstrip("\n"),
        "Nov 23 01:09:06 sbc1 sshd[12]: Accepted publickey for root\n" + text,
    ):
        same(read(source, data), wanted)


@pytest.mark.parametrize("call", CALLS)
def test_json_records_may_come_without_syslog(call):
    """JSON lines, one list, pretty, with a key more."""
    objects = [
        json.loads(line[line.index("{") :])
        for line in log(call, "json_acc.log").splitlines()
        if "{" in line
    ]
    wanted = read(JSON, log(call, "json_acc.log"))
    more = [{**each, "new_key": "x"} for each in objects]
    for data in (
        "\n".join(map(json.dumps, objects)),
        json.dumps(objects),
        json.dumps(objects, indent=1),
        "\n".join(map(json.dumps, more)),
    ):
        same(read(JSON, data), wanted)


def test_semicolons_in_values_do_not_hide_fields():
    """Values are not quoted: `;` in a reason or a user agent is no new field."""
    text = log("04-busy-486").replace("reason=Busy Here", "reason=Busy; call later")
    text = text.replace("ua=baresip v1.0.0 (x86_64/linux)", "ua=x; y=1;z (;)")
    records = read(ACC, text)
    assert values(records, "sip.response.status_code") == {486}
    assert values(on(records, "pstn"), "trunk.carrier") == {"acme"}
    assert values(on(records, "pstn"), "trunk.route") == {"gw-east"}


@pytest.mark.parametrize("source,file", FILES)
def test_scores_and_losses_of_a_cdr_have_their_units(source, file):
    """mos is divided already, rtt in microseconds, loss in whole percent and derived."""
    records = read(source, log("02-loss5-caller-to-proxy", file), reading("caller"))
    whole = windows(records)
    assert {measure(w, "mos") for w in whole} <= {4.4, 4.0, None}
    assert all(0.1 < (measure(w, "rtt_ms") or 1) < 2 for w in whole)
    for window in whole:
        if measure(window, "loss_ratio") is not None:
            assert measure(window, "loss_method") == "derived"
    assert any(abs((measure(w, "loss_ratio") or 0) - 0.0545) <= 0.01 for w in whole)


@pytest.mark.parametrize("number", ["+4930901820", "447911123456", "2087"])
@pytest.mark.parametrize("source,file", FILES)
def test_no_number_of_any_country_is_printed(source, file, number):
    """Users of URIs, of BYEs with a suffix, of script lines."""
    text = log("01-clean", file).replace("+15555550199", number).replace("+15555550101", number)
    found = parsed(source, text)
    assert len(found.observations) == 2
    if len(number) > 5:
        assert number.lstrip("+") not in repr(found)


EVENT = {
    "method": "INVITE",
    "from_tag": "as6d3",
    "to_tag": "gK0c",
    "callid": "7a1b@192.0.2.5",
    "sip_code": "200",
    "sip_reason": "OK",
    "time": "1795393171",
    "duration": "38",
    "ms_duration": "37649",
    "setuptime": "4",
    "created": "1795393167",
}


@pytest.mark.parametrize("wrap", ["bare", "rpc", "list", "ints"])
def test_opensips_events_tell_code_setup_and_duration(wrap):
    """E_ACC_CDR: milliseconds where written, set-up in seconds."""
    event: object = dict(EVENT)
    if wrap == "rpc":
        event = {"jsonrpc": "2.0", "method": "E_ACC_CDR", "params": EVENT}
    if wrap == "list":
        event = [EVENT]
    if wrap == "ints":
        event = {k: int(v) if v.isdigit() else v for k, v in EVENT.items()}
    records = read("opensips-acc", json.dumps(event) + "\n")
    assert values(records, "sip.response.status_code") == {200}
    assert values(records, "sip.call.duration_ms") == {37649.0}
    assert values(records, "sip.setup_ms") <= {4000.0}
    assert values(records, "sip.call.outcome") == {"answered"}


@pytest.mark.parametrize("code", OUTCOMES)
def test_opensips_failures_have_their_code(code):
    """E_ACC_MISSED_EVENT and `ACC: call missed`."""
    missed = {k: v for k, v in EVENT.items() if k not in ("duration", "ms_duration", "setuptime")}
    missed |= {"sip_code": str(code), "sip_reason": "Other"}
    records = read("opensips-acc", json.dumps(missed) + "\n")
    assert values(records, "sip.response.status_code") == {code}
    assert values(records, "sip.call.outcome") == {OUTCOMES[code]}
    line = (
        "Nov 23 00:19:31 sbc1 opensips[77]: ACC: call missed: timestamp=1795393171;method=INVITE;"
        f"from_tag=as6d3;to_tag=gK0c;call_id=7a1b@192.0.2.5;code={code};reason=Other\n"
    )
    records = read("opensips-acc", line)
    assert values(records, "sip.response.status_code") == {code}
