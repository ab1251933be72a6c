"""No phone number leaves: not from files or statements, in no output, log, event or label."""

from __future__ import annotations

import logging

import pytest

from behaviour.kit import Pipeline, fake_time

from . import captured
from .console import assert_no_number, diagnose, lines, parse, run, run_apart
from .meter import told
from .rig import BEGIN, CALLEE, CALLER, Line, dump
from .rig_inbound import Inbound
from .rig_outbound import Outbound, Try

DIGITS = ("5553216549", "5557410258", "5550000001", "3216549")


def everything(pipe: Pipeline) -> str:
    """All that an exporter gets of all spans."""
    return "\n".join(span.to_json() for span in pipe.finished())


def test_statements_leave_no_number_on_spans_events_or_in_logs(caplog):
    """record, record_media, expect, record_recording with numbers at every place."""
    caplog.set_level(logging.DEBUG)
    pipe = Pipeline()
    with fake_time() as time_, pipe.call(direction="inbound", caller_number=CALLER) as call:
        call.record(callee_number=CALLEE, reason=f"unknown {CALLEE}", call_id=f"{CALLER}-x@h")
        call.record(caller_number="555-321-6549", callee_number="sip:+15557410258@h;user=phone")
        call.record(**{CALLER: CALLER, "status_code": CALLER})
        call.expect(caller="+15550000001", country="DE", region=CALLER)
        call.expect(caller="tel:+1-555-000-0001", country=CALLER, region=None)
        call.expect(caller=15550000001, country=5, region=b"+15553216549")
        call.record_media(
            leg=CALLER, direction="in", start=time_.unix(0), end=time_.unix(5), loss_ratio=0.1
        )
        call.record_media(
            leg="trunk", direction="in", start=time_.unix(0), end=time_.unix(5), source=CALLER,
            loss_ratio=CALLER, packet_count=CALLER, mos_algorithm=CALLER,
        )  # fmt: skip
        call.record_media(leg="trunk", direction="in", start=CALLER, end=CALLER, loss_ratio=0.1)
        call.record_task(CALLER)
        call.record_recording(started=CALLER, ended=CALLEE)
        time_.now = 30
    text = everything(pipe) + caplog.text
    for digits in DIGITS:
        assert digits not in text, text[max(0, text.find(digits) - 200) : text.find(digits) + 40]


def test_a_finding_says_nothing_of_the_record_it_compared(caplog):
    """Misrouting by another caller: the event, the attributes and the log hold neither number."""
    caplog.set_level(logging.DEBUG)
    pipe = Pipeline()
    with fake_time() as time_, pipe.call(direction="inbound", status_code=200) as call:
        call.record(caller_number=CALLER)
        call.expect(caller="+15550000001")
        time_.now = 20
    root = pipe.named("sip.call")
    assert [e for e in root.events if e.name == "trunktrace.failure"]
    text = everything(pipe) + caplog.text
    for digits in DIGITS:
        assert digits not in text


def test_the_story_and_the_findings_of_a_call_hold_no_number():
    """What rules are asked about has no number to let out: masked ones at most."""
    pipe = Pipeline()
    with fake_time() as time_, pipe.call(direction="inbound", status_code=200) as call:
        call.record(caller_number=CALLER, callee_number=CALLEE)
        call.expect(caller="+15550000001", country="US")
        time_.now = 20
        text = repr(call.story()) + repr(call) + repr(call.facts)
    for digits in DIGITS:
        assert digits not in text


def test_metrics_hold_no_number():
    """No label of any metric has a digit run of a number in it, whatever was stated."""
    got = told(
        """
        call(caller_number="+15553216549", callee_number="+15557410258", call_id="15553216549@h",
             reason="no +15557410258")
        with trunktrace.start_call(tracer_provider=tracing, **FACTS) as made:
            made.expect(caller="+15550000001", country="DE", region="+15553216549")
            made.record_task("+15553216549")
        """
    )
    for digits in DIGITS:
        assert digits not in str(got.points)


