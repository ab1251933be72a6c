"""Bad settings are refused at construction, with field, value and fix."""

from __future__ import annotations

import math

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import trunktrace
from trunktrace.errors import ConfigurationError, TrunktraceError
from trunktrace.registry import calls

from .kit import Pipeline

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
    with Pipeline().call(
        direction="inbound", redaction=redaction, caller_number="+14155550134"
    ) as call:
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
