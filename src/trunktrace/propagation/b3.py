"""B3, as Zipkin's B3 specification has it: one header `b3`, or several `X-B3-*`.

A trace id of 64 bits is read as one of 128 whose first half is zero. Digits of either case are
taken: B3 says lower case and does not say that upper case is invalid.
"""

from __future__ import annotations

from typing import Final

from trunktrace.propagation.ids import Ids, hex_id

_STATES: Final = {"0": False, "1": True, "d": True, "true": True, "false": False}
"""`d` asks for a debug trace, which is sampled. `true` and `false` are of older tracers."""

_MOST_FIELDS: Final = 4


def parse_b3(text: str) -> Ids | None:
    """What `trace-span[-state[-parent]]` says; None for a state alone (`0`): it names no trace."""
    fields = text.split("-", _MOST_FIELDS)
    if not 2 <= len(fields) <= _MOST_FIELDS:
        return None
    state = fields[2] if len(fields) > 2 else None
    trace_id, span_id = hex_id(fields[0], 16, 32), hex_id(fields[1], 16)
    if trace_id is None or span_id is None or (state is not None and state not in _STATES):
        return None
    return Ids(trace_id, span_id, None if state is None else _STATES[state])


def parse_b3_fields(
    trace: str | None, span: str | None, sampled: str | None, flags: str | None
) -> Ids | None:
    """What the values of the `X-B3-*` headers say together; without a trace id, None."""
    trace_id = hex_id(trace, 16, 32)
    if trace_id is None:
        return None
    state = _STATES.get((sampled or "").lower())
    return Ids(trace_id, hex_id(span, 16), True if flags == "1" else state)
