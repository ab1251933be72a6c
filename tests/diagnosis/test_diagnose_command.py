"""`trunktrace diagnose`: captured calls, what else the same rig would have written, errors."""

from __future__ import annotations

import json
import re

import pytest

from trunktrace import conventions as c

from . import rig
from .rig import BRIDGE, HOOKS, ROOM, RTC, SPANS, Call

FAULTS = {"01": "none", "02": "none", "03": "network", "04": "network", "05": "none"}
FAULTS |= {"06": "callee", "07": "none", "08": "callee", "09": "network", "10": "none"}
OUTCOMES = {"06": "busy", "08": "no_answer"}


# The captured calls -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", rig.NAMES)
def test_each_captured_call_has_its_finding_and_no_other(name):
    """Mode, fault, outcome and code are the truth that was set up."""
    true = rig.truth(name)
    told = rig.diagnosis(rig.CAPTURES / name)
    expected = true["expected_failure_mode"]
    assert rig.modes(told) == (set() if expected == "none" else {expected})
    assert told["fault"] == FAULTS[name[:2]]
    assert told["outcome"] == OUTCOMES.get(name[:2], "answered")
    assert told["facts"].get(c.SIP_RESPONSE_STATUS_CODE) == true["sip_final_code"]
    assert told["facts"][c.SIP_CALL_DIRECTION] == true["direction"]


@pytest.mark.parametrize("name", rig.NAMES)
def test_counted_loss_is_the_truth(name):
    """Equal to what the far end removed; absent where the bridge received nothing at all."""
    removed = rig.truth(name)["loss"]["carrier_to_bridge"]
    facts = rig.diagnosis(rig.CAPTURES / name)["facts"]
    if removed["pct"] in (None, 100.0):
        assert c.RTP_LOSS_RATIO not in facts
        assert c.MEDIA_KEYS["trunk", "in", "loss_ratio"] not in facts
        return
    lost, put_out = removed["removed"], removed["packets_put_out"]
    assert facts[c.RTP_LOSS_RATIO] == pytest.approx(lost / put_out, abs=1e-12)
    assert facts[c.RTP_LOSS_METHOD] == "counted"
    assert facts[c.MEDIA_KEYS["trunk", "in", "lost_count"]] == lost


@pytest.mark.parametrize("name", rig.NAMES)
def test_loss_that_the_agent_alone_estimates_is_near_the_truth(name, tmp_path):
    """Without the bridge's log: within a point, and at most half a point on a clean call."""
    true = rig.truth(name)
    told = rig.diagnosis(Call(name[:2]).without(BRIDGE).write(tmp_path))
    percent = true["loss"]["carrier_to_bridge"]["pct"]
    if percent in (None, 100.0):
        assert c.RTP_LOSS_RATIO not in told["facts"]
        expected = [("one_way_audio", "agent", "in")] if percent else []
        assert [place for place in rig.places(told) if place[1]] == expected
        return
    assert told["facts"][c.RTP_LOSS_METHOD] == "estimated"
    allowed = 0.005 if percent == 0 else 0.01
    assert told["facts"][c.RTP_LOSS_RATIO] == pytest.approx(percent / 100, abs=allowed)
    assert rig.modes(told) == ({"media_degradation"} if percent else set())


@pytest.mark.parametrize("name", rig.NAMES)
def test_nothing_printed_holds_a_number(name):
    """Neither JSON nor words: numbers are masked."""
    for more in ([], ["--json"]):
        ran = rig.run(rig.CAPTURES / name, *more)
        assert ran.exit_code == 0
        assert not re.search(r"\+?1555\d{7}", ran.stdout + ran.stderr)


@pytest.mark.parametrize("name", rig.NAMES)
def test_facts_are_keyed_as_on_the_root_span(name):
    """Keys and types of the vocabulary; nothing in clear, nothing unknown."""
    types = {"string": str, "int": int, "double": float, "string[]": list}
    for key, value in rig.diagnosis(rig.CAPTURES / name)["facts"].items():
        assert isinstance(value, types[c.ATTRIBUTES[key].type]), (key, value)
        assert c.ATTRIBUTES[key].privacy != "pii"
        assert value not in ("", "unknown")


def test_the_contract_of_the_json():
    """Keys of the answer and of a finding; times are unix seconds."""
    told = rig.diagnosis(rig.folder("09"))
    assert list(told) == ["findings", "fault", "outcome", "facts"]
    (finding,) = told["findings"]
    assert list(finding) == ["mode", "evidence", "leg", "direction", "start", "end"]
    assert finding["evidence"] == ["OWA-1"]
    assert finding["end"] - finding["start"] == pytest.approx(13.98, abs=0.1)


def test_a_recovered_failover_tells_its_path():
    """07: two attempts, one advance, no finding."""
    facts = rig.diagnosis(rig.folder("07"))["facts"]
    assert facts[c.SIP_ATTEMPT_COUNT] == 2
    assert facts[c.TRUNK_FAILOVER_COUNT] == 1
    assert facts[c.TRUNK_FAILOVER_PATH] == "ST_HfARNJuPk3Z8:503>ST_Vo2DzLa8pseT:200"


def test_a_directory_names_the_carriers_of_the_path(tmp_path):
    """`--directory`: carrier and route by trunk id."""
    file = tmp_path / "carriers.toml"
    file.write_text(
        '[trunks.ST_HfARNJuPk3Z8]\ncarrier = "alpha"\n'
        '[trunks.ST_Vo2DzLa8pseT]\ncarrier = "beta"\nroute = "eu/second"\n'
    )
    told = rig.run(rig.folder("07"), "--json", "--directory", file)
    facts = json.loads(told.stdout)["facts"]
    assert facts[c.TRUNK_FAILOVER_PATH] == "alpha:503>beta:200"
    assert (facts[c.TRUNK_CARRIER], facts[c.TRUNK_ROUTE]) == ("beta", "eu/second")


# Other calls of the same rig --------------------------------------------------------------------


