"""trunktrace: the SIP trunk's facts on every span of a voice agent's call.

Public names are loaded when they are first used: importing the package loads the OpenTelemetry API
and nothing else.

The tree, from the ground up; a module imports only from lower floors (tests hold it):

    0  errors, conventions, clock      the error tree; every key, span, event and metric name
    1  belief, windows, facts, guard   what is believed; frozen values; our failures stay with us
    2  redaction, sip/, dropped        numbers and SIP URIs: mask, hash, country; small SIP grammar
    3  directory, persons              trunk ids, hosts, headers -> carrier, route, region
    4  merge, media, turns, spans, livecall, registry    the live call, what wins, and the push
    5  metrics                         our own health
    6  processor, export/, start, record    OpenTelemetry: in, out, and calls by hand
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
    from trunktrace.livekit.entrypoint import traced_call
    from trunktrace.livekit.instrumentor import instrument, uninstrument
    from trunktrace.processor import CallSpanProcessor
    from trunktrace.redaction import Redaction
    from trunktrace.start import current_call, start_call

__version__ = "0.1.0"

__all__ = [
    "CallFacts",
    "CallSpanProcessor",
    "Directory",
    "LateFactsExporter",
    "RedactingExporter",
    "Redaction",
    "__version__",
    "current_call",
    "instrument",
    "start_call",
    "traced_call",
    "uninstrument",
]

_HOMES = {
    "CallFacts": "facts",
    "CallSpanProcessor": "processor",
    "Directory": "directory",
    "LateFactsExporter": "export.late",
    "RedactingExporter": "export.redacting",
    "Redaction": "redaction",
    "current_call": "start",
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
