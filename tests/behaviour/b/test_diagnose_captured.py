"""`trunktrace diagnose` on the labelled calls: every truth, no false finding, in any packing."""

from __future__ import annotations

import itertools
import json
import random
from pathlib import Path

import pytest

from . import captured
from .console import assert_no_number, assert_shape, diagnose, modes, names, run, run_apart
from .test_parse_contract import assert_typed

EXPECTED = {
    "media_degradation": [("media_degradation", "in")],
    "one_way_audio": [("one_way_audio", "in")],
    "call_setup_failure": [("call_setup_failure", None)],
    "none": [],
}
FAULT = {
    "01": {"none"}, "02": {"none"}, "03": {"network"}, "04": {"network"}, "05": {"none"},
    "06": {"callee"}, "07": {"none"}, "08": {"callee", None}, "09": {"network"}, "10": {"none"},
}  # fmt: skip
OUTCOME = {"06": "busy", "08": "no_answer"}
NUMBERS = tuple(sorted(FAULT))


def expected(number: str) -> list[tuple[str, str | None]]:
    """The findings that the call's label asks for."""
    return EXPECTED[captured.facts(number)["expected_failure_mode"]]


@pytest.mark.parametrize("number", NUMBERS)
def test_the_whole_folder_gives_its_label(number, tmp_path):
    """Mode, direction, fault, outcome, code and codec of the captured call; nothing else."""
    truth = captured.facts(number)
    answer = diagnose(captured.material(number, tmp_path / "call"))
    assert modes(answer) == expected(number)
    assert answer["fault"] in FAULT[number]
    assert answer["outcome"] == OUTCOME.get(number, "answered")
    told = answer["facts"]
    assert told.get("sip.response.status_code") == truth["sip_final_code"]
    assert told.get("sip.call.direction") == truth["direction"]
    codec = truth["codec"]["negotiated"]
    assert told.get("rtp.codec") == (codec and codec.lower())
    assert told["livekit.sip.call_id"] == truth["livekit_call_ids"][-1]
    for key, value in told.items():
        assert_typed(key, value)


@pytest.mark.parametrize("number", NUMBERS)
def test_the_counted_loss_is_the_truth(number, tmp_path):
    """Equal to what was removed; no ratio where the bridge received nothing or nobody answered."""
    loss = captured.facts(number)["loss"]["carrier_to_bridge"]
    told = diagnose(captured.material(number, tmp_path / "call"))["facts"]
    if loss["pct"] in (None, 100.0):
        assert not [key for key in told if key.startswith("rtp.") and "loss" in key], told
        return
    assert told["rtp.loss_method"] == "counted"
    assert told["rtp.in.lost_count"] == loss["removed"]
    assert told["rtp.in.loss_ratio"] == pytest.approx(loss["pct"] / 100, abs=6e-5)
    assert told["rtp.loss_ratio"] == pytest.approx(loss["pct"] / 100, abs=6e-5)


@pytest.mark.parametrize("number", NUMBERS)
def test_the_failure_stands_in_the_facts_as_on_the_root(number, tmp_path):
    """`facts` has what the root span has: mode, evidence, fault, outcome, media state."""
    answer = diagnose(captured.material(number, tmp_path / "call"))
    told = answer["facts"]
    wanted = expected(number)
    assert told.get("trunktrace.failure.mode") == (wanted[0][0] if wanted else None)
    assert told.get("trunk.fault") == answer["fault"]
    assert told.get("sip.call.outcome") == answer["outcome"]
    if wanted:
        assert set(told["trunktrace.failure.evidence"]) == set(answer["findings"][0]["evidence"])
    state = told.get("trunktrace.media.state")
    if number in ("06", "08"):
        assert state is None, "nobody heard anything"
    elif number == "09":
        assert state == "one_way"
    elif number in ("03", "04"):
        assert state in ("degraded", "bad")
    else:
        assert state == "good"


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize(
    "kinds", [("rtc_stats", "participant"), ("rtc_stats", "participant", "spans")]
)
def test_the_agent_alone_estimates_the_loss(number, kinds, tmp_path):
    """Within one point on whole calls, at most 0.5 % on clean ones, and named an estimate."""
    loss = captured.facts(number)["loss"]["carrier_to_bridge"]
    answer = diagnose(captured.material(number, tmp_path / "call", kinds))
    told = answer["facts"]
    assert modes(answer) == expected(number)
    if loss["pct"] in (None, 100.0):
        assert "rtp.loss_ratio" not in told
        return
    ratio = told.get("rtp.loss_ratio")
    talk = captured.facts(number)["talk_s"]
    if ratio is None:
        assert talk < 15, "a call of 15 s or more has an estimate"
        return
    assert told["rtp.loss_method"] == "estimated"
    assert "rtp.out.loss_ratio" not in told
    assert abs(ratio - loss["pct"] / 100) <= 0.01, (ratio, loss["pct"])
    if loss["pct"] == 0:
        assert ratio <= 0.005, ratio
    assert "rtp.in.lost_count" not in told, "an estimate has counted nothing"


