"""Takes phone numbers and SIP users out of what others wrote on spans, before it is exported."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final, Protocol, TypeAlias, cast

from opentelemetry.attributes import BoundedAttributes
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.util import BoundedList
from opentelemetry.trace import Link, Status

from trunktrace.conventions import ATTRIBUTES
from trunktrace.export import installed
from trunktrace.export.rebuild import rebuilt
from trunktrace.export.rules import (
    Rule,
    checked_headers,
    drop,
    keep,
    ordinary,
    rpc_body,
    rule_of,
    spoken,
)
from trunktrace.guard import guard
from trunktrace.redaction import MASKED, Redaction
from trunktrace.redaction.text import Scrubber, scrubber_for

Values: TypeAlias = Mapping[str, Any]

NAME_OF_FAILED: Final = "redacted"
"""The name of a span that could not be redacted and goes out without its texts."""

_NO_SECRETS: Final = frozenset[str]()
_MANY: Final = 2048
_SMALLEST_NUMBER: Final = 1_000_000
_RPC_METHOD: Final = "rpc.method"
_SIP_METHODS: Final = "lk.sip."


class HasSecrets(Protocol):
    """A call, as far as redaction needs it."""

    @property
    def secrets(self) -> Collection[str]:
        """The call's signalling strings, as `secrets_of` gives them."""
        ...


class Memory(Protocol):
    """Finds the call that a span belongs to, for some time after the call has ended, too."""

    def find(self, span: ReadableSpan) -> HasSecrets | None:
        """The call of this span, or None."""
        ...


