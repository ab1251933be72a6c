"""A bad fact leaves the call alone: it is absent, logged once and counted."""

from __future__ import annotations

import math
import unicodedata

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings

import trunktrace
from trunktrace.guard import guard, reraising
from trunktrace.registry import calls

from .bad import GOOD_MEDIA, HOSTILE, HUGE, TEN_KB, anything
from .kit import CARRIER, ROUTE, Pipeline, log_lines, ours

STRINGS_REFUSED = [
    "",
    "   ",
    TEN_KB,
    "a\x00b",
    "a\nb",
    "a\x1b[31mb",
    "\x7f",
    "a\x9bb",
    "a\ud800b",
    5,
    1.5,
    True,
    b"telnyx",
    ["telnyx"],
    ("telnyx",),
    {"a": 1},
    object(),
]


WHOLE_REFUSED = [
    True,
    False,
    "200",
    math.nan,
    math.inf,
    -math.inf,
    -1,
    0,
    99,
    180,
    700,
    10**9,
    HUGE,
    [200],
    b"200",
]


MS_REFUSED = [True, "10", math.nan, math.inf, -math.inf, -1, -0.001, HUGE, [1.0]]


COUNT_REFUSED = [True, "3", math.nan, math.inf, -1, HUGE, [1]]


BAD_FACTS = [
    *(
        pytest.param(field, value, id=f"{field}-{i}")
        for field in (
            "carrier",
            "route",
            "region",
            "codec",
            "trunk_id",
            "call_id",
            "transport",
            "livekit_call_id",
            "reason",
        )
        for i, value in enumerate(STRINGS_REFUSED)
    ),
    *(
        pytest.param("status_code", value, id=f"status_code-{i}")
        for i, value in enumerate(WHOLE_REFUSED)
    ),
    *(
        pytest.param(field, value, id=f"{field}-{i}")
        for field in ("setup_ms", "pdd_ms", "ring_ms", "duration_ms")
        for i, value in enumerate(MS_REFUSED)
    ),
    *(
        pytest.param(field, value, id=f"{field}-{i}")
        for field in ("attempt_count", "dtmf_count")
        for i, value in enumerate(COUNT_REFUSED)
    ),
    *(
        pytest.param("direction", value, id=f"direction-{i}")
        for i, value in enumerate(["sideways", "INBOUND ", "in", "", 1, True, None.__class__])
    ),
    *(
        pytest.param("hangup_source", value, id=f"hangup_source-{i}")
        for i, value in enumerate(["nobody", "", 5])
    ),
    *(
        pytest.param(field, value, id=f"{field}-{i}")
        for field in ("caller_number", "callee_number")
        for i, value in enumerate(
            [
                "",
                "   ",
                TEN_KB,
                "+1415\x005550134",
                14155550134,
                True,
                b"+14155550134",
                ["+14155550134"],
            ]
        )
    ),
    pytest.param("q850_cause", 128, id="q850_cause-128"),
    pytest.param("q850_cause", -1, id="q850_cause-negative"),
    pytest.param("answered_by", "dog", id="answered_by-dog"),
    pytest.param("stir_attestation", "D", id="stir_attestation-D"),
    pytest.param("payload_type", 128, id="payload_type-128"),
    pytest.param("clock_rate_hz", 0, id="clock_rate_hz-0"),
    pytest.param("ptime_ms", 0, id="ptime_ms-0"),
    pytest.param("no_such_fact", "value", id="unknown-name"),
    pytest.param("trunk.carrier", "telnyx", id="a-key-for-a-name"),
    pytest.param("__class__", "telnyx", id="dunder-class"),
    pytest.param("", "telnyx", id="empty-name"),
    pytest.param("self", "telnyx", id="self"),
    pytest.param("x" * 10_000, "telnyx", id="10kB-name"),
]


@pytest.mark.parametrize("field, value", BAD_FACTS)
def test_a_bad_fact_is_absent_logged_once_and_counted(pipe, log, field, value):
    """The call goes on, the fact is absent everywhere, one log line, one count."""
    before = guard.dropped_facts
    with pipe.call(direction="outbound") as call:
        child = pipe.tracer.start_span("child")
        known = dict(call.attributes)
        call.record(**{field: value})
        assert dict(call.attributes) == known
        assert ours(child.attributes) == known
        call.record(route="goes-on")
        child.end()
    assert ours(pipe.attributes("child")) == known | {ROUTE: "goes-on"}
    assert guard.dropped_facts - before == 1
    assert len(log_lines(log)) == 1
    assert len(log_lines(log)[0].getMessage()) < 1000
    assert guard.counts == {}


def test_the_same_bad_fact_a_hundred_times_is_one_line_and_a_hundred_counts(pipe, log):
    """A source that goes wrong does not fill the log."""
    before = guard.dropped_facts
    with pipe.call(direction="inbound") as call:
        for n in range(100):
            call.record(status_code=-n)
    assert guard.dropped_facts - before == 100
    assert len(log_lines(log)) == 1


def test_unknown_names_without_end_do_not_fill_log_or_memory(pipe, log):
    """A thousand invented names are counted; the log stays short."""
    before = guard.dropped_facts
    with pipe.call(direction="inbound") as call:
        for n in range(1000):
            call.record(**{f"invented_{n}": 1})
    assert guard.dropped_facts - before == 1000
    assert len(log_lines(log)) <= 20


