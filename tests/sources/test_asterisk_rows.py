"""Call detail records in the layouts of other writers: custom rows, tables, exports, JSON."""

from __future__ import annotations

import csv
import io
import json

import pytest
from tests.sources.asterisk import by_leg, parse, quality, whole

from trunktrace.sources.parsed import Observation

CDR = "asterisk-cdr"
UNIQUE = "pbx-1795393171.18"
TOLD = {
    "clid": '"Bob" <+15555550142>',
    "src": "+15555550142",
    "dst": "+15555550143",
    "dcontext": "from-trunk",
    "channel": "PJSIP/carrier-00000012",
    "dstchannel": "PJSIP/livekit-00000013",
    "lastapp": "Dial",
    "lastdata": "PJSIP/livekit,30",
    "start": "2026-11-23 00:19:31",
    "answer": "2026-11-23 00:19:36",
    "end": "2026-11-23 00:21:40",
    "duration": "129",
    "billsec": "124",
    "disposition": "ANSWERED",
    "amaflags": "DOCUMENTATION",
    "accountcode": "",
    "uniqueid": UNIQUE,
    "userfield": "",
    "sequence": "7",
}
CUSTOM = list(TOLD)
TABLE = [
    "start", "clid", "src", "dst", "dcontext", "channel", "dstchannel", "lastapp", "lastdata",
    "duration", "billsec", "disposition", "amaflags", "accountcode", "uniqueid", "userfield",
]  # fmt: skip
FREEPBX = [
    *TABLE, "did", "recordingfile", "cnum", "cnam", "outbound_cnum", "outbound_cnam", "dst_cnam",
    "linkedid", "peeraccount", "sequence",
]  # fmt: skip


def _line(names: list[str], delimiter: str = ",", **cells: str) -> str:
    told = TOLD | cells
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_ALL, delimiter=delimiter).writerow(
        [told.get(name, "") for name in names]
    )
    return text.getvalue()


def _legs(data: str) -> dict[str, Observation]:
    parsed = parse(CDR, data)
    assert parsed.broken == ()
    return by_leg(parsed)


def _is_told(legs: dict[str, Observation]) -> None:
    for one in legs.values():
        assert (one.start, one.end) == (1795393171.0, 1795393300.0)
        assert one.facts["sip.response.status_code"] == 200
        assert one.facts["sip.call.duration_ms"] == 124_000.0
        assert one.facts["sip.caller.number"] == "+1*******42"
        assert one.facts["sip.callee.number"] == "+1*******43"
    assert legs["pstn"].ids["endpoint"] == "carrier"
    assert legs["trunk"].ids["endpoint"] == "livekit"


@pytest.mark.parametrize("columns", [CUSTOM[:-1], CUSTOM, [*CUSTOM, "one", "two"], TABLE, FREEPBX])
def test_a_row_without_a_header_is_known_by_its_layout(columns: list[str]) -> None:
    """cdr_custom.conf.sample, with columns of one's own behind it; the tables' order."""
    legs = _legs(_line(columns))
    _is_told(legs)
    assert legs["pstn"].ids["channel_id"] == UNIQUE


def test_a_custom_row_of_before_csv_quote_is_read() -> None:
    """Quotes of the caller's name stand within quotes as they are."""
    row = _line(CUSTOM).replace('"""Bob"" <+15555550142>"', '""Bob" <+15555550142>"')
    assert '""Bob" <' in row
    _is_told(_legs(row))


def test_a_custom_row_that_is_cut_is_broken() -> None:
    """Within its last cell, or before it has an id."""
    for row in (_line(CUSTOM[:-1]).rstrip()[:-1], _line(CUSTOM[:16])):
        parsed = parse(CDR, row)
        assert (parsed.observations, len(parsed.broken)) == ((), 1)


def test_parts_of_seconds_are_read() -> None:
    """`CDR(billsec,f)` has parts of seconds, `CDR(start,u)` and the like Unix time."""
    times = {"start": "1795393171.25", "answer": "1795393176.75", "end": "1795393300.5"}
    legs = _legs(_line(CUSTOM, duration="129.250000", billsec="123.750000", **times))
    for one in legs.values():
        assert (one.start, one.end) == (1795393171.25, 1795393300.5)
        assert one.facts["sip.call.duration_ms"] == 123_750.0


def test_a_column_of_ones_own_may_hold_the_quality() -> None:
    """The string needs no user field: behind the sample's columns it is found as well."""
    string = quality(ssrc=1, themssrc=2, rxcount=500, txcount=400, rxjitter=0.001)
    legs = _legs(_line([*CUSTOM, "callid", "rtcpinfo"], callid="a84b4c@192.0.2.9", rtcpinfo=string))
    assert whole(legs["pstn"], "in")["packet_count"] == 500


def test_a_caller_may_be_answered_by_asterisk_alone() -> None:
    """In a queue that nobody picked up: `answer` is of the caller's channel, and so is the talk."""
    legs = _legs(_line(CUSTOM, disposition="NO ANSWER"))
    assert legs["pstn"].facts["sip.response.status_code"] == 200
    assert legs["pstn"].facts["sip.call.outcome"] == "answered"
    assert legs["pstn"].facts["sip.call.duration_ms"] == 124_000.0
    assert legs["trunk"].facts["sip.call.outcome"] == "no_answer"
    assert not {"sip.response.status_code", "sip.call.duration_ms"} & legs["trunk"].facts.keys()


