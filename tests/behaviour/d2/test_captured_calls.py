"""The captured outbound calls: played through the processor, and read by `trunktrace diagnose`."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from livekit import rtc
from livekit.protocol.sip import CreateSIPParticipantRequest, SIPParticipantInfo
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import trunktrace

from .lk import CALLEE, CALLER, SERVER_ERROR, LiveKit, Room
from .traces import Traces, attributes, events, everything, findings, in_clear, linked

CAPTURES = Path(__file__).parents[2] / "replay" / "captures"
OUTBOUND = ["05-outbound-answered", "06-outbound-486", "07-outbound-503-failover"]
OUTBOUND += ["08-outbound-no-answer"]
STATED = {"06-outbound-486": ("busy", "callee"), "08-outbound-no-answer": ("no_answer", "callee")}


def facts(name: str) -> dict[str, Any]:
    return json.loads((CAPTURES / name / "facts.json").read_text())


def lines(name: str) -> list[dict[str, Any]]:
    text = (CAPTURES / name / "participant.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]


def directory(name: str) -> str:
    rows = [
        f'[trunks.{attempt["trunk"]}]\ncarrier = "{attempt["carrier"]}"\n'
        for attempt in facts(name)["attempts"]
    ]
    return "".join(rows)


def truth_path(name: str) -> str:
    told = [
        attempt["carrier"] + (f":{code}" if (code := attempt["sip_final_code"]) else "")
        for attempt in facts(name)["attempts"]
    ]
    return ">".join(told)


class Replayed(LiveKit):
    """The server and the room of a captured call."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.lines = lines(name)
        self.room = Room(facts(name)["room"])
        self.at = 0

    def play(self, until: str | None) -> dict[str, Any] | None:
        """Emits what the room said up to an event of this kind, which is returned."""
        while self.at < len(self.lines):
            line = self.lines[self.at]
            self.at += 1
            if line["event"] == until:
                return line
            self._emit(line)
        return None

    def _emit(self, line: dict[str, Any]) -> None:
        about = line.get("participant", {})
        identity = about.get("identity", line.get("identity", ""))
        if line["event"] == "participant_connected":
            self.room.join(identity, about["attributes"])
        elif line["event"] == "participant_attributes_changed":
            if identity in self.room.remote_participants:
                self.room.change(identity, line["changed"])
        elif line["event"] == "participant_disconnected":
            reason = getattr(rtc.DisconnectReason, about["disconnect_reason"])
            self.room.leave(identity, reason)

    async def _create(self, http: web.Request) -> web.StreamResponse:
        self.created.append(CreateSIPParticipantRequest.FromString(await http.read()))
        line = self.play("create_sip_participant")
        assert line is not None
        if line["ok"]:
            body = SIPParticipantInfo(**line["response"]).SerializeToString()
            return web.Response(body=body, content_type="application/protobuf")
        told = {"code": line["code"], "msg": line["message"], "meta": line["metadata"]}
        return web.json_response(told, status=line["status"])


async def replayed(traces: Traces, name: str, **settings: Any) -> Replayed:
    async with Replayed(name) as livekit:

        async def work(ctx):
            for number, attempt in enumerate(facts(name)["attempts"], 1):
                request = CreateSIPParticipantRequest(
                    room_name=ctx.room.name,
                    sip_trunk_id=attempt["trunk"],
                    sip_call_to=CALLEE,
                    participant_identity=f"callee-{number}",
                    wait_until_answered=True,
                )
                try:
                    await ctx.api.sip.create_sip_participant(request)
                except SERVER_ERROR:
                    continue
                break
            await asyncio.to_thread(int)  # lets the loop go on, as an agent does
            livekit.play(None)

        made = trunktrace.Directory.parse(directory(name))
        await traces.job(livekit, work, leave=False, directory=made, **settings)
    return livekit


@pytest.mark.parametrize("name", OUTBOUND)
async def test_attempts_codes_and_path_equal_the_truth(traces: Traces, name: str):
    """Played through the library again: one sip.invite for each attempt, with its own code."""
    await replayed(traces, name)
    truth = facts(name)["attempts"]
    invites = [attributes(span) for span in traces.invites]
    assert [told["trunk.id"] for told in invites] == [each["trunk"] for each in truth]
    assert [told["trunk.carrier"] for told in invites] == [each["carrier"] for each in truth]
    codes = [told.get("sip.response.status_code") for told in invites]
    assert codes == [each["sip_final_code"] for each in truth]
    ids = [told["livekit.sip.call_id"] for told in invites]
    assert ids == [each["livekit_call_id"] for each in truth]
    root = attributes(traces.root)
    assert root.get("sip.response.status_code") == facts(name)["sip_final_code"]
    assert root["sip.attempt_count"] == len(truth)
    assert root["sip.call.direction"] == "outbound"
    expected = facts(name)["expected_failure_mode"]
    assert root.get("trunktrace.failure.mode", "none") == expected


@pytest.mark.parametrize("name", OUTBOUND)
async def test_no_signalling_number_in_anything_exported(traces: Traces, name: str):
    """All spans of a replayed call, every value of them."""
    await replayed(traces, name)
    assert in_clear(everything(traces.spans)) == []


async def test_the_failover_of_07(traces: Traces):
    """503 then 200: path, count, link, and no finding, because it was recovered."""
    await replayed(traces, "07-outbound-503-failover")
    root = attributes(traces.root)
    assert root["trunk.failover.path"] == "carrier-a:503>carrier-b:200"
    assert root["trunk.failover.count"] == 1
    assert root["sip.call.outcome"] == "answered"
    first, second = traces.invites
    assert linked(second) == [first.context.span_id]


