"""Records of several systems in one folder: joined, each leg its own, two calls never one."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from trunktrace import conventions as c

from . import rig

CAPTURES = Path(__file__).parents[1] / "sources" / "captures"
ASTERISK = CAPTURES / "asterisk" / "01-clean"
INBOUND = rig.CAPTURES / "03-inbound-loss10"
OUTBOUND = rig.CAPTURES / "05-outbound-answered"
CALL_ID = "a72192864869@carrier.invalid"
"""SIP Call-ID at the bridge of INBOUND."""

TWILIO = {
    "call_sid": "CA0123456789abcdef0123456789abcdef",
    "account_sid": "AC11111111111111111111111111111111",
    "created_time": "2026-11-23T01:14:48Z",
    "start_time": "2026-11-23T01:14:50Z",
    "end_time": "2026-11-23T01:15:58Z",
    "duration": 70,
    "connect_duration": 68,
    "call_type": "trunking",
    "call_state": "completed",
    "processing_state": "complete",
    "from": {"caller": "+15557778888", "country_code": "US"},
    "to": {"callee": "+15556488801", "country_code": "US"},
    "properties": {"last_sip_response_num": 200, "direction": "trunking_originating"},
}


def edge(lost: int, received: int = 3400, direction: str = "inbound") -> dict[str, object]:
    """An edge of Twilio's that got so many packets from outside, and lost so many."""
    share = 100 * lost / (lost + received)
    return {
        "properties": {"media_region": "us1", "direction": direction},
        "metrics": {
            "inbound": {
                "codec": 0,
                "codec_name": "pcmu",
                "packets_received": received,
                "packets_lost": lost,
                "packets_loss_percentage": share,
                "jitter": {"max": 1.5, "avg": 0.5},
            },
        },
    }


def summary(home: Path, **more: object) -> None:
    (home / "summary.json").write_text(json.dumps({**TWILIO, **more}, indent=1))


def asterisk(home: Path, *, shift: int, caller: str, callee: str, ids: dict[str, str]) -> None:
    """Records of a PBX of another call: other numbers, other time, other Call-IDs."""
    for name in ("ami.txt", "Master.csv", "ari-channels-live.json"):
        text = (ASTERISK / name).read_bytes().decode()
        text = re.sub(r"17953964\d\d", lambda at: str(int(at[0]) + shift), text)
        text = text.replace("+15555550199", caller).replace("+15555550101", callee)
        text = re.sub(r"2026-11-23([ T])01:(\d\d):(\d\d)", lambda at: _later(at, shift), text)
        for old, new in ids.items():
            text = text.replace(old, new)
        (home / name).write_bytes(text.encode())


def _later(at: re.Match[str], shift: int) -> str:
    seconds = 60 * int(at[2]) + int(at[3]) + shift
    return f"2026-11-23{at[1]}01:{seconds // 60:02}:{seconds % 60:02}"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder with LiveKit's files of a call that lost 10 % towards the bridge."""
    shutil.copytree(INBOUND, tmp_path / "call")
    return tmp_path / "call"


OURS = {"shift": 75, "caller": "+15557778888", "callee": "+15556488801"}


@pytest.mark.parametrize(
    "ids", [{"71c02175-26f2-4364-9da2-7f2fda782932": CALL_ID}, {}], ids=["call-id", "by time"]
)
def test_a_pbx_before_the_bridge_is_of_the_same_call(home, ids):
    """By the Call-ID of the leg between them, or as the only call that it can be."""
    alone = rig.diagnosis(home)
    asterisk(home, **OURS, ids=ids)
    told = rig.diagnosis(home)
    assert "calls" not in told
    assert {"asterisk-ami", "asterisk-cdr", "livekit-sip"} <= set(
        told["facts"][c.TRUNKTRACE_SOURCES]
    )
    assert rig.places(told) == [("media_degradation", "trunk", "in")]
    assert told["fault"] == "network"
    for key in (c.SIP_CALL_ID, c.RTP_LOSS_RATIO, c.TRUNK_ID, "rtp.in.packet_count"):
        assert told["facts"][key] == alone["facts"][key], key
    assert told["facts"]["pstn.in.loss_ratio"] == 0.0


