"""The same calls at another time, with other ids: the same facts, moved."""

from __future__ import annotations

import json
import re

import pytest

from .shelf import Record, raw, read, reading, same

BY = 123_456_789
"""Nearly four years later: October 2030, another day of the week, summer time somewhere."""
FILES = [
    ("freeswitch-cdr", "freeswitch", "a-leg.cdr.json"),
    ("freeswitch-cdr", "freeswitch", "b-leg.cdr.json"),
    ("freeswitch-esl", "freeswitch", "esl-json.txt"),
    ("freeswitch-esl", "freeswitch", "esl-plain.txt"),
    ("kamailio-acc", "kamailio", "kamailio.log"),
    ("kamailio-acc-json", "kamailio", "json_acc.log"),
    ("rtpengine", "rtpengine", "ng-delete.json"),
    ("rtpengine", "rtpengine", "ng-delete.bencode"),
    ("rtpengine", "rtpengine", "ng.jsonl"),
]
CALLS = {
    "freeswitch": ("01-clean", "02-loss5-caller-in", "03-busy-486"),
    "kamailio": ("01-clean", "05-unavailable-503", "07-one-way-callee-silent"),
    "rtpengine": ("01-clean", "02-loss5-caller-to-proxy", "07-one-way-callee-silent"),
}
EACH = [(source, system, file, call) for source, system, file in FILES for call in CALLS[system]]


def later(data: bytes) -> bytes:
    """Unix times in seconds and microseconds, moved; lengths stay as they are."""
    data = re.sub(rb"(?<!\d)1795\d{6}(?!\d)", lambda m: b"%d" % (int(m[0]) + BY), data)
    return re.sub(rb"(?<!\d)1795\d{12}(?!\d)", lambda m: b"%d" % (int(m[0]) + BY * 10**6), data)


def earlier(records: list[Record]) -> list[Record]:
    """Windows moved back, rounded to milliseconds."""
    copy: list[Record] = json.loads(json.dumps(records))
    for record in copy:
        for window in record["windows"]:
            for edge in ("start", "end"):
                if window[edge] is not None:
                    window[edge] = round(window[edge] - BY, 3)
    return copy


def rounded(records: list[Record]) -> list[Record]:
    """Windows rounded to milliseconds."""
    copy: list[Record] = json.loads(json.dumps(records))
    for record in copy:
        for window in record["windows"]:
            for edge in ("start", "end"):
                if window[edge] is not None:
                    window[edge] = round(window[edge], 3)
    return copy


@pytest.mark.parametrize("source,system,file,call", EACH)
def test_another_time_is_another_time_and_nothing_else(source, system, file, call):
    """Every window moves by as much; no fact changes."""
    data = raw(system, call, file)
    moved = later(data)
    assert moved != data
    then, now = read(source, moved, reading("callee")), read(source, data, reading("callee"))
    same(earlier(then), rounded(now))


@pytest.mark.parametrize(
    "source,system,file,call", [e for e in EACH if e[1] != "rtpengine" and "plain" not in e[2]]
)
def test_other_hosts_and_gateways_are_names_and_nothing_else(source, system, file, call):
    """Addresses and gateway names rewritten: they change where they stand, and nowhere else."""
    data = raw(system, call, file)
    swaps = {b"192.0.2.101": b"198.51.100.7", b"192.0.2.111": b"203.0.113.9"}
    swaps |= {b"gw-east": b"munich1", b"acme-east": b"zenith-05"}
    moved = data
    for old, new in swaps.items():
        moved = moved.replace(old, new)
    if file.startswith("esl"):
        moved = relength(moved)
    text = json.dumps(read(source, data, reading("callee")))
    for old, new in swaps.items():
        text = text.replace(old.decode(), new.decode())
    same(read(source, moved, reading("callee")), json.loads(text))


def relength(data: bytes) -> bytes:
    """ESL frames with the length that they have now."""
    parts = re.split(rb"Content-Length: \d+\nContent-Type: text/event-json\n\n", data)
    assert not parts[0].strip()
    head = b"Content-Length: %d\nContent-Type: text/event-json\n\n"
    return b"".join(head % len(part) + part for part in parts[1:])
