"""Records that are broken on purpose: those of a source, changed in every way we know.

`Mutator(source, seed).record(n)` is the n-th changed record, the same in every run. A record is a
few lines, blocks or bodies out of a golden file (or, of LiveKit's sources, out of a captured call),
never a whole stream; packets that are written in hexadecimal are changed as bytes, too. Used by
`test_fuzz.py` (a few hundred records a source) and by `benchmarks/fuzz_parsers.py` (a million).
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, cast

from tests.sources.captured import FILES, NAMES, data
from tests.sources.golden import CASES

from trunktrace.sources.parsed import Parsed
from trunktrace.sources.reading import Reading

MOST_BYTES = 12_000
"""Of what is taken out of a golden file for one record."""
MOST_PARTS = 5

ODD_NUMBERS = (
    b"0", b"-1", b"1", b"65536", b"4294967295", b"4294967296", b"-2147483648", b"16777215",
    b"9223372036854775808", b"1e308", b"-1e400", b"1e-320", b"NaN", b"Infinity", b"0.0000001",
    b"999999999999999999999999999999", b"-0", b"00", b"0x7fffffff", b"1795396157", b"1795396157000",
    b"\xd9\xa1\xd9\xa2\xd9\xa3", b"1_000", b"+5", b"5.", b".5", b"1,5", b"",
)  # fmt: skip
ODD_TEXTS = (
    b"", b" ", b"\x00", b"null", b"true", b"[]", b"{}", b"-", b"unknown", b'"', b"\\", b"\\u0000",
    b"\xed\xa0\x80", b"\xff\xfe", b"\xc3", b"\xe2\x80\xae", b"%00", b"%", b"%zz", b"=", b"&", b";;",
    b"<", b">", b"sip:", b"@", b"\r", b"\n", b"\n\n", b"\t", b"|", b",", b"::", b"()", b"\\x",
)  # fmt: skip
ODD_VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 0.5, 1e308, 10**30, 2**63, "", " ", "0", "-1", "\x00", "\u202e",
    [], [[]], {}, {"": None}, "-5", [None, 1, "a"], {"a": {"b": {}}}, 1795396157, "1795396157",
    "x" * 3000,
)  # fmt: skip
LINES = frozenset({
    "livekit-sip", "livekit-webhook", "livekit-participant", "livekit-rtc", "livekit-spans",
    "asterisk-cdr", "kamailio-acc",
})  # fmt: skip
"""Sources of which every line that is not blank is one record, whatever stands on it."""
BODIES = frozenset({"livekit-webhook", "livekit-participant"})
"""Those of them of which a record may also stand over several lines, if the first one does."""
_BOM = b"\xef\xbb\xbf"

_NUMBER = re.compile(rb"\d+(?:\.\d+)?")
_PIECES = re.compile(rb"[^,;&|\n\t ]*[,;&|\n\t ]?")
_NOTHING = b"\xef\xbb\xbf \t\r\v\f,:[]\x00"
_PERSON = re.compile(r"(?:\+|%2B)(\d{10,15})")
_HEX_LINE = re.compile(rb"[0-9A-Fa-f]{24,}\s*")


@dataclass(frozen=True)
class Broken:
    """A changed record, and what is to be known to judge what is read from it."""

    data: bytes
    reading: Reading
    parts: int
    persons: tuple[str, ...]
    origin: str
    is_of_lines: bool

    def spoken(self, parsed: Parsed) -> bool:
        """Whether what was said of it leaves no room for a record that was dropped in silence.

        Exact where each line is a record (`LINES`) and nothing was observed: then each line is
        broken or ignored, and once. Beside an observation some of the lines are what it was made
        of, and how many is not told: then no more than all lines are broken or ignored. Of every
        other source only that anything at all was said: of several records that were changed into
        one, one that is lost beside another is not seen here.
        """
        rest = len(parsed.broken) + parsed.ignored
        if self.is_of_lines:
            lines = self._lines()
            return rest <= lines if parsed.observations else rest == lines
        return bool(parsed.observations) or rest > 0 or self._is_empty()

    def _lines(self) -> int:
        return sum(bool(line.strip()) for line in self.data.removeprefix(_BOM).split(b"\n"))

    def _is_empty(self) -> bool:
        """Whether it holds no record at all: blanks, remarks between packets, empty lists."""
        lines = (line.strip(_NOTHING) for line in self.data.split(b"\n"))
        return not any(line and not line.startswith(b"#") for line in lines)

    def in_clear(self, parsed: Parsed) -> list[str]:
        """Numbers of the original's persons that stand in what was read."""
        told = repr(parsed)
        return [number for number in self.persons if number in told and self._is_whole(number)]

    def _is_whole(self, number: str) -> bool:
        """Whether it still is a number with its `+` wherever it stands: a change may take it off,
        and what is left may be a count, an id or a time."""
        bare = re.compile(rb"(?<!\+)(?<!%2[Bb])" + number.encode())
        return bare.search(self.data) is None


