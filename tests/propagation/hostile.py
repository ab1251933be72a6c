"""Headers that nobody should send: number n of a seed is the same in every run.

Valid values that were changed, random bytes and Unicode, and carriers that are none or that fail
while they are read. `judged` says what was wrong with what came out of them.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import repeat
from typing import Any

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.propagators.textmap import Getter, default_getter

from trunktrace.propagation import Remote, SipPropagator, read_headers, remote_of, sip_attempt

HEADERS = (
    "X-Traceparent", "Traceparent", "X-Trace-ID", "X-Span-ID", "b3", "X-B3-TraceId", "X-B3-SpanId",
    "X-B3-Sampled", "X-B3-Flags", "Session-ID", "User-to-User", "X-Baggage",
)  # fmt: skip
TELLING = frozenset(HEADERS) - {
    "X-Span-ID", "X-B3-SpanId", "X-B3-Sampled", "X-B3-Flags", "X-Baggage",
}  # fmt: skip
ODD = "\r\n\0\t \x0b\x85\u2028\u00a0\ud800\u0660\uff11\u0131\u212a;,=\"\\%-:@<>'\x7f"
HALF = re.compile(r"[0-9a-f]{32}")
PROPAGATORS = (
    SipPropagator(),
    SipPropagator(as_parent=True, session_id=True, baggage=["trunk.carrier", "trunk.route"]),
)


@dataclass(frozen=True)
class Case:
    """A carrier, made anew for each reader, with all the text that is in it."""

    make: Callable[[], Any]
    texts: tuple[str, ...]
    getter: Getter[Any] = default_getter

    @property
    def lines(self) -> int:
        return len(self.texts)


class Failing(Mapping[str, str]):
    """A mapping that breaks after a while."""

    def __init__(self, inside: dict[str, str], good: int) -> None:
        self._inside, self._good = inside, good

    def __getitem__(self, key: str) -> str:
        if self._good <= 0:
            raise LookupError("gone")
        return self._inside[key]

    def __iter__(self) -> Iterator[str]:
        for number, key in enumerate(self._inside):
            if number >= self._good:
                raise RuntimeError("broken")
            yield key

    def __len__(self) -> int:
        raise ValueError("no length")


class OwnGetter(Getter[Any]):
    """A getter of somebody's: it may list no names, fail, or answer with odd things."""

    def __init__(self, kind: int) -> None:
        self._kind = kind

    def keys(self, carrier: Any) -> Any:
        answers: list[Callable[[], Any]] = [
            lambda: [name for name, _ in carrier],
            list,
            lambda: None,
            lambda: repeat("x-traceparent"),
            lambda: 1 / 0,
            lambda: [None, 7, b"b3", *(name for name, _ in carrier)],
        ]
        return answers[self._kind % len(answers)]()

    def get(self, carrier: Any, key: Any) -> Any:
        if self._kind > 30:
            raise KeyError(key)
        found = [value for name, value in carrier if name == key]
        return found[0] if found and self._kind % 2 else found or None


def case(seed: int, number: int) -> Case:
    """Case `number` of a seed."""
    rng = random.Random(seed * 1_000_003 + number)
    pairs = [_line(rng) for _ in range(rng.choice((1, 1, 1, 2, 3, 6)))]
    if rng.random() < 0.1:
        pairs.append(pairs[0])
    if rng.random() < 0.002:
        pairs *= 300
    return _carrier(rng, pairs)


def _line(rng: random.Random) -> tuple[str, str]:
    name = rng.choice(HEADERS)
    value = valid(rng, name)
    kind = rng.random()
    if kind < 0.75:
        for _ in range(rng.choice((0, 1, 1, 2, 5))):
            value = _changed(rng, value)
    elif kind < 0.9:
        value = rng.randbytes(rng.choice((0, 1, 55, 200, 1024))).decode("latin-1")
    else:
        value = "".join(map(chr, rng.choices(range(0x11000), k=rng.choice((1, 16, 55, 120)))))
    return _name(rng, name), value


def valid(rng: random.Random, name: str) -> str:
    """A valid value of a header; zeros among its ids are not rare."""
    trace_id = f"{rng.getrandbits(128) * (rng.random() > 0.05):032x}"
    span_id = f"{rng.getrandbits(64) * (rng.random() > 0.05):016x}"
    parent = f"{rng.choice(('00', '00', '00', '01', 'cc', 'ff'))}-{trace_id}-{span_id}-01"
    return {
        "X-Traceparent": parent,
        "Traceparent": parent,
        "X-Trace-ID": trace_id,
        "X-Span-ID": span_id,
        "b3": rng.choice((f"{trace_id}-{span_id}-1", f"{trace_id[16:]}-{span_id}-d", "0")),
        "X-B3-TraceId": rng.choice((trace_id, trace_id[16:])),
        "X-B3-SpanId": span_id,
        "X-B3-Sampled": rng.choice(("0", "1", "true")),
        "X-B3-Flags": rng.choice(("0", "1")),
        "Session-ID": rng.choice(
            (f"{trace_id};remote={'0' * 32}", f"{'0' * 32};remote={trace_id}")
        ),
        "User-to-User": rng.choice(("", "04", "00")) + parent.encode().hex() + ";encoding=hex",
        "X-Baggage": "trunk.carrier=telnyx,trunk.route=us-east%2Fprimary;x=y,other=1",
    }[name]