class RedactingExporter(SpanExporter):
    """Exports spans through `exporter` without the phone numbers and SIP users of their calls.

    Put it around the exporter itself, inside `LateFactsExporter`: the later a span comes here, the
    more of its call's numbers are known. `redaction` is read from the environment if None. With
    its `reveal_numbers`, what was said and what stands under a key with a `pii` segment is left as
    it is; all else is redacted the same. `headers` names SIP headers to let through besides the
    technical ones; one that names a person raises `ConfigurationError`. `memory` knows the calls.

    A span with nothing to redact is passed on as the same object. One that cannot be redacted goes
    out without its texts and is counted in `trunktrace.internal_errors`. Nothing is raised.
    """

    def __init__(
        self,
        exporter: SpanExporter,
        *,
        redaction: Redaction | None = None,
        headers: Iterable[str] = (),
        memory: Memory | None = None,
    ) -> None:
        self._exporter = exporter
        self._reveal = (redaction or Redaction.from_environment()).reveal_numbers
        self._headers = checked_headers(headers)
        self._memory = _call_memory() if memory is None else memory
        self._rules: dict[str, Rule] = {}
        self._plain_keys: set[str] = set()
        self._resources: dict[tuple[int, frozenset[str]], tuple[Resource, Resource]] = {}
        installed.note(self)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Export the spans, redacted; FAILURE also where the wrapped exporter raises."""
        redacted = [found for span in spans if (found := self._redacted(span)) is not None]
        try:
            return self._exporter.export(redacted)
        except Exception as error:
            _swallow(f"the exporter {type(self._exporter).__name__}", error)
            return SpanExportResult.FAILURE

    def shutdown(self) -> None:
        """Shut down the wrapped exporter."""
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Flush the wrapped exporter; nothing is held back here."""
        return self._exporter.force_flush(timeout_millis)

    def _redacted(self, span: ReadableSpan) -> ReadableSpan | None:
        """The span without numbers; without any text if that fails; None if even that fails."""
        try:
            call = self._memory.find(span)
            secrets = _NO_SECRETS if call is None else frozenset(call.secrets)
            scrubber = scrubber_for(secrets)
            if self._is_plain(span, scrubber, secrets):
                return span
            return self._redact(span, scrubber, secrets)
        except Exception as error:
            _swallow("RedactingExporter", error)
        try:
            return _without_texts(span)
        except Exception as error:
            _swallow("RedactingExporter, which dropped a span", error)
            return None

    def _is_plain(self, span: ReadableSpan, scrubber: Scrubber, secrets: frozenset[str]) -> bool:
        """One cheap look at all texts of a span at once; most spans have nothing to redact."""
        texts = [span.name, span.status.description or ""]
        if not self._collect(span.attributes, scrubber, texts):
            return False
        for event in span.events:
            texts.append(event.name)
            if not self._collect(event.attributes, scrubber, texts):
                return False
        for link in span.links:
            if not self._collect(link.attributes, scrubber, texts):
                return False
        if scrubber.may_change("\n".join(texts)):
            return False
        return self._resource(span.resource, scrubber, secrets) is span.resource

    def _collect(self, values: Values | None, scrubber: Scrubber, texts: list[str]) -> bool:
        """Add the texts of `values`; False if a key or a kind of value needs a closer look."""
        if not values:
            return True
        plain = self._plain_keys
        for key, value in values.items():
            if key not in plain and not self._is_plain_key(key):
                return False
            if scrubber.key(key) is not key:
                return False
            if type(value) is str:
                texts.append(value)
            elif not _is_small(value) and not _added(value, texts):
                return False
        return True

    def _is_plain_key(self, key: str) -> bool:
        rule = self._rules.get(key) or self._learn(key)
        if rule not in (ordinary, spoken, keep):
            return False
        if len(self._plain_keys) < _MANY:
            self._plain_keys.add(key)
        return True

    def _redact(
        self, span: ReadableSpan, scrubber: Scrubber, secrets: frozenset[str]
    ) -> ReadableSpan:
        name = scrubber.text(span.name)
        attributes = self._values(span.attributes, scrubber)
        events = self._events(span.events, scrubber)
        links = self._links(span.links, scrubber)
        resource = self._resource(span.resource, scrubber, secrets)
        description = span.status.description
        said = scrubber.text(description) if description else description
        if (
            attributes is None
            and events is None
            and links is None
            and name is span.name
            and said is description
            and resource is span.resource
        ):
            return span
        return rebuilt(
            span,
            name=name,
            attributes=dict(span.attributes or {}) if attributes is None else attributes,
            events=_listed(span.events if events is None else events, span.dropped_events),
            links=_listed(span.links if links is None else links, span.dropped_links),
            status=Status(span.status.status_code, said) if said is not description else None,
            resource=resource,
        )

    def _values(
        self, values: Values | None, scrubber: Scrubber, *, said: bool = False
    ) -> dict[str, Any] | None:
        """The attributes redacted, or None if nothing had to be. `said`: all of it is speech."""
        if not values:
            return None
        changed = False
        kept: dict[str, Any] = {}
        for key, value in values.items():
            rule = self._rules.get(key) or self._learn(key)
            if rule is rpc_body and str(values.get(_RPC_METHOD, "")).startswith(_SIP_METHODS):
                rule = drop
            if rule is drop:
                changed = True
                continue
            new = _applied(spoken if said and rule is ordinary else rule, value, scrubber)
            new_key = scrubber.key(key)
            changed = changed or new is not value or new_key is not key
            kept[new_key] = new
        return kept if changed else None

    def _learn(self, key: str) -> Rule:
        rule = rule_of(key, self._headers, reveal=self._reveal)
        if len(self._rules) < _MANY:
            self._rules[key] = rule
        return rule

    def _events(self, events: Sequence[Event], scrubber: Scrubber) -> list[Event] | None:
        changed = False
        kept: list[Event] = []
        for event in events:
            name = scrubber.text(event.name)
            # The GenAI content events hold what was said under keys as plain as `content`.
            said = event.name.startswith("gen_ai.")
            values = self._values(event.attributes, scrubber, said=said)
            if name is event.name and values is None:
                kept.append(event)
                continue
            changed = True
            values = dict(event.attributes or {}) if values is None else values
            bounded = _bounded(values, getattr(event, "dropped_attributes", 0))
            kept.append(Event(name, bounded, event.timestamp))
        return kept if changed else None

    def _links(self, links: Sequence[Link], scrubber: Scrubber) -> list[Link] | None:
        changed = False
        kept: list[Link] = []
        for link in links:
            values = self._values(link.attributes, scrubber)
            changed = changed or values is not None
            dropped = getattr(link, "dropped_attributes", 0)
            kept.append(link if values is None else Link(link.context, _bounded(values, dropped)))
        return kept if changed else None

    def _resource(
        self, resource: Resource, scrubber: Scrubber, secrets: frozenset[str]
    ) -> Resource:
        # One resource for thousands of spans: looked at once for each call. The entry holds the
        # resource, so that its id stays its own.
        key = (id(resource), secrets)
        if (found := self._resources.get(key)) is not None:
            return found[1]
        values = self._values(resource.attributes, scrubber)
        redacted = resource if values is None else Resource(values, resource.schema_url)
        if len(self._resources) >= 256:
            self._resources.clear()
        self._resources[key] = (resource, redacted)
        return redacted


