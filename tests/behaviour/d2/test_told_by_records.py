"""Attempts, loops and illegitimate advances, out of the files that a call leaves behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from .lk import CALLEE, CALLER
from .traces import in_clear

T0 = 1795396160.0
ROWS = """
[trunks.ST_a]
carrier = "A"
[trunks.ST_b]
carrier = "B"
"""


def attempt(number: int, trunk: str, code: int | None, *, rings: bool = False) -> list[Any]:
    """What the room and the API said of one attempt, as in the captures."""
    at, identity = T0 + 10 * number, f"callee-{number}"
    told = {
        "sip.phoneNumber": CALLEE,
        "sip.trunkPhoneNumber": CALLER,
        "sip.hostname": "192.0.2.7:5060",
        "sip.trunkID": trunk,
        "sip.callStatus": "dialing",
        "sip.callID": f"SCL_{number:012d}",
    }
    who = {"identity": identity, "name": "", "kind": "PARTICIPANT_KIND_SIP", "sid": f"PA_{number}"}
    joined = who | {"metadata": "", "attributes": told, "disconnect_reason": None}
    lines: list[Any] = [{"t": at + 0.1, "event": "participant_connected", "participant": joined}]
    if rings or code == 200:
        lines.append(changed(at + 0.2, identity, "ringing"))
    asked: dict[str, Any] = {"event": "create_sip_participant", "attempt": number, "trunk": trunk}
    if code == 200:
        lines.append(changed(at + 1.0, identity, "active"))
        response = {"participant_identity": identity, "sip_call_id": told["sip.callID"]}
        return [*lines, {"t": at + 1.1, **asked, "ok": True, "took_s": 1.1, "response": response}]
    raised: dict[str, Any] = {"ok": False, "took_s": 0.5}
    if code is None:
        raised |= {"exc_type": "ServerError", "code": "canceled", "status": 408, "metadata": {}}
        raised |= {"message": "twirp error unknown: sip request timed out"}
    else:
        meta = {"sip_status_code": str(code), "sip_status": "No"}
        raised |= {"exc_type": "SipCallError", "code": "failed_precondition", "status": 412}
        raised |= {"message": f"sip status: {code}: No", "metadata": meta, "sip_status_code": code}
        raised |= {"sip_status": "No"}
    left = joined | {
        "attributes": told | {"sip.callStatus": "ringing" if rings else "dialing"},
        "disconnect_reason": "CLIENT_INITIATED",
    }
    gone = {"t": at + 0.6, "event": "participant_disconnected", "participant": left}
    return [*lines, {"t": at + 0.5, **asked, **raised}, gone]


def changed(at: float, identity: str, status: str) -> dict[str, Any]:
    told = {"sip.callStatus": status}
    event = {"event": "participant_attributes_changed", "identity": identity, "changed": told}
    return {"t": at, **event}


def diagnosed(tmp_path: Path, *attempts: list[Any]) -> dict[str, Any]:
    """What `trunktrace diagnose --json` says of a call with these attempts."""
    lines = [line for one in attempts for line in one]
    folder = tmp_path / "call"
    folder.mkdir()
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (folder / "participant.jsonl").write_text(text)
    (tmp_path / "carriers.toml").write_text(ROWS)
    done = subprocess.run(
        [sys.executable, "-m", "trunktrace", "diagnose", "--json", "call"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={key: value for key, value in os.environ.items() if not key.startswith("TRUNKTRACE_")},
    )
    assert done.returncode == 0, done.stderr
    assert in_clear(done.stdout + done.stderr) == []
    return json.loads(done.stdout)


def evidence(told: dict[str, Any], mode: str) -> list[str]:
    return [
        rule for found in told["findings"] if found["mode"] == mode for rule in found["evidence"]
    ]


def test_round_in_a_circle(tmp_path: Path):
    """The issue's own path."""
    told = diagnosed(
        tmp_path, attempt(1, "ST_a", 503), attempt(2, "ST_b", 503), attempt(3, "ST_a", 503)
    )
    assert "FOL-1" in evidence(told, "failover_loop")
    assert "CSF-1" in evidence(told, "call_setup_failure")
    assert told["facts"]["trunk.failover.path"].lower() == "a:503>b:503>a:503"
    assert told["facts"]["trunk.failover.count"] == 2
    assert told["facts"]["sip.attempt_count"] == 3


@pytest.mark.parametrize("code", [404, 486, 603, 607])
def test_on_after_a_code_that_is_no_case_for_it(tmp_path: Path, code: int):
    """An illegitimate advance, even if the second trunk gets through."""
    told = diagnosed(tmp_path, attempt(1, "ST_a", code), attempt(2, "ST_b", 200))
    assert "FOL-4" in evidence(told, "failover_loop")
    assert told["outcome"] == "answered"


@pytest.mark.parametrize("code", [408, 480, 500, 501, 502, 503, 504, 580])
def test_a_legitimate_failover(tmp_path: Path, code: int):
    """No finding where the second trunk answered."""
    told = diagnosed(tmp_path, attempt(1, "ST_a", code), attempt(2, "ST_b", 200))
    assert told["findings"] == []
    assert told["facts"]["trunk.failover.path"].lower() == f"a:{code}>b:200"


def test_on_after_it_rang_out(tmp_path: Path):
    """A second phone after our own ringing timeout."""
    rang = attempt(1, "ST_a", None, rings=True)
    told = diagnosed(tmp_path, rang, attempt(2, "ST_b", 200))
    assert "FOL-4" in evidence(told, "failover_loop")


@pytest.mark.parametrize(
    "code, outcome, fault",
    [
        (486, "busy", "callee"),
        (503, "congestion", "carrier"),
        (404, "invalid_number", None),
        (401, "failed", "operator"),
        (608, "blocked", "intermediary"),
        (420, "failed", "platform"),
    ],
)
def test_whose_fault_a_refusal_was(tmp_path: Path, code: int, outcome: str, fault: str | None):
    """Outcome and fault of the table, from the files alone."""
    told = diagnosed(tmp_path, attempt(1, "ST_a", code))
    assert told["outcome"] == outcome
    assert told.get("fault") == fault
    assert told["facts"]["sip.response.status_code"] == code
