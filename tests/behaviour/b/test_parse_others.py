"""`trunktrace parse` of the other files of a folder when they are broken or hostile."""

from __future__ import annotations

import json

import pytest

from . import captured
from .console import lines, parse
from .test_parse_contract import assert_records

KINDS = [kind for kind in captured.FILES if kind != "livekit-sip"]
HOSTILE = [
    None, True, -1, 1e308, 10**400, "", "12", [], {}, [None], "\ud800", float("nan"),
    "+15557778888",
]  # fmt: skip


def places(value, depth=0):
    """Paths to every field of a record down to a depth."""
    if depth > 5:
        return
    if isinstance(value, dict):
        for key in value:
            yield (key,)
            for rest in places(value[key], depth + 1):
                yield (key, *rest)
    elif isinstance(value, list):
        for index in range(min(len(value), 3)):
            yield (index,)
            for rest in places(value[index], depth + 1):
                yield (index, *rest)


def put(record, place, value):
    """A copy of the record with `value` at `place`."""
    copy = json.loads(json.dumps(record))
    at = copy
    for step in place[:-1]:
        at = at[step]
    at[place[-1]] = value
    return copy


@pytest.mark.parametrize("kind", KINDS)
def test_a_broken_line_is_named_and_the_rest_stands(kind, tmp_path):
    """Exit 65 with the line; what the good lines say is printed."""
    source = captured.SOURCES[kind]
    raw = captured.path("05", kind).read_bytes()
    whole = parse(source, raw, tmp_path)
    rows = raw.splitlines(keepends=True)
    ran = parse(source, b"".join([rows[0], b"{broken +15557778888\n", *rows[1:]]), tmp_path)
    assert ran.code == 65, ran.err
    assert [int(each["line"]) for each in ran.reasons] == [2]
    assert ran.json == whole.json


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("raw", [b"null\n", b"7\n", b"[]\n", b'"x"\n'])
def test_a_record_that_is_no_object_is_broken(kind, raw, tmp_path):
    """A JSON value that is not an object is no record."""
    ran = parse(captured.SOURCES[kind], raw, tmp_path)
    assert (ran.code, ran.json) == (65, [])


@pytest.mark.parametrize("kind", KINDS)
def test_a_value_of_any_type_at_any_place_is_survived(kind, tmp_path):
    """Each field of a few records becomes each hostile value: no traceback, the shape kept."""
    source = captured.SOURCES[kind]
    rows = captured.load("05", kind)
    some = [rows[0], rows[len(rows) // 2], rows[-1]]
    for record in some:
        for count, place in enumerate(places(record)):
            value = HOSTILE[count % len(HOSTILE)]
            changed = put(record, place, value)
            ran = parse(source, lines(rows[0], changed, changed, rows[-1]), tmp_path)
            assert ran.code in (0, 65), (place, value)
            assert_records(ran.json, source)


@pytest.mark.parametrize("kind", KINDS)
def test_crlf_and_a_byte_order_mark_change_nothing(kind, tmp_path):
    """How a file arrived from elsewhere."""
    source = captured.SOURCES[kind]
    raw = captured.path("01", kind).read_bytes()
    expected = parse(source, raw, tmp_path)
    ran = parse(source, b"\xef\xbb\xbf" + raw.replace(b"\n", b"\r\n"), tmp_path)
    assert (ran.code, ran.json) == (0, expected.json)


def test_a_pretty_printed_webhook_body_is_one_record_or_named_as_broken(tmp_path):
    """A body over many lines is not taken apart into nonsense."""
    body = json.dumps(captured.load("05", "webhooks")[1], indent=2)
    ran = parse("livekit-webhook", body, tmp_path)
    assert ran.code in (0, 65)
    assert_records(ran.json, "livekit-webhook")


def test_a_browser_participant_is_no_phone_call(tmp_path):
    """Webhooks and events of a room without a SIP participant give no call facts."""
    events = captured.load("01", "participant")
    for event in events:
        found = event.get("participant")
        if found:
            found["kind"] = "PARTICIPANT_KIND_STANDARD"
            found["attributes"] = {"lang": "en"}
        if "changed" in event:
            event["changed"] = {"lang": "en"}
    ran = parse("livekit-participant", lines(*events), tmp_path)
    for record in ran.json:
        assert not [k for k in record["facts"] if k.startswith(("sip.", "trunk.", "rtp."))], record
