"""What Twilio's records have in common: envelopes, edges, directions, answers, one stream's counts.

Sources: Twilio's pages "Call Summary", "Details: Call Summary", "Call Metrics", "Call Events",
"Understanding Twilio Media Edges", "Call resource", "Call Insights Event Stream".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final, cast

from trunktrace import conventions as c
from trunktrace.belief import country_code
from trunktrace.sip import codecs
from trunktrace.sources import losses
from trunktrace.sources.draft import Draft
from trunktrace.sources.losses import Loss
from trunktrace.sources.parsed import Broken
from trunktrace.sources.shapes.bodies import bodies
from trunktrace.sources.shapes.callbacks import Ending
from trunktrace.sources.shapes.jsonlines import Record, list_in, object_in, record, text_in
from trunktrace.sources.shapes.ordered import take_each
from trunktrace.sources.shapes.values import count, decimal
from trunktrace.windows import Leg, MediaDirection

CARRIER: Final = "twilio"

EDGES: Final[dict[str, Leg]] = {"sip_edge": "trunk", "carrier_edge": "pstn"}
"""Twilio's media gateways by the leg that they stand on. `sip_edge` faces the SIP side, where the
bridge is; `carrier_edge` the telephone network. `client_edge` and `sdk_edge` face Twilio's own
WebRTC client: no telephone, and no trunk."""

STREAMS: Final[dict[tuple[Leg, str], MediaDirection]] = {
    ("pstn", "inbound"): "in",
    ("pstn", "outbound"): "out",
    ("trunk", "inbound"): "out",
    ("trunk", "outbound"): "in",
}
"""Twilio's direction is the edge's: inbound is what arrived at it from outside."""

_SID: Final = re.compile(r"[A-Z]{2}[0-9A-Za-z]{28,34}")
"""A SID has 32 digits; those in the examples of Twilio's documentation have a few less."""

_BY_SDK: Final = {
    "callSid": "call_sid",
    "callType": "call_type",
    "callState": "call_state",
    "answeredBy": "answered_by",
    "processingState": "processing_state",
    "createdTime": "created_time",
    "startTime": "start_time",
    "endTime": "end_time",
    "connectDuration": "connect_duration",
    "carrierEdge": "carrier_edge",
    "sipEdge": "sip_edge",
}
"""Names that Twilio's SDK for JavaScript writes otherwise than the API; those within the edges
are the API's."""

_UNKNOWN: Final = "unknown"
"""How the values of an enumeration begin that say nothing: `unknown_realm`, `unknown_edge`."""


@dataclass(frozen=True, slots=True)
class Told:
    """A record of Voice Insights: its line, and the type of the event that it came in.

    `kind` is empty where it did not come by Event Streams.
    """

    line: int
    kind: str
    record: Record


EMPTY_PAGE: Final = "empty page"
"""The kind of what a page without records tells: nothing, and it is counted so."""


def told_in(data: bytes, list_key: str) -> Iterator[Told | Broken]:
    """The records of a file: single, lists, pages of the API (`list_key`), CloudEvents."""
    for line, body in bodies(data):
        if isinstance(body, Broken):
            yield body
        elif "specversion" in body:
            event, kind = data_of(body), text_in(body, "type")
            if kind is None or event is None:
                yield Broken(line, "an event without `type` or `data`")
            else:
                yield Told(line, kind, event)
        elif isinstance(body.get(list_key), list):
            members = list_in(body, list_key)
            if not members:
                yield Told(line, EMPTY_PAGE, {})
            for one in members:
                if isinstance(one, dict):
                    yield Told(line, "", _by_api(cast("Record", one)))
                else:
                    yield Broken(line, f"no object in `{list_key}`")
        else:
            yield Told(line, "", _by_api(body))


def _by_api(told: Record) -> Record:
    """The record by the API's names."""
    if "callSid" not in told:
        return told
    return {_BY_SDK.get(name, name): value for name, value in told.items()}


def data_of(event: Record) -> Record | None:
    """What a CloudEvent carries; None if that is nothing. Some sinks get it as a text of JSON."""
    data = event.get("data")
    if isinstance(data, str):
        data = record(data.encode(errors="replace"))
    return cast("Record", data) if isinstance(data, dict) else None


def taken(
    every: Iterable[Told | Broken], take: Callable[[Told], str | None]
) -> tuple[tuple[Broken, ...], int]:
    """Have each record taken: what is broken, and how many say nothing.

    `take` says why one could not be read; empty if it was, None if it says nothing of our legs.
    """
    return take_each(((told.line, told) for told in every), take)


