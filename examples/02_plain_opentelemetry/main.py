"""A call without LiveKit: the trunk's facts on every span of it, printed to the console.

pip install trunktrace
python main.py
"""

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor

import trunktrace


def main() -> None:
    provider = TracerProvider()
    provider.add_span_processor(trunktrace.CallSpanProcessor())
    provider.add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter()))
    trace.set_tracer_provider(provider)
    tracer = trace.get_tracer("plain-agent")

    with trunktrace.start_call(direction="inbound", carrier="telnyx", route="us-east") as call:
        with tracer.start_as_current_span("recognise"):
            # Known only now: it goes on `recognise`, which is open, and on all that follows.
            call.record(codec="PCMU", status_code=200, caller_number="+15550100001")
        with tracer.start_as_current_span("answer"):
            pass


if __name__ == "__main__":
    main()
