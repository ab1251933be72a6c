"""CDR rows, ARI bodies and quality strings of Asterisk: traps, and what cannot be read."""

from __future__ import annotations

import csv
import io
import json
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.sources.asterisk import CALLER_CALLS, by_leg, captured, parse, quality, whole

from trunktrace.sources.ends import Bridge
from trunktrace.sources.parsed import Observation
from trunktrace.sources.reading import Reading

CDR, ARI, QOS = "asterisk-cdr", "asterisk-ari", "asterisk-qos"
UNIQUE = "1795393171.18"
STRING = quality(ssrc=1, themssrc=2, rxcount=500, txcount=400, rxjitter=0.001)
_COLUMNS = [
    "accountcode",
    "src",
    "dst",
    "dcontext",
    "clid",
    "channel",
    "dstchannel",
    "lastapp",
    "lastdata",
    "start",
    "answer",
    "end",
    "duration",
    "billsec",
    "disposition",
    "amaflags",
    "uniqueid",
    "userfield",
    "peeraccount",
    "linkedid",
    "sequence",
]
_ROW = {
    "src": "+15555550142",
    "dst": "+15555550143",
    "clid": '"" <+15555550142>',
    "channel": "PJSIP/twilio-00000012",
    "dstchannel": "PJSIP/livekit-00000013",
    "lastapp": "Dial",
    "start": "2026-11-23 00:19:31",
    "answer": "2026-11-23 00:19:36",
    "end": "2026-11-23 00:21:40",
    "duration": "129",
    "billsec": "124",
    "disposition": "ANSWERED",
    "uniqueid": UNIQUE,
    "linkedid": UNIQUE,
}


def _row(columns: int = 21, **cells: str) -> str:
    told = _ROW | cells
    names = _COLUMNS[:16] + _COLUMNS[16:][: columns - 16]
    if columns in (19, 20):
        names = _COLUMNS[:16] + _COLUMNS[16:17][: columns - 19] + _COLUMNS[18:]
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_ALL).writerow([told.get(name, "") for name in names])
    return text.getvalue()


def _observations(source: str, data: str) -> tuple[Observation, ...]:
    parsed = parse(source, data)
    assert parsed.broken == ()
    return parsed.observations


# Call detail records -----------------------------------------------------------------------------


@pytest.mark.parametrize("columns", [16, 17, 18, 19, 20, 21])
def test_rows_of_every_length_are_read(columns: int) -> None:
    """Older rows and those without some switches have the same legs, times and durations."""
    legs = by_leg(parse(CDR, _row(columns)))
    for one in legs.values():
        assert (one.start, one.end) == (1795393171.0, 1795393300.0)
        assert one.facts["sip.response.status_code"] == 200
        assert one.facts["sip.call.duration_ms"] == 124_000.0
    assert legs["pstn"].ids["linked_id"] == legs["trunk"].ids["linked_id"]
    assert legs["pstn"].ids.get("channel_id") == (UNIQUE if columns not in (16, 19) else None)


def test_the_last_column_may_be_the_user_field() -> None:
    """Of 17 columns the last is an id of a channel, or the user field where it is none."""
    (one, _) = _observations(CDR, _row(17, uniqueid=STRING))
    assert whole(one, "in")["packet_count"] == 500
    assert "channel_id" not in one.ids


def test_times_are_of_the_zone_of_the_pbx() -> None:
    """Without `usegmtime` times are local; summer time is minded."""
    berlin = Reading(zone=ZoneInfo("Europe/Berlin"))
    for start, hour in (("2026-07-01 14:00:00", 12), ("2026-12-01 13:00:00", 12)):
        row = _row(start=start, answer="", end="", disposition="BUSY")
        one = parse(CDR, row, berlin).observations[0]
        assert one.start is not None
        assert one.start % 86_400 == hour * 3600


def test_a_second_row_of_a_failed_dial_is_no_second_call() -> None:
    """The row of `Hangup`, in either order, gives the cause and nothing else."""
    dial = _row(disposition="BUSY", answer="", billsec="0")
    hangup = _row(
        disposition="BUSY", answer="", billsec="0", dstchannel="", lastapp="Hangup", lastdata="17"
    )
    for data in (dial + hangup, hangup + dial):
        legs = by_leg(parse(CDR, data))
        assert legs["pstn"].facts["sip.reason.q850"] == 17
        assert legs["trunk"].facts["sip.call.outcome"] == "busy"


