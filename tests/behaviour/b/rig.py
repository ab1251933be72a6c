"""Calls of a rig that nobody has seen: the files of a folder, made from what happened.

Field names and messages are those of the captured calls; ids, names, hosts, times and the course of
the call are others. `Line` is one call's media; `Inbound` and `Outbound` write the files.
"""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from . import captured

BEGIN = 1_801_234_567.25
CALLER = "+15553216549"
CALLEE = "+15557410258"


def identifier(prefix: str, chance: random.Random, length: int = 12) -> str:
    """An id as LiveKit makes them."""
    letters = "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"
    return prefix + "".join(chance.choice(letters) for _ in range(length))


@dataclass
class Line:
    """The media of an answered call; times are seconds from the answer.

    `lost(second)` is the chance that the trunk loses a packet towards the agent, `silent` the times
    in which the carrier sends nothing, `agent_lost` the chance that the agent's leg loses one.
    `heard` is whether the bridge can decode what comes.
    """

    talk: float = 30.0
    lost: Callable[[float], float] = lambda _: 0.0
    silent: tuple[tuple[float, float], ...] = ()
    agent_lost: float = 0.0
    heard: bool = True
    every: float = 2.0
    after: int = 2
    before: float = 1.5
    reset_at: float | None = None
    without_last: bool = False
    seed: int = 1
    put_out: int = 0
    removed: int = 0
    arrived: list[float] = field(default_factory=list)
    on_agent: list[float] = field(default_factory=list)
    agent_removed: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        chance = random.Random(self.seed)
        for index in range(int(self.talk * 50)):
            at = index / 50
            if any(start <= at < end for start, end in self.silent):
                continue
            self.put_out += 1
            if chance.random() < self.lost(at):
                self.removed += 1
                continue
            self.arrived.append(at)
            if not self.heard:
                continue
            kept = chance.random() >= self.agent_lost
            (self.on_agent if kept else self.agent_removed).append(at + chance.random() * 0.004)

    @property
    def truth(self) -> float:
        """Share of the packets put out that the trunk lost."""
        return self.removed / self.put_out if self.put_out else 0.0

    def port(self, until: float) -> dict[str, Any]:
        """The bridge's counters of the carrier leg `until` this second."""
        packets = sum(1 for at in self.arrived if at < until)
        share = until / self.talk
        lost = self.removed if until >= self.talk else round(self.removed * share)
        audio = packets if self.heard else 0
        return {
            "streams": 1 if packets else 0, "packets": packets, "packets_input": packets,
            "mux_packets": packets, "mux_bytes": packets * 160, "mux_gaps": lost,
            "mux_gaps_sum": lost * 2, "audio_packets": audio, "audio_bytes": audio * 160,
            "audio_in_frames": audio + (lost if audio else 0), "audio_in_samples": audio * 160,
            "audio_out_frames": int(until * 50), "audio_out_samples": int(until * 50) * 160,
            "jitter_buffer_packets_lost": lost if audio else 0, "dtmf_packets": 0,
            "dtmf_bytes": 0, "mux_rapid_packets": 0, "mux_delayed_packets": 0,
            "mux_delayed_sum": 0,
        }  # fmt: skip

    def samples(self) -> list[dict[str, Any]]:
        """`rtc_stats.jsonl`: what the agent's statistics said each `every` seconds."""
        found = []
        at = self.before
        while at < self.talk + self.every * self.after:
            found.append(self._sample(at))
            at += self.every + 0.002
        if self.without_last:
            found = [s for s in found if _has_inbound(s)][:-1]
        return found

    def _sample(self, at: float) -> dict[str, Any]:
        record = copy.deepcopy(_template())
        stamp = BEGIN + at
        record["t"] = round(stamp + 0.0017, 4)
        kept = []
        for stats in record["publisher"]:
            stats["rtc"]["timestamp"] = round(stamp * 1e6)
            if stats["kind"] == "inbound_rtp":
                if at >= self.talk or not [x for x in self.on_agent if x < at]:
                    continue
                self._fill(stats, at)
            if stats["kind"] == "remote_outbound_rtp":
                if at >= self.talk:
                    continue
                sent = sum(1 for x in (*self.on_agent, *self.agent_removed) if x < at - 1)
                stats["sent"] = {"packets_sent": sent, "bytes_sent": sent * 120}
                stats["remote_outbound"]["remote_timestamp"] = (stamp - 1) * 1000
            if stats["kind"] == "outbound_rtp":
                stats["sent"] = {"packets_sent": int(at * 8), "bytes_sent": int(at * 800)}
            kept.append(stats)
        record["publisher"] = kept
        return record

    def _fill(self, stats: dict[str, Any], at: float) -> None:
        since = self.reset_at if self.reset_at is not None and at > self.reset_at else 0.0
        arrived = [x for x in self.on_agent if since <= x < at]
        gone = [x for x in self.agent_removed if since <= x < at]
        held = sum(max(0.0, min(end, at) - max(start, since)) for start, end in self.silent)
        missing = max(0.0, (at - since - held) * 50 - len(arrived))
        stats["received"] = {
            "packets_received": len(arrived), "packets_lost": len(gone), "jitter": 0.001,
        }  # fmt: skip
        if since:
            stats["rtc"]["id"] = "IT01A777"
            stats["stream"]["ssrc"] = 777
        stats["inbound"].update(
            total_samples_received=round((at - since) * 48_000),
            concealed_samples=round(missing * 96 + held * 48_000),
            silent_concealed_samples=round(held * 47_000),
            concealment_events=round(missing * 0.05),
            inserted_samples_for_deceleration=round(missing * 864),
            removed_samples_for_acceleration=round(at * 40),
            jitter_buffer_emitted_count=round((at - since) * 47_900),
            total_samples_duration=at - since,
            total_audio_energy=at * 0.1,
            last_packet_received_timestamp=(BEGIN + (arrived[-1] if arrived else 0.0)) * 1000,
            bytes_received=len(arrived) * 120,
            header_bytes_received=len(arrived) * 12,
        )


