"""Reason headers, reason phrases, carriers' own codes, Q.850: each rule, and hostile text."""

from __future__ import annotations

import itertools
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunktrace import conventions as c
from trunktrace.sip import q850
from trunktrace.sip.codes import CODES, TEXT_RULES, meaning_of
from trunktrace.sip.reason import MAX_REASONS, Reason, parse_reasons, q850_cause, words
from trunktrace.sip.telnyx_codes import TELNYX_CODES, telnyx_code

# Reason headers


@pytest.mark.parametrize(
    "header,expected",
    [
        ('Q.850;cause=16;text="Terminated"', [Reason("Q.850", 16, "Terminated")]),
        ('SIP ;cause=200 ;text="Call completed elsewhere"',
         [Reason("SIP", 200, "Call completed elsewhere")]),
        ("Q.850;cause=17,SIP;cause=486", [Reason("Q.850", 17), Reason("SIP", 486)]),
        ('SIP;cause=603;text="v=analytics1;url=https://x.example, y";location=RLN, Q.850;cause=21',
         [Reason("SIP", 603, "v=analytics1;url=https://x.example, y", "RLN"),
          Reason("Q.850", 21)]),
        (r'Q.850;cause=21;text="a \"b\", \\"', [Reason("Q.850", 21, 'a "b", \\')]),
        ("q.850 ; CAUSE = 34 ; Text = busy lines", [Reason("q.850", 34, "busy lines")]),
        ('Q.850;cause="31"', [Reason("Q.850", 31)]),
        ('Q.850;cause=16;text="never closed', [Reason("Q.850", 16, "never closed")]),
        ('X.int;text="0x00000000";add-info=05CC.0001.0001', [Reason("X.int", 0, "0x00000000")]),
        ("X.int;reasoncode=0x0000032D;add-info=05CC.0001.0004", [Reason("X.int", 0x32D)]),
        ('RELEASE_CAUSE ;cause=1 ;text="User ends call"',
         [Reason("RELEASE_CAUSE", 1, "User ends call")]),
        ("Q.850;cause=soon", [Reason("Q.850")]),
        ("Q.850;cause=١٦", [Reason("Q.850")]),
        ("Q.850;cause=999999", [Reason("Q.850")]),
        ("Q.850;cause=16;cause=17", [Reason("Q.850", 16)]),
        ("Preemption", [Reason("Preemption")]),
        ("", []), (";;,,;", []), ('"', []), (";cause=16", []), ("a b;cause=16", []),
    ],
)  # fmt: skip
def test_the_values_of_a_reason_header(header: str, expected: list[Reason]) -> None:
    """Protocol, cause, text and location of each; what names no protocol is left out."""
    assert list(parse_reasons(header)) == expected


def test_a_repeated_header_is_one_with_commas() -> None:
    """RFC 3261 section 7.3.1: rows of one header are its values in order."""
    both = ["Q.850;cause=17", 'SIP;cause=486;text="Busy"']
    assert parse_reasons(both) == parse_reasons(", ".join(both))
    assert q850_cause(["SIP;cause=486", "Q.850;cause=17"]) == 17


@pytest.mark.parametrize(
    "header,cause",
    [
        ("Q.850;cause=16", 16), ("Q850;cause=1", 1), ("SIP;cause=16", None),
        ("X.int;cause=16", None), ("RELEASE_CAUSE;cause=16", None), ("Q.850;cause=128", None),
        ("Q.850", None), ("", None),
    ],
)  # fmt: skip
def test_only_q850_has_causes_of_q850(header: str, cause: int | None) -> None:
    """Causes of other protocols are numbers of their own."""
    assert q850_cause(header) == cause


def test_a_sip_code_in_a_reason_header() -> None:
    """Of the protocol SIP, and a code."""
    found = [
        reason.sip_code for reason in parse_reasons("SIP;cause=600, SIP;cause=7, Q.850;cause=1")
    ]
    assert found == [600, None, None]


def test_the_words_of_phrase_and_header_together() -> None:
    """What decides may stand in the phrase, or in the text of the header alone."""
    header = 'SIP;cause=603;text="v=analytics1;url=https://x.example"'
    assert words("Decline", header) == "Decline v=analytics1;url=https://x.example"
    assert words(None, "Q.850;cause=16") == ""
    assert meaning_of(603, reason="Decline").outcome == "rejected"
    assert meaning_of(603, reason=words("Decline", header)).outcome == "blocked"


@given(st.text(max_size=3000) | st.text(alphabet='";,=\\ aQ.850caustext', max_size=3000))
def test_any_header_is_read(header: str) -> None:
    """It never raises, and what it gives is bounded."""
    found = parse_reasons([header, header])
    assert len(found) <= MAX_REASONS
    for reason in found:
        assert len(reason.protocol) <= 32
        assert len(reason.text or "") <= 255
        assert reason.q850_cause is None or 0 <= reason.q850_cause <= 127


