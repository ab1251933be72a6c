"""The sources by name; each reader is loaded when it is first used."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, cast

from trunktrace.errors import ConfigurationError
from trunktrace.sources.parsed import Parse, Parsed, ParseWith
from trunktrace.sources.reading import AS_IT_IS, Reading


@dataclass(frozen=True, slots=True)
class Source:
    """A system that writes about calls: what its file is, and who reads it."""

    name: str
    brief: str
    """What it says, in one line."""
    takes: str
    """The file that it takes."""
    module: str
    """The module in `trunktrace.sources` with its `parse`; `module:function` for another name."""
    is_told: bool = True
    """Whether its reader takes a `Reading`; LiveKit's own records say all that is needed."""

    def parse(self, data: bytes, reading: Reading = AS_IT_IS) -> Parsed:
        """What the file says. Never raises for what it holds."""
        name, _, function = self.module.partition(":")
        module = importlib.import_module(f"trunktrace.sources.{name}")
        reader: object = getattr(module, function or "parse")
        if self.is_told:
            return cast("ParseWith", reader)(data, reading)
        return cast("Parse", reader)(data)


_ALL: Final = (
    Source(
        "livekit-sip",
        "codec, loss, times and hang-up of each call leg, by LiveKit's SIP bridge",
        "the bridge's log",
        "livekit.sip",
        is_told=False,
    ),
    Source(
        "livekit-webhook",
        "SIP participants that came and went, by LiveKit's server",
        "webhook bodies, one a line",
        "livekit.webhook",
        is_told=False,
    ),
    Source(
        "livekit-participant",
        "participants and dial results, as an agent saw them in its room",
        "events of the room, one JSON object a line",
        "livekit.participant",
        is_told=False,
    ),
    Source(
        "livekit-rtc",
        "loss, jitter and round-trip time of the agent leg",
        "RTC statistics, one JSON object a line",
        "livekit.rtc",
        is_told=False,
    ),
    Source(
        "livekit-spans",
        "who spoke when, and what the root call span states",
        "OTLP/JSON TracesData, one a line",
        "livekit.spans",
        is_told=False,
    ),
    Source(
        "asterisk-ami",
        "legs, times, hang-up, quality and RTCP of each channel, by Asterisk's manager",
        "the AMI event stream (`Key: value` lines)",
        "asterisk.ami",
    ),
    Source(
        "asterisk-cdr",
        "times, disposition and user field of each call, by Asterisk",
        "Master.csv",
        "asterisk.cdr",
    ),
    Source(
        "asterisk-ari",
        "RTP statistics and channels, by Asterisk's REST interface",
        "bodies of rtp_statistics and of channels, events of an application",
        "asterisk.ari",
    ),
    Source(
        "asterisk-qos",
        "loss, jitter and round-trip time of one leg, by Asterisk",
        "RTPAUDIOQOS strings, one a line",
        "asterisk.qos",
    ),
    Source(
        "freeswitch-cdr",
        "times, codes, codec and media of one leg, by FreeSWITCH",
        "documents of mod_json_cdr",
        "freeswitch.cdr",
    ),
    Source(
        "freeswitch-esl",
        "the same from channel events, plain or JSON, by FreeSWITCH",
        "the event socket's stream",
        "freeswitch.esl",
    ),
    Source(
        "twilio-status",
        "status, SIP code and numbers, by Twilio",
        "bodies of status callbacks",
        "twilio.status",
    ),
    Source(
        "twilio-summary",
        "edges, codec, loss, jitter and who hung up, by Twilio Voice Insights",
        "Call Summaries (JSON)",
        "twilio.summary",
    ),
    Source(
        "twilio-metrics",
        "loss, jitter and codec of each 10 s, by Twilio Voice Insights",
        "Call Metrics (JSON)",
        "twilio.metrics",
    ),
    Source(
        "twilio-events",
        "what happened when, by Twilio Voice Insights",
        "Call Events (JSON)",
        "twilio.events",
    ),
    Source(
        "telnyx",
        "hang-up, SIP code and packet counts, by Telnyx Call Control",
        "call events (JSON)",
        "telnyx.events",
    ),
    Source(
        "telnyx-texml",
        "status, codec, attestation and times, by Telnyx TeXML",
        "bodies of status callbacks",
        "telnyx.texml",
    ),
    Source(
        "kamailio-acc",
        "attempts, codes and durations, by Kamailio's acc and dialog modules",
        "the syslog file",
        "acc.kamailio",
    ),
    Source(
        "kamailio-acc-json",
        "the same, by Kamailio's acc_json",
        "the syslog file, or JSON lines",
        "acc.kamailio:parse_json",
    ),
    Source(
        "opensips-acc",
        "codes, set-up time and duration, by OpenSIPS",
        "acc syslog lines, or E_ACC_CDR events",
        "acc.opensips",
    ),
    Source(
        "hep",
        "signalling and RTCP of both legs, by whatever sends HEPv3",
        "packets as hex lines, or binary",
        "hep.reader",
    ),
    Source(
        "rtpengine",
        "loss, jitter, MOS and packets of both legs, by rtpengine",
        "ng replies (JSON or bencode), ng.jsonl, its log",
        "rtpengine.reader",
    ),
    Source(
        "vq-rtcpxr",
        "loss, jitter, delay and scores as a phone or SBC heard them (RFC 6035)",
        "vq-rtcpxr bodies, or the SIP messages around them",
        "vq_rtcpxr.reader",
    ),
    Source(
        "rtcp-xr",
        "the same from RTCP (RFC 3611 VoIP metrics, RFC 3550 reports)",
        "packets as hex lines, or binary",
        "rtcp.xr",
    ),
    Source(
        "plivo",
        "status, cause and times, by Plivo",
        "bodies of hang-up callbacks",
        "plivo",
    ),
    Source(
        "vonage",
        "status and times, by Vonage",
        "event webhooks (JSON)",
        "vonage",
    ),
    Source(
        "signalwire",
        "status and packet counts, by SignalWire",
        "bodies of status callbacks",
        "signalwire",
    ),
    Source(
        "radius",
        "accounting of SBCs (Oracle, Cisco, AudioCodes, Kamailio)",
        "detail files, or Accounting-Request packets as hex lines",
        "radius.reader",
    ),
    Source(
        "sbc-csv",
        "whatever an SBC's CSV has, by a map of its columns",
        "CSV with a header line, or with `--columns`",
        "sbc.reader",
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
