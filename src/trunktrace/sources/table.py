"""The sources by name; each reader is loaded when it is first used."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, cast

from trunktrace.errors import ConfigurationError
from trunktrace.sources.parsed import Parse, Parsed


@dataclass(frozen=True, slots=True)
class Source:
    """A system that writes about calls: what its file is, and who reads it."""

    name: str
    brief: str
    """What it says, in one line."""
    takes: str
    """The file that it takes."""
    module: str
    """The module in `trunktrace.sources` that has its `parse`."""

    def parse(self, data: bytes) -> Parsed:
        """What the file says. Never raises for what it holds."""
        module = importlib.import_module(f"trunktrace.sources.{self.module}")
        return cast("Parse", module.parse)(data)


_ALL: Final = (
    Source(
        "livekit-sip",
        "codec, loss, times and hang-up of each call leg, by LiveKit's SIP bridge",
        "the bridge's JSON log",
        "livekit_sip",
    ),
    Source(
        "livekit-webhook",
        "SIP participants that came and went, by LiveKit's server",
        "webhook bodies, one a line",
        "livekit_webhook",
    ),
    Source(
        "livekit-participant",
        "participants and dial results, as an agent saw them in its room",
        "events of the room, one JSON object a line",
        "livekit_participant",
    ),
    Source(
        "livekit-rtc",
        "loss, jitter and round-trip time of the agent leg",
        "RTC statistics, one JSON object a line",
        "livekit_rtc",
    ),
    Source(
        "livekit-spans",
        "who spoke when, and what the root call span states",
        "OTLP/JSON TracesData, one a line",
        "livekit_spans",
    ),
)

SOURCES: Final[Mapping[str, Source]] = MappingProxyType({item.name: item for item in _ALL})
"""Every source by its name, in the order in which they are listed."""


def closest(name: str) -> str | None:
    """The source whose name is most like this one; None if none is."""
    near = difflib.get_close_matches(name.lower(), SOURCES, n=1, cutoff=0.5)
    return near[0] if near else None


def source_named(name: str) -> Source:
    """The source of that name. Raises ConfigurationError with the close match and the list."""
    found = SOURCES.get(name)
    if found is not None:
        return found
    near = closest(name)
    hint = f"did you mean {near}? " if near else ""
    raise ConfigurationError("source", name[:64], f"{hint}known are {', '.join(SOURCES)}")
