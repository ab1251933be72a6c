"""The RTC statistics of the captured calls, and what is true about the trunk in them."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from google.protobuf import json_format
from livekit.rtc._proto import stats_pb2

from trunktrace.quality.rtc import Sample
from trunktrace.sources.livekit.rtc import read

CAPTURES = Path(__file__).parents[1] / "replay" / "captures"
CLEAN = (
    "01-inbound-clean-pcmu",
    "02-inbound-clean-pcma",
    "05-outbound-answered",
    "07-outbound-503-failover",
    "10-inbound-anonymous-pai",
)
LOSSY = ("03-inbound-loss10", "04-inbound-loss3-nft")
ONE_WAY = "09-inbound-one-way"
RECORDED = Path(__file__).parent / "recorded"
NEVER_ANSWERED = ("06-outbound-486", "08-outbound-no-answer")


def file_of(name: str) -> bytes:
    return (CAPTURES / name / "rtc_stats.jsonl").read_bytes()


@cache
def samples_of(name: str) -> tuple[Sample, ...]:
    samples, broken = read(file_of(name))
    assert not broken
    return samples


def truth_of(name: str) -> float:
    """Share of the packets put out by the carrier that never reached the bridge."""
    facts = json.loads((CAPTURES / name / "facts.json").read_text("utf-8"))
    counted = facts["loss"]["carrier_to_bridge"]
    return float(counted["removed"] / counted["packets_put_out"])


@cache
def recorded(name: str) -> tuple[tuple[Sample, ...], float]:
    """(samples, share of packets lost) of a recording; see its README."""
    samples, broken = read((RECORDED / f"{name}.jsonl").read_bytes())
    assert not broken
    facts = json.loads((RECORDED / "facts.json").read_text("utf-8"))[name]
    return samples, facts["lost"] / facts["put_out"]


def messages_of(name: str) -> list[list[Any]]:
    """Each look of a capture as LiveKit gives it: protobuf statistics."""
    looks = []
    for line in file_of(name).splitlines():
        look = json.loads(line)
        entries = [*look["publisher"], *look["subscriber"]]
        looks.append([_message(entry) for entry in entries])
    return looks


def _message(entry: dict[str, Any]) -> Any:
    fields = {key: value for key, value in entry.items() if key != "kind"}
    message = stats_pb2.RtcStats()
    json_format.ParseDict({entry["kind"]: fields}, message, ignore_unknown_fields=True)
    return message
