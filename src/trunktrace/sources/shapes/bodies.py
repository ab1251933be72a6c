"""Bodies as a web server got them: JSON objects, or forms, one or many in a file.

A file may hold one body over several lines, a JSON list of bodies, one body a line, or bodies one
after the other. One that is broken does not take the next one with it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Final, cast
from urllib.parse import parse_qsl

from trunktrace.sources.parsed import Broken
from trunktrace.sources.shapes.jsonlines import Record

MAX_BODY_BYTES: Final = 256 * 1024
MAX_PARTS: Final = 8192
_WINDOWS: Final = (8 * 1024, 64 * 1024, MAX_BODY_BYTES)
"""Sizes in which a body is looked for: many small ones are not each copied with the rest."""

MAX_FORM_BYTES: Final = 64 * 1024
_MAX_FIELDS: Final = 512
_OF_JSON: Final = frozenset({b"{", b"}", b"[", b"]", b'"', b" ", b"\t", b",", b"\r", b""})
"""How a line of JSON begins; no form does."""

_BOM: Final = b"\xef\xbb\xbf"
_BLANK: Final = " \t\r\n\v\f,"
_BETWEEN: Final = re.compile(r"[ \t\r\n\v\f,\[\]]*")
"""What may stand between bodies; the brackets are those of a list of them."""

_DECODER: Final = json.JSONDecoder(parse_constant=lambda _constant: None)

Body = tuple[int, Record | Broken]
"""(line on which it begins, what it holds or why it cannot be read)"""


def bodies(data: bytes) -> Iterator[Body]:
    """Each JSON object of a file; the members of a list count as bodies of their own."""
    text = data.removeprefix(_BOM).decode("utf-8", "surrogateescape")
    at = line = line_end = opened = 0
    while True:
        found_at = _BETWEEN.match(text, at)
        begin = found_at.end() if found_at else at
        line += text.count("\n", at, begin)
        opened += text.count("[", at, begin) - text.count("]", at, begin)
        if begin == len(text):
            break
        found, end = None, begin
        if begin >= line_end:
            # A line is looked at as a whole once, however many bodies are on it.
            line_end = end = _line_end(text, begin)
            found = _alone(text, begin, line_end, line + 1)
        if text[begin] != "{":
            end = _word(text, begin, line_end, is_member=opened > 0)
            found = Broken(line + 1, "no JSON object")
            opened += text.count("[", begin, end) - text.count("]", begin, end)
        elif found is None:
            end, found = _body(text, begin, line + 1)
        yield line + 1, found
        line += text.count("\n", begin, end)
        at = end
    if opened:
        yield line + 1, Broken(line + 1, "a list that does not end as it begins")


def _word(text: str, begin: int, line_end: int, *, is_member: bool) -> int:
    """Where to read on after what begins no object: the next line, or the list's next object."""
    found = text.find("{", begin, line_end) if is_member else -1
    return found if found >= 0 else line_end


def _alone(text: str, begin: int, end: int, line: int) -> Record | Broken | None:
    """The body that a line is for itself; None if it is none."""
    if end - begin > MAX_BODY_BYTES:
        return None
    chunk = text[begin:end].rstrip(_BLANK)
    if not chunk.endswith("}"):
        return None
    try:
        value: object = json.loads(chunk, parse_constant=lambda _constant: None)
    except (ValueError, RecursionError):
        return None
    return _checked(value, chunk, line)


def _body(text: str, begin: int, line: int) -> tuple[int, Record | Broken]:
    """Where the body that begins here ends, and what it holds."""
    window = ""
    for size in _WINDOWS:
        window = text[begin : begin + size]
        try:
            value, length = cast("tuple[object, int]", _DECODER.raw_decode(window))
        except (ValueError, RecursionError):
            if len(window) < size:
                break
        else:
            return begin + length, _checked(value, window[:length], line)
    return _broken(text, begin, window, line)


def _broken(text: str, begin: int, window: str, line: int) -> tuple[int, Broken]:
    """Where to read on after what is no body, and why it is none."""
    failed_at, reason = begin, "no JSON object"
    try:
        _DECODER.raw_decode(window)
    except json.JSONDecodeError as error:
        failed_at, reason = begin + error.pos, f"not JSON at character {error.pos}"
        if len(window) == MAX_BODY_BYTES:
            reason = f"no JSON that ends within {MAX_BODY_BYTES // 1024} KiB"
    except RecursionError:
        reason = "JSON is nested too deeply"
    except ValueError:
        reason = "a whole number has too many digits"
    return _resume(text, begin, failed_at), Broken(line, reason)


def _checked(value: object, chunk: str, line: int) -> Record | Broken:
    if not isinstance(value, dict):
        return Broken(line, "no JSON object")
    if chunk.count("{") + chunk.count("[") + chunk.count(",") > MAX_PARTS:
        return Broken(line, "JSON of too many parts")
    try:
        chunk.encode()
    except UnicodeEncodeError:
        return Broken(line, "not UTF-8")
    return cast("Record", value)


def _line_end(text: str, at: int) -> int:
    end = text.find("\n", at)
    return len(text) if end < 0 else end


def _resume(text: str, begin: int, failed_at: int) -> int:
    """The next line that may begin a body: one whose own text is JSON, else after the failure."""
    at = _line_end(text, begin) + 1
    while at < min(failed_at + 1, len(text)):
        end = _line_end(text, at)
        # What is indented is a part of something.
        if text[at] == "{" and _alone(text, at, end, 1) is not None:
            return at
        at = end + 1
    while at < len(text) and text[at] not in "{[":
        at = _line_end(text, at) + 1
    return min(at, len(text))


def forms(data: bytes) -> Iterator[Body]:
    """Each form of a file, one a line (`application/x-www-form-urlencoded`), or JSON as `bodies`.

    A field that stands twice has its last value; every value is text, and may be empty.
    """
    json_lines: list[bytes] = []
    since = 1
    for number, line in enumerate(data.removeprefix(_BOM).split(b"\n"), start=1):
        if line[:1] in _OF_JSON:
            if not json_lines:
                since = number
            json_lines.append(line)
            continue
        yield from _bodies_of(json_lines, since)
        json_lines = []
        if line.strip():
            yield number, _form(line.strip(), number)
    yield from _bodies_of(json_lines, since)


def _bodies_of(lines: list[bytes], since: int) -> Iterator[Body]:
    for number, found in bodies(b"\n".join(lines)):
        line = number + since - 1
        yield line, Broken(line, found.reason) if isinstance(found, Broken) else found


def _form(line: bytes, number: int) -> Record | Broken:
    if len(line) > MAX_FORM_BYTES:
        return Broken(number, f"the form is longer than {MAX_FORM_BYTES // 1024} KiB")
    try:
        text = line.decode("ascii")
    except UnicodeDecodeError:
        return Broken(number, "a form is written in ASCII")
    try:
        pairs = parse_qsl(
            text,
            keep_blank_values=True,
            strict_parsing=True,
            errors="strict",
            max_num_fields=_MAX_FIELDS,
        )
    except UnicodeDecodeError:
        return Broken(number, "a field is not UTF-8")
    except ValueError:
        return Broken(number, "no form: a field without a value, or too many fields")
    return dict(pairs)
