"""Draws one call, as Jaeger's API returned it, into the README's picture.

Run by `python scripts/draw_trace.py [FILE]`. The call is an ordinary one of the end-to-end tests: a
caller over a trunk that loses packets in the second turn.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from trunktrace.demo.picture import trace_tree, write_svg
from trunktrace.demo.wire import SpanRecord

from .calls import CONVERSATION, TELNYX, inbound
from .harness import run_inbound
from .jaeger_api import Span, Trace
from .servers import JaegerServer, LiveKitServer
from .worker import Worker, WorkerOptions

PICTURE = Path(__file__).resolve().parents[2] / "docs" / "images" / "trace.svg"
WIDTH = 100
LOSSES: list[float | None] = [0.004, 0.062]
TURNS = CONVERSATION[:2]

# How LiveKit sets a session up and tears it down, and its wrappers around one request: true, and
# carrying the same facts, but not what the picture is about.
_LEFT_OUT = ("session_start", "session_close", "job_shutdown")
_FOLDED = ("tts_stream_adapter", "llm_request_run", "tts_request_run", "eou_wait")


def call() -> Trace:
    """Make the call, and read it back from Jaeger."""
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder)
        with LiveKitServer(directory) as livekit, JaegerServer(directory) as jaeger:
            options = WorkerOptions(provider="environment")
            with Worker(directory, livekit, jaeger, options) as worker:
                truth = inbound(TELNYX)
                truth.job = {"losses": LOSSES}
                return run_inbound(worker, truth, TURNS).spans


def shown(spans: Trace) -> list[SpanRecord]:
    """The spans of the picture: without the session's own beginning and end, wrappers folded."""
    by_id = {span.span_id: span for span in spans}
    records: list[SpanRecord] = []
    for span in spans:
        parents = _parents(span, by_id)
        if any(one.name in _LEFT_OUT for one in (span, *parents)) or span.name in _FOLDED:
            continue
        parent = next((one for one in parents if one.name not in _FOLDED), None)
        records.append(_record(span, parent))
    return records


def _parents(span: Span, by_id: dict[str, Span]) -> list[Span]:
    found: list[Span] = []
    while span.parent_id in by_id:
        span = by_id[span.parent_id]
        found.append(span)
    return found


def _record(span: Span, parent: Span | None) -> SpanRecord:
    return SpanRecord(
        trace_id=span.trace_id,
        span_id=span.span_id,
        parent_id=None if parent is None else parent.span_id,
        name=span.name,
        start_ns=span.start_ns,
        end_ns=span.end_ns,
        error=span.status == "error",
        attributes=span.attributes,
    )


def main() -> int:
    """Make the call and write the picture; says how many spans it shows of how many."""
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else PICTURE
    spans = call()
    drawn = shown(spans)
    lacking = [span.name for span in spans if "trunk.carrier" not in span.attributes]
    if lacking:
        sys.stderr.write(f"not drawn: without a carrier are {lacking}\n")
        return 1
    path.parent.mkdir(parents=True, exist_ok=True)
    title = f"One call, from Jaeger: {len(drawn)} of its {len(spans)} spans"
    write_svg(trace_tree(drawn), path, width=WIDTH, title=title)
    sys.stderr.write(f"{path}: {len(drawn)} of {len(spans)} spans, all with a carrier\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
