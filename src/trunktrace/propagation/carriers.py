"""Headers out of what people keep them in, and into it.

Read are: a dict of headers, also with lists of values; pairs in any order; the attributes of a
LiveKit SIP participant; anything with an OpenTelemetry `Getter` of its own. Names are compared
without case, folded lines are joined (RFC 3261 section 7.3.1), and bytes are read as latin-1.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, MutableMapping, MutableSequence
from itertools import islice
from typing import Any, Final, cast

from opentelemetry.propagators.textmap import DefaultGetter, DefaultSetter, Getter, Setter

from trunktrace.guard import swallowing
from trunktrace.propagation.names import MAX_LINES, MAX_VALUE_CHARACTERS, READ, SPELLINGS
from trunktrace.sip.participant import HEADER_PREFIX

Lines = dict[str, list[str]]
"""Lower-case name -> its values, as often as they stand there; only of headers that we read."""

_MAX_NAME_CHARACTERS: Final = 64
_FOLD: Final = re.compile(r"\r?\n[ \t]+")


def lines_of(carrier: object) -> Lines:
    """The headers of a carrier that we read. What is no carrier has none."""
    return _lines(_pairs(carrier))


def lines_by_getter(carrier: object, getter: Getter[Any]) -> Lines:
    """The headers that a getter gives; OpenTelemetry's own knows less carriers than we do."""
    if type(getter) is DefaultGetter:
        return lines_of(carrier)
    return _lines(_gotten(carrier, getter))


def _lines(pairs: Iterable[tuple[object, object]]) -> Lines:
    found: Lines = {}
    with swallowing("propagation.carrier"):  # a carrier or getter of somebody else's
        for raw_name, raw_value in islice(pairs, MAX_LINES):
            name = _name(raw_name)
            if name in READ and (value := _value(raw_value)):
                found.setdefault(name, []).append(value)
    return found


def _pairs(carrier: object) -> Iterator[tuple[object, object]]:
    """Each header line; what is none yields an empty one, so that it counts too."""
    if carrier is None or isinstance(carrier, (str, bytes, bytearray)):
        return
    items = getattr(carrier, "items", None)
    entries: object = items() if callable(items) else carrier
    if not isinstance(entries, Iterable):
        return
    for entry in cast("Iterable[object]", entries):
        if isinstance(entry, (tuple, list)) and len(pair := cast("list[object]", entry)) == 2:
            yield from _each(pair[0], pair[1])
        else:
            yield "", ""


def _each(name: object, value: object) -> Iterator[tuple[object, object]]:
    if isinstance(value, (list, tuple)):
        for one in cast("list[object]", value) or [""]:
            yield name, one
    else:
        yield name, value


def _gotten(carrier: object, getter: Getter[Any]) -> Iterator[tuple[object, object]]:
    """The getter is asked for each name that it lists, and for ours if it lists none."""
    asked: set[object] = set()
    for key in islice(getter.keys(carrier) or SPELLINGS, MAX_LINES):
        if _name(key) in READ and key not in asked:
            asked.add(key)
            yield from _each(key, getter.get(carrier, key))
        else:
            yield "", ""


def _name(raw: object) -> str:
    text = _text(raw, _MAX_NAME_CHARACTERS)
    return text.strip(" \t").lower().removeprefix(HEADER_PREFIX) if text.isascii() else ""


def _value(raw: object) -> str:
    text = _text(raw, MAX_VALUE_CHARACTERS)
    return (_FOLD.sub(" ", text) if "\n" in text else text).strip(" \t")


def _text(raw: object, most: int) -> str:
    """Text of a reasonable length; empty for anything else."""
    if isinstance(raw, (bytes, bytearray)):
        return raw.decode("latin-1") if len(raw) <= most else ""
    return raw if isinstance(raw, str) and len(raw) <= most else ""


def put(carrier: object, name: str, value: str, setter: Setter[Any], *, replace: bool) -> None:
    """Set a header once: one of that name, in any case, is replaced, or else left as it is.

    Pairs in a list need no setter.
    """
    there = _spellings(carrier, name)
    if isinstance(carrier, MutableSequence) and type(setter) is DefaultSetter:
        _put_in_list(cast("MutableSequence[object]", carrier), name, value, replace=replace)
    elif replace or not there:
        if isinstance(carrier, MutableMapping):
            for other in there[1:]:
                del cast("MutableMapping[object, object]", carrier)[other]
        setter.set(carrier, there[0] if there else name, value)


def _spellings(carrier: object, name: str) -> list[str]:
    if not isinstance(carrier, Mapping):
        return []
    keys = cast("Mapping[object, object]", carrier)
    return [key for key in keys if isinstance(key, str) and key.lower() == name.lower()]


def _put_in_list(carrier: MutableSequence[object], name: str, value: str, *, replace: bool) -> None:
    there = [
        index
        for index, entry in enumerate(carrier)
        if isinstance(entry, (tuple, list))
        and len(pair := cast("list[object]", entry)) == 2
        and _name(pair[0]) == name.lower()
    ]
    if there and not replace:
        return
    for index in reversed(there):
        del carrier[index]
    carrier.append((name, value))