@pytest.mark.parametrize(
    "change", [{"caller": "+15557778877"}, {"shift": 600}], ids=["another caller", "another time"]
)
def test_a_call_that_cannot_be_the_same_stays_another(home, change):
    """Two calls: the bridge's, and one of the PBX's."""
    asterisk(home, **{**OURS, **change}, ids={})
    told = rig.diagnosis(home)["calls"]
    assert len(told) == 2
    assert sorted(one["facts"][c.SIP_CALL_DIRECTION] for one in told) == ["inbound", "inbound"]


def test_two_calls_of_a_pbx_at_once_are_not_guessed_at(home):
    """Both may be the one: neither is taken."""
    asterisk(home, **OURS, ids={})
    other = (
        (home / "Master.csv").read_text().replace("pbx1-", "pbx1-9").replace("-0000000", "-0001000")
    )
    (home / "Master.csv").write_text((home / "Master.csv").read_text() + other)
    for name in ("ami.txt", "ari-channels-live.json"):
        (home / name).unlink()
    assert len(rig.diagnosis(home)["calls"]) == 3


def test_a_pbx_reads_its_legs_as_the_bridge_knows_them(tmp_path):
    """An outbound call: what the PBX takes for the callee is the carrier, once LiveKit is heard."""
    home = tmp_path / "call"
    shutil.copytree(OUTBOUND, home)
    true = rig.truth(OUTBOUND.name)
    began = json.loads((home / "livekit-sip.jsonl").read_text().splitlines()[0])["ts"]
    shift = int(began) - 1795396417 + 3
    assert rig.diagnosis(ASTERISK)["facts"][c.SIP_CALL_DIRECTION] == "inbound"
    callee = "+155500000" + rig.diagnosis(OUTBOUND)["facts"][c.SIP_CALLEE_NUMBER][-2:]
    asterisk(home, shift=shift, caller="anonymous", callee=callee, ids={})
    told = rig.diagnosis(home)
    assert "asterisk-ami" in told["facts"][c.TRUNKTRACE_SOURCES]
    assert told["facts"][c.SIP_CALL_DIRECTION] == true["direction"] == "outbound"
    assert told["findings"] == []


def test_a_carriers_summary_of_the_same_call_acquits_the_path(home):
    """Twilio lost the same share before its own edge: one finding, on the leg where it began."""
    summary(home, carrier_edge=edge(340, 3060), sip_edge=None)
    told = rig.diagnosis(home)
    assert rig.places(told) == [("media_degradation", "pstn", "in")]
    assert told["fault"] == "carrier"
    assert told["facts"]["rtp.in.loss_ratio"] == pytest.approx(325 / 3400)
    assert told["facts"]["pstn.in.loss_ratio"] == pytest.approx(0.1)


def test_a_carrier_that_lost_nothing_leaves_it_to_the_path(home):
    """Clean at Twilio's edge, 10 % lost at the bridge: between them."""
    summary(home, carrier_edge=edge(0), sip_edge=None)
    told = rig.diagnosis(home)
    assert rig.places(told) == [("media_degradation", "trunk", "in")]
    assert told["fault"] == "network"


def test_loss_on_both_legs_is_two_findings_where_the_second_adds_its_own(home):
    """3 % before the edge, 10 % at the bridge: most of it came on the way between them."""
    summary(home, carrier_edge=edge(102, 3298), sip_edge=None)
    told = rig.diagnosis(home)
    assert set(rig.places(told)) == {
        ("media_degradation", "pstn", "in"),
        ("media_degradation", "trunk", "in"),
    }


def test_the_carriers_id_in_a_header_joins_its_record(home):
    """CallSid: the participant's attribute and the summary name one call, whatever their times."""
    text = (home / "webhooks.jsonl").read_text()
    said = f'"sip.twilio.callSid": "{TWILIO["call_sid"]}", "sip.callIDFull"'
    (home / "webhooks.jsonl").write_text(text.replace('"sip.callIDFull"', said))
    summary(
        home,
        carrier_edge=edge(0),
        start_time="2026-11-23T05:14:50Z",
        end_time="2026-11-23T05:15:58Z",
        created_time="2026-11-23T05:14:48Z",
    )
    told = rig.diagnosis(home)
    assert "calls" not in told
    assert told["facts"][c.SIP_PROVIDER_CALL_ID] == TWILIO["call_sid"]


