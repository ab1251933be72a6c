"""Which source a file is of, told by what it holds: the beginning of it is looked at, not its name.

`None` is a file of which nobody knows what it is: a note, a configuration, an answer to nothing.
Where two systems write alike, `FORMS` and `OBJECTS` say by what they are told apart.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Final, cast

from trunktrace.sources.parsed import Broken
from trunktrace.sources.sbc.names import columns_of
from trunktrace.sources.sbc.rows import found_delimiter
from trunktrace.sources.shapes.bodies import bodies, forms
from trunktrace.sources.shapes.jsonlines import Record, object_in, text_in
from trunktrace.sources.shapes.wrapped import SHIPPED, text_of

LOOKED_AT: Final = 64 * 1024
"""Bytes of a file that are looked at; a JSON body of more is looked at as a whole."""

_LINES: Final = 500
_BODIES: Final = 20
_MOST: Final = 1024 * 1024
_BOM: Final = b"\xef\xbb\xbf"

Fits = Callable[[Record], bool]
Rules = tuple[tuple[str, Fits], ...]


def kind_of(data: bytes) -> str | None:
    """The source that a file is of; None if nobody knows."""
    head = data[:LOOKED_AT].removeprefix(_BOM)
    if not head.strip():
        return None
    return (
        _of_packets(head)
        or _of_text(head)
        or _of_json(data, head)
        or _of_forms(head)
        or _of_csv(head)
    )


def kinds_of(data: bytes) -> tuple[str, ...]:
    """Every source that a file is of: a syslog may hold the lines of several programs of one host.

    Empty if nobody knows. Such a log is looked at as a whole.
    """
    kind = kind_of(data)
    if kind is not None and kind not in _IN_SYSLOG:
        return (kind,)
    others = [name for name, marked in _IN_SYSLOG.items() if name != kind and marked.search(data)]
    return (kind, *others) if kind is not None else tuple(others)


_IN_SYSLOG: Final[Mapping[str, re.Pattern[bytes]]] = {
    "kamailio-acc": re.compile(rb"\bkamailio\[\d+\]: [^\n]{0,256}?(?:\bACC: |log_write_cdr\(\): )"),
    "kamailio-acc-json": re.compile(rb"\bjson_acc\[\d+\]: \{"),
    "opensips-acc": re.compile(rb"\bopensips\[\d+\]: [^\n]{0,256}?\bACC: "),
    "rtpengine": re.compile(rb"\brtpengine\[\d+\]: "),
}
"""Programs that write to syslog, by a line of theirs. Each reader passes over the others' lines."""


# Packets ----------------------------------------------------------------------------------------

_HEX_LINE: Final = re.compile(rb"[0-9A-Fa-f]{2}(?:[ \t:]*[0-9A-Fa-f]{2}){7,}")


