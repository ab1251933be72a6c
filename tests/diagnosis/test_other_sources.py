"""`trunktrace diagnose` on what PBXs, proxies and carriers wrote, alone and beside LiveKit's."""

from __future__ import annotations

import json
import re
import shutil
from itertools import combinations
from pathlib import Path

import pytest
from tests.sources.golden import CASES

from trunktrace import conventions as c

from . import rig

CAPTURES = Path(__file__).parents[1] / "sources" / "captures"
EACH = ("asterisk", "freeswitch", "kamailio", "rtpengine")
CALLS = sorted(path for system in EACH for path in (CAPTURES / system).glob("0*"))
PROXIED = sorted(path.name for path in (CAPTURES / "kamailio").glob("0*"))
CLEAN = [call for call in CALLS if call.name == "01-clean"]


def name_of(call: Path) -> str:
    return f"{call.parent.name}/{call.name}"


def truth(call: Path) -> dict[str, object]:
    return json.loads((call / "facts.json").read_text())


def records(call: Path) -> list[Path]:
    """The files of a call that hold records."""
    return sorted(
        file
        for file in call.iterdir()
        if file.name not in ("facts.json", "ends-rtcpsummary.txt", "README.md")
    )


def proxied(name: str) -> rig.Record:
    """A call that went through Kamailio and rtpengine, by the records of both."""
    return rig.diagnosis(CAPTURES / "kamailio" / name, CAPTURES / "rtpengine" / name)


def modes_of(*files: Path) -> set[str]:
    """The failure modes that these files show; none where they tell of no call."""
    ran = rig.run(*files, "--json")
    if ran.exit_code:
        assert ran.exit_code == 65
        assert "tell of no call" in ran.stderr
        return set()
    return rig.modes(json.loads(ran.stdout))


@pytest.mark.parametrize("end", ["caller", "callee"])
@pytest.mark.parametrize(
    "name, towards, lost",
    [("02-loss5-caller-to-proxy", "in", 109), ("03-loss5-proxy-to-caller", "out", 98)],
)
def test_what_several_records_of_a_proxy_count_is_counted_once(name, towards, lost, end):
    """Its statistics, its log, its RTCP and Kamailio's log agree on number, leg and direction."""
    files = CAPTURES / "kamailio" / name, CAPTURES / "rtpengine" / name
    told = rig.diagnosis(*files, "--bridge-end", end)
    turned = {"in": "out", "out": "in"}[towards]
    place = f"pstn.{towards}" if end == "callee" else f"rtp.{turned}"
    counts = {key: one for key, one in told["facts"].items() if key.endswith("lost_count")}
    assert {key for key, one in counts.items() if one} == {f"{place}.lost_count"}
    assert counts[f"{place}.lost_count"] == lost
    assert [(one["leg"], one["direction"]) for one in told["findings"]] == [
        ("pstn", towards) if end == "callee" else ("trunk", turned)
    ]


# PBXs and proxies alone -------------------------------------------------------------------------

EXPECTED = {
    "asterisk/01-clean": (set(), "answered", "none"),
    "asterisk/02-busy-486": ({"call_setup_failure"}, "busy", "callee"),
    "asterisk/03-one-way": ({"one_way_audio"}, "answered", None),
    "freeswitch/01-clean": (set(), "answered", "none"),
    "freeswitch/02-loss5-caller-in": ({"media_degradation"}, "answered", None),
    "freeswitch/03-busy-486": ({"call_setup_failure"}, "busy", "callee"),
}


@pytest.mark.parametrize("name", list(EXPECTED))
def test_a_call_of_a_pbx_is_one_call_with_its_truth(name):
    """All files of a folder are of one call; mode, outcome and fault are what was set up."""
    told = rig.diagnosis(CAPTURES / name)
    assert "calls" not in told
    modes, outcome, fault = EXPECTED[name]
    assert (rig.modes(told), told["outcome"], told["fault"]) == (modes, outcome, fault)
    assert told["facts"][c.SIP_RESPONSE_STATUS_CODE] == truth(CAPTURES / name)["sip_code"]


@pytest.mark.parametrize(
    "name, bridge, fault",
    [
        ("asterisk/03-one-way", "acme-east", "carrier"),
        ("asterisk/03-one-way", "carrier-in", None),
        ("freeswitch/02-loss5-caller-in", "acme-east", "carrier"),
        ("freeswitch/02-loss5-caller-in", "192.0.2.101", "network"),
    ],
)
def test_whose_fault_it_is_needs_the_end_that_faces_the_bridge(name, bridge, fault):
    """Without it nobody is blamed; with it the far leg is the carrier's."""
    told = rig.diagnosis(CAPTURES / name, "--bridge", bridge)
    assert rig.modes(told) == EXPECTED[name][0]
    assert told["fault"] == fault


