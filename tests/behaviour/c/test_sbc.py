"""SBC records: RADIUS accounting and CSV, by the vendors' documented fields."""

from __future__ import annotations

import pytest

from .shelf import measure, on, parsed, read, reading, same, values, windows

ORACLE = """Mon Nov 23 01:16:53 2026
\tAcct-Status-Type = Stop
\tNAS-IP-Address = 192.0.2.50
\tAcct-Session-Id = "abc-1"
\tAcct-Session-Time = 38
\tAcct-Terminate-Cause = User-Request
\tCalling-Station-Id = "\\"Jane\\" <sip:+15555550199@192.0.2.101:5060>;tag=1"
\tCalled-Station-Id = "<sip:+15555550101@192.0.2.50>"
\th323-setup-time = "01:16:15.005 UTC NOV 23 2026"
\th323-connect-time = "01:16:15.025 UTC NOV 23 2026"
\th323-disconnect-time = "01:16:53.645 UTC NOV 23 2026"
\th323-disconnect-cause = "10"
\tAcme-Session-Ingress-CallId = "in-1@192.0.2.101"
\tAcme-Session-Egress-CallId = "out-1@192.0.2.50"
\tAcme-Session-Ingress-Realm = "carrier-one"
\tAcme-Session-Egress-Realm = "livekit"
\tAcme-Session-Protocol-Type = "SIP"
\tAcme-Calling-Packets_FS1 = 1840
\tAcme-Calling-RTP-Packets-Lost_FS1 = 92
\tAcme-Calling-RTP-Avg-Jitter_FS1 = 3
\tAcme-Calling-RTP-MaxJitter_FS1 = 11
\tAcme-Called-Packets_FS1 = 1930
\tAcme-Called-RTP-Packets-Lost_FS1 = 0
\tAcme-Called-RTP-Avg-Jitter_FS1 = 1
\tAcme-Called-RTP-MaxJitter_FS1 = 4
\tAcme-Post-Dial-Delay = 812
\tAcme-Session-Disposition = 3
\tAcme-Disconnect-Initiator = 1
\tAcme-Disconnect-Cause = 0
\tAcme-SIP-Status = 200
\tAcme-CDR-Sequence-Number = 7
"""


def test_an_oracle_stop_record_tells_both_legs():
    """Loss of the caller's way in on the far leg, counted; the callee's realm is the bridge."""
    records = read("radius", ORACLE, reading(None, ("livekit",)))
    assert sorted(each["leg"] for each in records) == ["pstn", "trunk"]
    assert values(records, "sip.call.direction") == {"inbound"}
    assert values(records, "sip.response.status_code") == {200}
    assert values(records, "sip.reason.q850") == {16}
    lost = [w for w in windows(records, "pstn", "in") if measure(w, "lost_count") is not None]
    assert [measure(w, "lost_count") for w in lost] == [92]
    assert measure(lost[0], "loss_ratio") == pytest.approx(0.0476, abs=0.001)
    assert measure(lost[0], "loss_method") == "counted"
    assert all(abs(each - 38_600) < 700 for each in values(records, "sip.call.duration_ms"))
    assert values(on(records, "pstn"), "sip.call_id") <= {"in-1@192.0.2.101", "in-1"}


def test_line_ends_and_unknown_attributes_change_nothing():
    """CRLF, blanks for tabs, attributes of other vendors."""
    wanted = read("radius", ORACLE)
    same(read("radius", ORACLE.replace("\n", "\r\n")), wanted)
    same(read("radius", ORACLE.replace("\t", "        ")), wanted)
    same(read("radius", ORACLE + '\tFancy-Attribute = "x"\n\tAttr-26.9999.1 = 0x00\n'), wanted)
    same(read("radius", ORACLE + "\n"), wanted)


def test_two_calls_in_one_detail_file_stay_two():
    """A blank line ends a record."""
    other = ORACLE.replace("abc-1", "abc-2").replace("in-1", "in-2").replace("out-1", "out-2")
    records = read("radius", ORACLE + "\n" + other + "\n")
    assert len(records) == 4


def test_a_start_record_is_no_end():
    """Start: no duration, nobody hung up."""
    start = "\n".join(
        line
        for line in ORACLE.splitlines()
        if not any(
            x in line
            for x in ("disconnect", "Disconnect", "Session-Time", "Terminate", "Packets", "Jitter")
        )
    ).replace("Stop", "Start")
    records = read("radius", start + "\n")
    assert values(records, "sip.call.duration_ms") == set()
    assert values(records, "sip.hangup.source") == set()
    assert windows(records) == []


HEADER = "call_id,answer_time,end_time,sip_code,hangup_source,packets_received,packets_lost\n"


def test_a_csv_with_our_own_names_needs_no_map():
    """Names of the header line; times in the zone that is told."""
    text = HEADER + "c-1,2026-11-23 01:16:15,2026-11-23 01:16:53,200,callee,1840,92\n"
    found = parsed("sbc-csv", text, reading("callee"))
    assert not found.broken, found.broken
    records = read("sbc-csv", text, reading("callee"))
    assert values(records, "sip.response.status_code") == {200}
    assert values(records, "sip.hangup.source") == {"callee"}
    assert values(records, "sip.call.duration_ms") <= {38_000}


@pytest.mark.parametrize(
    "change",
    [
        lambda t: t.replace("\n", "\r\n"),
        lambda t: "\ufeff" + t,
        lambda t: t.rstrip("\n"),
        lambda t: t + "\n\n",
    ],
    ids=["crlf", "bom", "open", "blank"],
)
def test_how_a_csv_arrived_changes_nothing(change):
    """Line ends, a mark, blank lines."""
    text = HEADER + "c-1,2026-11-23 01:16:15,2026-11-23 01:16:53,486,,,\n"
    same(read("sbc-csv", change(text)), read("sbc-csv", text))


def test_a_row_with_other_columns_is_broken_and_the_others_stand():
    """Line number, reason, no value."""
    row = "c-1,2026-11-23 01:16:15,2026-11-23 01:16:53,200,callee,1840,92\n"
    found = parsed("sbc-csv", HEADER + row + "+15555550199,x\n" + row.replace("c-1", "c-2"))
    assert [each.line for each in found.broken] == [3]
    assert len(found.observations) == len(parsed("sbc-csv", HEADER + row).observations) * 2
