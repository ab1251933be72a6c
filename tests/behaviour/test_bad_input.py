"""Bad facts leave the call alone; bad settings are refused loudly."""

from __future__ import annotations

import logging
import math
import time
import unicodedata
from datetime import UTC, datetime, timedelta
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import trunktrace
from trunktrace.errors import ConfigurationError, TrunktraceError
from trunktrace.guard import guard, reraising
from trunktrace.registry import calls

from .kit import CARRIER, LOSS, ROUTE, Pipeline, ours

HUGE = 10**400
TEN_KB = "x" * 10_240


class Evil:
    """An object that hurts whoever looks at it."""

    def __repr__(self) -> str:
        raise RuntimeError("do not print me")

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("do not compare me")

    def __hash__(self) -> int:
        raise RuntimeError("do not hash me")

    def __bool__(self) -> bool:
        raise RuntimeError("do not test me")


class EvilText(str):
    """Text that raises when it is worked with."""

    __slots__ = ()

    def strip(self, *args: Any) -> str:
        raise RuntimeError("do not strip me")

    def lower(self) -> str:
        raise RuntimeError("do not lower me")

    def __repr__(self) -> str:
        raise RuntimeError("do not print me")


STRINGS_REFUSED = ["", "   ", TEN_KB, "a\x00b", "a\nb", "a\x1b[31mb", "\x7f", "a\x9bb", "a\ud800b", 5, 1.5, True, b"telnyx",
                   ["telnyx"], ("telnyx",), {"a": 1}, object()]
WHOLE_REFUSED = [True, False, "200", math.nan, math.inf, -math.inf, -1, 0, 99, 180, 700, 10**9, HUGE,
                 [200], b"200"]
MS_REFUSED = [True, "10", math.nan, math.inf, -math.inf, -1, -0.001, HUGE, [1.0]]
COUNT_REFUSED = [True, "3", math.nan, math.inf, -1, HUGE, [1]]

BAD_FACTS = [
    *(pytest.param(field, value, id=f"{field}-{i}")
      for field in ("carrier", "route", "region", "codec", "trunk_id", "call_id", "transport",
                    "livekit_call_id", "reason")
      for i, value in enumerate(STRINGS_REFUSED)),
    *(pytest.param("status_code", value, id=f"status_code-{i}")
      for i, value in enumerate(WHOLE_REFUSED)),
    *(pytest.param(field, value, id=f"{field}-{i}")
      for field in ("setup_ms", "pdd_ms", "ring_ms", "duration_ms")
      for i, value in enumerate(MS_REFUSED)),
    *(pytest.param(field, value, id=f"{field}-{i}")
      for field in ("attempt_count", "dtmf_count") for i, value in enumerate(COUNT_REFUSED)),
    *(pytest.param("direction", value, id=f"direction-{i}")
      for i, value in enumerate(["sideways", "INBOUND ", "in", "", 1, True, None.__class__])),
    *(pytest.param("hangup_source", value, id=f"hangup_source-{i}")
      for i, value in enumerate(["nobody", "", 5])),
    *(pytest.param(field, value, id=f"{field}-{i}")
      for field in ("caller_number", "callee_number")
      for i, value in enumerate(["", "   ", TEN_KB, "+1415\x005550134", 14155550134, True,
                                 b"+14155550134", ["+14155550134"]])),
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


@pytest.fixture
def pipe() -> Pipeline:
    return Pipeline()


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.DEBUG, logger="trunktrace")
    return caplog


