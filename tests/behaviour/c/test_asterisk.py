"""Asterisk's records with other numbers, codes, counts, versions and order."""

from __future__ import annotations

import re

import pytest

from .shelf import (
    OUTCOMES,
    losses,
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

CALLS = ("01-clean", "02-busy-486", "03-one-way")
CAUSES = {404: 1, 480: 19, 486: 17, 488: 127, 500: 41, 503: 34, 603: 21, 604: 1, 608: 21}
STATUS = {486: "BUSY", 603: "BUSY", 503: "CONGESTION", 500: "CONGESTION"}


def ami(call: str) -> bytes:
    """The captured event stream."""
    return raw("asterisk", call, "ami.txt")


def events(data: bytes) -> list[bytes]:
    """The events of a stream, each with its closing blank line."""
    return [each + b"\r\n\r\n" for each in data.split(b"\r\n\r\n") if each.strip()]


def parse(data: bytes, end="callee", **more):
    """What the AMI reader makes of it, with the callee's end as the bridge."""
    return read("asterisk-ami", data, reading(end, **more))


@pytest.mark.parametrize("code", CAUSES)
def test_a_refusal_has_its_code_cause_and_outcome(code):
    """TechCause and Cause rewritten: both legs say them exactly."""
    data = ami("02-busy-486").replace(b"TechCause: 486", b"TechCause: %d" % code)
    data = re.sub(rb"Cause: 17\b", b"Cause: %d" % CAUSES[code], data)
    data = data.replace(b"Cause-txt: User busy", b"Cause-txt: Other")
    data = data.replace(
        b"DialStatus: BUSY", b"DialStatus: " + STATUS.get(code, "CHANUNAVAIL").encode()
    )
    data = data.replace(b"Disposition: BUSY", b"Disposition: FAILED")
    records = parse(data)
    assert values(records, "sip.response.status_code") == {code}
    assert values(records, "sip.reason.q850") == {CAUSES[code]}
    assert values(records, "sip.call.outcome") == {OUTCOMES[code]}
    assert values(records, "sip.hangup.source") == set()


def test_a_version_without_techcause_invents_no_code():
    """Before late 2025 there is no TechCause: the cause stands, and 486 at most."""
    data = re.sub(rb"TechCause: 486\r\n", b"", ami("02-busy-486"))
    records = parse(data)
    assert values(records, "sip.reason.q850") == {17}
    assert values(records, "sip.call.outcome") == {"busy"}
    assert values(records, "sip.response.status_code") <= {486}


@pytest.mark.parametrize(
    "cause,status,outcome",
    [
        (1, "CHANUNAVAIL", "invalid_number"),
        (34, "CONGESTION", "congestion"),
        (19, "NOANSWER", "no_answer"),
        (21, "CHANUNAVAIL", "rejected"),
    ],
)
def test_a_cause_alone_gives_the_outcome_and_never_a_wrong_code(cause, status, outcome):
    """The mapping back to SIP is lossy: no code that was not written."""
    data = re.sub(rb"TechCause: 486\r\n", b"", ami("02-busy-486"))
    data = re.sub(rb"Cause: 17\b", b"Cause: %d" % cause, data)
    data = data.replace(b"DialStatus: BUSY", b"DialStatus: " + status.encode())
    data = data.replace(b"Disposition: BUSY", b"Disposition: NO ANSWER")
    records = parse(data)
    assert values(records, "sip.reason.q850") == {cause}
    assert values(records, "sip.call.outcome") <= {outcome, "failed"}
    assert values(records, "sip.call.outcome")
    assert 486 not in values(records, "sip.response.status_code")


def test_a_version_without_mes_says_the_same_but_scores():
    """No rxmes, txmes nor MES fields: loss, jitter and counts stay."""
    data = re.sub(rb";rxmes=[\d.]+;txmes=[\d.]+", b"", ami("03-one-way"))
    data = re.sub(rb"MES: [\d.]+\r\n", b"", data)
    data = b"".join(each for each in events(data) if b"RTPAUDIOQOSMES" not in each)
    records = parse(data)
    whole = [w for w in windows(records, "trunk", "out") if measure(w, "packet_count") == 1339]
    assert whole
    assert measure(whole[0], "jitter_ms") in (0.75, 0.911)
    assert {measure(w, "mos") for w in windows(records)} == {None}


@pytest.mark.parametrize("lost,came", [(85, 1604), (1, 1688), (845, 844), (17, 1672)])
def test_lost_packets_of_the_callers_way_are_told_once(lost, came):
    """`lp` of the a-leg: derived, on the far leg; the next leg's gap (`rlp`) is no second loss."""
    data = ami("01-clean").replace(
        b"lp=0;rxjitter=0.000750;rxcount=1689", b"lp=%d;rxjitter=0.000750;rxcount=%d" % (lost, came)
    )
    data = data.replace(
        b"rxcount=1689;txjitter=0.001375;txcount=1689;rlp=0",
        b"rxcount=1689;txjitter=0.001375;txcount=%d;rlp=%d" % (came, lost),
    )
    records = parse(data)
    found = [w for w in windows(records, "pstn", "in") if measure(w, "packet_count") == came]
    assert found, windows(records, "pstn", "in")
    assert measure(found[0], "loss_ratio") == pytest.approx(lost / (lost + came), abs=0.01)
    assert measure(found[0], "loss_method") == "derived"
    assert all(ratio < 0.005 for ratio, _ in losses(records, "pstn", "out"))
    assert all(ratio < 0.005 for ratio, _ in losses(records, "trunk", "out"))
    assert all(ratio < 0.005 for ratio, _ in losses(records, "trunk", "in")), (
        "the gap that the next leg passes on is no loss of that leg"
    )


@pytest.mark.parametrize("absurd", [b"4294967290", b"-6", b"18446744073709551610", b"nan"])
def test_an_interval_count_below_zero_is_no_loss(absurd):
    """`lp` is unsigned bookkeeping: what went below zero looks huge and is nothing."""
    data = ami("01-clean").replace(b";lp=0;", b";lp=" + absurd + b";")
    for window in windows(parse(data)):
        assert (measure(window, "loss_ratio") or 0) <= 0.005, window
        assert (measure(window, "lost_count") or 0) < 100, window


@pytest.mark.parametrize(
    "written,told",
    [
        (b"0.129104", 129.104),
        (b"65535.999557", None),
        (b"0.000000", None),
        (b"9.5", 9500.0),
        (b"-0.2", None),
    ],
)
def test_a_round_trip_time_is_in_seconds_and_zero_or_wrapped_is_missing(written, told):
    """rtt of the string: ms; 0 and 65535.99 say nothing."""
    line = (
        b"ssrc=1;themssrc=2;lp=0;rxjitter=0.001;rxcount=1500;txjitter=0.002;txcount=1500;rlp=0;rtt="
        + written
    )
    found = {
        measure(w, "rtt_ms") for w in windows(read("asterisk-qos", line + b"\n", reading("callee")))
    } - {None}
    assert found == (set() if told is None else {told})


def test_public_strings_of_other_versions_are_read_right():
    """The three public strings: jitter by who measured it, loss by who lost, zero rtt missing."""
    one, two, three = (
        read("asterisk-qos", text + b"\n", reading("callee"))
        for text in (
            (
                b"ssrc=810533921;themssrc=3758489602;lp=1;rxjitter=0.012000;rxcount=1516;"
                b"txjitter=0.000125;txcount=1514;rlp=0;rtt=0.129104;rxmes=83.194000;txmes=82.967221"
            ),
            (
                b"ssrc=784882500;themssrc=1867692567;lp=0;rxjitter=0.000250;rxcount=351;"
                b"txjitter=0.000250;txcount=351;rlp=0;rtt=0.000000;rxmes=88.087887;txmes=88.087887"
            ),
            (
                b"ssrc=17440732;themssrc=2998685896;lp=0;rxjitter=0.000000;rxcount=230;"
                b"txjitter=0.007250;txcount=0;rlp=0;rtt=0.000000;rxmes=0.000000;txmes=0.000000"
            ),
        )
    )
    got = [w for w in windows(one) if measure(w, "packet_count") == 1516]
    assert len(got) == 1
    assert measure(got[0], "jitter_ms") == 0.125
    assert measure(got[0], "loss_ratio") == pytest.approx(1 / 1517, abs=1e-4)
    sent = [w for w in windows(one) if measure(w, "jitter_ms") == 12.0]
    assert [w["direction"] for w in sent] == ["out" if got[0]["direction"] == "in" else "in"]
    assert {measure(w, "rtt_ms") for w in windows(two)} == {None}
    heard = [w for w in windows(three) if measure(w, "packet_count") == 230]
    assert [measure(w, "jitter_ms") for w in heard] == [7.25]
    assert {measure(w, "mos") for w in windows(three)} == {None}, "0 is missing, not the worst"
    assert [measure(w, "jitter_ms") for w in windows(three) if w not in heard] in ([], [None])


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda d: d.replace(b"\r\n", b"\n"), id="lf"),
        pytest.param(lambda d: b"\xef\xbb\xbf" + d, id="bom"),
        pytest.param(lambda d: b"Asterisk Call Manager/12.0.0\r\n" + d, id="banner"),
        pytest.param(
            lambda d: b"Response: Success\r\nMessage: Authentication accepted\r\n\r\n" + d,
            id="response",
        ),
        pytest.param(
            lambda d: d.replace(b"\r\n\r\n", b"\r\nNewField: x\r\n\r\n"), id="more-fields"
        ),
        pytest.param(
            lambda d: b"".join(
                e + b"Event: Registry\r\nPrivilege: system,all\r\nStatus: Registered\r\n\r\n"
                for e in events(d)
            ),
            id="other-events",
        ),
        pytest.param(lambda d: d.replace(b"\r\n\r\n", b"\r\n\r\n\r\n"), id="two-blanks"),
        pytest.param(lambda d: re.sub(rb"SystemName: pbx1\r\n", b"", d), id="no-system"),
        pytest.param(lambda d: re.sub(rb"Language: en\r\n", b"", d), id="no-language"),
    ],
)
def test_how_a_stream_arrived_changes_nothing(call, change):
    """Line ends, a mark, a banner, answers, more fields, other events, no system name."""
    same(parse(change(ami(call))), parse(ami(call)))


