"""Kamailio's accounting: lines of `acc` in the syslog, and objects of `acc_json`.

One observation for each leg of a call: the caller's says what went back to the caller, the
callee's what the gateways answered, each try of it an attempt. Every line is a record; those of a
call are put together by their Call-ID, in whatever order they come. Judged by the code alone: with
`failed_transaction_flag` failures are logged as `transaction answered`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from trunktrace.sources.acc.call import AccCall
from trunktrace.sources.acc.record import (
    AccRecord,
    record_of_line,
    record_of_object,
    speaks_of_accounting,
)
from trunktrace.sources.parsed import Broken, Parsed
from trunktrace.sources.reading import AS_IT_IS, Reading
from trunktrace.sources.shapes.bodies import bodies
from trunktrace.sources.shapes.jsonlines import Record, record
from trunktrace.sources.shapes.lines import text_lines
from trunktrace.sources.shapes.syslog import is_log_line
from trunktrace.sources.shapes.wrapped import text_of, unwrapped

NAME: Final = "kamailio-acc"
_NAME_JSON: Final = "kamailio-acc-json"

_OF_CALLS: Final = frozenset({"INVITE", "BYE", "CANCEL"})
"""Methods whose transactions say something of a call's trunk."""

Read = tuple[int, AccRecord | Broken | None]
"""(line, the record on it; None if it is of something else)"""


def parse(data: bytes, reading: Reading = AS_IT_IS) -> Parsed:
    """The calls of a syslog file: acc lines and CDR lines; lines of anything else are ignored."""
    return calls_of(NAME, lines_of(data, reading), reading)


def parse_json(data: bytes, reading: Reading = AS_IT_IS) -> Parsed:
    """The calls of `acc_json`: in a syslog file, one object a line, or plain JSON."""
    if data.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"{", b"["):
        read = _objects_of(bodies(data), reading)
    else:
        read = _objects_of(_objects_in_lines(data), reading)
    return calls_of(_NAME_JSON, read, reading)


def lines_of(data: bytes, reading: Reading) -> Iterable[Read]:
    """The accounting lines of a log."""
    for number, line in text_lines(data):
        if isinstance(line, Broken):
            yield number, line
            continue
        text = unwrapped(line)
        if speaks_of_accounting(text):
            told = record_of_line(text, reading.zone)
            yield number, Broken(number, told) if isinstance(told, str) else told
        elif line.strip():
            is_log = text is not line or is_log_line(line)
            yield number, None if is_log else Broken(number, "no line of a log")


def _objects_of(
    numbered: Iterable[tuple[int, Record | Broken | None]], reading: Reading
) -> Iterable[Read]:
    """The accounting objects of a file."""
    for number, told in numbered:
        if told is None or isinstance(told, Broken):
            yield number, told
            continue
        read = record_of_object(told, reading.zone)
        held = _object_held(told, number) if read is None else None
        if isinstance(held, Broken):
            yield number, held
            continue
        if held is not None:
            read = record_of_object(held, reading.zone)
        yield number, Broken(number, read) if isinstance(read, str) else read


def _object_held(told: Record, number: int) -> Record | Broken | None:
    """The object in the text of a log record; broken only where `acc_json` wrote it."""
    text = text_of(told)
    begins = -1 if text is None else _object_at(text)
    if text is None or begins < 0:
        return None
    held = record(text[begins:].encode("utf-8", "replace"), number)
    return held if isinstance(held, dict) or "json_acc" in text else None


def calls_of(source: str, read: Iterable[Read], reading: Reading) -> Parsed:
    """One observation for each leg of each call, in the order in which the calls appear."""
    calls: dict[str, AccCall] = {}
    nameless: list[tuple[int, AccRecord]] = []
    broken: list[Broken] = []
    ignored = 0
    for number, told in read:
        if isinstance(told, Broken):
            broken.append(told)
        elif told is None or (told.kind != "cdr" and told.method not in _OF_CALLS):
            ignored += 1
        elif not told.call_id:
            nameless.append((number, told))
        else:
            call = calls.setdefault(told.call_id, AccCall(told.call_id))
            ignored += not call.take(told)
    for number, cdr in nameless:
        named = next((value for value in cdr.fields.values() if value in calls), None)
        if named is None:
            broken.append(Broken(number, "a CDR without a Call-ID"))
        else:
            ignored += not calls[named].take(cdr)
    observations = [one for call in calls.values() for one in call.observations(source, reading)]
    return Parsed(tuple(observations), tuple(sorted(broken, key=lambda b: b.line)), ignored)


def _objects_in_lines(data: bytes) -> Iterable[tuple[int, Record | Broken | None]]:
    for number, line in text_lines(data):
        if isinstance(line, Broken):
            yield number, line
            continue
        begins = _object_at(line)
        if begins >= 0:
            yield number, record(line[begins:].rstrip().encode(), number)
        elif line.strip():
            yield number, None if is_log_line(line) else Broken(number, "no line of a log")


def _object_at(line: str) -> int:
    """Where the object on a line begins, whole or not; -1 without one."""
    named = line.find("json_acc")
    begins = line.find("{", named) if named >= 0 else line.find('{"')
    return named if begins < 0 <= named else begins
