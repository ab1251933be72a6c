"""A folder of an inbound call of the unknown rig."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .rig import BEGIN, CALLEE, CALLER, Line, dump, identifier, spans, speech, statistics

SETUP = 0.9


@dataclass
class Inbound:
    """An answered inbound call; what happened is in `line` and the flags."""

    line: Line = field(default_factory=Line)
    seed: int = 7
    codec: str = "PCMU/8000"
    ended: str = "caller"
    """`caller` (BYE), `agent` (the room was deleted), `media-timeout` (the bridge gave up)."""
    jitter_buffer: bool = True
    think: float = 0.4
    stt_fails: bool = False
    from_user: str = CALLER
    headers: dict[str, str] = field(default_factory=dict)
    agent_speaks: bool = True
    room_stats: dict[str, Any] = field(default_factory=dict)
    periodic: bool = True

    def __post_init__(self) -> None:
        chance = random.Random(self.seed)
        self.call_id = identifier("SCL_", chance)
        self.trunk = identifier("ST_", chance)
        self.rule = identifier("SDR_", chance)
        self.room = f"desk-{self.seed}-_{self.from_user}_{identifier('', chance)}"
        self.room_id = identifier("RM_", chance)
        self.sip_call_id = identifier("", chance, 24) + "@sbc.example"
        self.identity = f"sip_{self.from_user}"

    # -- the bridge ---------------------------------------------------------------------------
    def log(self) -> list[dict[str, Any]]:
        """`livekit-sip.jsonl`."""
        talk = self.line.talk
        rows = [
            self._row(-SETUP, "processing invite"),
            self._row(-SETUP + 0.01, "using codecs", **self._codec()),
            self._row(-SETUP + 0.02, "SIP participant joined room", roomID=self.room_id),
            self._row(-0.01, "Accepting the call", headers=None),
            self._row(0.0, "ACK from remote"),
            self._row(0.0, "media timeout enabled", packets=0, initial=30, timeout=15),
        ]
        if self.periodic:
            rows += [self._stats(60.0 * n) for n in range(1, int(talk // 60) + 1) if 60 * n < talk]
        return rows + self._end(talk)

    def _codec(self) -> dict[str, Any]:
        number = {"PCMU/8000": 0, "PCMA/8000": 8, "G722/8000": 9}[self.codec]
        return {"audio-codec": self.codec, "audio-rtp": number, "dtmf-rtp": 101, "srtp": ""}

    def _end(self, talk: float) -> list[dict[str, Any]]:
        result, reason = {
            "caller": ("success", "hangup"),
            "agent": ("success", "removed"),
            "media-timeout": ("indeterminate", "media-timeout"),
        }[self.ended]
        told = {"status": 486, "result": result, "reason": reason}
        rows = []
        if self.ended == "caller":
            raw = 'Q.850;cause=16;text="Normal call clearing"'
            rows.append(
                self._row(
                    talk,
                    "BYE from remote",
                    **{"reason-type": "q.850", "reason-cause": 16, "reason-raw": raw},
                )
            )
        rows += [
            self._row(talk + 0.001, "Closing inbound call", **told),
            self._row(talk + 0.001, "Inbound call closed", **told),
            self._stats(talk, **told),
            self._row(
                talk + 0.002,
                "signaling timestamps",
                **told,
                inviteToTryingMs=0,
                inviteToRingingMs=4,
                inviteToAcceptMs=round(SETUP * 1000),
            ),
        ]
        ended = {
            "level": "info",
            "ts": BEGIN + talk + 0.003,
            "logger": "sip",
            "msg": "SIP call ended",
        }
        return [*rows, {**ended, "callID": self.call_id, "reason": reason}]

    def _stats(self, at: float, **more: Any) -> dict[str, Any]:
        room = {"input_packets": int(at * 8) if self.agent_speaks else 0, **self.room_stats}
        stats = statistics(self.line, at, **room)
        return self._row(at + 0.001, "call statistics", **more, stats=stats, durMin=int(at // 60))

    def _row(self, at: float, message: str, **more: Any) -> dict[str, Any]:
        return {
            "level": "info", "ts": BEGIN + at, "logger": "sip", "caller": "sip/inbound.go:1",
            "msg": message, "callID": self.call_id, "sipCallID": self.sip_call_id,
            "fromIP": "192.0.2.10", "toIP": "198.51.100.4:5060", "fromHost": "192.0.2.10",
            "fromUser": self.from_user, "toHost": "198.51.100.4", "toUser": CALLEE,
            "direction": "inbound", "transport": "udp", "sipTrunk": self.trunk,
            "jitterBuf": self.jitter_buffer, "sipRule": self.rule, "room": self.room, **more,
        }  # fmt: skip

    # -- the room -----------------------------------------------------------------------------
    def attributes(self, status: str) -> dict[str, str]:
        """The SIP participant's attributes."""
        headers = {f"sip.h.{key.lower()}": value for key, value in self.headers.items()}
        return {
            "sip.callID": self.call_id, "sip.callIDFull": self.sip_call_id, "sip.callTag": "t1",
            "sip.callStatus": status, "sip.hostname": "192.0.2.10", "sip.ruleID": self.rule,
            "sip.phoneNumber": self.from_user, "sip.trunkPhoneNumber": CALLEE,
            "sip.trunkID": self.trunk, **headers,
        }  # fmt: skip

    def _party(self, status: str, reason: str | None) -> dict[str, Any]:
        return {
            "identity": self.identity, "name": f"Phone {self.from_user}", "sid": "PA_x1",
            "kind": "PARTICIPANT_KIND_SIP", "metadata": "", "attributes": self.attributes(status),
            "disconnect_reason": reason,
        }  # fmt: skip

    def events(self) -> list[dict[str, Any]]:
        """`participant.jsonl`."""
        talk = self.line.talk
        agent = "agent-AJ_x"
        rows = [
            (-0.1, "wait_for_participant", {"participant": self._party("ringing", None)}),
            (-0.05, "track_subscribed", {"identity": self.identity, "mime": "audio/opus"}),
            (0.03, "participant_attributes_changed",
             {"identity": self.identity, "changed": {"sip.callStatus": "active"}}),
        ]  # fmt: skip
        if self.headers:
            rows.append(
                (
                    0.2,
                    "rpc_GetRemoteHeaders",
                    {"took_ms": 2.0, "response": {"headers": dict(self.headers)}},
                )
            )
        for _, until, speaks, done in speech(talk) if self.agent_speaks else []:
            for at, state in ((until + 0.5, "thinking"), (speaks, "speaking"), (done, "listening")):
                changed = {"identity": agent, "changed": {"lk.agent.state": state}}
                rows.append((at, "participant_attributes_changed", changed))
        changed = {"identity": self.identity, "changed": {"sip.callStatus": "hangup"}}
        left = {"participant": self._party("hangup", self._left())}
        rows += (
            [(talk + 0.002, "participant_attributes_changed", changed)]
            if self.ended != "agent"
            else []
        )
        rows += [
            (talk + 0.01, "participant_disconnected", left),
            (talk + 3, "room_disconnected", {"reason": "10"}),
            (talk + 3, "shutdown_callback", {"reason": "job ended", "remote_participants": 0}),
        ]
        return [{"t": round(BEGIN + at, 4), "event": name, **more} for at, name, more in rows]

    def _left(self) -> str:
        return "PARTICIPANT_REMOVED" if self.ended == "agent" else "CLIENT_INITIATED"

    def webhooks(self) -> list[dict[str, Any]]:
        """`webhooks.jsonl`."""
        room = {
            "sid": self.room_id,
            "name": self.room,
            "creationTimeMs": str(round((BEGIN - SETUP) * 1000)),
        }
        party = {
            "sid": "PA_x1", "identity": self.identity, "name": f"Phone {self.from_user}",
            "kind": "SIP", "joinedAtMs": str(round((BEGIN - SETUP) * 1000)),
        }  # fmt: skip
        here = {**party, "state": "ACTIVE", "attributes": self.attributes("ringing")}
        gone = {
            **party, "state": "DISCONNECTED", "attributes": self.attributes("hangup"),
            "disconnectReason": self._left(),
        }  # fmt: skip
        rows = [
            (-SETUP, {"event": "room_started", "room": room}),
            (-SETUP, {"event": "participant_joined", "room": room, "participant": here}),
            (self.line.talk, {"event": "participant_left", "room": room, "participant": gone}),
            (self.line.talk + 4, {"event": "room_finished", "room": room}),
        ]
        return [
            {**row, "id": f"EV_{n}", "createdAt": str(int(BEGIN + at))}
            for n, (at, row) in enumerate(rows)
        ]

    def write(self, folder: Path, *kinds: str) -> Path:
        """Write the folder, or only some of its files."""
        folder.mkdir(parents=True, exist_ok=True)
        wanted = kinds or ("livekit-sip", "webhooks", "participant", "rtc_stats", "spans")
        makers = {
            "livekit-sip": self.log, "webhooks": self.webhooks, "participant": self.events,
            "rtc_stats": self.line.samples,
        }  # fmt: skip
        for kind in wanted:
            if kind == "spans":
                text = spans(self.line.talk, self.think, self.stt_fails, self.agent_speaks)
                (folder / "spans.jsonl").write_text(text)
            else:
                dump(folder / f"{kind}.jsonl", makers[kind]())
        return folder