@dataclass(frozen=True)
class _Original:
    name: str
    reading: Reading
    head: bytes
    parts: tuple[bytes, ...]
    glue: bytes
    persons: tuple[str, ...]

    def some(self, chance: random.Random) -> list[bytes]:
        many = chance.choice((1, 1, 1, 2, MOST_PARTS))
        at = chance.randrange(len(self.parts))
        found: list[bytes] = []
        for part in self.parts[at : at + many]:
            if found and sum(map(len, found)) + len(part) > MOST_BYTES:
                break
            found.append(part)
        return found


class Mutator:
    """The changed records of one source, by number."""

    def __init__(self, source: str, seed: int) -> None:
        self.source = source
        self.seed = seed
        self._originals = [
            _original(str(case), case.source, case.data, case.reading)
            for case in CASES
            if case.source == source
        ] or [
            _original(f"{source}/{name}", source, data(name, source), Reading())
            for name in NAMES
            if source in FILES
        ]
        if not self._originals:
            raise LookupError(f"no golden records of {source}")

    def record(self, number: int) -> Broken:
        """The record of that number."""
        chance = random.Random(f"{self.seed}:{self.source}:{number}")
        original = chance.choice(self._originals)
        parts = original.some(chance)
        if chance.random() < 0.15:
            parts += chance.choice(self._originals).some(chance)
            chance.shuffle(parts)
        for _ in range(chance.choice((1, 1, 2, 3, 6))):
            at = chance.randrange(len(parts))
            parts[at] = _changed(parts[at], chance)
        whole = original.head + original.glue.join(parts)
        if chance.random() < 0.1:
            whole = _changed(whole, chance)
        many = max(1, len(parts))
        of_lines = self.source in LINES and not (self.source in BODIES and _spans_lines(whole))
        return Broken(whole, original.reading, many, original.persons, original.name, of_lines)


def _original(name: str, source: str, data: bytes, reading: Reading) -> _Original:
    persons = tuple(sorted(set(_PERSON.findall(data.decode("utf-8", "replace")))))
    head, parts, glue = _split(data, source)
    return _Original(name, reading, head, parts or (b"",), glue, persons)


def _split(data: bytes, source: str) -> tuple[bytes, tuple[bytes, ...], bytes]:
    """What every record needs before it, the records, and what stands between them."""
    if source == "sbc-csv":
        head, newline, rest = data.partition(b"\n")
        return head + newline, tuple(rest.splitlines()), b"\n"
    if b"\0" in data[:64]:
        return b"", (data[:MOST_BYTES],), b""
    if data.lstrip()[:1] in (b"{", b"[") and not _is_lines_of_json(data):
        return b"", tuple(_bodies(data)), b"\n"
    for blank in (b"\r\n\r\n", b"\n\n"):
        blocks = [one for one in data.split(blank) if one.strip()]
        if len(blocks) > 3:
            return b"", tuple(one[:MOST_BYTES] for one in blocks), blank
    if len(data) <= 4096 and not _HEX_LINE.match(data.splitlines()[0] if data else b""):
        return b"", (data,), b"\n"
    return b"", tuple(one[:MOST_BYTES] for one in data.splitlines() if one.strip()), b"\n"


def _is_lines_of_json(data: bytes) -> bool:
    first = data.lstrip().split(b"\n", 1)[0]
    try:
        json.loads(first)
    except ValueError:
        return False
    return True


def _spans_lines(data: bytes) -> bool:
    """Whether its first record goes over several lines."""
    text = data.removeprefix(_BOM).decode("utf-8", "replace").lstrip()
    try:
        end = json.JSONDecoder().raw_decode(text)[1]
    except (ValueError, RecursionError):
        return False
    return "\n" in text[:end]


def _bodies(data: bytes) -> Iterator[bytes]:
    """A long list of bodies is taken one by one."""
    try:
        value: Any = json.loads(data)
    except ValueError:
        yield data[:MOST_BYTES]
        return
    if isinstance(value, list) and len(data) > MOST_BYTES:
        for one in cast("list[Any]", value):
            yield json.dumps(one).encode()
    else:
        yield data


def _changed(data: bytes, chance: random.Random) -> bytes:
    if _HEX_LINE.fullmatch(data) and chance.random() < 0.85:
        packet = bytes.fromhex(data.strip().decode()[: len(data.strip()) // 2 * 2])
        return chance.choice(_OF_PACKETS)(packet, chance).hex().encode()
    return chance.choice(_OF_TEXT)(data, chance)


def _at(data: bytes, chance: random.Random) -> int:
    return chance.randrange(len(data) + 1)


def _flip(data: bytes, chance: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        if changed:
            changed[chance.randrange(len(changed))] = chance.randrange(256)
    return bytes(changed)


def _cut(data: bytes, chance: random.Random) -> bytes:
    at = _at(data, chance)
    return data[:at] if chance.random() < 0.7 else data[at:]


def _take_out(data: bytes, chance: random.Random) -> bytes:
    at = _at(data, chance)
    return data[:at] + data[at + chance.randint(1, 60) :]


def _double(data: bytes, chance: random.Random) -> bytes:
    at, length = _at(data, chance), chance.choice((1, 8, 60, len(data)))
    return data[:at] + data[at : at + length] + data[at:]


def _number(data: bytes, chance: random.Random) -> bytes:
    found = list(_NUMBER.finditer(data))
    if not found:
        return _flip(data, chance)
    one = chance.choice(found)
    return data[: one.start()] + chance.choice(ODD_NUMBERS) + data[one.end() :]


def _text(data: bytes, chance: random.Random) -> bytes:
    at = _at(data, chance)
    return data[:at] + chance.choice(ODD_TEXTS) + data[at + chance.choice((0, 0, 1, 5)) :]


def _fields(data: bytes, chance: random.Random) -> bytes:
    """Fields removed, doubled, or in another order."""
    pieces = [one for one in _PIECES.findall(data) if one]
    if not pieces:
        return data
    at, to = chance.randrange(len(pieces)), chance.randrange(len(pieces))
    kind = chance.randrange(4)
    if kind == 0:
        del pieces[at : at + chance.randint(1, 3)]
    elif kind == 1:
        pieces.insert(to, pieces[at])
    elif kind == 2:
        pieces[at], pieces[to] = pieces[to], pieces[at]
    else:
        chance.shuffle(pieces)
    return b"".join(pieces)


def _lines(data: bytes, chance: random.Random) -> bytes:
    lines = data.split(b"\n")
    chance.shuffle(lines)
    return b"\n".join(lines)


def _encoding(data: bytes, chance: random.Random) -> bytes:
    kind = chance.randrange(5)
    if kind == 0:
        return data.decode("latin-1").encode("utf-16")
    if kind == 1:
        return b"\xef\xbb\xbf" + data
    if kind == 2:
        return data.replace(b"\n", b"\r\n")
    if kind == 3:
        return data.replace(b"e", b"\xe9")
    return data.replace(b" ", b"\xc2\xa0")


def _nest(data: bytes, chance: random.Random) -> bytes:
    deep = chance.choice((10, 200, 3000))
    opened = chance.choice((b"[", b'{"a":', b"(", b"<"))
    at = chance.choice((0, _at(data, chance)))
    return data[:at] + opened * deep + data[at:]


def _long(data: bytes, chance: random.Random) -> bytes:
    length = chance.choice((300, 3000, 3000, 20_000)) if chance.random() < 0.98 else 300_000
    at = _at(data, chance)
    fill = chance.choice((b"x", b"9", b" ", b"+1", b'"', b"a=", b"%41", b",", b";", b"\xc3\xa9"))
    return data[:at] + fill * (length // len(fill)) + data[at:]


def _value(data: bytes, chance: random.Random) -> bytes:
    """A value anywhere in a JSON record replaced by an odd one, removed, or moved."""
    try:
        record: Any = json.loads(data)
    except (ValueError, RecursionError):
        return _number(data, chance)
    holder, keys = record, _keys(record)
    while keys:
        key = chance.choice(keys)
        inner = holder[key]
        if _keys(inner) and chance.random() < 0.75:
            holder, keys = inner, _keys(inner)
            continue
        if chance.random() < 0.25:
            del holder[key]
        else:
            holder[key] = chance.choice(ODD_VALUES)
        break
    return json.dumps(record).encode()


def _keys(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(cast("dict[Any, Any]", value))
    return list(range(len(cast("list[Any]", value)))) if isinstance(value, list) else []


def _length_fields(data: bytes, chance: random.Random) -> bytes:
    """Two bytes anywhere set to a length that is not there."""
    if len(data) < 2:
        return data
    at = chance.randrange(len(data) - 1)
    return data[:at] + chance.choice((b"\xff\xff", b"\0\0", b"\0\1", b"\x7f\xff")) + data[at + 2 :]


_Change = Callable[[bytes, random.Random], bytes]
_OF_TEXT: tuple[_Change, ...] = (
    _flip, _flip, _cut, _take_out, _double, _number, _number, _number, _text, _text, _fields,
    _fields, _lines, _encoding, _nest, _long, _value, _value, _value,
)  # fmt: skip
_OF_PACKETS: tuple[_Change, ...] = (
    _flip, _flip, _flip, _cut, _take_out, _double, _length_fields, _length_fields, _number, _text,
)  # fmt: skip