def test_good_facts_beside_a_bad_one_are_kept(pipe):
    """One bad value in a `record` does not cost the others."""
    with pipe.call(direction="inbound") as call:
        call.record(carrier="telnyx", status_code="200", route="primary", nonsense=1)
        assert call.attributes[CARRIER] == "telnyx"
        assert call.attributes[ROUTE] == "primary"
        assert "sip.response.status_code" not in call.attributes


def test_a_bad_fact_never_replaces_a_good_one(pipe):
    """What was known stays known."""
    with pipe.call(direction="inbound", carrier="telnyx", status_code=200) as call:
        for value in ("", TEN_KB, "a\x00b", 5):
            call.record(carrier=value)
        for value in (-1, math.nan, "503", True):
            call.record(status_code=value)
        assert call.facts.carrier == "telnyx"
        assert call.facts.status_code == 200


def test_none_is_skipped_in_silence(pipe, log):
    """None says: not known. No line, no count, and nothing is taken away."""
    before = guard.dropped_facts
    with pipe.call(direction="inbound", carrier="telnyx") as call:
        call.record(carrier=None, route=None, status_code=None, caller_number=None)
        assert call.facts.carrier == "telnyx"
    assert guard.dropped_facts == before
    assert log_lines(log) == []


def test_long_text_is_cut_and_absurd_text_is_not_believed(pipe):
    """300 characters are cut to 255; ten thousand are no name of anything."""
    with pipe.call(direction="inbound") as call:
        call.record(route="r" * 300, region="g" * 10_240)
        assert call.facts.route == "r" * 255
        assert call.facts.region is None


def test_no_value_unknown_is_written(pipe):
    """`unknown` as a value says nothing: unknown is absent on every span before the root's end."""
    with pipe.call(direction="inbound") as call:
        call.record(carrier="unknown")
        pipe.tracer.start_span("child").end()
    assert CARRIER not in pipe.attributes("child")


@pytest.mark.parametrize(
    "facts",
    [
        {"caller_number": 14155550134},
        {"caller_number": b"+14155550134"},
        {"caller_number": ["+14155550134"]},
        {"caller_number": "+14155550134\x00"},
        {"callee_number": "+14155550134\n" * 200},
        {"caler_number": "+14155550134"},
        {"status_code": "+14155550134"},
        {"direction": "+14155550134"},
        {"carrier": "+14155550134\n"},
        {"+14155550134": "x"},
    ],
    ids=[
        "int",
        "bytes",
        "list",
        "control",
        "long",
        "misspelt",
        "code",
        "direction",
        "carrier",
        "name",
    ],
)
def test_no_number_reaches_the_log(pipe, log, facts):
    """What is refused may be a phone number: the line says the field, never the value."""
    with pipe.call(direction="inbound") as call:
        call.record(**facts)
    assert len(log_lines(log)) == 1
    assert "4155550134" not in "\n".join(line.getMessage() for line in log_lines(log))
    assert "4155550134" not in log.text
    assert all("4155550134" not in span.to_json() for span in pipe.finished())


def test_start_call_takes_bad_facts_the_same_way(pipe, log):
    """A bad fact at the start of the call is dropped; the call is opened."""
    before = guard.dropped_facts
    with pipe.call(direction="sideways", carrier="", nonsense=5) as call:
        assert call
        assert dict(call.attributes) == {}
    assert guard.dropped_facts - before == 3
    assert 1 <= len(log_lines(log)) <= 3


@pytest.mark.parametrize("value", HOSTILE, ids=["object", "text"])
def test_a_value_that_hurts_who_looks_at_it_hurts_nobody(pipe, value):
    """Objects whose methods raise: the guard takes the blow, call and log go on."""
    with reraising(value=False), pipe.call(direction="outbound") as call:
        for field in trunktrace.CallFacts.__match_args__:
            call.record(**{field: value})
        for name in GOOD_MEDIA:
            call.record_media(**(GOOD_MEDIA | {name: value}))
        call.record_media(**(GOOD_MEDIA | {"loss_method": value}))
        call.record(route="goes-on")
        pipe.tracer.start_span("child").end()
    assert pipe.attributes("child")[ROUTE] == "goes-on"
    for key, each in ours(pipe.attributes("sip.call")).items():
        assert type(each) in (str, int, float) or key == "trunktrace.sources", key


field_names = st.sampled_from(trunktrace.CallFacts.__match_args__) | st.text()


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(field_names, anything, max_size=5))
def test_whatever_is_recorded_nothing_is_raised_and_spans_stay_clean(facts):
    """Any names and values: no exception, and only values that OTLP can carry, cut and finite."""
    pipe = Pipeline()
    with pipe.call(direction="inbound") as call:
        call.record(**facts)
        pipe.tracer.start_span("child").end()
    for span in pipe.finished():
        for key, value in ours(span.attributes).items():
            if key == "trunktrace.sources":
                continue
            assert type(value) in (str, int, float), key
            if isinstance(value, str):
                assert 0 < len(value) <= 255
                assert not {"Cc", "Cs"} & {unicodedata.category(each) for each in value}
                value.encode()
            else:
                assert math.isfinite(value)
                assert -(2**63) <= value < 2**63
    assert guard.counts == {}
    assert len(calls) == 0