def test_ids_without_a_system_name_are_ids_as_well():
    """Uniqueid `1795396417.2` as of a PBX without `systemname`."""
    data = ami("01-clean").replace(b"pbx1-17", b"17")
    data = re.sub(rb"SystemName: pbx1\r\n", b"", data)
    records = parse(data)
    assert {each["ids"]["linked_id"] for each in records} == {"1795396417.2"}
    assert values(records, "sip.response.status_code") == {200}


def test_calls_that_overlap_are_told_apart():
    """Three calls' events dealt like cards: each as it is alone."""
    streams = [events(ami(call)) for call in CALLS]
    dealt = []
    while any(streams):
        dealt += [stream.pop(0) for stream in streams if stream]
    alone = [record for call in CALLS for record in parse(ami(call))]
    same(parse(b"".join(dealt)), alone)


@pytest.mark.parametrize(
    "number", [b"+4930901820", b"+447911123456", b"+81312345678", b"anonymous", b"2087"]
)
def test_no_number_of_any_country_is_printed(number):
    """Numbers in channels, dial strings, caller ids and contexts are masked or left out."""
    data = ami("01-clean").replace(b"+15555550199", number).replace(b"15555550199", number)
    data = data.replace(b"CallerIDName: <unknown>", b"CallerIDName: Jane " + number)
    data = data.replace(b"PJSIP/carrier-in-", b"PJSIP/" + number + b"-")
    found = parsed("asterisk-ami", data, reading("callee"))
    said = repr(found)
    digits = number.lstrip(b"+").decode()
    if digits.isdigit() and len(digits) > 5:
        assert digits not in said, said[max(0, said.find(digits) - 80) : said.find(digits) + 30]
    assert len(found.observations) == 2


