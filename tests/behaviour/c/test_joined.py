"""`trunktrace diagnose` on folders with records of several systems."""

from __future__ import annotations

import re
import shutil

import pytest

from behaviour.b.console import assert_shape, modes, run

from .shelf import HOME, NUMBER, calls, truth


def diagnose(*arguments, code: int = 0):
    """The answer as JSON; no number, nothing broken."""
    ran = run("diagnose", *arguments, "--json")
    for text in (ran.out, ran.err):
        leak = NUMBER.search(text)
        assert leak is None, text[max(0, leak.start() - 80) : leak.end()]
    assert ran.code == code, (ran.code, ran.err[-1500:])
    return ran.json


def one(*arguments):
    """The answer about one call."""
    answer = diagnose(*arguments)
    assert "calls" not in answer, [c["facts"].get("sip.call_id") for c in answer["calls"]]
    assert_shape(answer)
    return answer


def proxied(call: str):
    """A call's records of Kamailio and of rtpengine."""
    return HOME / "kamailio" / call, HOME / "rtpengine" / call


CLEAN = [
    ("asterisk/01-clean",),
    ("freeswitch/01-clean",),
    ("kamailio/01-clean",),
    ("rtpengine/01-clean",),
    ("kamailio/01-clean", "rtpengine/01-clean"),
]
ENDS = [(), ("--bridge-end", "caller"), ("--bridge-end", "callee")]


@pytest.mark.parametrize("options", ENDS, ids=lambda o: o[-1] if o else "as-it-is")
@pytest.mark.parametrize("folders", CLEAN, ids="+".join)
def test_a_clean_call_has_no_finding(folders, options):
    """Answered, nobody's fault."""
    answer = one(*(HOME / name for name in folders), *options)
    assert answer["findings"] == []
    if folders != ("rtpengine/01-clean",):
        assert answer["outcome"] == "answered"
        assert answer["fault"] == "none"
        assert answer["facts"]["sip.response.status_code"] == 200
    assert answer["facts"].get("trunktrace.media.state") in ("good", None)


@pytest.mark.parametrize("options", ENDS, ids=lambda o: o[-1] if o else "as-it-is")
@pytest.mark.parametrize(
    "folders",
    [
        ("asterisk/02-busy-486",),
        ("freeswitch/03-busy-486",),
        ("kamailio/04-busy-486",),
        ("kamailio/04-busy-486", "rtpengine/04-busy-486"),
    ],
    ids="+".join,
)
def test_busy_is_the_callees(folders, options):
    """call_setup_failure, busy, callee, 486 and 17."""
    answer = one(*(HOME / name for name in folders), *options)
    assert modes(answer) == [("call_setup_failure", None)]
    assert answer["outcome"] == "busy"
    assert answer["fault"] == "callee"
    assert answer["facts"]["sip.response.status_code"] == 486
    assert answer["facts"].get("sip.reason.q850") == 17
    assert "sip.hangup.source" not in answer["facts"]
    assert not [key for key in answer["facts"] if "loss" in key]


@pytest.mark.parametrize("alone", [True, False])
def test_the_only_gateways_503_is_the_carriers(alone):
    """05: our side saw 500, the carrier said 503: congestion, the carrier's fault."""
    folders = proxied("05-unavailable-503")
    answer = one(*folders[: 1 if alone else 2])
    assert modes(answer) == [("call_setup_failure", None)]
    assert answer["fault"] == "carrier"
    assert answer["outcome"] == "congestion"
    assert answer["facts"]["sip.response.status_code"] in (500, 503)


@pytest.mark.parametrize("file", ["kamailio.log", "json_acc.log", "hep-sip.hex"])
def test_one_record_of_the_503_is_enough(file):
    """Each of Kamailio's records alone gives the same fault and outcome."""
    answer = one(HOME / "kamailio/05-unavailable-503" / file, "--bridge-end", "caller")
    assert (answer["fault"], answer["outcome"]) == ("carrier", "congestion")


@pytest.mark.parametrize("alone", [True, False])
def test_a_gateway_that_never_answers_is_a_timeout(alone):
    """06: 408, timeout; not the caller's nor the agent's fault."""
    folders = proxied("06-timeout-408")
    answer = one(*folders[: 1 if alone else 2])
    assert modes(answer) == [("call_setup_failure", None)]
    assert answer["outcome"] == "timeout"
    assert answer["fault"] in ("carrier", "network", None)
    assert answer["facts"]["sip.response.status_code"] == 408