def _of_packets(head: bytes) -> str | None:
    for line in head.splitlines()[:_LINES]:
        beginning = line.strip()[:4096]
        if _HEX_LINE.fullmatch(beginning[: len(beginning) // 2 * 2]):
            pairs = re.sub(rb"[ \t:]+", b"", beginning)
            packet = bytes.fromhex(pairs[: len(pairs) // 2 * 2].decode("ascii"))
            if (told := _of_packet(packet)) is not None:
                return told
    return _of_packet(head)


def _of_packet(packet: bytes) -> str | None:
    if packet.startswith((b"HEP3", b"EEP1")):
        return "hep"
    if len(packet) >= 8 and packet[0] >> 6 == 2 and 200 <= packet[1] <= 207:  # RFC 3550, RFC 3611
        return "rtcp-xr"
    if len(packet) >= 20 and packet[0] in (4, 5) and 20 <= int.from_bytes(packet[2:4]) <= 4096:
        return "radius"  # RFC 2866: Accounting-Request, Accounting-Response
    return None


# Text -------------------------------------------------------------------------------------------

_RTPENGINE_LOG: Final = re.compile(r"\brtpengine(?:\[\d+\])?: ")
_JSON_LINE: Final = re.compile(r"\{|\[\s*(?:[\[{\]\"]|$)")
"""How JSON begins; not `[1795396180.609211] INFO: ` of a log on stderr, nor `[pod/NAME/...] `."""
_BENCODED: Final = re.compile(r"(?:\S{1,128} )?d\d{1,2}:[a-zA-Z]")
_CDR_ROW: Final = re.compile(r'.*,"?(?:ANSWERED|NO ANSWER|BUSY|FAILED|CONGESTION)"?,|"?calldate"?,')
_LEAST_COMMAS: Final = 14
_TEXTS: Final[tuple[tuple[str, re.Pattern[str]], ...]] = (
    ("vq-rtcpxr", re.compile(r"(?i)VQ(?:Session|Interval|Alert)Report\b|Event: *vq-rtcpxr")),
    ("asterisk-ami", re.compile(r"Asterisk Call Manager/|Event: \w|Response: (?:Success|Error)")),
    ("freeswitch-esl", re.compile(r"Content-Type: text/(?:event-|disconnect)|Event-Name: [A-Z_]+")),
    ("freeswitch-cdr", re.compile(r"(?:uuid=[^&\s]{0,64}&)?cdr=(?:\{|%7[Bb]|e[wy][A-Za-z0-9+/])")),
    ("livekit-sip", re.compile(
        r".{0,160}T\d\d:\d\d:\d\d[.\d]{0,10}\S{1,6}\s+(?:DEBUG|INFO|WARN|ERROR)\s+(?:\S{1,32}\s+)?"
        r"sip/\w{1,64}\.go:\d")),
    ("livekit-sip", re.compile(r'[^{]{1,160}\{.{0,512}"msg": ?".{0,512}"callID": ?"SCL_')),
    ("radius", re.compile(r"\s+Acct-Status-Type\s*\+?=")),
    ("kamailio-acc-json", re.compile(r".{0,128}\bjson_acc\b[^{]{0,64}\{")),
    ("opensips-acc", re.compile(r".{0,128}\bopensips\b.{0,128}\bACC: |.{0,128}\bE_ACC_\w+")),
    ("opensips-acc", re.compile(r".{0,256}\bACC: call ended: ")),
    ("kamailio-acc", re.compile(r".{0,256}\bACC: (?:transaction|call|request) \w+: ")),
    ("kamailio-acc", re.compile(r".{0,256}\blog_write_cdr\(\): ")),
    ("rtpengine", re.compile(r".{0,256}\]:? (?:\[\w+\] )?(?:Final packet stats:|--- Tag ')")),
    ("asterisk-cdr", re.compile(r".{0,256}\bSrc\. Channel\b")),
    ("asterisk-qos", re.compile(r"(?!\").{0,128}\bssrc=\d+;themssrc=")),
    ("asterisk-qos", re.compile(r".{0,64}\bRTPAUDIOQOS\w*\b.{0,8}[=:]")),
    ("asterisk-qos", re.compile(r"min(?:rx|tx)?(?:jitter|lost|rtt|mes)=|minrx\w+=")),
)  # fmt: skip
"""How a line of a source begins: the first line that fits any decides, and on it the first rule.
Kamailio and OpenSIPS log accounting alike: OpenSIPS by its name, and by the end of a call, which
Kamailio calls otherwise."""


def _of_text(head: bytes) -> str | None:
    text = head.decode("utf-8", "replace")
    if _BENCODED.match(text):
        return "rtpengine"
    for line in islice(text.splitlines(), _LINES):
        if _JSON_LINE.match(line):
            return None
        told = _by_beginning(line)
        if told is None and line.count(",") >= _LEAST_COMMAS and _CDR_ROW.match(line[:4096]):
            told = "asterisk-cdr"
        if told is None and _RTPENGINE_LOG.search(line[:128]):
            told = "rtpengine"
        if told is not None:
            return told
    return None


def _by_beginning(line: str) -> str | None:
    return next((kind for kind, begins in _TEXTS if begins.match(line[:1024])), None)


# JSON -------------------------------------------------------------------------------------------


def _has(*keys: str) -> Fits:
    return lambda record: all(key in record for key in keys)


def _either(*rules: Fits) -> Fits:
    return lambda record: any(fits(record) for fits in rules)


def _begins(key: str, start: str) -> Fits:
    return lambda record: (text_in(record, key) or "").startswith(start)


def _holds_bridge_line(record: Record) -> bool:
    """A shipper's object around a line of livekit-sip's log."""
    return any('"SCL_' in (text_in(record, key) or "") for key in SHIPPED)


_INSIGHTS: Final = "com.twilio.voice.insights.call-"
"""How the types of Twilio's event streams begin."""


OBJECTS: Final[Rules] = (
    ("livekit-spans", _has("resourceSpans")),
    ("livekit-rtc", lambda r: "t" in r and ("publisher" in r or "subscriber" in r)),
    ("rtpengine", _has("t", "dir", "raw")),
    ("livekit-participant", _has("t", "event")),
    ("livekit-webhook", lambda r: "event" in r and ("room" in r or "createdAt" in r)),
    ("livekit-webhook", _has("event", "egress_info")),
    ("livekit-sip", lambda r: "msg" in r and ("callID" in r or "ts" in r)),
    ("livekit-sip", _holds_bridge_line),
    ("signalwire", _either(_begins("event_type", "calling.call."),
        lambda r: "jsonrpc" in r and r.get("method") == "signalwire.event")),
    ("telnyx", _either(_begins("event_type", "call."), _has("call_control_id"))),
    ("twilio-summary", _either(
        _begins("type", _INSIGHTS + "summary"), _has("call_type", "call_state"),
        _has("call_sid", "processing_state"))),
    ("twilio-events", _either(_begins("type", _INSIGHTS + "event"),
        lambda r: "call_sid" in r and "name" in r and ("group" in r or "level" in r))),
    ("twilio-metrics", _either(_begins("type", _INSIGHTS + "metric"),
        _has("call_sid", "edge", "direction"))),
    ("vonage", _has("conversation_uuid")),
    ("vonage", lambda r: "uuid" in r and "status" in r and "timestamp" in r),
    ("freeswitch-cdr", lambda r: "callStats" in r or ("variables" in r and "channel_data" in r)),
    ("freeswitch-esl", _has("Event-Name")),
    ("asterisk-ari", _either(
        _has("channel_uniqueid"), _has("id", "dialplan", "connected"),
        lambda r: "application" in r and "type" in r and "asterisk_id" in r,
        _has("application", "type", "timestamp", "channel"),
        lambda r: "txcount" in r and "rxcount" in r)),
    ("asterisk-ami", _either(_has("Event", "Channel", "Uniqueid"),
        _has("event", "channel", "uniqueid"), _has("Event", "Channel", "UniqueID"))),
    ("asterisk-cdr", _either(_has("channel", "dstchannel", "disposition"),
        _has("Channel", "DestinationChannel", "Disposition"))),
    ("rtpengine", _either(
        _has("SSRC", "tags"), _has("tags", "created"), _has("tags", "result"),
        _has("result", "error-reason"), _has("result", "SSRC"))),
    ("opensips-acc", lambda r: str(r.get("method", "")).startswith("E_ACC_")
        or str(r.get("event", "")).startswith("E_ACC_")),
    ("kamailio-acc-json", lambda r: ("callid" in r or "call_id" in r)
        and (("sip_code" in r and "method" in r) or ("start_time" in r and "end_time" in r))),
    ("kamailio-acc", _has("idx", "pid", "module", "function", "message")),
)  # fmt: skip
"""Objects of JSON by their keys; the first that fits. Before the last rules stand those whose keys
are nobody else's."""

_WRAPPERS: Final = ("data", "payload", "call_summaries", "metrics", "events", "statistics")


def _of_json(data: bytes, head: bytes) -> str | None:
    start = head.lstrip()
    if not start.startswith((b"{", b"[")):
        return None
    if b'"resourceSpans"' in start[:256]:
        return "livekit-spans"  # one line may hold all spans of a call
    # A body may be longer than what is looked at of other files.
    for number, (_, record) in enumerate(islice(bodies(data[:_MOST]), _LINES)):
        if isinstance(record, Broken):
            continue
        told = (_of_record(record) if number < _BODIES else None) or _of_line_in(record)
        if told is not None:
            return told
    return None


def _of_line_in(record: Record) -> str | None:
    """The source of a log line that an object holds: of those whose readers take it out."""
    text = text_of(record)
    told = None if text is None else _by_beginning(text)
    return told if told in _IN_SYSLOG else None


def _of_record(record: Record) -> str | None:
    for one in _unwrapped(record):
        for kind, fits in (*OBJECTS, *FORMS):
            if fits(one):
                return kind
    return None


def _unwrapped(record: Record, depth: int = 2) -> Iterator[Record]:
    """The object, then what a list or an envelope around it holds."""
    yield record
    if depth == 0:
        return
    for key in _WRAPPERS:
        inner = record.get(key)
        if isinstance(inner, list) and inner:
            inner = cast("list[object]", inner)[0]
        if isinstance(inner, dict) and inner:
            yield from _unwrapped(object_in({key: inner}, key), depth - 1)


# Forms ------------------------------------------------------------------------------------------

_TWILIO_SID: Final = re.compile(r"CA[0-9a-fA-F]{32}")
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_TELNYX: Final = (
    "CallSidLegacy", "CallControlId", "CallLegId", "CallSessionId", "ConnectionId",
    "CallInitiatedAt",
)  # fmt: skip


def _is_twilio(record: Mapping[str, object]) -> bool:
    """Only Twilio's ids are `CA` and 32 hexadecimal digits: others that speak TwiML use UUIDs."""
    return _TWILIO_SID.fullmatch(str(record.get("CallSid", ""))) is not None


def _is_telnyx(record: Mapping[str, object]) -> bool:
    if "CallSid" not in record:
        return False
    return str(record["CallSid"]).startswith(("v2:", "v3:")) or any(k in record for k in _TELNYX)


def _is_signalwire(record: Mapping[str, object]) -> bool:
    if "CallSid" not in record:
        return False
    return _UUID.fullmatch(str(record["CallSid"])) is not None or any(
        key.startswith(("AudioIn", "AudioOut")) or key in ("HangupBy", "HangupDirection")
        for key in record
    )


FORMS: Final[Rules] = (
    ("plivo", _either(_has("CallUUID"), _has("ALegUUID"))),
    ("twilio-status", lambda r: _is_twilio(r) and not _is_telnyx(r)),
    ("telnyx-texml", _is_telnyx),
    ("signalwire", _is_signalwire),
    ("vonage", _has("conversation_uuid")),
)
"""Bodies of callbacks. Twilio, Telnyx and SignalWire use one set of names."""


def _of_forms(head: bytes) -> str | None:
    first = head.lstrip().split(b"\n", 1)[0]
    if b"=" not in first or b"&" not in first:
        return None
    for _, record in islice(forms(head), _BODIES):
        if isinstance(record, Broken):
            continue
        told = next((kind for kind, fits in FORMS if fits(record)), None)
        if told is not None:
            return told
    return None


# CSV --------------------------------------------------------------------------------------------

_LEAST_COLUMNS: Final = 3
"""So many names of the header line must be known: a CSV of anything has a `duration`."""


def _of_csv(head: bytes) -> str | None:
    delimiter = found_delimiter(head)
    first = head.lstrip().split(b"\n", 1)[0].decode("utf-8", "replace").rstrip("\r")
    names = [cell.strip().strip('"') for cell in first.split(delimiter)]
    return "sbc-csv" if len(columns_of(names)) >= _LEAST_COLUMNS else None