CDR = "asterisk-cdr"


def csv(call: str) -> bytes:
    """The captured rows."""
    return raw("asterisk", call, "Master.csv")


def test_rows_of_three_calls_are_three_calls():
    """Two rows of a failed Dial are one call."""
    together = read(CDR, b"".join(map(csv, CALLS)))
    assert len({each["ids"].get("linked_id") for each in together}) == 3
    same(together, [record for call in CALLS for record in read(CDR, csv(call))])


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d.replace(b"\n", b"\r\n"),
        lambda d: b"\xef\xbb\xbf" + d,
        lambda d: d.rstrip(b"\n"),
        lambda d: d + b"\n\n",
    ],
    ids=["crlf", "bom", "open", "blank"],
)
@pytest.mark.parametrize("call", CALLS)
def test_how_a_csv_arrived_changes_nothing(call, change):
    """Line ends, a mark, no last line end, blank lines."""
    same(read(CDR, change(csv(call))), read(CDR, csv(call)))


@pytest.mark.parametrize(
    "disposition,outcome",
    [
        ("NO ANSWER", "no_answer"),
        ("FAILED", "failed"),
        ("CONGESTION", "congestion"),
        ("BUSY", "busy"),
    ],
)
def test_a_disposition_is_the_outcome_and_no_code(disposition, outcome):
    """A row knows no SIP code."""
    data = csv("02-busy-486").replace(b'"BUSY"', f'"{disposition}"'.encode())
    data = data.replace(b'"Hangup","17"', b'"Hangup",""')
    records = read(CDR, data)
    assert values(records, "sip.call.outcome") == {outcome}
    assert values(records, "sip.response.status_code") == set()
    assert values(records, "sip.call.duration_ms") == set()