def _lines(log: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    return [line for line in log.records if line.name.split(".")[0] == "trunktrace"]


@pytest.mark.parametrize(("field", "value"), BAD_FACTS)
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
    assert len(_lines(log)) == 1
    assert len(_lines(log)[0].getMessage()) < 1000
    assert guard.counts == {}


def test_the_same_bad_fact_a_hundred_times_is_one_line_and_a_hundred_counts(pipe, log):
    """A source that goes wrong does not fill the log."""
    before = guard.dropped_facts
    with pipe.call(direction="inbound") as call:
        for n in range(100):
            call.record(status_code=-n)
    assert guard.dropped_facts - before == 100
    assert len(_lines(log)) == 1


def test_unknown_names_without_end_do_not_fill_log_or_memory(pipe, log):
    """A thousand invented names are counted; the log stays short."""
    before = guard.dropped_facts
    with pipe.call(direction="inbound") as call:
        for n in range(1000):
            call.record(**{f"invented_{n}": 1})
    assert guard.dropped_facts - before == 1000
    assert len(_lines(log)) <= 20


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
    assert _lines(log) == []


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
    ids=["int", "bytes", "list", "control", "long", "misspelt", "code", "direction", "carrier", "name"],
)
def test_no_number_reaches_the_log(pipe, log, facts):
    """What is refused may be a phone number: the line says the field, never the value."""
    with pipe.call(direction="inbound") as call:
        call.record(**facts)
    assert len(_lines(log)) == 1
    assert "4155550134" not in "\n".join(line.getMessage() for line in _lines(log))
    assert "4155550134" not in log.text
    assert all("4155550134" not in span.to_json() for span in pipe.finished())


def test_start_call_takes_bad_facts_the_same_way(pipe, log):
    """A bad fact at the start of the call is dropped; the call is opened."""
    before = guard.dropped_facts
    with pipe.call(direction="sideways", carrier="", nonsense=5) as call:
        assert call
        assert dict(call.attributes) == {}
    assert guard.dropped_facts - before == 3
    assert 1 <= len(_lines(log)) <= 3


HOSTILE = [Evil(), EvilText("telnyx")]


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
        assert type(each) in (str, int, float), key


NOW = time.time()
GOOD_MEDIA: dict[str, Any] = {
    "leg": "trunk",
    "direction": "in",
    "start": NOW - 5,
    "end": NOW,
    "loss_ratio": 0.1,
}
NAIVE = datetime(2026, 10, 1, 12, 0, 0)  # noqa: DTZ001  # what must be refused
AWARE = datetime(2026, 10, 1, 12, 0, 0, tzinfo=UTC)
BAD_MEDIA = {
    "leg": [{"leg": value} for value in ("carrier", "", "Trunk", None, 5, [], {})],
    "direction": [
        {"direction": value} for value in ("inbound", "", "IN", None, 5, [], {})
    ],
    "method": [
        {"loss_method": value} for value in ("guessed", "", None, 5, [], {})
    ],
    "ratio": [
        {"loss_ratio": value}
        for value in (1.01, -0.01, math.nan, math.inf, -math.inf, True, "0.1", HUGE, -HUGE, [0.1],
                      b"1", 5)
    ],
    "start": [
        {"start": value}
        for value in (None, "now", math.nan, math.inf, -1.0, True, HUGE, NAIVE, NOW + 60, [],
                      datetime.min, datetime.max)
    ],
    "end": [
        {"end": value}
        for value in (None, "now", math.nan, -math.inf, -1.0, True, HUGE, NAIVE, NOW - 60, [],
                      datetime.min)
    ],
    "mixed": [
        {"start": AWARE, "end": AWARE - timedelta(seconds=1)},
        {"start": NAIVE, "end": NAIVE + timedelta(seconds=1)},
        {"start": AWARE, "end": NAIVE},
    ],
}


