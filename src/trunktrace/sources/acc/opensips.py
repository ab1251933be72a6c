"""OpenSIPS's accounting: acc lines in the syslog, and the events of its event interface.

The lines are those of Kamailio, but for `ACC: call ended: created=...;call_start_time=...;
duration=...;ms_duration=...;setuptime=...;method=...`, the CDR (`do_accounting("log", "cdr")`). The
events are E_ACC_EVENT, E_ACC_MISSED_EVENT and E_ACC_CDR: JSON-RPC notifications as the event
transports of version 3 send them, their parameters alone, or text (`events`). Written by OpenSIPS's
pages of the module `acc` and by records that people have published.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final, cast

from trunktrace.sources.acc import events
from trunktrace.sources.acc.kamailio import Read, calls_of, lines_of
from trunktrace.sources.acc.record import (
    AccRecord,
    Fields,
    fields_of_object,
    moment,
    transaction_of,
)
from trunktrace.sources.parsed import Broken, Parsed
from trunktrace.sources.reading import AS_IT_IS, Reading
from trunktrace.sources.shapes.bodies import bodies
from trunktrace.sources.shapes.jsonlines import Record, text_in
from trunktrace.sources.shapes.values import decimal
from trunktrace.sources.shapes.wrapped import is_wrapped

NAME: Final = "opensips-acc"

_EVENTS: Final = frozenset({"E_ACC_EVENT", "E_ACC_MISSED_EVENT", "E_ACC_CDR"})
_OF_A_CDR: Final = frozenset({"duration", "ms_duration"})
_OF_A_ROW: Final = frozenset({"method", "sip_code"})
_OF_A_CALL: Final = _OF_A_CDR | {"setuptime", "created"}


def parse(data: bytes, reading: Reading = AS_IT_IS) -> Parsed:
    """The calls of a syslog file, or of a file of events (JSON, or text)."""
    content = data.lstrip(b"\xef\xbb\xbf \t\r\n")
    if content[:1] in (b"{", b"[") and not is_wrapped(content):
        read = _events(bodies(data), reading)
    elif events.is_text(data):
        read = _events(events.of_text(data), reading)
    else:
        read = _with_ends(lines_of(data, reading), reading)
    return calls_of(NAME, read, reading)


def _events(
    numbered: Iterable[tuple[int, Record | Broken | None]], reading: Reading
) -> Iterator[Read]:
    for number, told in numbered:
        if told is None or isinstance(told, Broken):
            yield number, told
            continue
        event, params = _event(told)
        if params is None:
            yield number, None if not event.startswith("E_ACC_") else Broken(number, "no `params`")
            continue
        yield from _with_ends([(number, _record(event, params, reading, number))], reading)


def _event(told: Record) -> tuple[str, Record | None]:
    """The name of an event, and its parameters; None if it is none of accounting."""
    name = text_in(told, "method") or ""
    params = told.get("params")
    if name.startswith("E_"):
        is_ours = name in _EVENTS and isinstance(params, dict)
        return name, cast("Record", params) if is_ours else None
    if "jsonrpc" in told and isinstance(params, dict):
        # The method is the operator's, the event's name a parameter (`event_param`).
        told = cast("Record", params)
    names = [one for one in told.values() if isinstance(one, str) and one.startswith("E_")]
    event = next((one for one in names if one in _EVENTS), "")
    is_row = told.keys() >= _OF_A_ROW
    if names and not event and not is_row:
        return "", None
    is_acc = bool(event) or is_row or "callid" in told or "call_id" in told
    return event, told if is_acc else None


def _record(event: str, params: Record, reading: Reading, number: int) -> AccRecord | Broken:
    fields = fields_of_object(params)
    if fields is None:
        return Broken(number, "too many fields")
    is_missed = event == "E_ACC_MISSED_EVENT"
    if is_missed and _OF_A_CDR & fields.keys():
        # Version 2.4 leaves in them what a CDR before it had (opensips#1786).
        fields = {name: text for name, text in fields.items() if name not in _OF_A_CALL}
    elif not event and not any(decimal(fields.get(name)) for name in _OF_A_CDR):
        # A row of the table: where nothing was counted, the columns hold 0.
        empty = {name for name in _OF_A_CALL if not decimal(fields.get(name))}
        fields = {name: text for name, text in fields.items() if name not in empty}
    told = transaction_of(fields, reading.zone, missed=is_missed)
    return Broken(number, told) if isinstance(told, str) else told


def _with_ends(read: Iterable[Read], reading: Reading) -> Iterator[Read]:
    """The records; one that is a CDR as well gives the answer to the INVITE and the CDR."""
    for number, told in read:
        if (
            not isinstance(told, AccRecord)
            or told.kind != "transaction"
            or not _OF_A_CDR & told.fields.keys()
        ):
            yield number, told
        else:
            yield from _ended(number, told, reading)


def _ended(number: int, told: AccRecord, reading: Reading) -> Iterator[Read]:
    fields: Fields = dict(told.fields)
    start = moment(fields.get("call_start_time"), reading.zone) or told.at
    milliseconds = decimal(fields.get("ms_duration"))
    seconds = decimal(fields.get("duration"))
    if milliseconds is not None:
        seconds = milliseconds / 1000.0
    if seconds is None or seconds < 0:
        yield number, Broken(number, "a CDR without a duration")
        return
    yield number, replace(told, at=start)
    fields |= {"start_time": str(start), "duration": str(seconds)}
    yield number, AccRecord("cdr", fields, round(start + seconds, 6), exact=False)