def test_the_duration_is_from_the_answer():
    """billsec, not duration: 33 s of talk after 12 s of ringing."""
    data = csv("01-clean").replace(
        b'"2026-11-23 01:13:37","2026-11-23 01:13:37"',
        b'"2026-11-23 01:13:25","2026-11-23 01:13:37"',
    )
    data = data.replace(b",33,33,", b",45,33,")
    found = values(read(CDR, data), "sip.call.duration_ms")
    assert found
    assert all(32_000 <= each <= 34_000 for each in found), found


def test_times_without_a_zone_are_read_in_the_zone_that_is_told():
    """Europe/Berlin: 01:13:37 there is 00:13:37 UTC."""
    here = parsed(CDR, csv("01-clean"), reading("callee"))
    there = parsed(CDR, csv("01-clean"), reading("callee", zone="Europe/Berlin"))
    for one, other in zip(here.observations, there.observations, strict=True):
        assert one.start is not None
        assert other.start is not None
        assert one.start - other.start == 3600
        assert one.start == 1795396417


@pytest.mark.parametrize("columns", [16, 17, 18, 21])
def test_other_sets_of_columns_are_read(columns):
    """Without loguniqueid, loguserfield or newcdrcolumns there are fewer columns."""
    row = (
        '"","15105550100","1002","from-trunk","""Bob, Jr."" <15105550100>",'
        '"PJSIP/carrier-00000012","PJSIP/livekit-00000013","Dial","PJSIP/livekit,30",'
        '"2026-11-23 00:19:31","2026-11-23 00:19:36","2026-11-23 00:21:40",129,124,'
        '"ANSWERED","DOCUMENTATION","1795393171.18","","peer","1795393171.18",7'
    )
    cells = re.findall(r'(?:"(?:[^"]|"")*"|[^,"]+)', row)
    assert len(cells) == 21
    found = parsed(CDR, ",".join(cells[:columns]) + "\n", reading(None, ("livekit",)))
    assert not found.broken, found.broken
    said = {o.facts["sip.call.duration_ms"] for o in found.observations}
    assert said == {124_000}
    assert {o.facts["sip.call.direction"] for o in found.observations} == {"inbound"}
    assert "5105550100" not in repr(found)


def test_statistics_and_channels_of_one_call_together_know_their_ends():
    """ARI: with the channels beside them, each body is of its own end."""
    parts = (
        "ari-channels-live.json",
        "ari-rtp_statistics-live-caller.json",
        "ari-rtp_statistics-live-callee.json",
    )
    for order in (parts, parts[::-1]):
        data = b"\n".join(raw("asterisk", "03-one-way", name) for name in order)
        records = read("asterisk-ari", data, reading("callee"))
        silent = list(windows(records, "pstn", "in"))
        assert {measure(w, "packet_count") for w in silent} == {0}, records
        assert {measure(w, "packet_count") for w in windows(records, "trunk", "out")} == {1283}


def test_a_silent_ari_body_is_missing_and_not_the_worst():
    """rxcount 0, txmes 0: no score, no jitter, no loss of what never came."""
    records = read(
        "asterisk-ari", raw("asterisk", "03-one-way", "ari-rtp_statistics-live-caller.json")
    )
    for window in windows(records):
        for name in ("mos", "jitter_ms", "rtt_ms", "loss_ratio"):
            assert measure(window, name) is None, window
    assert on(records, "agent") == []