def test_a_caller_talks_from_his_first_answer_to_his_end() -> None:
    """A queue that found nobody, then somebody: two rows of one caller's channel."""
    times = {"start": "2026-11-23 00:19:00", "answer": "2026-11-23 00:19:01",
             "end": "2026-11-23 00:19:31", "billsec": "30"}  # fmt: skip
    first = _line(CUSTOM, disposition="NO ANSWER", dstchannel="PJSIP/desk-00000014", **times)
    parsed = parse(CDR, first + _line(CUSTOM))
    caller, desk, ours = parsed.observations
    assert (caller.start, caller.end) == (1795393140.0, 1795393300.0)
    assert caller.facts["sip.call.duration_ms"] == 159_000.0
    assert desk.facts["sip.call.outcome"] == "no_answer"
    assert ours.facts["sip.call.duration_ms"] == 124_000.0


def test_a_caller_who_is_answered_by_a_voicemail_was_answered() -> None:
    """Behind the row of the `Dial` that failed stands that of the application that answered."""
    dial = _line(CUSTOM, disposition="BUSY", answer="", billsec="0", end="2026-11-23 00:19:40")
    mail = _line(CUSTOM, dstchannel="", lastapp="VoiceMail", start="2026-11-23 00:19:40",
                 answer="2026-11-23 00:19:40", billsec="120")  # fmt: skip
    for data in (dial + mail, mail + dial):
        legs = _legs(data)
        assert legs["pstn"].facts["sip.response.status_code"] == 200
        assert legs["pstn"].facts["sip.call.duration_ms"] == 120_000.0
        assert legs["trunk"].facts["sip.call.outcome"] == "busy"


@pytest.mark.parametrize("application", ["AppDial", "AppDial2"])
def test_where_a_call_of_asterisk_itself_goes_nobody_says(application: str) -> None:
    """`(Outgoing Line)` in the first place: a channel that was dialled, and no caller's."""
    row = _line(CUSTOM, dstchannel="", lastapp=application, lastdata="(Outgoing Line)")
    (one,) = parse(CDR, row).observations
    assert "sip.call.direction" not in one.facts
    assert one.facts["sip.response.status_code"] == 200


def test_a_third_column_of_ones_own_is_no_linked_id() -> None:
    """Of 19 columns: id, user field and one more, or the three of `newcdrcolumns`."""
    base = ["accountcode", "src", "dst", "dcontext", "clid", *CUSTOM[4:15]]
    own = _legs(_line([*base, "uniqueid", "userfield", "own"], own="in-42"))
    assert own["pstn"].ids["channel_id"] == own["pstn"].ids["linked_id"] == UNIQUE
    new = _legs(_line([*base, "peeraccount", "linkedid", "sequence"], linkedid="pbx-1795393171.4"))
    assert new["pstn"].ids["linked_id"] == "pbx-1795393171.4"


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_the_header_of_a_report_names_the_columns(delimiter: str) -> None:
    """Reports of Elastix and Issabel have words of their own; a duration in words says nothing."""
    names = ["Date", "Source", "Ring Group", "Destination", "Src. Channel", "Account Code",
             "Dst. Channel", "Status", "Duration", "UniqueID", "User Field"]  # fmt: skip
    row = ["start", "src", "ring", "dst", "channel", "accountcode", "dstchannel", "disposition",
           "words", "uniqueid", "userfield"]  # fmt: skip
    header = delimiter.join(f'"{name}"' for name in names)
    legs = _legs(f"{header}\n{_line(row, delimiter, words='124s (0h 2m 4s)', disposition='BUSY')}")
    for one in legs.values():
        assert (one.start, one.end) == (1795393171.0, None)
        assert one.facts["sip.call.outcome"] == "busy"
        assert "sip.call.duration_ms" not in one.facts
    assert legs["pstn"].ids["channel_id"] == UNIQUE


def test_json_of_a_table_or_a_queue_is_read() -> None:
    """Objects by the names of the table, those of cdr_beanstalkd, and in an answer's list."""
    table = {**TOLD, "duration": 129, "billsec": 124, "answer": None}
    words = {"CallerID": "clid", "CallerIDNum": "src", "Destination": "dst", "Channel": "channel",
             "DestinationChannel": "dstchannel", "StartTime": "start", "AnswerTime": "answer",
             "EndTime": "end", "Duration": "duration", "BillableSeconds": "billsec",
             "Disposition": "disposition", "UniqueID": "uniqueid"}  # fmt: skip
    event = {name: TOLD[key] for name, key in words.items()}
    for data in (table, [table], {"success": True, "data": [table]}, event):
        _is_told(_legs(json.dumps(data)))


def test_json_without_a_start_has_it_from_the_id() -> None:
    """An id of a channel holds its time; a time that is there and no time is broken."""
    told = {"channel": TOLD["channel"], "dstchannel": TOLD["dstchannel"], "uniqueid": UNIQUE,
            "disposition": "NO ANSWER", "duration": 8}  # fmt: skip
    for one in _legs(json.dumps(told)).values():
        assert (one.start, one.end) == (1795393171.0, 1795393179.0)
    assert parse(CDR, json.dumps(told | {"start": "soon"})).observations == ()


@pytest.mark.parametrize(
    "body",
    ['{"some": "thing"}', '{"channel": "SIP/a-1"}', '{"channel": 7, "disposition": "BUSY"',
     '{"data": [{"some": "thing"}]}', '{"disposition": 4, "channel": "SIP/a-1", "start": ""}'],
)  # fmt: skip
def test_json_that_is_no_record_is_broken(body: str) -> None:
    """It is reported with its line; the next record is read."""
    parsed = parse(CDR, f"{body}\n{json.dumps(TOLD)}\n")
    assert [one.line for one in parsed.broken] == [1]
    assert len(parsed.observations) == 2