# Reason phrases

ANALYTICS = ("blocked", "analytics", "intermediary")
OUR_LIMIT = ("congestion", "our_limit", "operator")


@pytest.mark.parametrize(
    "code,phrase,expected",
    [
        (503, "Trunk CPS limit exceeded", OUR_LIMIT),
        (503, "SIP: Parent account pooled Trunking CPS limit exceeded", OUR_LIMIT),
        (503, "32001 SIP: Trunk CPS limit exceeded", OUR_LIMIT),
        (500, "10004 Call concurrency limit exceeded", OUR_LIMIT),
        (503, "Concurrent call limit exceeded", OUR_LIMIT),
        (403, "Too many calls per second", OUR_LIMIT),
        (486, "channel limit reached", OUR_LIMIT),
        (503, "Service Unavailable", ("congestion", None, "carrier")),
        (503, "Network congestion", ("congestion", "congestion", "carrier")),
        (480, "All circuits are busy", ("congestion", "congestion", "carrier")),
        (603, "Network Blocked", ANALYTICS),
        (603, "603+ Network Blocked", ANALYTICS),
        (603, "Decline v=analytics1;url=https://x.example", ANALYTICS),
        (603, "Rejected by analytics", ANALYTICS),
        (403, "Blocked as spam", ANALYTICS),
        (403, "32017 carrier blocked call due to calling number", ANALYTICS),
        (603, "32203 SIP: Call blocked", ("blocked", "carrier_blocked", "intermediary")),
        (603, "Decline", ("rejected", None, None)),
        (603, "Declined", ("rejected", None, "callee")),
        (603, "Decline by user", ("rejected", None, "callee")),
        (603, "Call rejected by user", ("rejected", None, "callee")),
        (603, "", ("rejected", None, None)),
        (607, "Unwanted", ("blocked", "unwanted", "callee")),
        (608, "Rejected", ANALYTICS),
        (402, "Payment Required", ("failed", "billing", "operator")),
        (403, "Insufficient funds", ("failed", "billing", "operator")),
        (403, "Caller ID is unauthorized", ("rejected", "caller_id", "operator")),
        (403, "No International Permission", ("rejected", "geo_permission", "operator")),
        (404, "Unallocated (unassigned) number", ("invalid_number", "unallocated", "callee")),
        (404, "No route to destination", ("invalid_number", "no_route", "carrier")),
        (480, "User not registered", ("no_answer", None, "callee")),
        (408, "No user responding", ("timeout", None, "callee")),
    ],
)  # fmt: skip
def test_what_a_phrase_says_beside_its_code(
    code: int, phrase: str, expected: tuple[str, str | None, str | None]
) -> None:
    """Our own limits, analytics, congestion, mistakes of ours: told from the code alone."""
    found = meaning_of(code, reason=phrase)
    assert (found.outcome, found.detail, found.fault) == expected


@pytest.mark.parametrize("code", sorted(CODES))
@pytest.mark.parametrize(
    "phrase", ["CPS limit exceeded", "Network Blocked", "32203", "No route D40"]
)
def test_a_phrase_never_opens_another_trunk(code: int, phrase: str) -> None:
    """Whether going on is right is the code's alone (issue 6)."""
    assert meaning_of(code, reason=phrase).goes_on == CODES[code].goes_on


@pytest.mark.parametrize("code", [200, 202])
def test_an_answered_call_is_answered_whatever_it_says(code: int) -> None:
    """No phrase makes a 2xx a failure."""
    assert meaning_of(code, reason="CPS limit exceeded D1").outcome == "answered"


@pytest.mark.parametrize("row", TELNYX_CODES.values(), ids=lambda row: row.name)
def test_each_code_of_telnyx_decides(row) -> None:
    """At the end of a phrase or alone, with each SIP code that it comes with, and no other."""
    assert row.outcome in (*c.OUTCOMES, None)
    assert row.fault in (*c.FAULTS, None)
    for code in row.codes:
        for phrase in (f"Forbidden {row.name}", row.name, f"{row.name}: see the portal"):
            found = meaning_of(code, reason=phrase)
            told = (row.outcome or CODES[code].outcome, row.detail or CODES[code].detail, row.fault)
            assert (found.outcome, found.detail, found.fault) == told
            assert found.goes_on == CODES[code].goes_on
    others = set(CODES) - row.codes
    assert all(telnyx_code(code, row.name) is None for code in others)


@pytest.mark.parametrize("name", ["D1", "D2", "D3", "D22", "D4", "D56", "P05"])
def test_our_limits_at_telnyx_are_ours(name: str) -> None:
    """They are congestion of our account, and never the carrier's fault."""
    row = TELNYX_CODES[name]
    assert (row.outcome, row.detail, row.fault) == OUR_LIMIT