@pytest.mark.parametrize(
    "wrong",
    [pytest.param(case, id=f"{kind}-{i}") for kind, cases in BAD_MEDIA.items()
     for i, case in enumerate(cases)],
)
def test_a_bad_window_is_absent_logged_once_and_counted(pipe, log, wrong):
    """Nothing raised, no media attribute anywhere, one log line, counted."""
    before = guard.dropped_facts
    with pipe.call(direction="outbound") as call:
        child = pipe.tracer.start_span("user_turn", start_time=int((NOW - 5) * 1e9))
        call.record_media(**(GOOD_MEDIA | wrong))
        assert ours(child.attributes) == {"sip.call.direction": "outbound"}
        child.end()
    media = [key for key in pipe.attributes("sip.call") if key.startswith(("rtp.", "webrtc.", "pstn."))]
    assert media == []
    assert guard.dropped_facts - before >= 1
    assert len(_lines(log)) == 1
    assert guard.counts == {}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("jitter_ms", value) for value in (-1, math.nan, math.inf, True, "5", HUGE)),
        *(("rtt_ms", value) for value in (-1, math.nan, math.inf, True, "5", HUGE)),
        *(("mos", value) for value in (-1, 0, 6, math.nan, True, "4", HUGE)),
        *(("lost_count", value) for value in (-1, 1.5, math.nan, True, "4", HUGE)),
        *(("mos_algorithm", value) for value in ("", TEN_KB, "a\x00b", 5, True)),
        ("no_such_measure", 1.0),
        ("rtp.in.loss_ratio", 1.0),
    ],
)
def test_a_bad_measure_costs_only_itself(pipe, log, name, value):
    """Beside a bad measure the good loss of the same window stands."""
    before = guard.dropped_facts
    with pipe.call(direction="outbound") as call:
        call.record_media(**GOOD_MEDIA, **{name: value})
    root = pipe.attributes("sip.call")
    assert root[LOSS] == pytest.approx(0.1)
    allowed = {LOSS, "rtp.loss_method", "rtp.in.loss_ratio"}
    assert {key for key in root if key.startswith("rtp.")} <= allowed
    assert guard.dropped_facts - before == 1
    assert len(_lines(log)) == 1


def test_a_window_without_any_measure_says_nothing(pipe):
    """Times without a measure are no fact."""
    with pipe.call(direction="outbound") as call:
        call.record_media(leg="trunk", direction="in", start=NOW - 1, end=NOW)
    assert not any(key.startswith("rtp.") for key in pipe.attributes("sip.call"))


def test_a_loss_of_more_than_everything_never_reaches_a_span(pipe):
    """Counts that contradict each other give no ratio above 1."""
    with pipe.call(direction="outbound") as call:
        call.record_media(
            leg="trunk", direction="in", start=NOW - 1, end=NOW, packet_count=5, lost_count=10**12
        )
    assert pipe.attributes("sip.call").get(LOSS, 0.0) <= 1.0


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary()
    | st.datetimes() | st.just(HUGE),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=4,
)
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


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    leg=st.sampled_from(["trunk", "agent", "pstn"]) | anything,
    direction=st.sampled_from(["in", "out"]) | anything,
    start=st.floats(NOW - 10, NOW) | anything,
    end=st.floats(NOW - 10, NOW) | anything,
    loss_method=st.sampled_from(["counted", "estimated"]) | anything,
    measures=st.dictionaries(
        st.sampled_from(["loss_ratio", "packet_count", "lost_count", "jitter_ms", "mos", "rtt_ms"]),
        st.floats(0, 1) | anything,
        max_size=3,
    ),
)
def test_whatever_media_is_recorded_nothing_is_raised(
    leg, direction, start, end, loss_method, measures
):
    """Any window: no exception; a ratio that stands is 0..1 and has its method beside it."""
    pipe = Pipeline()
    with pipe.call(direction="inbound") as call:
        call.record_media(leg=leg, direction=direction, start=start, end=end,
                          loss_method=loss_method, **measures)
    root = pipe.attributes("sip.call")
    assert (LOSS in root) == ("rtp.loss_method" in root)
    assert 0 <= root.get(LOSS, 0.0) <= 1
    assert guard.counts == {}


BAD_INHERIT = {
    "unknown": {"trunk.carier"},
    "foreign": {"lk.sip.trunkID"},
    "pii": {"sip.caller.pii.number"},
    "pii-among-good": {"trunk.carrier", "sip.callee.pii.number"},
    "list-valued": {"trunktrace.failure.evidence"},
    "sources-list": {"trunktrace.sources"},
    "event-key": {"sip.call.state"},
    "span-key": {"trunktrace.source"},
    "one-string": "trunk.carrier",
    "number": 5,
    "numbers": [5],
    "none-in-it": [None],
    "empty-name": [""],
    "field-name": {"carrier"},
    "upper-case": {"TRUNK.CARRIER"},
    "metric": {"sip.invites"},
}


