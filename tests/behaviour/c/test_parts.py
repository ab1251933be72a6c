"""Records that were only partly kept: a log that starts or stops in a call, lines that are missing.
What is left may say less; it never says what was not so."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass

import pytest

from trunktrace.sources.output import as_json

from . import test_truth
from .shelf import End, Record, calls, parsed, raw, reading
from .test_asterisk import events
from .test_freeswitch import frames
from .test_truth import ALL, KINDS, Kind


@dataclass(frozen=True)
class Part(Kind):
    """Some of the records of a file."""

    some: bytes = b""

    def data(self, call: str) -> bytes | None:
        """The records that were kept."""
        return self.some

    def read(self, call: str, end: End | None) -> list[Record]:
        """What the reader says of it; a record that was cut is broken."""
        found = parsed(self.source, self.some, reading(end))
        return [as_json(each) for each in found.observations]


def records(kind: Kind, call: str) -> list[bytes]:
    """The single records of a file."""
    data = kind.data(call)
    assert data is not None
    if kind.file == "ami.txt":
        return events(data)
    if kind.file.startswith("esl"):
        return frames(data)
    return data.splitlines(keepends=True)


TELLING = re.compile(rb'gw_attrs(=|": ")carrier=acme')
"""The gateway's attributes in a record: they tell which end is ours."""

STREAMS = [
    kind
    for kind in KINDS
    if kind.file.endswith((".hex", ".log", ".jsonl", "ami.txt", "json.txt", "plain.txt"))
    and kind.file != "hep-rtcp.hex"  # RTCP alone never says who called
]
EACH = [
    pytest.param(kind, call, id=f"{kind.system}-{call[:2]}-{kind.file}")
    for kind in STREAMS
    for call in calls(kind.system)
    if kind.data(call)
]


def check(kind: Kind, call: str, some: bytes, end: str | None) -> None:
    """Nothing in these records contradicts the truth of the call."""
    part = Part(kind.system, kind.file, kind.source, ALL, some)
    test_truth.test_no_code_cause_codec_party_or_time_contradicts_the_truth(part, call, end)
    test_truth.test_no_window_says_what_did_not_happen(part, call, end)


@pytest.mark.parametrize("kind,call", EACH)
@pytest.mark.parametrize("end", [None, "caller"])
def test_a_stream_that_starts_in_the_call_swaps_nobody(kind, call, end):
    """The collector came late: the ends stay who they are."""
    rows = records(kind, call)
    for cut in sorted({len(rows) * part // 12 for part in range(1, 12)}):
        text = b"".join(rows[cut:])
        unsaid = kind.source.startswith("kamailio") and not TELLING.search(text)
        check(kind, call, text, "caller" if unsaid else end)


@pytest.mark.parametrize("kind,call", EACH)
@pytest.mark.parametrize("end", [None, "caller"])
def test_a_stream_that_stops_in_the_call_ends_nothing(kind, call, end):
    """The collector went early."""
    rows = records(kind, call)
    for cut in sorted({len(rows) * part // 12 for part in range(1, 12)}):
        check(kind, call, b"".join(rows[:cut]), end)


@pytest.mark.parametrize("kind,call", [e for e in EACH if e.values[0].system == "kamailio"])
def test_any_of_the_lines_may_be_missing(kind, call):
    """Each set of Kamailio's lines and packets of a call, small ones in full."""
    rows = records(kind, call)
    if kind.file.endswith(".hex"):
        for gone in itertools.combinations(range(len(rows)), 2):
            check(kind, call, b"".join(r for n, r in enumerate(rows) if n not in gone), None)
        return
    for size in range(1, len(rows) + 1):
        for some in itertools.combinations(rows, size):
            text = b"".join(some)
            # without the gateway's attributes nothing tells which end is ours
            check(kind, call, text, None if TELLING.search(text) else "caller")


@pytest.mark.parametrize("call", calls("asterisk"))
@pytest.mark.parametrize(
    "gone",
    ["Newchannel", "DialBegin", "DialEnd", "Newstate", "BridgeEnter", "Cdr", "HangupRequest",
     "SoftHangupRequest", "VarSet", "RTCPReceived", "RTCPSent", "Newexten", "NewCallerid"],
)  # fmt: skip
def test_a_class_of_events_may_be_filtered_out(call, gone):
    """eventfilter, or a user without that class: nothing is swapped or made up."""
    kind = next(k for k in KINDS if k.file == "ami.txt")
    rows = [e for e in records(kind, call) if not e.startswith(f"Event: {gone}\r\n".encode())]
    for end in (None, "caller", "callee"):
        check(kind, call, b"".join(rows), end)


@pytest.mark.parametrize("call", calls("freeswitch"))
@pytest.mark.parametrize(
    "gone",
    ["CHANNEL_CREATE", "CHANNEL_ANSWER", "CHANNEL_BRIDGE", "CHANNEL_HANGUP",
     "CHANNEL_HANGUP_COMPLETE", "RECV_RTCP_MESSAGE"],
)  # fmt: skip
def test_an_event_may_not_be_subscribed(call, gone):
    """Only some kinds of ESL events were asked for."""
    kind = next(k for k in KINDS if k.file == "esl-json.txt")
    rows = [f for f in records(kind, call) if f'"Event-Name":"{gone}"'.encode() not in f]
    for end in (None, "caller", "callee"):
        check(kind, call, b"".join(rows), end)


def test_captures_are_there():
    """Each stream has calls."""
    assert len(EACH) > 25
    assert raw("asterisk", "01-clean", "ami.txt")
