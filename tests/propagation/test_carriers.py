"""Where headers may stand: dicts, pairs, participant attributes, getters."""

from __future__ import annotations

from collections.abc import Mapping
from email.message import Message
from typing import Any

import pytest
from opentelemetry.context import Context
from opentelemetry.propagators.textmap import Getter

from trunktrace.guard import guard, reraising
from trunktrace.propagation import (
    TRACEPARENT_ATTRIBUTE,
    SipPropagator,
    read_headers,
    remote_of,
)

TRACE, SPAN = "ab30317f1a784dc48ff824d0d3715d86", "00f067aa0ba902b7"
PARENT = f"00-{TRACE}-{SPAN}-01"
OTHER = PARENT.replace("ab", "cd", 1)


def _message() -> Message:
    message = Message()
    message["Via"] = "SIP/2.0/UDP 192.0.2.1"
    message["X-TRACEPARENT"] = PARENT
    return message


@pytest.mark.parametrize(
    "carrier",
    [
        {"X-Traceparent": PARENT},
        {"x-traceparent": PARENT},
        {"X-TRACEPARENT ": PARENT},
        {"X-Traceparent": [PARENT]},
        {"X-Traceparent": (PARENT, PARENT)},
        {b"X-Traceparent": PARENT.encode()},
        {"X-Traceparent": bytearray(PARENT.encode())},
        [("Via", "x"), ("X-Traceparent", PARENT)],
        [(b"x-traceparent", PARENT.encode())],
        [["X-Traceparent", PARENT]],
        (("X-Traceparent", PARENT),),
        {"sip.h.x-traceparent": PARENT, "sip.callStatus": "active"},
        {"sip.h.X-Traceparent": PARENT},
        {TRACEPARENT_ATTRIBUTE: PARENT},
        {"x": "1800;refresher=uac", "b": "<sip:a@b>", "f": "<sip:a@b>", "X-Traceparent": PARENT},
        {1: "x", None: None, "X-Traceparent": PARENT, "Via": 7},
        {"Via": "x\r\n y", "X-Traceparent": f"\r\n\t{PARENT}"},
        _message(),
    ],
)
def test_carriers(carrier: Any) -> None:
    """One trace, in whatever it is kept."""
    told = read_headers(carrier)
    assert told is not None
    assert (told.trace_id, told.header) == (int(TRACE, 16), "X-Traceparent")
    assert remote_of(SipPropagator().extract(carrier, Context())) == told


@pytest.mark.parametrize(
    "carrier", [None, 7, "X-Traceparent: " + PARENT, PARENT.encode(), object(), [], {}, [1, "ab"]]
)
def test_no_carriers(carrier: Any) -> None:
    """What holds no headers tells nothing, and is no failure of anybody's."""
    assert read_headers(carrier) is None
    assert SipPropagator().extract(carrier, Context()) == Context()


def test_header_before_the_mapped_attribute() -> None:
    """The attribute may be what we put there for BYE: the header itself says more."""
    told = read_headers({TRACEPARENT_ATTRIBUTE: OTHER, "sip.h.x-traceparent": PARENT})
    assert told is not None
    assert told.trace_id == int(TRACE, 16)


def test_different_spellings_are_one_header() -> None:
    """A dict with one header in two spellings and two values has it twice: it is refused."""
    assert read_headers({"X-Traceparent": PARENT, "x-traceparent": OTHER}) is None


class _Broken(Mapping[str, str]):
    def __init__(self, good: int) -> None:
        self._good = good

    def __getitem__(self, key: str) -> str:
        return PARENT

    def __iter__(self) -> Any:
        if self._good:
            yield "X-Traceparent"
        raise RuntimeError("broken")

    def __len__(self) -> int:
        return 1


@pytest.mark.parametrize("good, told", [(0, False), (1, True)])
def test_broken_carrier(good: int, told: bool) -> None:
    """A carrier that fails is counted; what had been read before it failed is told."""
    with reraising(value=False):
        assert (read_headers(_Broken(good)) is not None) is told
        found = remote_of(SipPropagator().extract(_Broken(good), Context()))
    assert (found is not None) is told
    assert guard.counts == {"propagation.carrier": 2}


class _Getter(Getter[Any]):
    """Headers in an object of its own."""

    def __init__(self, *, lists: bool = True, heeds_case: bool = True) -> None:
        self._lists, self._heeds_case = lists, heeds_case

    def keys(self, carrier: Any) -> list[str]:
        return [name for name, _ in carrier["headers"]] if self._lists else []

    def get(self, carrier: Any, key: str) -> list[str] | None:
        wanted = key if self._heeds_case else key.lower()
        return [
            value
            for name, value in carrier["headers"]
            if (name if self._heeds_case else name.lower()) == wanted
        ] or None


@pytest.mark.parametrize("name", ["X-Traceparent", "x-traceparent", "X-TRACEPARENT"])
def test_own_getter(name: str) -> None:
    """A getter is asked for names as it spells them."""
    carrier = {"headers": [("Via", "x"), (name, PARENT)]}
    found = remote_of(SipPropagator().extract(carrier, Context(), _Getter()))
    assert found is not None
    assert found.trace_id == int(TRACE, 16)


@pytest.mark.parametrize("heeds_case", [True, False])
def test_getter_without_names(heeds_case: bool) -> None:
    """A getter that cannot list its names is asked for each of ours."""
    carrier = {"headers": [("X-Traceparent", PARENT)]}
    getter = _Getter(lists=False, heeds_case=heeds_case)
    found = remote_of(SipPropagator().extract(carrier, Context(), getter))
    assert found is not None


def test_name_that_a_getter_lists_often() -> None:
    """A name is asked for once, however often it is listed: the lines behind it are still seen."""
    lines = [("User-to-User", f"{number:04x}") for number in range(30)]
    carrier = {"headers": [*lines, ("X-Traceparent", PARENT)]}
    assert remote_of(SipPropagator().extract(carrier, Context(), _Getter())) is not None


def test_repeated_by_getter() -> None:
    """A getter's two different values of one header are refused as any are."""
    carrier = {"headers": [("X-Traceparent", PARENT), ("X-Traceparent", OTHER)]}
    assert remote_of(SipPropagator().extract(carrier, Context(), _Getter())) is None


def test_getter_that_fails() -> None:
    """A getter that raises leaves the context as it was."""

    class Failing(_Getter):
        def get(self, carrier: Any, key: str) -> list[str] | None:
            raise KeyError(key)

    context = Context({"mine": 1})
    carrier = {"headers": [("X-Traceparent", PARENT)]}
    with reraising(value=False):
        assert SipPropagator().extract(carrier, context, Failing()) == context