def test_the_calls_of_others_in_a_pbxs_file_are_left_out(home):
    """One row is of the call with LiveKit's files, by its time; the other is somebody else's."""
    asterisk(home, **OURS, ids={})
    for name in ("ami.txt", "ari-channels-live.json"):
        (home / name).unlink()
    row = (home / "Master.csv").read_text()
    other = row.replace("pbx1-", "pbx1-9").replace("2026-11-23 01:", "2026-11-23 04:")
    (home / "Master.csv").write_text(row + other)
    ran = rig.run(home, "--json")
    assert "calls" not in json.loads(ran.stdout)
    assert "asterisk-cdr" in json.loads(ran.stdout)["facts"][c.TRUNKTRACE_SOURCES]
    assert "1 calls of the same logs" in ran.stderr


def test_statistics_that_name_a_channel_alone_are_of_the_call_of_their_folder(tmp_path):
    """ARI's rtp_statistics beside a CDR that does not know the callee's channel."""
    for name in ("Master.csv", "ari-rtp_statistics-live-callee.json"):
        shutil.copy(ASTERISK / name, tmp_path)
    told = rig.diagnosis(tmp_path)
    assert "calls" not in told
    assert told["facts"][c.TRUNKTRACE_SOURCES] == ["asterisk-ari", "asterisk-cdr"]


def test_a_channel_is_on_the_leg_that_the_whole_call_says(tmp_path):
    """Bodies of rtp_statistics do not say whose they are: the event stream does."""
    call = CAPTURES / "asterisk" / "03-one-way"
    for name in ("ami.txt", "ari-rtp_statistics-live-callee.json",
                 "ari-rtp_statistics-live-caller.json"):  # fmt: skip
        shutil.copy(call / name, tmp_path)
    assert rig.places(rig.diagnosis(tmp_path)) == [("one_way_audio", "pstn", "in")]


def test_a_proxy_between_says_what_the_carrier_answered(tmp_path):
    """The bridge was handed a 500; the proxy's accounting has the gateway's 503."""
    home = rig.Call("06").refused(500, "Server Internal Error", "upstream-server-error-500",
                                  "upstream_error").write(tmp_path / "call")  # fmt: skip
    alone = rig.diagnosis(home)
    assert (alone["outcome"], alone["fault"]) == ("failed", "carrier")
    for file in (CAPTURES / "kamailio" / "05-unavailable-503").glob("*.log"):
        text = file.read_text().replace("23a00f6486f12820", alone["facts"][c.SIP_CALL_ID])
        (home / file.name).write_text(text)
    told = rig.diagnosis(home)
    assert "calls" not in told
    assert (told["outcome"], told["fault"]) == ("congestion", "carrier")
    assert told["facts"][c.SIP_RESPONSE_STATUS_CODE] == 500
    assert told["facts"][c.SIP_ATTEMPT_COUNT] == 1
    assert told["facts"][c.TRUNK_CARRIER] == "acme"
    assert rig.modes(told) == {"call_setup_failure"}


def test_the_bridges_own_count_stands_before_what_a_proxy_derives(tmp_path):
    """A proxy says 6 % towards the bridge, in whole percents of RTCP; the bridge counted none."""
    home = tmp_path / "call"
    shutil.copytree(OUTBOUND, home)
    alone = rig.diagnosis(home)
    answered = json.loads((home / "livekit-sip.jsonl").read_text().splitlines()[0])["ts"] + 1
    text = (CAPTURES / "kamailio" / "03-loss5-proxy-to-caller" / "kamailio.log").read_text()
    text = text.replace("cfda92684fed522f", alone["facts"][c.SIP_CALL_ID])
    text = re.sub(r"17953963\d\d", lambda at: str(int(at[0]) - 1795396300 + int(answered)), text)
    (home / "kamailio.log").write_text(text)
    told = rig.diagnosis(home)
    assert "calls" not in told
    assert "kamailio-acc" in told["facts"][c.TRUNKTRACE_SOURCES]
    assert told["findings"] == []
    assert told["facts"][c.RTP_LOSS_METHOD] == "counted"
    assert told["facts"]["rtp.in.loss_ratio"] == alone["facts"]["rtp.in.loss_ratio"] == 0.0