@pytest.mark.parametrize("name", STATED)
async def test_the_failures_of_06_and_08(traces: Traces, name: str):
    """Busy is the callee's; a ringing timeout of ours is no_answer, without a code."""
    await replayed(traces, name)
    outcome, fault = STATED[name]
    for span in (traces.one("sip.invite"), traces.root):
        assert attributes(span)["sip.call.outcome"] == outcome
        assert attributes(span)["trunk.fault"] == fault
    assert "call_setup_failure" in findings(traces.root)


async def test_call_id_of_the_answered_leg(traces: Traces):
    """The Call-ID comes late, with the 200, and is the truth's."""
    await replayed(traces, "05-outbound-answered")
    truth = facts("05-outbound-answered")["attempts"][0]["call_id_header"]
    assert attributes(traces.root)["sip.call_id"] == truth


def diagnosed(tmp_path: Path, name: str, *files: str) -> dict[str, Any]:
    """What the command says of these files of a capture (all but facts.json if none is named)."""
    folder = tmp_path / "call"
    folder.mkdir()
    for file in (CAPTURES / name).iterdir():
        if file.name != "facts.json" and (not files or file.name in files):
            shutil.copy(file, folder)
    rows = tmp_path / "carriers.toml"
    rows.write_text(directory(name))
    command = [sys.executable, "-m", "trunktrace", "diagnose", "--json"]
    done = subprocess.run(
        [*command, "--directory", str(rows), str(folder)],
        capture_output=True,
        text=True,
        env={key: value for key, value in os.environ.items() if not key.startswith("TRUNKTRACE_")},
    )
    assert done.returncode == 0, done.stderr
    assert in_clear(done.stdout + done.stderr) == []
    return json.loads(done.stdout)


FILES = [(), ("participant.jsonl",), ("livekit-sip.jsonl",), ("participant.jsonl", "spans.jsonl")]


@pytest.mark.parametrize("files", FILES, ids=lambda files: "+".join(files) or "all")
@pytest.mark.parametrize("name", OUTBOUND)
def test_diagnose_tells_the_truth_of_a_capture(tmp_path: Path, name: str, files):
    """Code, outcome and findings, from all files or from one of them."""
    told = diagnosed(tmp_path, name, *files)
    truth = facts(name)
    assert told["facts"].get("sip.response.status_code") == truth["sip_final_code"]
    modes = {finding["mode"] for finding in told["findings"]}
    expected = truth["expected_failure_mode"]
    assert modes == (set() if expected == "none" else {expected})
    assert (told["outcome"] == "answered") == truth["answered"]
    if name in STATED:
        assert told["outcome"] == STATED[name][0]
        assert told["fault"] == STATED[name][1]
    else:
        assert told["fault"] in ("none", None)


@pytest.mark.parametrize("files", FILES, ids=lambda files: "+".join(files) or "all")
def test_diagnose_tells_the_path_of_07(tmp_path: Path, files):
    """Two attempts, and their path by carrier and code."""
    told = diagnosed(tmp_path, "07-outbound-503-failover", *files)
    assert told["facts"]["trunk.failover.path"] == truth_path("07-outbound-503-failover")
    assert told["facts"]["trunk.failover.count"] == 1
    assert told["facts"]["sip.attempt_count"] == 2


def test_the_numbers_of_the_captures_are_those_that_are_looked_for():
    """A guard of this file: CALLEE and CALLER are the captured ones."""
    text = "".join(json.dumps(lines(name)) for name in OUTBOUND)
    assert CALLEE in text
    assert CALLER in text


async def test_the_states_of_a_captured_call(traces: Traces):
    """dialing, ringing, active, hangup: each an event of the root, once."""
    await replayed(traces, "05-outbound-answered")
    told = [event["sip.call.state"] for event in events(traces.root, "sip.state")]
    assert told == ["dialing", "ringing", "active", "hangup"]


@pytest.mark.parametrize("name", OUTBOUND)
async def test_livekits_own_spans_leave_without_numbers(monkeypatch, name: str):
    """The captured spans as they were, through RedactingExporter, beside ours."""
    traces = Traces()
    memory = InMemorySpanExporter()
    held = trunktrace.LateFactsExporter(trunktrace.RedactingExporter(memory))
    traces.provider.add_span_processor(SimpleSpanProcessor(held))
    traces.install(monkeypatch)
    async with Replayed(name) as livekit:

        async def work(ctx):
            for captured in captured_spans(name):
                with traces.tracer.start_as_current_span(captured["name"]) as span:
                    for pair in captured.get("attributes", []):
                        (value,) = pair["value"].values()
                        span.set_attribute(pair["key"], str(value))
            for number, attempt in enumerate(facts(name)["attempts"], 1):
                request = livekit.request(attempt["trunk"], participant_identity=f"callee-{number}")
                try:
                    await ctx.api.sip.create_sip_participant(request)
                except SERVER_ERROR:
                    continue
            livekit.play(None)

        await traces.job(livekit, work, leave=False)
    traces.provider.force_flush()
    spans = list(memory.get_finished_spans())
    assert any(span.name == "sip.invite" for span in spans)
    assert in_clear(everything(spans)) == []
    traces.provider.shutdown()


def captured_spans(name: str) -> list[dict[str, Any]]:
    text = (CAPTURES / name / "spans.jsonl").read_text()
    return [
        span
        for line in text.splitlines()
        for resource in json.loads(line)["resourceSpans"]
        for scope in resource["scopeSpans"]
        for span in scope["spans"]
        if span["name"] != "job_entrypoint"
    ]