@pytest.mark.parametrize("name", PROXIED)
def test_a_call_through_a_proxy_and_its_media_proxy_is_one_call(name):
    """Kamailio's and rtpengine's folders share a Call-ID; the truth comes out of both together."""
    expected = {
        "01": (set(), "answered", "none"),
        "02": ({"media_degradation"}, "answered", "network"),
        "03": ({"media_degradation"}, "answered", "network"),
        "04": ({"call_setup_failure"}, "busy", "callee"),
        "05": ({"call_setup_failure"}, "congestion", "carrier"),
        "06": ({"call_setup_failure"}, "timeout", "network"),
        "07": ({"one_way_audio"}, "answered", "carrier"),
    }
    told = proxied(name)
    assert "calls" not in told
    assert (rig.modes(told), told["outcome"], told["fault"]) == expected[name[:2]]
    true = truth(CAPTURES / "kamailio" / name)
    assert told["facts"][c.SIP_RESPONSE_STATUS_CODE] == true["sip_code"]
    assert told["facts"][c.SIP_CALL_DIRECTION] == "outbound"
    assert told["facts"][c.TRUNK_CARRIER] == "acme"


@pytest.mark.parametrize("name", PROXIED[1:3])
def test_each_folder_of_a_proxied_call_tells_of_the_loss(name):
    """Kamailio's with its variables and HEP, and rtpengine's: each by itself, about 5 %."""
    for system in ("kamailio", "rtpengine"):
        told = rig.diagnosis(CAPTURES / system / name)
        assert rig.modes(told) == {"media_degradation"}, system


def test_packets_that_were_sent_and_never_came_need_no_signalling():
    """07, rtpengine's folder alone: the callee's RTCP says what it sent, rtpengine got none."""
    told = rig.diagnosis(CAPTURES / "rtpengine" / "07-one-way-callee-silent")
    assert rig.modes(told) == {"one_way_audio"}
    assert told["outcome"] is None


def test_the_gateways_own_answer_decides_and_the_handed_on_one_stays():
    """05: the gateway's 503 is the carrier's congestion; the caller was handed a 500."""
    told = proxied("05-unavailable-503")
    assert told["facts"][c.SIP_RESPONSE_STATUS_CODE] == 500
    assert told["facts"][c.SIP_CALL_OUTCOME] == "congestion"
    shown = rig.run(CAPTURES / "kamailio" / "05-unavailable-503").stdout
    assert "503 Service Unavailable" in shown
    assert "500 was handed on" in shown


def test_who_is_silent_is_told_where_the_silence_began():
    """The caller before Asterisk, the callee before the proxy: the far leg, towards the agent."""
    for told in (
        rig.diagnosis(CAPTURES / "asterisk" / "03-one-way"),
        proxied("07-one-way-callee-silent"),
    ):
        assert rig.places(told) == [("one_way_audio", "pstn", "in")]


def test_loss_that_freeswitch_derives_is_near_the_truth():
    """92 of 1932 packets of the caller, by the interval between packets: within a point."""
    call = CAPTURES / "freeswitch" / "02-loss5-caller-in"
    for files in ([call / "a-leg.cdr.json", call / "b-leg.cdr.json"], [call]):
        told = rig.diagnosis(*files)
        assert told["facts"]["pstn.in.loss_ratio"] == pytest.approx(92 / 1932, abs=0.01)
        assert rig.places(told) == [("media_degradation", "pstn", "in")]
    assert rig.diagnosis(call / "a-leg.cdr.json")["facts"][c.PSTN_LOSS_METHOD] == "derived"


@pytest.mark.parametrize("call", CLEAN, ids=name_of)
def test_a_clean_call_has_no_finding_whichever_files_are_given(call):
    """Each file alone, each two, all but one, and all."""
    files = records(call)
    subsets = {
        subset for n in (1, 2, len(files) - 1, len(files)) for subset in combinations(files, n)
    }
    for subset in subsets:
        ran = rig.run(*subset, "--json")
        if ran.exit_code:
            assert "tell of no call" in ran.stderr
        else:
            assert '"findings": []' in ran.stdout, [file.name for file in subset]