def test_a_user_field_on_the_second_row_counts() -> None:
    """What the `h` extension writes lands on the last row of the call."""
    rows = _row() + _row(dstchannel="", lastapp="Hangup", userfield=f"192.0.2.1:4000 {STRING}")
    assert whole(by_leg(parse(CDR, rows))["pstn"], "in")["packet_count"] == 500


def test_each_dialled_channel_is_a_leg() -> None:
    """A second carrier that answered is a leg of its own, and so is the caller's, answered."""
    first = _row(disposition="CONGESTION", answer="", billsec="0")
    rows = first + _row(dstchannel="PJSIP/beta-00000014")
    parsed = parse(CDR, rows, CALLER_CALLS)
    told = [
        (one.leg, one.ids["endpoint"], one.facts["sip.call.outcome"]) for one in parsed.observations
    ]
    assert told == [
        ("trunk", "twilio", "answered"),
        ("pstn", "livekit", "congestion"),
        ("pstn", "beta", "answered"),
    ]
    assert len({one.record_id for one in parsed.observations}) == 3


def test_a_header_line_names_the_columns() -> None:
    """An export with a header is read by its names, `calldate` among them."""
    header = "calldate,channel,dstchannel,disposition,billsec,duration,uniqueid\n"
    row = f"2026-11-23 00:19:31,SIP/a-00000001,SIP/b-00000002,ANSWERED,60,65,{UNIQUE}\n"
    parsed = parse(CDR, header + row)
    assert (parsed.ignored, parsed.broken) == (1, ())
    for one in parsed.observations:
        assert (one.start, one.end) == (1795393171.0, 1795393236.0)
        assert one.facts["sip.call.duration_ms"] == 60_000.0


def test_rows_between_channels_of_asterisk_itself_are_ignored() -> None:
    """A row of two `Local` channels says nothing of a trunk; one half of them is a leg."""
    half = _row(dstchannel="Local/s@agents-00000001;1")
    both = _row(channel="Local/s@agents-00000001;2", dstchannel="", uniqueid="1795393171.19")
    parsed = parse(CDR, half + both)
    assert [one.leg for one in parsed.observations] == ["pstn"]
    assert parsed.ignored == 1


@pytest.mark.parametrize(
    "row",
    [
        _row(start="23/11/2026 00:19:31"),
        _row(start=""),
        _row(disposition="PERHAPS"),
        _row(disposition=""),
        _row(channel=""),
        _row().rstrip() + ',"one","more","and","more"\r\n',
        _row(16).rsplit(",", 2)[0] + "\r\n",
        _row().rstrip()[:-1] + "\r\n",
        "not a record\r\n",
        "\x00\r\n",
    ],
)
def test_a_row_that_cannot_be_read_is_broken(row: str) -> None:
    """It is reported with its line; its neighbours are read."""
    parsed = parse(CDR, _row() + row + _row(uniqueid="1795393171.20"))
    assert [one.line for one in parsed.broken] == [2]
    assert len(parsed.observations) == 4


@pytest.mark.parametrize("cells", [{"billsec": "soon"}, {"end": "never"}, {"answer": "?"}])
def test_an_odd_measure_is_left_out(cells: dict[str, str]) -> None:
    """A single value that is garbage costs that value alone."""
    assert len(_observations(CDR, _row(**cells))) == 2


@given(st.binary(max_size=300))
def test_no_rows_raise(data: bytes) -> None:
    """Whatever the bytes, the rows around them are read."""
    parsed = parse(CDR, _row().encode() + data.replace(b'"', b"'") + b"\n" + _row().encode())
    assert len(parsed.observations) >= 2


# Statistics and channels -------------------------------------------------------------------------


def _statistics(**values: object) -> str:
    body = json.loads(captured("01-clean", "ari-rtp_statistics-live-caller.json"))
    return json.dumps({**body, **values})


def _only(data: str) -> Observation:
    (one,) = _observations(ARI, data)
    return one


def test_the_plain_jitter_names_of_ari_are_swapped_too() -> None:
    """Without `local_` and `remote_` fields `txjitter` is what Asterisk measured."""
    body = {"txcount": 9, "rxcount": 9, "rxploss": 1, "txploss": 0, "txjitter": 0.002,
            "rxjitter": 0.007, "channel_uniqueid": UNIQUE}  # fmt: skip
    one = _only(json.dumps(body))
    assert whole(one, "in")["jitter_ms"] == 2.0
    assert whole(one, "out")["jitter_ms"] == 7.0
    assert whole(one, "in")["loss_ratio"] == 0.1


