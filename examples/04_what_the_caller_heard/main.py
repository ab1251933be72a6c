"""A call with a bad stretch, and what trunktrace makes of it. Needs no server: python main.py

Whoever counted the packets of the trunk (a bridge, an SBC) states them in windows. The turns of the
bad stretch get its loss, the root gets the finding, the verdict and a score.
"""

import time

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import trunktrace

WINDOW_S = 5.0
PACKETS = 250
LOST = (0, 0, 0, 0, 20, 25, 22, 30, 0, 0, 0, 0)


def main() -> None:
    spans = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(trunktrace.CallSpanProcessor())
    provider.add_span_processor(SimpleSpanProcessor(spans))
    trace.set_tracer_provider(provider)

    begin = time.time() - WINDOW_S * len(LOST)
    facts = {"direction": "inbound", "carrier": "bargain", "status_code": 200, "codec": "pcmu"}
    with trunktrace.start_call(**facts) as call:
        call.expect(country="DE")
        for number, lost in enumerate(LOST):
            start = begin + number * WINDOW_S
            call.record_media(
                leg="trunk",
                direction="in",
                start=start,
                end=start + WINDOW_S,
                packet_count=PACKETS - lost,
                lost_count=lost,
                loss_ratio=lost / PACKETS,
                source="sbc",
            )
        call.record_task("completed")

    (root,) = spans.get_finished_spans()
    for event in root.events:
        print(f"event {event.name}: {dict(event.attributes or {})}")
    for key, value in sorted((root.attributes or {}).items()):
        print(f"{key} = {value}")


if __name__ == "__main__":
    main()