def sid_of(value: object) -> str | None:
    """A SID: two capitals and about 32 letters or digits; None for anything else."""
    return value if isinstance(value, str) and _SID.fullmatch(value) else None


def region_in(place: Record, *names: str) -> str | None:
    """The first of the regions by these names that is told."""
    told = (text_in(place, name) for name in names)
    return next((one for one in told if one and not one.lower().startswith(_UNKNOWN)), None)


def direction_told(word: str | None, *, faces_sip: bool) -> str | None:
    """The call's direction from the agent's side; None for a word that is not known.

    `trunking_originating` is a call from the telephone network to our SIP side, `_terminating` one
    from our SIP side to the telephone network. The others are Twilio's own view: `inbound` came
    to Twilio, `outbound_api` and `outbound_dial` it placed. On a leg that faces the SIP side, what
    Twilio places comes to the bridge.
    """
    said = (word or "").lower().replace("-", "_")
    if said in ("trunking_originating", "trunking_terminating"):
        return "inbound" if said == "trunking_originating" else "outbound"
    if said == "inbound":
        return "outbound" if faces_sip else "inbound"
    if said in ("outbound", "outbound_api", "outbound_dial"):
        return "inbound" if faces_sip else "outbound"
    return None


def say_ending(
    draft: Draft, ending: Ending | None, code: int | None, reason: str | None = None
) -> None:
    """What became of the call; None is a call that is not over, or of which nobody says it.

    The last SIP response is the answer to the INVITE only where it fits: a 200 beside `canceled`
    answers the CANCEL, a 481 beside `completed` some later request.
    """
    if ending is None:
        return
    if ending == "answered":
        if code is not None and 200 <= code < 300:
            draft.answer(code)
        else:
            draft.say(outcome="answered")
    elif code is not None and 300 <= code < 700:
        draft.answer(code, reason=reason)
        if ending in ("no_answer", "busy") and code == 487:
            # Twilio's own ringing timeout ends in its own CANCEL; some carriers say 487 for busy.
            draft.say(outcome=ending)
    else:
        draft.say(outcome=ending, reason=reason)


def say_country(draft: Draft, caller: object, callee: object) -> None:
    """The countries of the parties, where their numbers do not tell."""
    for key, value in ((c.SIP_CALLER_COUNTRY, caller), (c.SIP_CALLEE_COUNTRY, callee)):
        code = country_code(value)
        if code is not None and draft.known(key) is None:
            draft.state({key: code})


ANSWERED_BY: Final = {
    "human": "human",
    "machine_start": "machine",
    "machine_end_beep": "machine",
    "machine_end_silence": "machine",
    "machine_end_other": "machine",
    "fax": "machine",
}
"""Twilio's answering machine detection; `unknown` says nothing."""


def codec_in(stream: Record) -> dict[str, object]:
    """Codec and payload type of a stream, as facts; the codec of a static type by its number."""
    payload_type = count(stream.get("codec"))
    name = text_in(stream, "codec_name")
    if name is None or name.lower().startswith("unknown"):
        name = codecs.of_type(payload_type)
    if payload_type is not None and payload_type < codecs.FIRST_DYNAMIC and name is not None:
        known = codecs.of_type(payload_type)
        if known is not None and known != codecs.named(name):
            payload_type = None  # one of the two is a default: the name is what people read
    return {"codec": name, "payload_type": payload_type}


def measured(stream: Record) -> Loss:
    """Counts, loss and jitter of one stream, and how the loss is known.

    Of what Twilio sent it states the percentage (0 to 100) itself; where it does not, the share of
    the sent packets is derived.
    """
    received, sent = count(stream.get("packets_received")), count(stream.get("packets_sent"))
    lost = count(stream.get("packets_lost"))
    measures: dict[str, object] = {
        "packet_count": received if received is not None else sent,
        "lost_count": lost,
        **_jitter(stream),
    }
    percent = decimal(stream.get("packets_loss_percentage"))
    stated = percent / 100.0 if percent is not None else None
    loss = Loss({"loss_ratio": stated}, "counted")
    if lost is not None and received is not None:
        loss = losses.of_received(received, lost)
    elif lost is not None and sent is not None and (stated is None or (stated == 0 < lost)):
        loss = losses.of_sent(sent, lost)
    return Loss(measures | loss.measures, loss.method)


def _jitter(stream: Record) -> dict[str, object]:
    """Jitter in ms: mean and largest. `latency` is Twilio's own, and no RTT."""
    jitter = object_in(stream, "jitter")
    mean = decimal(jitter.get("avg"))
    return {
        "jitter_ms": mean if mean is not None else decimal(jitter.get("value")),
        "jitter_max_ms": decimal(jitter.get("max")),
    }