def _applied(rule: Rule, value: Any, scrubber: Scrubber) -> Any:
    """`value` with the rule applied to every text in it; the same object if nothing changed."""
    if isinstance(value, str):
        return rule(value, scrubber)
    if isinstance(value, (bool, float)) or value is None:
        return value
    if isinstance(value, int):
        if value < _SMALLEST_NUMBER:
            return value
        if rule is ordinary or rule is spoken:
            return MASKED if scrubber.holds(value) else value
        text = str(value)
        return value if rule(text, scrubber) == text else MASKED
    if isinstance(value, (bytes, bytearray)):
        text = bytes(value).decode("utf-8", "surrogateescape")
        new = rule(text, scrubber)
        return value if new is text else new.encode("utf-8", "surrogateescape")
    if isinstance(value, Mapping):
        pairs = cast("Mapping[str, Any]", value)
        fresh = {scrubber.key(k): _applied(rule, v, scrubber) for k, v in pairs.items()}
        return pairs if fresh == pairs else fresh
    items = cast("Sequence[Any]", value)
    changed = [_applied(rule, item, scrubber) for item in items]
    if all(old is new for old, new in zip(items, changed, strict=True)):
        return value
    # A list keeps one type: with one number masked, the others become text, too.
    return tuple(map(str, changed)) if int in map(type, items) else tuple(changed)


def _is_small(value: object) -> bool:
    """A number that is no phone number, or a switch."""
    return isinstance(value, float) or (isinstance(value, int) and value < _SMALLEST_NUMBER)


def _added(value: Any, texts: list[str]) -> bool:
    """Whether `value` is a list of texts, which are then added to `texts`."""
    items: Sequence[Any] = value
    if not isinstance(value, tuple) or not all(type(item) is str for item in items):
        return False
    texts.extend(items)
    return True


def _bounded(values: Values, dropped: int) -> Values:
    """Attributes that remember how many the SDK had dropped."""
    if not dropped:
        return values
    bounded = BoundedAttributes(attributes=values, immutable=True)
    bounded.dropped = dropped
    return bounded


def _listed(items: Sequence[Any], dropped: int) -> Sequence[Any]:
    """Events or links that remember how many the SDK had dropped."""
    if not dropped:
        return tuple(items)
    bounded: BoundedList[Any] = BoundedList(len(items))
    bounded.extend(items)
    bounded.dropped = dropped
    return bounded


def _without_texts(span: ReadableSpan) -> ReadableSpan:
    """The span's place and times and our own numbers on it; no text but who sent it."""
    values = span.attributes or {}
    numbers = {
        key: value
        for key, value in values.items()
        if key in ATTRIBUTES and isinstance(value, (int, float))
    }
    sender = {
        key: value
        for key, value in span.resource.attributes.items()
        if key.startswith(("service.", "telemetry."))
    }
    return rebuilt(
        span,
        name=NAME_OF_FAILED,
        attributes=numbers,
        events=(),
        links=(),
        status=Status(span.status.status_code),
        resource=Resource(sender),
    )


def _swallow(place: str, error: Exception) -> None:
    # The message of an error may quote the value that caused it; its type and traceback do not.
    told = RuntimeError(f"{type(error).__name__} (message withheld: it may hold a number)")
    guard.swallowed(place, told.with_traceback(error.__traceback__))
    if guard.reraise:
        raise error


def _call_memory() -> Memory:
    from trunktrace.registry import CallMemory

    return CallMemory()