@pytest.mark.parametrize("text", ["D1x", "xD1", "VD1", "D123", "d1", "D999", "", "D", "room 3D1"])
def test_a_code_stands_for_itself(text: str) -> None:
    """Letters and digits beside it make it another word; small letters are none."""
    assert telnyx_code(403, text) is None


def test_the_codes_are_of_their_own_pattern() -> None:
    """Each name in the table can be found in a phrase."""
    for name, row in TELNYX_CODES.items():
        assert telnyx_code(min(row.codes), name) is row


HOSTILE = [
    "cps " * 50_000, "c" * 200_000, "concurrent " * 20_000, "port" * 50_000, "D1" * 100_000,
    '"' * 100_000, "\\" * 100_000, '"\\' * 50_000, ";" * 100_000, "," * 100_000,
    "call limi" * 20_000,
    "all circuits " * 15_000, "Q.850;cause=" + "1" * 100_000, '"a\\' * 30_000 + '"',
    "robo-" * 40_000, "\n" * 100_000, "\udcff" * 50_000,
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: repr(text[:12]))
def test_hostile_text_takes_no_time(text: str) -> None:
    """Whatever a phrase or a header holds, reading it takes less than 5 ms."""
    took = []
    for _ in range(3):
        begun = time.thread_time()
        meaning_of(503, reason=text)
        parse_reasons(text)
        took.append(time.thread_time() - begun)
    assert min(took) < 0.005


@given(
    st.integers(-1, 10_000),
    st.text(max_size=400),
    st.none() | st.integers(-5, 300),
    st.none() | st.booleans(),
)
def test_every_answer_means_something(
    code: int, phrase: str, cause: int | None, progress: bool | None
) -> None:
    """Total: a value of the vocabulary for any code, phrase, cause and progress."""
    found = meaning_of(code, reason=phrase, q850_cause=cause, progress=progress)
    assert found.code == code
    assert found.outcome in (*c.OUTCOMES, None)
    assert found.fault in (*c.FAULTS, None)


def test_no_rule_repeats_without_a_bound() -> None:
    """A pattern with `*` or `+` of more than a letter could be made slow."""
    assert not [rule.pattern.pattern for rule in TEXT_RULES
                if re.search(r"(?<!\\)[*+]", rule.pattern.pattern)]  # fmt: skip


# Q.850


@pytest.mark.parametrize(
    "cause,code",
    [
        (1, 404), (2, 404), (3, 404), (16, None), (17, 486), (18, 408), (19, 480), (20, 480),
        (21, 403), (22, 410), (23, 410), (25, 483), (26, 404), (27, 502), (28, 484), (29, 501),
        (31, 480), (34, 503), (38, 503), (41, 503), (42, 503), (44, 503), (47, 503), (50, 403),
        (52, 403), (54, 403), (55, 403), (57, 403), (58, 503), (65, 488), (70, 488), (79, 501),
        (87, 403), (88, 503), (102, 504), (111, 500), (127, 500), (24, None), (126, None),
    ],
)  # fmt: skip
def test_a_cause_stands_for_a_code(cause: int, code: int | None) -> None:
    """As in RFC 3398, and as vendors document where it is silent."""
    assert q850.sip_code(cause) == code


@pytest.mark.parametrize(
    "code,rfc,freeswitch,oracle",
    [
        (486, 17, 17, 17), (480, 18, 18, 20), (503, 41, 41, 41), (603, 21, 21, 21), (404, 1, 1, 1),
        (604, 1, 3, 2), (408, 102, 102, 102), (488, None, 88, 50), (502, 38, 38, 27),
        (487, None, None, 127), (607, None, None, 127), (433, None, 31, 24), (501, 79, 31, 79),
        (299, None, None, None), (700, None, None, None),
    ],
)  # fmt: skip
def test_a_code_becomes_a_cause_by_dialect(
    code: int, rfc: int | None, freeswitch: int | None, oracle: int | None
) -> None:
    """Each vendor maps otherwise: the same code is another cause."""
    told = (q850.cause_of(code), q850.cause_of(code, "freeswitch"), q850.cause_of(code, "oracle"))
    assert told == (rfc, freeswitch, oracle)


def test_the_table_of_causes_is_in_order_and_of_the_vocabulary() -> None:
    """Numbers rise, codes are SIP codes, faults are ours; every cause that is made has a row."""
    numbers = list(q850.CAUSES)
    assert numbers == sorted(set(numbers))
    assert all(0 < number <= 127 for number in numbers)
    assert {row.code for row in q850.CAUSES.values()} <= {*CODES, None}
    dialects = ("rfc3398", "freeswitch", "oracle")
    made = {q850.cause_of(code, d) for code, d in itertools.product(range(200, 700), dialects)}
    assert made <= {*q850.CAUSES, None}


# The page


def test_the_page_of_the_codes_is_up_to_date() -> None:
    """What the generator would write now."""
    script = Path(__file__).parents[1] / "scripts" / "gen_sip_codes.py"
    done = subprocess.run([sys.executable, script, "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