LOST = [
    # folders, bridge end, leg, direction of the loss, its ratio
    (("freeswitch/02-loss5-caller-in",), "callee", "pstn", "in", 0.0476),
    (("freeswitch/02-loss5-caller-in",), "caller", "trunk", "out", 0.0476),
    (
        ("kamailio/02-loss5-caller-to-proxy", "rtpengine/02-loss5-caller-to-proxy"),
        "caller",
        "trunk",
        "out",
        0.0545,
    ),
    (
        ("kamailio/02-loss5-caller-to-proxy", "rtpengine/02-loss5-caller-to-proxy"),
        "callee",
        "pstn",
        "in",
        0.0545,
    ),
    (
        ("kamailio/03-loss5-proxy-to-caller", "rtpengine/03-loss5-proxy-to-caller"),
        "caller",
        "trunk",
        "in",
        0.0555,
    ),
    (
        ("kamailio/03-loss5-proxy-to-caller", "rtpengine/03-loss5-proxy-to-caller"),
        "callee",
        "pstn",
        "out",
        0.0555,
    ),
    (("rtpengine/02-loss5-caller-to-proxy",), "callee", "pstn", "in", 0.0545),
    (("rtpengine/03-loss5-proxy-to-caller",), "callee", "pstn", "out", 0.0555),
    (("rtpengine/02-loss5-caller-to-proxy",), "caller", "trunk", "out", 0.0545),
    (("rtpengine/03-loss5-proxy-to-caller",), "caller", "trunk", "in", 0.0555),
]


@pytest.mark.parametrize(
    "folders,end,leg,direction,ratio", LOST, ids=["-".join((f[-1][:14], e)) for f, e, *_ in LOST]
)
def test_a_loss_is_one_finding_where_it_began(folders, end, leg, direction, ratio):
    """One media_degradation on its leg and in its direction; the passed-on gap is none."""
    answer = one(*(HOME / name for name in folders), "--bridge-end", end)
    assert [(f["mode"], f["leg"], f["direction"]) for f in answer["findings"]] == [
        ("media_degradation", leg, direction)
    ]
    told = answer["facts"]
    prefix = "rtp" if leg == "trunk" else "pstn"
    assert told[f"{prefix}.{direction}.loss_ratio"] == pytest.approx(ratio, abs=0.01)
    for place in ("rtp.in", "rtp.out", "pstn.in", "pstn.out"):
        if place != f"{prefix}.{direction}":
            assert told.get(f"{place}.loss_ratio", 0) <= 0.005, (place, told)


@pytest.mark.parametrize(
    "folders,end,leg,direction,ratio", LOST, ids=["-".join((f[-1][:14], e)) for f, e, *_ in LOST]
)
def test_what_several_records_count_is_counted_once(folders, end, leg, direction, ratio):
    """Five files of rtpengine say the same 109 packets: 109 are lost, not 218."""
    answer = one(*(HOME / name for name in folders), "--bridge-end", end)
    facts = truth(*folders[0].split("/"))
    told = answer["facts"]
    lost = {key: value for key, value in told.items() if key.endswith("lost_count") and value}
    assert all(value <= 112 for value in lost.values()), lost
    if folders[-1].startswith("rtpengine"):
        exact = {"02": 109, "03": 98}[folders[-1].split("/")[1][:2]]
        prefix = "rtp" if leg == "trunk" else "pstn"
        assert told[f"{prefix}.{direction}.lost_count"] == exact
    counts = {key: value for key, value in told.items() if key.endswith("packet_count")}
    limit = facts["duration_s"] * 50 + 60
    assert all(value <= limit for value in counts.values()), counts


@pytest.mark.parametrize(
    "file", ["ng-delete.json", "ng-delete.bencode", "ng.jsonl", "rtpengine.log"]
)
@pytest.mark.parametrize(
    "call,exact", [("02-loss5-caller-to-proxy", 109), ("03-loss5-proxy-to-caller", 98)]
)
def test_each_record_of_rtpengine_is_enough(file, call, exact):
    """One file alone: the finding and the count."""
    answer = one(HOME / "rtpengine" / call / file, "--bridge-end", "callee")
    direction = "in" if call.startswith("02") else "out"
    assert [(f["mode"], f["leg"], f["direction"]) for f in answer["findings"]] == [
        ("media_degradation", "pstn", direction)
    ]
    assert answer["facts"][f"pstn.{direction}.lost_count"] == exact


