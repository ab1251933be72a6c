"""Records of the captured calls, and lines of our own in their shape."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

CAPTURES = Path(__file__).parents[1] / "replay" / "captures"
NAMES = tuple(sorted(path.name for path in CAPTURES.iterdir() if path.is_dir()))
INBOUND = tuple(name for name in NAMES if "inbound" in name)
OUTBOUND = tuple(name for name in NAMES if "outbound" in name)
ANSWERED = tuple(name for name in NAMES if not name.startswith(("06", "08")))

FILES = {
    "livekit-sip": "livekit-sip.jsonl",
    "livekit-webhook": "webhooks.jsonl",
    "livekit-participant": "participant.jsonl",
    "livekit-rtc": "rtc_stats.jsonl",
    "livekit-spans": "spans.jsonl",
}


@cache
def data(name: str, source: str) -> bytes:
    """The file of a captured call that a source reads."""
    return (CAPTURES / name / FILES[source]).read_bytes()


@cache
def truth(name: str) -> dict[str, Any]:
    """What was set up, and what the far end measured."""
    facts: dict[str, Any] = json.loads((CAPTURES / name / "facts.json").read_text())
    return facts


def lines(*records: dict[str, Any]) -> bytes:
    """Records as JSON Lines."""
    return b"".join(json.dumps(record).encode() + b"\n" for record in records)