@pytest.mark.parametrize("number", NUMBERS)
def test_any_selection_of_files_gives_no_false_finding(number, tmp_path):
    """Every pair and each file alone: findings are the label's or none; never another's blame."""
    wanted = expected(number)
    wrong = []
    for size in (1, 2, 4):
        for kinds in itertools.combinations(captured.FILES, size):
            folder = captured.material(number, tmp_path / "-".join(kinds), kinds)
            ran = run("diagnose", folder, "--json")
            assert_no_number(ran)
            assert "Traceback" not in ran.err
            assert ran.code in (0, 65), (kinds, ran.err)
            if not ran.out.strip():
                assert ran.code != 0, kinds
                continue
            answer = ran.json
            assert_shape(answer)
            if not set(modes(answer)) <= set(wanted):
                wrong.append((kinds, modes(answer)))
            if answer["fault"] not in FAULT[number] | {None}:
                wrong.append((kinds, answer["fault"]))
            if "livekit-sip" in kinds and modes(answer) != wanted:
                wrong.append((kinds, modes(answer)))
            if number in ("06", "08") and "participant" in kinds and modes(answer) != wanted:
                wrong.append((kinds, modes(answer)))
            if answer["outcome"] not in (None, OUTCOME.get(number, "answered")):
                wrong.append((kinds, answer["outcome"]))
    assert not wrong


@pytest.mark.parametrize("number", NUMBERS)
def test_order_repetition_and_names_of_files_change_nothing(number, tmp_path):
    """Shuffled lines, each line twice, other file names, files instead of a folder: one answer."""
    whole = diagnose(captured.material(number, tmp_path / "whole"))

    def shuffled(records):
        random.Random(5).shuffle(records)
        return records

    kinds = [kind.replace("-", "_") for kind in captured.FILES]
    variants = {
        "shuffled": captured.material(number, tmp_path / "s", **dict.fromkeys(kinds, shuffled)),
        "twice": captured.material(number, tmp_path / "t", **dict.fromkeys(kinds, lambda r: r + r)),
    }
    renamed = captured.material(number, tmp_path / "r")
    for index, file in enumerate(sorted(renamed.iterdir())):
        file.rename(renamed / f"{'zxywv'[index]}.log")
    variants["renamed"] = renamed
    different = {}
    for name, folder in variants.items():
        answer = diagnose(folder)
        for part in ("findings", "fault", "outcome"):
            if _rounded(answer[part]) != _rounded(whole[part]):
                different[name, part] = answer[part]
        for key in set(answer["facts"]) | set(whole["facts"]):
            pair = answer["facts"].get(key), whole["facts"].get(key)
            if _rounded(pair[0]) != _rounded(pair[1]):
                different[name, key] = pair
    assert not different
    files = sorted((tmp_path / "whole").iterdir(), reverse=True)
    assert diagnose(*files) == whole


def _rounded(value):
    return json.loads(json.dumps(value), parse_float=lambda text: round(float(text), 2))


@pytest.mark.parametrize("number", ["01", "03", "09"])
def test_the_labels_are_never_read(number, tmp_path):
    """A folder whose facts.json says the contrary gives the same answer."""
    folder = captured.material(number, tmp_path / "call")
    whole = diagnose(folder)
    other = captured.facts("06" if number != "06" else "01")
    (folder / "facts.json").write_text(json.dumps(other))
    assert diagnose(folder) == whole
    (folder / "README.md").write_text("a note\n")
    (folder / "old").mkdir()
    (folder / "recording.wav").write_bytes(b"RIFF\x00\x00\x00\x00WAVE")
    assert diagnose(folder) == whole


def test_a_broken_line_is_said_and_the_diagnosis_is_still_printed(tmp_path):
    """Exit 65, FILE:LINE: reason, no number; the findings stand."""
    folder = captured.material("04", tmp_path / "call")
    file = folder / "livekit-sip.jsonl"
    file.write_text('{"fromUser": "+15557778888\n' + file.read_text())
    ran = run("diagnose", folder, "--json")
    assert_no_number(ran)
    assert ran.code == 65
    assert [int(each["line"]) for each in ran.reasons] == [1]
    assert modes(ran.json) == expected("04")


def test_an_empty_folder_is_no_clean_call(tmp_path):
    """Nothing known is not `none`: no fault, no outcome, or a failure of the command."""
    folder = tmp_path / "empty"
    folder.mkdir()
    ran = run_apart("diagnose", folder, "--json")
    assert "Traceback" not in ran.err
    if ran.out.strip():
        answer = ran.json
        assert (answer["findings"], answer["fault"], answer["outcome"]) == ([], None, None)


def test_without_json_the_answer_is_for_people_and_holds_no_number():
    """The plain output names mode, evidence and fault."""
    for number in ("03", "06", "09", "10"):
        ran = run("diagnose", Path(captured.path(number, "spans")).parent)
        assert ran.code == 0, ran.err
        assert_no_number(ran)
        for mode, _ in expected(number):
            assert mode in ran.out or mode.replace("_", " ") in ran.out.lower(), ran.out
        assert "[{" not in ran.out


def test_the_process_prints_what_the_module_prints():
    """One run in a process of its own, by the command line of the contract."""
    folder = captured.path("04", "spans").parent
    ran = run_apart("diagnose", folder, "--json")
    assert ran.code == 0, ran.err
    assert ran.json == diagnose(folder)
    assert names(ran.json) == {"media_degradation"}
