"""A copy of an ended span with other contents, made with the SDK's public constructor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from opentelemetry.attributes import BoundedAttributes
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.trace import Link, Status
from opentelemetry.util.types import AttributeValue


def rebuilt(
    span: ReadableSpan,
    *,
    attributes: Mapping[str, AttributeValue],
    name: str | None = None,
    events: Sequence[Event] | None = None,
    links: Sequence[Link] | None = None,
    status: Status | None = None,
    resource: Resource | None = None,
) -> ReadableSpan:
    """`span` with these attributes, and with what else is given; the rest stays.

    The count of dropped attributes is kept; those of events and links are 0 in the copy where the
    SDK has no public way to carry them.
    """
    bounded = BoundedAttributes(attributes=attributes, immutable=False)
    bounded.dropped = span.dropped_attributes
    return ReadableSpan(
        name=span.name if name is None else name,
        context=span.context,
        parent=span.parent,
        resource=span.resource if resource is None else resource,
        attributes=bounded,
        events=span.events if events is None else events,
        links=span.links if links is None else links,
        kind=span.kind,
        status=span.status if status is None else status,
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )
