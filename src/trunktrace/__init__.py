"""trunktrace: the SIP trunk's facts on every span of a voice agent's call.

Public names are loaded when they are first used: importing the package loads nothing but itself.

The tree, from the ground up; a module imports only from lower floors (tests hold it):

    0  errors, conventions             the error tree; every key, span, event and metric name
    1  belief, clock, guard            what is believed; the time; our failures stay with us
       windows, timeline, facts        frozen values: media between two times, marks, facts
    2  redaction/, dropped             numbers and addresses: mask, hash, country; what was refused
       sip/                            small SIP grammar, final codes, Q.850
       quality/                        E-model, audio, RTC statistics, the estimate of trunk loss
       media                           what windows say of a part of the call, and of the whole
    3  directory/, persons             trunk ids, hosts, headers -> carrier, route, region
       propagation/                    trace context in SIP headers, out and in
       sources/                        one module a system: bytes -> observations
       diagnosis/                      a story -> findings and the verdict
       voice/                          the conversation: turns, corrections, transfers, measures
    4  livecall, registry              the live call and the push; in it statements (of your code),
                                       remembered, evidence (for the rules), merge, turns, spans
    5  metrics/, watch                 what a call adds to each metric; who asks the rules when
    6  processor, export/, start, record    OpenTelemetry: in, out, and calls by hand
       trace_ids                       trace ids that a SIP Session-ID can hold
    7  livekit/                        the only importer of livekit
    8  demo/                           calls without a server
    9  cli/                            one file a command
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trunktrace import quality as quality
    from trunktrace.directory import Directory
    from trunktrace.export.late import LateFactsExporter
    from trunktrace.export.redacting import RedactingExporter
    from trunktrace.facts import CallFacts
    from trunktrace.livekit.dial import dial
    from trunktrace.livekit.dialled import DialFailed, DialResult, Trunk
    from trunktrace.livekit.entrypoint import traced_call
    from trunktrace.livekit.instrumentor import instrument, uninstrument
    from trunktrace.processor import CallSpanProcessor
    from trunktrace.propagation import SipPropagator
    from trunktrace.redaction import Redaction
    from trunktrace.start import current_call, start_call
    from trunktrace.timeline import Attempt
    from trunktrace.trace_ids import SessionIdGenerator

__version__ = "0.1.0"

__all__ = [
    "Attempt",
    "CallFacts",
    "CallSpanProcessor",
    "DialFailed",
    "DialResult",
    "Directory",
    "LateFactsExporter",
    "RedactingExporter",
    "Redaction",
    "SessionIdGenerator",
    "SipPropagator",
    "Trunk",
    "__version__",
    "current_call",
    "dial",
    "instrument",
    "start_call",
    "traced_call",
    "uninstrument",
]

_HOMES = {
    "Attempt": "timeline",
    "CallFacts": "facts",
    "CallSpanProcessor": "processor",
    "DialFailed": "livekit.dialled",
    "DialResult": "livekit.dialled",
    "Directory": "directory",
    "LateFactsExporter": "export.late",
    "RedactingExporter": "export.redacting",
    "Redaction": "redaction",
    "SessionIdGenerator": "trace_ids",
    "SipPropagator": "propagation",
    "Trunk": "livekit.dialled",
    "current_call": "start",
    "dial": "livekit.dial",
    "instrument": "livekit.instrumentor",
    "start_call": "start",
    "traced_call": "livekit.entrypoint",
    "uninstrument": "livekit.instrumentor",
}

_MODULES = frozenset({"quality"})
"""Modules that can be had as `trunktrace.quality` without an import of their own."""


def __getattr__(name: str) -> object:
    if name in _MODULES:
        return import_module(f"{__name__}.{name}")
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