@pytest.mark.parametrize("call", CALLS, ids=name_of)
def test_a_file_alone_says_nothing_that_is_not_true(call):
    """Whatever file is given, there is no finding that the truth does not hold."""
    true = truth(call)
    possible = {"media_degradation"} if "loss5" in call.name else set()
    possible |= {"one_way_audio"} if "one-way" in call.name else set()
    possible |= set() if true["answered"] else {"call_setup_failure"}
    for file in records(call):
        assert modes_of(file) <= possible, file.name


@pytest.mark.parametrize("call", CALLS, ids=name_of)
def test_nothing_printed_holds_a_number(call):
    """Neither JSON nor words."""
    for more in ([], ["--json"]):
        ran = rig.run(call, *more)
        assert not re.search(r"\+?1555\d{7}", ran.stdout + ran.stderr)


@pytest.mark.parametrize("call", [call for call in CALLS if "clean" in call.name], ids=name_of)
def test_what_is_of_the_far_leg_never_becomes_the_trunks(call):
    """The Call-ID on the root is that of the leg that faces the bridge."""
    told = rig.diagnosis(call, "--bridge-end", "caller")
    other = rig.diagnosis(call, "--bridge-end", "callee")
    assert told["facts"][c.SIP_CALL_DIRECTION] == "outbound"
    assert other["facts"][c.SIP_CALL_DIRECTION] == "inbound"
    is_b2bua = call.parent.name in ("asterisk", "freeswitch")
    assert (told["facts"][c.SIP_CALL_ID] != other["facts"][c.SIP_CALL_ID]) == is_b2bua


def test_the_bridge_may_be_named():
    """`--bridge`: Asterisk's endpoint on the caller's side makes it a call of ours."""
    told = rig.diagnosis(CAPTURES / "asterisk" / "03-one-way", "--bridge", "carrier-in")
    assert told["facts"][c.SIP_CALL_DIRECTION] == "outbound"
    assert told["facts"][c.TRUNK_ID] == "acme-east"
    assert rig.places(told) == [("one_way_audio", "trunk", "out")]


def test_files_that_are_no_records_are_passed_over(tmp_path):
    """A note that quotes a record, a configuration, a truth, what the far ends wrote."""
    home = tmp_path / "call"
    shutil.copytree(CAPTURES / "rtpengine" / "02-loss5-caller-to-proxy", home)
    before = rig.diagnosis(home)
    shutil.copy(CAPTURES / "rtpengine" / "README.md", home)
    shutil.copy(CAPTURES / "kamailio" / "config" / "kamailio.cfg", home)
    (home / "NOTES.md").write_text((CAPTURES / "asterisk" / "01-clean" / "ami.txt").read_text())
    assert rig.diagnosis(home) == before


# Carriers' samples ------------------------------------------------------------------------------


def test_tags_that_contradict_the_metrics_are_no_finding():
    """Twilio's sample says high_packet_loss, and counts none."""
    told = rig.diagnosis(CAPTURES / "twilio" / "call-summary-carrier-inbound.json")
    assert (told["findings"], told["outcome"]) == ([], "answered")


def test_a_caller_who_gave_up():
    """Telnyx: originator_cancel, 487."""
    told = rig.diagnosis(CAPTURES / "telnyx" / "hangup-487-originator-cancel.json")
    assert (told["outcome"], told["fault"]) == ("canceled", "caller")
    assert rig.modes(told) == {"call_setup_failure"}


def test_samples_of_answered_calls_have_no_finding():
    """Skipped packets, a MOS of 4.5 and 202 packets in 20 s are none."""
    for name in (
        "telnyx/hangup-200-2021.json",
        "telnyx/hangup-200-quality.json",
        "signalwire/status-completed-58s.form",
        "plivo/hangup-completed.form",
        "vonage/event-completed.json",
    ):
        told = rig.diagnosis(CAPTURES / name)
        assert (told["findings"], told["outcome"]) == ([], "answered"), name


# Whatever is given ------------------------------------------------------------------------------


@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_golden_record_can_be_diagnosed(case, tmp_path):
    """A diagnosis, a word on what is broken, or that nobody knows the file: never an exception."""
    file = tmp_path / f"record{Path(case.path.stem).suffix or case.path.suffix}"
    file.write_bytes(case.data)
    ran = rig.run(file, "--json")
    assert ran.exit_code in (0, 65, 66)
    assert ran.exception is None or isinstance(ran.exception, SystemExit)
    assert not case.persons_in(ran.stdout + ran.stderr)
    for told in (json.loads(ran.stdout or "{}")).get("calls", [json.loads(ran.stdout or "{}")]):
        assert set(told.get("facts", {})) <= set(c.ATTRIBUTES)