@pytest.mark.parametrize(
    "code,phrase,reason,result,outcome,fault",
    [
        (404, "Not Found", "not-found", "client_error", "invalid_number", None),
        (603, "Decline", "global-decline-603", "client_error", "rejected", None),
        (480, "Temporarily Unavailable", "unavailable", "client_error", "no_answer", "callee"),
        (401, "Unauthorized", "auth-required", "client_error", "failed", "operator"),
        (403, "Forbidden", "forbidden", "client_error", "rejected", "operator"),
        (408, "Request Timeout", "request-timeout", "client_error", "timeout", None),
        (488, "Not Acceptable Here", "not-acceptable", "client_error", "failed", None),
        (500, "Server Error", "upstream-server-error-500", "upstream_error", "failed", "carrier"),
        (503, "Service Unavailable", "upstream-server-error-503", "upstream_error", "congestion",
         "carrier"),
        (503, "CPS limit exceeded", "cps-limit-exceeded", "client_error", "congestion", "operator"),
        (603, "Network Blocked", "carrier-blocked", "client_error", "blocked", "intermediary"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("kept", [(BRIDGE,), (ROOM,), (BRIDGE, ROOM, SPANS, HOOKS, RTC)], ids=str)
def test_a_refused_outbound_call(code, phrase, reason, result, outcome, fault, kept, tmp_path):
    """Each code, from the bridge's log, from the agent's exception, from all files."""
    told = rig.diagnosis(
        Call("06").refused(code, phrase, reason, result).only(*kept).write(tmp_path)
    )
    assert rig.modes(told) == {"call_setup_failure"}
    assert told["outcome"] == outcome
    assert told["fault"] == fault
    assert told["facts"][c.SIP_RESPONSE_STATUS_CODE] == code


@pytest.mark.parametrize("number", ["02", "05"])
@pytest.mark.parametrize("codec", ["PCMU", "PCMA", "G722"])
@pytest.mark.parametrize(
    "lost,received,found",
    [(0, 1050, False), (1, 1049, False), (11, 1039, True), (35, 1015, True), (61, 989, True),
     (93, 957, True), (204, 846, True), (0, 130, False), (1050, 100, True)],
)  # fmt: skip
def test_loss_that_the_bridge_counted(number, codec, lost, received, found, tmp_path):
    """From 1 % on; a clean call and a single packet are none."""
    call = Call(number).without(RTC).lost(lost, received)
    call.replaced('"PCMA/8000"', f'"{codec}/8000"').replaced('"PCMU/8000"', f'"{codec}/8000"')
    told = rig.diagnosis(call.write(tmp_path))
    assert rig.places(told) == ([("media_degradation", "trunk", "in")] if found else [])
    assert told["fault"] == ("network" if found else "none")
    assert told["facts"][c.RTP_CODEC] == codec.lower()
    assert told["facts"][c.RTP_LOSS_RATIO] == pytest.approx(lost / (lost + received))


@pytest.mark.parametrize("received", [33.4, 45.0, 50.0])
def test_a_clean_count_stands_before_what_the_agent_saw(received, tmp_path):
    """Packets of 30 ms, or a suppressed line: fewer packets, and nothing lost."""
    call = Call("01").received(lambda _second: round(received))
    told = rig.diagnosis(call.write(tmp_path))
    assert rig.places(told) == []
    assert told["fault"] == "none"


def test_a_bridge_that_counts_with_packets_of_30_ms(tmp_path):
    """A third fewer packets are no loss."""
    told = rig.diagnosis(Call("02").lost(0, 467).write(tmp_path))
    assert (rig.modes(told), told["fault"]) == (set(), "none")


def test_packets_in_a_payload_that_was_not_agreed(tmp_path):
    """650 packets came, none of audio: one-way towards the agent, and no loss ratio."""
    call = Call("02").lost(0, 0).statistics(packets=650, packets_input=650, mux_packets=650)
    call.each(
        RTC, lambda r: r.update(publisher=[e for e in r["publisher"] if e["kind"] != "inbound_rtp"])
    )
    told = rig.diagnosis(call.write(tmp_path))
    assert rig.places(told) == [("one_way_audio", "trunk", "in")]
    assert rig.rules(told) == {"OWA-1", "OWA-5"}
    assert c.RTP_LOSS_RATIO not in told["facts"]


@pytest.mark.parametrize("packets", [0, 800])
def test_a_call_that_the_bridge_gave_up_for_want_of_media(packets, tmp_path):
    """`media-timeout`, 30 s after the start or 15 s after the last packet."""
    call = Call("09").lost(0, packets).dropping("BYE from remote")
    call.closed(result="indeterminate", reason="media-timeout")
    told = rig.diagnosis(call.without(RTC).write(tmp_path))
    assert rig.places(told) == [("one_way_audio", "trunk", "in")]
    assert "OWA-7" in rig.rules(told)
    assert told["fault"] == "network"
    assert told["facts"][c.SIP_HANGUP_SOURCE] == "platform"


def test_what_is_lost_on_the_way_to_the_caller_is_invisible_here(tmp_path):
    """Nobody in this rig counts it: no finding, and no loss towards the caller."""
    told = rig.diagnosis(rig.folder("05"))
    assert c.MEDIA_KEYS["trunk", "out", "loss_ratio"] not in told["facts"]


def test_an_agent_whose_track_the_bridge_never_subscribed_to(tmp_path):
    """The agent spoke, and the bridge received none of it: one-way towards the caller."""
    call = Call("01").dropping("track subscribed")
    call.statistics("room", track_subscribes=0, input_packets=0, input_bytes=0)
    told = rig.diagnosis(call.write(tmp_path))
    assert rig.places(told) == [("one_way_audio", "agent", "out")]
    assert told["fault"] == "platform"


def test_a_call_that_the_agent_ended(tmp_path):
    """The room was deleted: answered, nobody's fault, ended by the agent."""
    call = Call("02").dropping("BYE from remote").closed(result="success", reason="removed")
    told = rig.diagnosis(call.write(tmp_path))
    assert (rig.modes(told), told["fault"]) == (set(), "none")
    assert told["facts"][c.SIP_HANGUP_SOURCE] == "agent"


@pytest.mark.parametrize("ok", [True, False])
def test_a_transfer_is_no_attempt(ok, tmp_path):
    """REFER accepted or refused with 603: the call itself was answered."""
    call = Call("02")
    end = call.files[ROOM][-1]["t"] - 5
    event = {"t": end, "event": "transfer_sip_participant", "ok": ok, "took_s": 0.7}
    if not ok:
        event |= {"exc_type": "SipCallError", "sip_status_code": 603, "sip_status": "Decline"}
    call.files[ROOM].append(event)
    told = rig.diagnosis(call.write(tmp_path))
    assert (rig.modes(told), told["fault"]) == (set(), "none")
    assert told["facts"][c.SIP_RESPONSE_STATUS_CODE] == 200


def looped(*tried: tuple[str, int | None]) -> Call:
    """The bridge's log of attempts over these trunks: 503 as in 07's first, or answered."""
    call = Call("07").only(BRIDGE)
    ids = list(dict.fromkeys(one["callID"] for one in call.bridge))
    parts = [[one for one in call.bridge if one["callID"] == call_id] for call_id in ids]
    lines = []
    for at, (trunk, code) in enumerate(tried):
        part = rig.shifted(parts[0] if code else parts[1], 3.0 * at)
        text = json.dumps(part)
        for old in ids:
            text = text.replace(old, f"SCL_attempt{at}xxx")
        text = text.replace("ST_HfARNJuPk3Z8", trunk).replace("ST_Vo2DzLa8pseT", trunk)
        lines += json.loads(text.replace("503", str(code)) if code else text)
    call.files[BRIDGE] = lines
    return call


@pytest.mark.parametrize(
    "tried,expected",
    [
        ([("ST_a", 503), ("ST_b", 503), ("ST_a", 503)], {"call_setup_failure", "failover_loop"}),
        ([("ST_a", 503), ("ST_b", 503), ("ST_a", None)], {"failover_loop"}),
        ([("ST_a", 503), ("ST_b", 503)], {"call_setup_failure"}),
        ([("ST_a", 503), ("ST_b", None)], set()),
        ([("ST_a", 500), ("ST_b", 504), ("ST_c", None)], set()),
    ],
)
def test_attempts_over_several_trunks(tried, expected, tmp_path):
    """A loop is one; what fails everywhere is a setup failure; what is answered is neither."""
    told = rig.diagnosis(looped(*tried).write(tmp_path))
    assert rig.modes(told) == expected
    assert told["facts"][c.SIP_ATTEMPT_COUNT] == len(tried)


@pytest.mark.parametrize("pauses", [(5, 6), (5, 6, 9, 10), (4, 5, 8, 9, 11)])
def test_a_line_that_pauses_is_not_dead(pauses, tmp_path):
    """Silence suppression or a hold, seen by the agent alone: whole seconds without a packet."""
    call = Call("01").without(BRIDGE).received(lambda second: 0 if second in pauses else 50)
    assert rig.places(rig.diagnosis(call.write(tmp_path))) == []


def test_two_calls_in_one_folder_are_two_diagnoses(tmp_path):
    """A bridge's log of many calls: a list under `calls`, in the order in which they began."""
    both = Call("06").only(BRIDGE)
    both.files[BRIDGE] = [*both.bridge, *Call("09").bridge]
    told = rig.diagnosis(both.write(tmp_path))
    assert list(told) == ["calls"]
    assert [rig.modes(one) for one in told["calls"]] == [{"call_setup_failure"}, {"one_way_audio"}]
    shown = rig.run(tmp_path)
    assert "2 calls" in shown.stdout


def test_many_calls_at_once_are_told_as_each_alone():
    """Several of them ran at the same time: files of one folder stay together."""
    told = rig.diagnosis(*(rig.CAPTURES / name for name in rig.NAMES))["calls"]
    alone = [rig.diagnosis(rig.CAPTURES / name) for name in rig.NAMES]
    key = c.LIVEKIT_SIP_CALL_ID
    assert {one["facts"][key]: one for one in told} == {one["facts"][key]: one for one in alone}


def test_a_log_of_many_rooms_beside_the_files_of_one(tmp_path):
    """The room's own files say which call it is; that others were left out is said."""
    call = Call("04")
    call.files[BRIDGE] = [*call.bridge, *Call("09").bridge, *Call("06").bridge]
    ran = rig.run(call.write(tmp_path), "--json")
    assert json.loads(ran.stdout) == rig.diagnosis(rig.folder("04"))
    assert "2 calls" in ran.stderr


def test_attempts_that_only_the_agent_saw_are_one_call(tmp_path):
    """Its events name no room: one file is one room."""
    told = rig.diagnosis(Call("07").only(ROOM, RTC).write(tmp_path))
    assert told["facts"][c.TRUNK_FAILOVER_COUNT] == 1


def test_statistics_in_two_files_are_one_call(tmp_path):
    """A recorder that began a new file in the middle."""
    call = Call("03").without(BRIDGE)
    lines = call.files.pop(RTC)
    call.files |= {"a.jsonl": lines[30:], "b.jsonl": lines[:30]}
    parts = rig.diagnosis(call.write(tmp_path / "parts"))
    whole = rig.diagnosis(Call("03").without(BRIDGE).write(tmp_path / "whole"))
    assert parts == whole


def test_files_may_have_any_name_and_any_order(tmp_path):
    """What a file is, its content says."""
    call = Call("03")
    names = {BRIDGE: "a.txt", RTC: "b.log", ROOM: "c.json", SPANS: "d", HOOKS: "e.out"}
    call.files = {names[name]: records for name, records in call.files.items()}
    folder = call.write(tmp_path)
    told = rig.diagnosis(*sorted(folder.iterdir(), reverse=True))
    assert told == rig.diagnosis(rig.folder("03"))


def test_the_truth_file_is_never_read(tmp_path):
    """A folder with a lying facts.json and a NAME.facts.json is diagnosed as without."""
    folder = Call("09").write(tmp_path)
    (folder / "facts.json").write_text('{"expected_failure_mode": "none"}')
    (folder / "x.facts.json").write_text("not even JSON")
    assert rig.diagnosis(folder) == rig.diagnosis(rig.folder("09"))


# Words and errors -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "number,words", [("03", ("network", "MED-2", "trunk in")), ("01", ("none",))]
)
def test_words_name_finding_fault_and_next_step(number, words):
    """For people: what, whose, from which evidence, and what to do."""
    shown = rig.run(rig.folder(number)).stdout
    for word in words:
        assert word in shown
    assert ("Next" in shown) == (number == "03")


def test_a_broken_line_is_told_and_does_not_stop_the_rest(tmp_path):
    """FILE:LINE: reason on standard error, exit 65, the diagnosis still printed."""
    folder = Call("09").write(tmp_path)
    file = folder / BRIDGE
    file.write_text("{broken\n" + file.read_text())
    ran = rig.run(folder, "--json")
    assert ran.exit_code == 65
    assert re.fullmatch(rf"{re.escape(str(file))}:1: \S.*\n", ran.stderr)
    assert rig.modes(json.loads(ran.stdout)) == {"one_way_audio"}


def test_a_path_that_is_not_there(tmp_path):
    """Exit 66, and what to give."""
    ran = rig.run(tmp_path / "none")
    assert ran.exit_code == 66
    assert "none" in ran.stderr
    assert ran.stdout == ""


@pytest.mark.parametrize("name,content", [("notes.md", "# hello"), ("x.jsonl", '{"a": 1}\n')])
def test_a_folder_without_anything_known(name, content, tmp_path):
    """Exit 66, naming what was passed over and what is taken."""
    (tmp_path / name).write_text(content)
    ran = rig.run(tmp_path, "--json")
    assert ran.exit_code == 66
    assert name in ran.stderr
    assert "log" in ran.stderr


def test_an_empty_folder(tmp_path):
    """Exit 66."""
    assert rig.run(tmp_path).exit_code == 66


def test_files_that_tell_of_no_call(tmp_path):
    """Exit 65: an empty log is known and holds nothing."""
    (tmp_path / BRIDGE).write_text("")
    ran = rig.run(tmp_path)
    assert ran.exit_code == 65
    assert "call" in ran.stderr


def test_wrong_thresholds_are_said_so(tmp_path):
    """ConfigurationError with file and key, which the command turns into exit 78."""
    file = tmp_path / "t.toml"
    file.write_text("[ears]\nloss_bad = 7\n")
    ran = rig.run(rig.folder("01"), "--thresholds", file)
    assert ran.exit_code != 0
    assert "ears.loss_bad" in str(ran.exception)


def test_thresholds_of_a_file_are_used(tmp_path):
    """With 20 % allowed, 10 % is no finding."""
    file = tmp_path / "t.toml"
    file.write_text("[recognition]\nloss_degraded = 0.2\nloss_bad = 0.3\n")
    told = json.loads(rig.run(rig.folder("03"), "--json", "--thresholds", file).stdout)
    assert told["findings"] == []
    assert told["facts"][c.TRUNKTRACE_MEDIA_STATE] == "good"