SILENT = [
    (("asterisk/03-one-way",), "callee", "pstn", "in"),
    (("asterisk/03-one-way",), "caller", "trunk", "out"),
    (
        ("kamailio/07-one-way-callee-silent", "rtpengine/07-one-way-callee-silent"),
        "caller",
        "pstn",
        "in",
    ),
    (
        ("kamailio/07-one-way-callee-silent", "rtpengine/07-one-way-callee-silent"),
        "callee",
        "trunk",
        "out",
    ),
    (("rtpengine/07-one-way-callee-silent",), "caller", "pstn", "in"),
    (("rtpengine/07-one-way-callee-silent",), "callee", "trunk", "out"),
]


@pytest.mark.parametrize(
    "folders,end,leg,direction",
    SILENT,
    ids=["-".join((f[-1][:9], str(len(f)), e)) for f, e, *_ in SILENT],
)
def test_one_way_audio_is_told_where_it_began(folders, end, leg, direction):
    """One finding: who is not heard, on the leg where the packets are missing."""
    answer = one(*(HOME / name for name in folders), "--bridge-end", end)
    assert [(f["mode"], f["leg"], f["direction"]) for f in answer["findings"]] == [
        ("one_way_audio", leg, direction)
    ]
    assert answer["facts"].get("trunktrace.media.state") == "one_way"


@pytest.mark.parametrize("file", ["ami.txt", "Master.csv"])
def test_each_record_of_asterisk_sees_the_silence(file):
    """AMI events, or the user field of the CDR."""
    answer = one(HOME / "asterisk/03-one-way" / file, "--bridge-end", "callee")
    assert ("one_way_audio", "in") in modes(answer)


@pytest.mark.parametrize("call", calls("kamailio"))
@pytest.mark.parametrize("split", ["folders", "one-folder", "files", "reversed"])
def test_records_of_two_systems_are_one_call_however_they_are_given(call, split, tmp_path):
    """Kamailio's and rtpengine's records join by Call-ID and tags."""
    a, b = proxied(call)
    wanted = one(a, b)
    if split == "one-folder":
        for folder in (a, b):
            for file in folder.iterdir():
                if file.name != "facts.json":
                    shutil.copy(file, tmp_path / file.name)
        assert one(tmp_path) == wanted
    elif split == "files":
        files = [f for folder in (a, b) for f in sorted(folder.iterdir()) if f.name != "facts.json"]
        ran = run("diagnose", *files, "--json")
        assert ran.json == wanted
    elif split == "reversed":
        assert one(b, a) == wanted
    else:
        assert wanted["facts"]["sip.call_id"] == truth("kamailio", call)["call_id"]


@pytest.mark.parametrize(
    "file", ["ng-delete.json", "ng-delete.bencode", "rtpengine.log", "ng.jsonl", "hep-rtcp.hex"]
)
def test_a_reply_without_a_call_id_joins_by_its_tags(file, tmp_path):
    """Kamailio's log and one record of rtpengine: one call with the loss of it."""
    shutil.copy(HOME / "kamailio/02-loss5-caller-to-proxy/kamailio.log", tmp_path)
    shutil.copy(HOME / "rtpengine/02-loss5-caller-to-proxy" / file, tmp_path)
    answer = one(tmp_path)
    assert {f["mode"] for f in answer["findings"]} == {"media_degradation"}
    assert answer["outcome"] == "answered"


@pytest.mark.parametrize(
    "pair",
    [
        ("kamailio/01-clean", "kamailio/04-busy-486"),
        ("asterisk/01-clean", "asterisk/02-busy-486"),
        ("freeswitch/01-clean", "freeswitch/02-loss5-caller-in"),
        ("asterisk/02-busy-486", "kamailio/05-unavailable-503"),
        ("freeswitch/01-clean", "asterisk/01-clean"),
        ("rtpengine/01-clean", "rtpengine/02-loss5-caller-to-proxy"),
    ],
    ids="+".join,
)
def test_two_calls_stay_two(pair, tmp_path):
    """Records of two calls in one folder: each is diagnosed as it is alone."""
    for number, name in enumerate(pair):
        for file in (HOME / name).iterdir():
            if file.name != "facts.json":
                shutil.copy(file, tmp_path / f"{number}-{file.name}")
    answer = diagnose(tmp_path)
    assert len(answer.get("calls", ())) == 2, answer.get("facts")
    alone = [one(HOME / name) for name in pair]
    for each in alone:
        assert any(
            modes(each) == modes(c)
            and each["outcome"] == c["outcome"]
            and each["fault"] == c["fault"]
            for c in answer["calls"]
        )