def _has_inbound(sample: dict[str, Any]) -> bool:
    return any(stats["kind"] == "inbound_rtp" for stats in sample["publisher"])


@cache
def _template() -> dict[str, Any]:
    return captured.load("01", "rtc_stats")[3]


@cache
def _statistics() -> dict[str, Any]:
    row = next(r for r in captured.load("01", "livekit-sip") if r["msg"] == "call statistics")
    return dict(row["stats"])


def statistics(line: Line | None, until: float, **room: Any) -> dict[str, Any]:
    """The `stats` of a `call statistics` line."""
    found = copy.deepcopy(_statistics())
    zero = dict.fromkeys((line or Line(talk=1)).port(0.0), 0)
    found["port"].update(line.port(until) if line else zero)
    found["room"].update(input_packets=int(until * 8), track_subscribes=1, published_frames=0)
    found["room"].update(room)
    return found


def speech(talk: float, every: float = 8.0) -> list[tuple[float, float, float, float]]:
    """Turns: caller from, caller until, agent from, agent until; seconds from the answer."""
    turns = []
    at = 3.0
    while at + 5.0 < talk:
        turns.append((at, at + 2.0, at + 2.9, at + 4.4))
        at += every
    return turns


def otlp(name: str, start: float, end: float, key: int, parent: int | None, **extra: Any) -> str:
    """One span as a line of OTLP/JSON."""
    attributes = [
        {"key": k, "value": {"stringValue": v} if isinstance(v, str) else {"doubleValue": v}}
        for k, v in extra.pop("attributes", {}).items()
    ]
    span = {
        "traceId": "5f" * 16, "spanId": f"{key:016x}", "name": name, "kind": 1,
        "parentSpanId": "" if parent is None else f"{parent:016x}",
        "startTimeUnixNano": str(round((BEGIN + start) * 1e9)),
        "endTimeUnixNano": str(round((BEGIN + end) * 1e9)), "attributes": attributes,
        "events": [], "links": [], "status": extra.pop("status", {"code": 0}),
    }  # fmt: skip
    scope = {"scope": {"name": "livekit-agents", "version": ""}, "spans": [span]}
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "desk"}}]}
    return json.dumps({"resourceSpans": [{"resource": resource, "scopeSpans": [scope]}]}) + "\n"


def spans(
    talk: float, think: float = 0.4, stt_fails: bool = False, agent_speaks: bool = True
) -> str:
    """`spans.jsonl` of an answered call; `think` is the LLM's time in each turn."""
    text = ""
    key = 10
    for caller, until, _, _ in speech(talk):
        speaks = until + 0.5 + think
        failed = {"code": 2, "message": "stt failed"} if stt_fails else {"code": 0}
        text += otlp("user_speaking", caller, until, key + 1, key)
        text += otlp("user_turn", caller, until + 0.4, key, 2, status=failed)
        text += otlp("llm_node", until + 0.45, until + 0.45 + think, key + 3, key + 2)
        if not agent_speaks:
            continue
        text += otlp("agent_speaking", speaks, speaks + 1.5, key + 4, key + 2)
        text += otlp("agent_turn", until + 0.4, speaks + 1.6, key + 2, 2)
        key += 10
    text += otlp("agent_session", -0.5, talk + 1, 2, 1)
    return text + otlp("job_entrypoint", -0.8, talk + 3, 1, None)


def dump(path: Path, records: list[dict[str, Any]]) -> None:
    """Write JSON lines."""
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