def test_the_fields_by_side_are_preferred() -> None:
    """`local_normdevjitter` is the mean of what Asterisk measured, `normdevrtt` of round trips."""
    one = _only(_statistics(local_normdevjitter=0.004, remote_normdevjitter=0.005, rtt=65535.9))
    assert whole(one, "in")["jitter_ms"] == 4.0
    assert whole(one, "out")["jitter_ms"] == 5.0
    assert whole(one, "in")["rtt_ms"] == 0.5795


def test_scores_of_zero_are_missing() -> None:
    """A silent leg has MES 0: that is not the worst, but none."""
    data = captured("03-one-way", "ari-rtp_statistics-live-caller.json")
    (one,) = parse(ARI, data).observations
    assert whole(one, "in") == {"packet_count": 0}
    assert whole(one, "out") == {"packet_count": 1287}


def test_loss_upstream_counts_once_in_ari_as_well() -> None:
    """Two statistics whose SSRCs meet are one call: the gaps of the one are not the other's."""
    caller = _statistics(rxcount=950, rxploss=50)
    callee = json.loads(captured("01-clean", "ari-rtp_statistics-live-callee.json"))
    callee |= {"txcount": 950, "txploss": 50}
    legs = by_leg(parse(ARI, caller + json.dumps(callee)))
    assert whole(legs["pstn"], "in")["loss_ratio"] == 0.05
    assert whole(legs["trunk"], "in")["loss_ratio"] == 0.0


def test_of_repeated_polls_the_last_counts() -> None:
    """Counts run on: the last body of a channel has them all."""
    one = _only("\n".join(_statistics(rxcount=count) for count in (500, 1000, 1500)))
    assert whole(one, "in")["packet_count"] == 1500


def test_a_channel_that_rings_has_no_code() -> None:
    """Only a channel that is `Up` was answered."""
    channel = {"id": UNIQUE, "name": "PJSIP/acme-00000001", "state": "Ringing",
               "protocol_id": "43d0018f9aca103f", "creationtime": "2026-11-23T01:13:37.829+0000",
               "dialplan": {"app_name": "AppDial"}}  # fmt: skip
    one = _only(json.dumps([channel]))
    assert (one.leg, one.start) == ("trunk", 1795396417.829)
    assert one.ids["call_id"] == "43d0018f9aca103f"
    assert "sip.response.status_code" not in one.facts


@pytest.mark.parametrize(
    "body",
    [
        '{"rxcount": 1, "txcount": 2}',
        '{"rxcount": 1, "channel_uniqueid": "17.1"}',
        '{"rxcount": "x", "txcount": 2, "channel_uniqueid": "17.1"}',
        '{"rxcount": -1, "txcount": 2, "channel_uniqueid": "17.1"}',
        '{"id": 17, "name": "PJSIP/a-00000001"}',
        '{"id": "17.1", "name": null}',
        '{"some": "thing"}',
        '["a text"]',
        '{"rxcount": 1,',
    ],
)
def test_a_body_that_cannot_be_read_is_broken(body: str) -> None:
    """It is reported; the next body is read."""
    parsed = parse(ARI, f"{body}\n{_statistics()}\n")
    assert [one.line for one in parsed.broken] == [1]
    assert len(parsed.observations) == 1


def test_answers_of_other_kinds_are_ignored() -> None:
    """Errors, events of an application and channels of Asterisk itself say nothing of a leg."""
    bodies = ['{"message": "Channel not found"}', '{"type": "StasisStart", "channel": {}}',
              '{"id": "17.1", "name": "Local/s@agents-00000001;1"}']  # fmt: skip
    parsed = parse(ARI, "\n".join(bodies))
    assert (parsed.observations, parsed.broken, parsed.ignored) == ((), (), 3)


# Strings -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line",
    [
        STRING,
        f"RTPAUDIOQOS={STRING}",
        f"Variable: RTPAUDIOQOS\r\nValue: {STRING}",
        f"RTPAUDIOQOS: {STRING}",
        f'    -- Executing [h@in:1] NoOp("x", "{STRING}") in new stack',
        f"  {STRING};  ",
        f"{STRING};rxmes=0.000000;txmes=0.000000",
    ],
)
def test_a_string_is_read_behind_any_prefix(line: str) -> None:
    """Bare, as a variable, as the manager's lines, or out of the log."""
    (one,) = _observations(QOS, f"{line}\r\n")
    assert one.leg == "pstn"
    assert whole(one, "in")["packet_count"] == 500
    assert whole(one, "out")["packet_count"] == 400


