"""A call over three trunks without a phone, and what the trace says of it: python main.py

The carriers are played (pretend.py); the rest is what runs in a real agent.
"""

import asyncio
from typing import Any

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from pretend import Carrier, PretendLiveKit

import trunktrace

DIRECTORY = trunktrace.Directory.parse(
    """
    [trunks.ST_one]
    carrier = "telnyx"
    [trunks.ST_two]
    carrier = "twilio"
    [trunks.ST_three]
    carrier = "backup"
    """
)
CALLS = {
    "one carrier is down": {"ST_one": Carrier(503, "Service Unavailable"), "ST_two": Carrier(200)},
    "the callee is busy": {"ST_one": Carrier(486, "Busy Here"), "ST_two": Carrier(200)},
    "the phone has rung": {"ST_one": Carrier(503, "No", rings=True), "ST_two": Carrier(200)},
    "nobody gets through": {
        "ST_one": Carrier(500, "Server Internal Error"),
        "ST_two": Carrier(503, "Service Unavailable"),
        "ST_three": Carrier(404, "Not Found"),
    },
}


@trunktrace.traced_call(directory=DIRECTORY)
async def entrypoint(ctx: Any, trunks: list[str]) -> None:
    try:
        result = await trunktrace.dial(ctx, "+15550100001", trunks=trunks, backoff_s=0.1)
    except trunktrace.DialFailed as failed:
        print("  not reached:", failed)
    else:
        print("  answered, attempt", len(result.attempts))


async def main() -> None:
    spans = InMemorySpanExporter()
    exporter = trunktrace.LateFactsExporter(trunktrace.RedactingExporter(spans))
    provider = TracerProvider()
    provider.add_span_processor(trunktrace.CallSpanProcessor())
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)

    for title, carriers in CALLS.items():
        print(title)
        async with PretendLiveKit(carriers) as livekit:
            with provider.get_tracer("main").start_as_current_span("job_entrypoint"):
                await entrypoint(livekit.ctx, list(carriers))
                livekit.ctx.room.disconnect()
        provider.force_flush()
        for span in spans.get_finished_spans():
            told = dict(span.attributes or {})
            linked = f", after span {span.links[0].context.span_id:016x}" if span.links else ""
            print(f"  {span.name} {span.context.span_id:016x}{linked}")
            for key in ("trunk.carrier", "sip.response.status_code", "sip.call.outcome",
                        "trunk.fault", "trunk.failover.path"):  # fmt: skip
                if key in told:
                    print(f"    {key} = {told[key]}")
        spans.clear()


if __name__ == "__main__":
    asyncio.run(main())