def _name(rng: random.Random, name: str) -> str:
    changes: list[Callable[[], str]] = [
        lambda: name,
        name.lower,
        name.upper,
        lambda: f"sip.h.{name.lower()}",
        lambda: f" {name}\t",
        lambda: "trunktrace.traceparent",
        lambda: _changed(rng, name),
    ]
    return rng.choices(changes, weights=(8, 3, 2, 3, 1, 1, 1))[0]()


def _changed(rng: random.Random, text: str) -> str:
    at = rng.randrange(len(text) + 1)
    changes: list[Callable[[], str]] = [
        lambda: text[:at] + rng.choice(ODD) + text[at:],
        lambda: text[:at] + rng.choice(ODD) + text[at + 1 :],
        lambda: text[:at] + text[at + 1 :],
        lambda: text[:at],
        text.upper,
        lambda: f"{text}, {text}",
        lambda: f"{text}\r\n X-Evil: 1",
        lambda: f"\r\n {text}\r\n\t",
        lambda: text * rng.choice((2, 30)),
        lambda: text + rng.choice(ODD) * rng.choice((10, 900, 3000)),
        lambda: text[:at] + f"{rng.getrandbits(32):x}" + text[at:],
        lambda: text.replace(";", "; ", 1).replace("=", " = ", 1),
    ]
    return rng.choice(changes)()


def _carrier(rng: random.Random, pairs: list[tuple[str, str]]) -> Case:
    texts = tuple(value for _, value in pairs)
    kind = rng.randrange(16)
    if kind < 5:
        return Case(lambda: dict(pairs), texts)
    if kind < 8:
        return Case(lambda: list(pairs), texts)
    if kind < 10:
        own = OwnGetter(rng.randrange(40))
        return Case(lambda: list(pairs), texts, own)
    makers: list[Callable[[], Any]] = [
        lambda: {name: [value, value] for name, value in pairs},
        lambda: [[_bytes(name), _bytes(value)] for name, value in pairs],
        lambda: Failing(dict(pairs), rng.randrange(4)),
        lambda: ((name, value) for name, value in pairs),
        lambda: repeat(pairs[0]),
        lambda: rng.choice(
            [None, 7, texts[0], _bytes(texts[0]), object(), [1, (), ("a",)], {1: 2, None: pairs},
             {"b3": None, "X-Traceparent": [None, 1, {}], "Session-ID": {"a": "b"}}]
        ),
    ]  # fmt: skip
    return Case(makers[kind - 10], texts)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def judged(one: Case) -> Iterator[str]:
    """What is wrong with what comes out of a case; nothing where all is well."""
    remote = read_headers(one.make())
    if remote is not None:
        yield from _wrong(remote, one)
    for propagator in PROPAGATORS:
        context = propagator.extract(one.make(), Context(), one.getter)
        found = remote_of(context)
        if found is not None:
            yield from _wrong(found, one)
        current = trace.get_current_span(context).get_span_context()
        believed = found.span_context if found and propagator is PROPAGATORS[1] else None
        if current.is_valid != (believed is not None):
            yield "a parent that was not asked for, or none that was"
        if believed is not None:
            yield from _unlike(propagator, context, believed)


def _wrong(remote: Remote, one: Case) -> Iterator[str]:
    if not 0 < remote.trace_id < 2**128 or remote.header not in TELLING:
        yield f"an invalid trace id, or a header {remote.header} that tells none"
    if not _told(f"{remote.trace_id:032x}", one.texts):
        yield "a trace id that no header has"
    span_id = remote.span_id
    if span_id is not None and not (0 < span_id < 2**64 and _told(f"{span_id:016x}", one.texts)):
        yield "a span id that is invalid, or that no header has"
    link = remote.span_context
    if (link is None) != (span_id is None) or (link and not (link.is_valid and link.is_remote)):
        yield "a span context that is invalid"
    for half in (remote.session_id, remote.session_id_remote):
        if half is not None and not (HALF.fullmatch(half) and half.strip("0")):
            yield "half a Session-ID that is none"
        if half is not None and not _told(half, one.texts):
            yield "half a Session-ID that no header has"


def _told(digits: str, texts: tuple[str, ...]) -> bool:
    """Whether an id stands in a header: as it is, as 64 bits, or as User-to-User writes it."""
    forms = [digits, digits.encode().hex()]
    if digits.startswith("0" * 16):
        forms.append(digits[16:])
    return any(form in text.lower() for text in texts for form in forms)


def _unlike(
    propagator: SipPropagator, context: Context, believed: trace.SpanContext
) -> Iterator[str]:
    """What came in goes out again as clean headers that say the same."""
    out: dict[str, str] = {}
    propagator.inject(out, sip_attempt(context))
    again = read_headers(out)
    if again is None or (again.trace_id, again.span_id) != (believed.trace_id, believed.span_id):
        yield "it is read back as something else"
    if not all(re.fullmatch(r"[\x21-\x7e]{1,256}", value) for value in out.values()):
        yield "something that is no visible ASCII goes out"
    if sum(len(f"{name}: {value}\r\n") for name, value in out.items()) > 320:
        yield "more than 320 bytes go out"