def test_a_string_is_taken_for_the_callers() -> None:
    """It is of the channel that ran the dialplan: its leg is ours where the bridge calls."""
    (one,) = parse(QOS, STRING, CALLER_CALLS).observations
    assert one.leg == "trunk"
    assert whole(one, "out")["packet_count"] == 500


def test_a_line_that_names_its_channel_tells_the_leg() -> None:
    """With `--bridge` an endpoint in the line decides; without it the caller's is assumed."""
    line = f'NoOp("PJSIP/livekit-00000002", "{STRING}")'
    named = Reading(bridge=Bridge(frozenset({"livekit"})))
    assert [one.leg for one in parse(QOS, line, named).observations] == ["trunk"]
    assert [one.leg for one in parse(QOS, line).observations] == ["pstn"]


def test_the_copy_of_the_other_channel_counts_once() -> None:
    """`BRIDGED` beside its own string says nothing new; alone it is the other leg's."""
    copy = f"RTPAUDIOQOSBRIDGED={STRING}"
    for lines in (f"{STRING}\n{copy}", f"{copy}\n{STRING}"):
        parsed = parse(QOS, lines)
        assert [one.leg for one in parsed.observations] == ["pstn"]
        assert parsed.ignored == 1
    assert [one.leg for one in parse(QOS, copy).observations] == ["trunk"]


@pytest.mark.parametrize(
    "counts, loss",
    [
        ({"rxcount": 1000, "txcount": 1000, "rlp": 50}, 0.05),
        ({"rxcount": 1000, "txcount": 950, "rlp": 50}, 0.0),
        ({"rxcount": 950, "lp": 50, "txcount": 1000, "rlp": 50}, 0.05),
        ({"rxcount": 1000, "txcount": 600, "rlp": 50}, None),
        ({"rxcount": 0, "txcount": 600, "rlp": 50}, None),
        ({"rxcount": 9, "txcount": 9, "rlp": 50}, None),
        ({"rxcount": 1000, "txcount": 1000, "rlp": 0}, 0.0),
    ],
)
def test_loss_that_a_lone_string_cannot_place_is_not_told(
    counts: dict[str, int], loss: float | None
) -> None:
    """Packets that Asterisk never sent were lost before it; where counts do not fit, say none."""
    (one,) = _observations(QOS, quality(rxjitter=0.001, **counts))
    assert whole(one, "out").get("loss_ratio") == loss


def test_a_string_without_media_is_ignored() -> None:
    """Two counts of 0 say nothing of any leg."""
    parsed = parse(QOS, quality(ssrc=1))
    assert (parsed.observations, parsed.broken, parsed.ignored) == ((), (), 1)


@pytest.mark.parametrize("name", ["RTPVIDEOQOS", "RTPTEXTQOS", "RTPVIDEOQOSBRIDGED"])
def test_strings_of_other_media_are_ignored(name: str) -> None:
    """A video stream of the call has a string of its own: it says nothing of the audio."""
    for lines in (f"{name}={STRING}", f"Variable: {name}\r\nValue: {STRING}"):
        parsed = parse(QOS, f"{lines}\n{quality(rxcount=7, txcount=8)}\n")
        (one,) = parsed.observations
        assert whole(one, "in")["packet_count"] == 7
        assert parsed.broken == ()


@pytest.mark.parametrize(
    "line",
    [
        "hello",
        "+15555550143 called",
        "ssrc=1;themssrc=2;lp=0",
        "ssrc=1;rxcount=12",
        "ssrc=1;rxcount=;txcount=3",
        "ssrc=1;rxcount=1e3;txcount=3",
        STRING[: STRING.index("txcount") + 10],
        STRING[: STRING.index("rlp") + 5],
        "x" * 5000,
    ],
)
def test_a_line_that_is_no_string_is_broken(line: str) -> None:
    """It is reported with its line, and nothing of it is quoted."""
    parsed = parse(QOS, f"{STRING}\n{line}\n")
    assert [one.line for one in parsed.broken] == [2]
    assert len(parsed.observations) == 1
    assert "5555501" not in repr(parsed.broken)


@given(st.binary(max_size=300))
def test_no_strings_raise(data: bytes) -> None:
    """Whatever the bytes, the string before them is read."""
    assert len(parse(QOS, f"{STRING}\n".encode() + data).observations) >= 1


def test_statistics_alone_do_not_say_where_the_call_went() -> None:
    """A body names neither its end nor the bridge: a direction would be made up."""
    one = _only(_statistics())
    assert "sip.call.direction" not in one.facts