SAMPLES = {
    "twilio/call-summary-carrier-inbound.json": (set(), "answered", "none"),
    "twilio/status-busy-486.form": ({"call_setup_failure"}, "busy", "callee"),
    "telnyx/hangup-200-2021.json": (set(), "answered", "none"),
    "telnyx/hangup-487-originator-cancel.json": ({"call_setup_failure"}, "canceled", "caller"),
    "plivo/hangup-completed.form": (set(), "answered", "none"),
    "plivo/vobiz-inbound-hangup.json": (set(), "answered", "none"),
    "vonage/event-completed.json": (set(), "answered", "none"),
    "signalwire/status-completed-58s.form": (set(), "answered", "none"),
}


@pytest.mark.parametrize("name", SAMPLES)
def test_a_carriers_record_alone_is_diagnosed(name):
    """Mode, outcome and fault of each sample; no finding on a good call."""
    found, outcome, fault = SAMPLES[name]
    answer = one(HOME / name)
    assert {f["mode"] for f in answer["findings"]} <= found
    if found == {"call_setup_failure"} and "487" not in name:
        assert answer["findings"]
    assert answer["outcome"] == outcome
    assert answer["fault"] in ({fault, None} if fault == "none" else {fault, "none"})


@pytest.mark.parametrize(
    "name",
    [
        "g722-phone-callterm.txt",
        "polycom-session.txt",
        "snom821-callterm.txt",
        "audiocodes-session-doc.txt",
    ],
)
def test_a_phones_report_alone_has_no_finding(name):
    """0 % lost: nothing is wrong."""
    assert one(HOME / "vq-rtcpxr" / name)["findings"] == []


def test_the_linphone_folder_is_a_clean_call():
    """Eight reports of two phones about one call."""
    answer = one(HOME / "vq-rtcpxr/linphone-clean")
    assert answer["findings"] == []


def test_a_broken_record_is_named_and_the_rest_is_diagnosed(tmp_path):
    """65, FILE:LINE: reason, and the diagnosis."""
    for file in (HOME / "kamailio/05-unavailable-503").iterdir():
        shutil.copy(file, tmp_path)
    (tmp_path / "hep-sip.hex").write_bytes(
        (tmp_path / "hep-sip.hex").read_bytes() + b"48455033ffff+15555550199\n"
    )
    ran = run("diagnose", tmp_path, "--json")
    assert ran.code == 65
    assert re.search(r"hep-sip\.hex:9: \S", ran.err), ran.err
    assert not NUMBER.search(ran.err + ran.out)
    assert ran.json["fault"] == "carrier"


FOLDERS = [
    f"{s}/{c}" for s in ("asterisk", "freeswitch", "kamailio", "rtpengine") for c in calls(s)
]


@pytest.mark.parametrize("name", FOLDERS)
def test_the_text_for_people_holds_no_number_either(name):
    """Without --json: an outcome or a finding, exit 0, nobody's number."""
    ran = run("diagnose", HOME / name)
    assert ran.code == 0, ran.err
    assert ran.out.strip()
    assert not NUMBER.search(ran.out + ran.err)


def test_the_calls_of_every_capture_stay_as_many_as_they_are(tmp_path):
    """Thirteen calls of four systems in one folder: thirteen, each with its own verdict."""
    for name in FOLDERS:
        for file in (HOME / name).iterdir():
            if file.name != "facts.json":
                shutil.copy(file, tmp_path / f"{name.replace('/', '-')}-{file.name}")
    answer = diagnose(tmp_path)
    assert len(answer["calls"]) == 13
    outcomes = sorted(str(each["outcome"]) for each in answer["calls"])
    assert outcomes.count("busy") == 3
    assert outcomes.count("answered") == 8
    assert {"congestion", "timeout"} <= set(outcomes)
    found = sorted(f["mode"] for each in answer["calls"] for f in each["findings"])
    assert found.count("call_setup_failure") == 5
    assert found.count("one_way_audio") == 2
    assert found.count("media_degradation") == 3