PHRASES = [
    f"Number {CALLEE} not in service", f"404 <sip:{CALLEE}@h>", "call (555) 741-0258 blocked",
    "15557410258", "tel:+1-555-741-0258", "0015557410258 unallocated",
]  # fmt: skip


@pytest.mark.parametrize("phrase", PHRASES)
@pytest.mark.parametrize("code", [404, 503])
def test_a_reason_phrase_with_a_number_in_it_is_scrubbed(code, phrase, tmp_path):
    """Carriers write the dialled number into the phrase; it reaches no output."""
    call = Outbound([Try("north", code, phrase)], seed=code)
    for kinds in ((), ("livekit-sip",), ("participant",)):
        folder = call.write(tmp_path / "-".join(("f", *kinds)), *kinds)
        for arguments in (("--json",), ()):
            ran = run("diagnose", folder, *arguments)
            assert_no_number(ran, "741-0258", "7410258")
    for kind, source in captured.SOURCES.items():
        data = (tmp_path / "f" / f"{kind}.jsonl").read_bytes()
        ran = parse(source, data, tmp_path)
        assert_no_number(ran, "741-0258", "7410258")


def test_a_call_id_made_of_the_number_is_not_printed(tmp_path):
    """Some SBCs put the number into the Call-ID."""
    call = Inbound(Line(talk=10), seed=5)
    call.sip_call_id = f"{CALLER.lstrip('+')}-77@sbc.example"
    answer = diagnose(call.write(tmp_path / "call"))
    assert "3216549" not in str(answer)


def test_headers_with_numbers_reach_no_output(tmp_path):
    """Diversion, History-Info, Remote-Party-ID, Contact: none is printed."""
    number = "+15550000001"
    headers = {
        "Diversion": f"<sip:{number}@h>;reason=unconditional",
        "Remote-Party-ID": f"<sip:{number}@h>",
        "History-Info": f"<sip:{number}@h>;index=1", "Contact": f"<sip:{number}@h>",
        "P-Asserted-Identity": f"<tel:{number}>", "X-Route": number, "X-Carrier": number,
    }  # fmt: skip
    call = Inbound(Line(talk=10), seed=6, headers=headers)
    for arguments in (("--json",), ()):
        assert_no_number(run("diagnose", call.write(tmp_path / "call"), *arguments))


@pytest.mark.parametrize(
    "user", ["0151 2345678", "+49 151 2345678", "1512345678", "sip:1512345678@h", "alice.miller"]
)
def test_what_is_no_e164_number_is_masked_whole(user, tmp_path):
    """A local number or a name of a person is no less private."""
    call = Inbound(Line(talk=10), seed=8, from_user=user)
    for arguments in (("--json",), ()):
        ran = run("diagnose", call.write(tmp_path / "call"), *arguments)
        for part in (user, "2345678", "alice", "miller"):
            assert part not in ran.out + ran.err, part


def test_broken_records_with_numbers_are_named_without_them(tmp_path):
    """Every source's reasons, from files and from standard input."""
    for kind, source in captured.SOURCES.items():
        bad = '{"phone": "+15553216549", "x": \n"+15553216549"\n["+15553216549"]\n'
        raw = (bad + captured.dump(captured.load("05", kind)[:3])).encode()
        ran = parse(source, raw, tmp_path)
        assert ran.code == 65, source
        piped = run_apart("parse", source, "-", stdin=raw)
        assert piped.code == 65, source
        assert_no_number(piped)


def test_a_file_named_after_a_number_is_named_in_errors_only_as_given(tmp_path):
    """The path is the user's own word; nothing else of the content follows it."""
    file = tmp_path / "call.jsonl"
    file.write_text(lines({"t": BEGIN, "event": "participant_connected", "participant": CALLER}))
    ran = run("parse", "livekit-participant", file)
    assert_no_number(ran)
    dump(file, [{"t": BEGIN, "event": CALLER, "identity": CALLER}])
    assert_no_number(run("parse", "livekit-participant", file))
    assert_no_number(run("diagnose", file, "--json"))
