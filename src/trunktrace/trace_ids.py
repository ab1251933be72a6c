"""Trace ids that are also valid in a SIP Session-ID."""

from __future__ import annotations

from typing import Final

from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

_VERSION_SHIFT: Final = 76  # the 13th hexadecimal digit
_VARIANT_SHIFT: Final = 62  # the first two bits of the 17th
_VERSION: Final = 4
_VARIANT: Final = 0b10
_FREE: Final = ((1 << 128) - 1) & ~(0xF << _VERSION_SHIFT) & ~(0b11 << _VARIANT_SHIFT)


class SessionIdGenerator(RandomIdGenerator):
    """Random ids for a `TracerProvider`, whose trace ids are UUIDs of version 4 (RFC 9562).

    So a trace id can be our half of a Session-ID (RFC 7989), and an SBC's logs can be searched for
    it. 122 of the 128 bits are random, the rightmost 62 among them: W3C Trace Context level 2 asks
    for 56, and samplers look at those.
    """

    def generate_trace_id(self) -> int:
        """A random UUIDv4 as a number; never zero."""
        fixed = _VERSION << _VERSION_SHIFT | _VARIANT << _VARIANT_SHIFT
        return super().generate_trace_id() & _FREE | fixed