@pytest.mark.parametrize("inherit", list(BAD_INHERIT.values()), ids=list(BAD_INHERIT))
def test_a_key_that_cannot_be_inherited_is_refused_at_construction(inherit):
    """The error names the setting, the value and the fix."""
    with pytest.raises(ConfigurationError) as caught:
        trunktrace.CallSpanProcessor(inherit=inherit)
    assert "inherit" in caught.value.field
    assert caught.value.fix
    assert "inherit" in str(caught.value)


@pytest.mark.parametrize(
    "settings_",
    [
        {"hash_key": ""},
        {"hash_key": "short"},
        {"hash_key": "x" * 15},
        {"hash_key": b"x" * 15},
        {"hash_key": 5},
        {"hash_key": "x" * 16, "key_id": ""},
        {"hash_key": "x" * 16, "key_id": "a:b"},
        {"hash_key": "x" * 16, "key_id": "x" * 33},
        {"hash_key": "x" * 16, "key_id": "a b"},
        {"default_country": "usa"},
        {"default_country": "ZZ"},
        {"default_country": ""},
        {"default_country": 1},
        {"reveal_numbers": "yes"},
    ],
    ids=str,
)
def test_a_bad_redaction_is_refused_at_construction(settings_):
    """A short key, an id that would break the value, a country that is none: raised."""
    with pytest.raises(ConfigurationError) as caught:
        trunktrace.Redaction(**settings_)
    assert caught.value.field
    assert caught.value.fix


@pytest.mark.parametrize("key", ["x" * 16, b"x" * 16, "é" * 8])
def test_a_key_of_sixteen_bytes_is_long_enough(key):
    """Text counts as UTF-8; the key never shows."""
    redaction = trunktrace.Redaction(hash_key=key)
    assert str(key) not in repr(redaction)
    with Pipeline().call(direction="inbound", redaction=redaction, caller_number="+14155550134") as call:
        key_id, _, digest = call.facts.caller_hash.partition(":")
    assert key_id
    assert len(digest) == 16
    assert set(digest) <= set("0123456789abcdef")


def test_a_refused_key_is_not_repeated_by_its_error():
    """The error goes to a log: a key that is one byte short is still a secret."""
    with pytest.raises(ConfigurationError) as caught:
        trunktrace.Redaction(hash_key="s3cr3t-s3cr3t-x")
    assert "s3cr3t" not in str(caught.value)
    assert "s3cr3t" not in repr(caught.value)


def test_a_bad_key_in_the_environment_is_refused_when_the_call_is_made(monkeypatch):
    """`start_call` names the variable; no call is opened."""
    monkeypatch.setenv("TRUNKTRACE_HASH_KEY", "short")
    with pytest.raises(ConfigurationError, match="TRUNKTRACE_HASH_KEY"):
        Pipeline().call(direction="inbound").__enter__()
    assert len(calls) == 0


BAD_BOUNDS = [
    *({"max_spans": value} for value in (0, -1, math.nan, "5", None)),
    *({"max_hold_s": value} for value in (0, -1, math.nan, -math.inf, "5", None)),
    *({"grace_s": value} for value in (-1, math.nan, -math.inf, "5", None)),
]


@pytest.mark.parametrize("bounds", BAD_BOUNDS, ids=str)
def test_bounds_that_are_not_positive_are_refused(bounds):
    """`LateFactsExporter` names the bound, the value and the fix."""
    with pytest.raises(ConfigurationError) as caught:
        trunktrace.LateFactsExporter(InMemorySpanExporter(), **bounds)
    assert caught.value.field.endswith(next(iter(bounds)))
    assert caught.value.fix


def test_configuration_errors_are_value_errors_of_one_tree():
    """Whoever catches ValueError or TrunktraceError gets them, and they survive pickling."""
    import pickle

    error = ConfigurationError("field", "value", "write this")
    assert isinstance(error, ValueError)
    assert isinstance(error, TrunktraceError)
    again = pickle.loads(pickle.dumps(error))
    assert (again.field, again.value, again.fix) == ("field", "value", "write this")
    assert str(again) == str(error)
