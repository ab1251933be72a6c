"""A folder of an outbound call of the unknown rig: attempts over trunks, and what came of them."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .rig import BEGIN, CALLEE, CALLER, Line, dump, identifier, otlp, spans, speech, statistics

PHRASES = {
    200: "OK", 400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found",
    407: "Proxy Authentication Required", 408: "Request Timeout", 410: "Gone",
    480: "Temporarily Unavailable", 484: "Address Incomplete", 486: "Busy Here",
    487: "Request Terminated", 488: "Not Acceptable Here", 482: "Loop Detected",
    500: "Server Internal Error", 502: "Bad Gateway", 503: "Service Unavailable",
    504: "Server Time-out", 600: "Busy Everywhere", 603: "Decline", 604: "Does Not Exist Anywhere",
    607: "Unwanted", 608: "Rejected",
}  # fmt: skip
_CLASSES = {
    486: "busy", 600: "busy", 404: "not-found", 408: "request-timeout", 480: "unavailable",
    403: "forbidden", 401: "auth-required", 407: "auth-required", 488: "not-acceptable",
}  # fmt: skip
_TWIRP = {
    486: ("resource_exhausted", 429), 404: ("not_found", 404), 603: ("permission_denied", 403),
    503: ("failed_precondition", 412), 408: ("deadline_exceeded", 408),
}  # fmt: skip


@dataclass
class Try:
    """One INVITE: over which trunk, and its final code; None is no answer within the timeout."""

    trunk: str
    code: int | None = 200
    phrase: str | None = None
    ringing: bool = True
    took: float = 0.6
    host: str = "203.0.113.20:5060"


@dataclass
class Outbound:
    """An outbound call; the last try that answers has the media of `line`."""

    tries: list[Try]
    line: Line = field(default_factory=Line)
    seed: int = 11
    ended: str = "callee"
    room_stats: dict[str, Any] = field(default_factory=dict)
    think: float = 0.4

    def __post_init__(self) -> None:
        chance = random.Random(self.seed)
        trunks = sorted({each.trunk for each in self.tries})
        self.trunks = {name: identifier("ST_", chance) for name in trunks}
        self.call_ids = [identifier("SCL_", chance) for _ in self.tries]
        self.sip_ids = [identifier("", chance, 27) for _ in self.tries]
        self.room, self.room_id = f"dial-{self.seed}", identifier("RM_", chance)
        starts, at = [], 0.0
        for each in reversed(self.tries):
            at -= each.took + 0.35
            starts.append(at)
        self.starts = starts[::-1]

    @property
    def answered(self) -> bool:
        """Whether the last try was answered."""
        return self.tries[-1].code == 200

    # -- the bridge ---------------------------------------------------------------------------
    def log(self) -> list[dict[str, Any]]:
        """`livekit-sip.jsonl`."""
        rows: list[dict[str, Any]] = []
        for index, each in enumerate(self.tries):
            start = self.starts[index]
            rows.append(self._row(index, start, "Creating SIP participant"))
            rows.append(
                self._row(index, start + 0.02, "SIP participant joined room", roomID=self.room_id)
            )
            rows += self._answered(index) if each.code == 200 else self._failed(index, each)
        return rows

    def _failed(self, index: int, each: Try) -> list[dict[str, Any]]:
        at = self.starts[index] + each.took
        level = "SIP invite failed"
        if each.code is None:
            error, told = "sip request timed out", (8, "client_error", "no-answer")
        else:
            text = f"sip status: {each.code}: {each.phrase or PHRASES[each.code]}"
            severe = 500 <= each.code < 600
            error = (
                f"unexpected status from INVITE response: {text}"
                if severe
                else f"INVITE failed: {text}"
            )
            family = "client-error" if each.code < 600 else "global-decline"
            known = _CLASSES.get(each.code, f"{family}-{each.code}")
            told = (9, "client_error", known)
            if severe:
                told = (0, "upstream_error", f"upstream-server-error-{each.code}")
        fields = dict(zip(("status", "result", "reason"), told, strict=True))
        times = {"apiToInviteMs": 20, "inviteToTryingMs": 1}
        if each.ringing:
            times["inviteToRingingMs"] = 60
        stats = statistics(None, 0.0, track_subscribes=0)
        return [
            self._row(index, at, level, error=error),
            self._row(index, at, "SIP call failed", error=error),
            self._row(index, at + 0.001, "Closing outbound call", **fields),
            self._row(index, at + 0.002, "call statistics", stats=stats, durMin=0),
            self._row(index, at + 0.003, "signaling timestamps", **fields, **times),
            self._row(index, at + 0.003, "SIP call ended", reason=told[2]),
        ]  # fmt: skip

    def _answered(self, index: int) -> list[dict[str, Any]]:
        talk = self.line.talk
        result = {
            "callee": ("success", "bye"), "agent": ("success", "removed"),
            "media-timeout": ("indeterminate", "media-timeout"),
        }[self.ended]  # fmt: skip
        fields = {"status": 6, "result": result[0], "reason": result[1]}
        bye = [self._row(index, talk, "BYE from remote")] if self.ended == "callee" else []
        took = round(-self.starts[index] * 1000 - 20)
        codec = {"audio-codec": "PCMA/8000", "audio-rtp": 8, "dtmf-rtp": 101, "srtp": ""}
        stats = statistics(self.line, talk, **self.room_stats)
        times = {
            "apiToInviteMs": 20, "inviteToTryingMs": 1, "inviteToRingingMs": 60,
            "inviteToAcceptMs": took, "acceptToAckMs": 4,
        }  # fmt: skip
        return [
            self._row(index, -0.01, "using codecs", **codec),
            self._row(index, 0.0, "Outbound SIP call established"),
            *bye,
            self._row(index, talk + 0.001, "Closing outbound call", **fields),
            self._row(index, talk + 0.002, "call statistics", stats=stats, durMin=0),
            self._row(index, talk + 0.003, "signaling timestamps", **fields, **times),
            self._row(index, talk + 0.003, "SIP call ended", reason=result[1]),
        ]  # fmt: skip

    def _row(self, index: int, at: float, message: str, **more: Any) -> dict[str, Any]:
        return {
            "level": "info", "ts": BEGIN + at, "logger": "sip", "caller": "sip/outbound.go:1",
            "msg": message, "sipTrunk": self.trunks[self.tries[index].trunk],
            "callID": self.call_ids[index], "room": self.room, "participant": f"callee-{index + 1}",
            "participantName": "", "fromHost": "198.51.100.4", "fromUser": CALLER,
            "toHost": "203.0.113.20", "toUser": CALLEE, "reqHost": "203.0.113.20",
            "reqUser": CALLEE, "direction": "outbound", "jitterBuf": True,
            "sipCallID": self.sip_ids[index], **more,
        }  # fmt: skip

    # -- the room -----------------------------------------------------------------------------
    def _party(self, index: int, status: str, reason: str | None) -> dict[str, Any]:
        each = self.tries[index]
        attributes = {
            "sip.trunkID": self.trunks[each.trunk], "sip.trunkPhoneNumber": CALLER,
            "sip.hostname": each.host, "sip.phoneNumber": CALLEE, "sip.callStatus": status,
            "sip.callID": self.call_ids[index],
        }  # fmt: skip
        if status in ("active", "hangup"):
            attributes["sip.callIDFull"] = self.sip_ids[index]
        return {
            "identity": f"callee-{index + 1}", "name": "", "kind": "PARTICIPANT_KIND_SIP",
            "sid": f"PA_{index}", "metadata": "", "attributes": attributes,
            "disconnect_reason": reason,
        }  # fmt: skip

    def events(self) -> list[dict[str, Any]]:
        """`participant.jsonl`."""
        rows: list[tuple[float, str, dict[str, Any]]] = []
        for index, each in enumerate(self.tries):
            start, who = self.starts[index], {"identity": f"callee-{index + 1}"}
            rows.append(
                (
                    start + 0.05,
                    "participant_connected",
                    {"participant": self._party(index, "dialing", None)},
                )
            )
            if each.ringing:
                rows.append(
                    (
                        start + 0.1,
                        "participant_attributes_changed",
                        {**who, "changed": {"sip.callStatus": "ringing"}},
                    )
                )
            made = {
                "attempt": index + 1,
                "trunk": self.trunks[each.trunk],
                "took_s": each.took + 0.05,
            }
            if each.code == 200:
                rows += self._talk(index, who, made)
            else:
                rows.append(
                    (
                        start + each.took + 0.05,
                        "create_sip_participant",
                        {**made, "ok": False, **_raised(each)},
                    )
                )
                left = {
                    "participant": self._party(
                        index, "ringing" if each.ringing else "dialing", _reason(each)
                    )
                }
                rows.append((start + each.took + 0.06, "participant_disconnected", left))
        end = self.line.talk + 3 if self.answered else 0.5
        rows.append((end, "room_disconnected", {"reason": "10" if self.answered else "1"}))
        rows.append((end, "shutdown_callback", {"reason": "done", "remote_participants": 0}))
        return [{"t": round(BEGIN + at, 4), "event": name, **more} for at, name, more in rows]

    def _talk(
        self, index: int, who: dict[str, Any], made: dict[str, Any]
    ) -> list[tuple[float, str, dict[str, Any]]]:
        talk = self.line.talk
        response = {
            "participant_identity": who["identity"],
            "sip_call_id": self.call_ids[index],
            "room_name": self.room,
        }
        changed = "participant_attributes_changed"
        rows: list[tuple[float, str, dict[str, Any]]] = [
            (-0.1, "track_subscribed", {**who, "mime": "audio/opus"}),
            (
                0.0,
                changed,
                {**who, "changed": {"sip.callIDFull": self.sip_ids[index], "sip.callTag": "t9"}},
            ),
            (0.005, "create_sip_participant", {**made, "ok": True, "response": response}),
            (0.04, changed, {**who, "changed": {"sip.callStatus": "active"}}),
        ]
        for _, until, speaks, done in speech(talk):
            for at, state in ((until + 0.5, "thinking"), (speaks, "speaking"), (done, "listening")):
                rows.append(
                    (at, changed, {"identity": "agent-AJ_x", "changed": {"lk.agent.state": state}})
                )
        reason = "PARTICIPANT_REMOVED" if self.ended == "agent" else "CLIENT_INITIATED"
        if self.ended != "agent":
            rows.append((talk, changed, {**who, "changed": {"sip.callStatus": "hangup"}}))
        rows.append(
            (
                talk + 0.01,
                "participant_disconnected",
                {"participant": self._party(index, "hangup", reason)},
            )
        )
        return rows

    def webhooks(self) -> list[dict[str, Any]]:
        """`webhooks.jsonl`."""
        room = {"sid": self.room_id, "name": self.room}
        rows: list[dict[str, Any]] = [
            {"event": "room_started", "room": room, "createdAt": str(int(BEGIN + self.starts[0]))}
        ]
        for index, each in enumerate(self.tries):
            for event, state, status, reason, at in (
                ("participant_joined", "ACTIVE", "dialing", None, self.starts[index]),
                ("participant_left", "DISCONNECTED",
                 "hangup" if each.code == 200 else "ringing", _reason(each),
                 self.line.talk if each.code == 200 else self.starts[index] + each.took),
            ):  # fmt: skip
                party = self._party(index, status, None)
                party.pop("disconnect_reason")
                party |= {
                    "kind": "SIP",
                    "state": state,
                    "joinedAtMs": str(round((BEGIN + self.starts[index]) * 1000)),
                }
                party |= {} if reason is None else {"disconnectReason": reason}
                rows.append(
                    {
                        "event": event,
                        "room": room,
                        "participant": party,
                        "createdAt": str(int(BEGIN + at)),
                    }
                )
        return [{**row, "id": f"EV_{n}"} for n, row in enumerate(rows)]

    def write(self, folder: Path, *kinds: str) -> Path:
        """Write the folder, or only some of its files."""
        folder.mkdir(parents=True, exist_ok=True)
        wanted = kinds or ("livekit-sip", "webhooks", "participant", "rtc_stats", "spans")
        for kind in wanted:
            if kind == "spans":
                root = otlp("job_entrypoint", self.starts[0] - 0.5, 0.6, 1, None)
                (folder / "spans.jsonl").write_text(
                    spans(self.line.talk, self.think) if self.answered else root
                )
            else:
                made = {
                    "livekit-sip": self.log,
                    "webhooks": self.webhooks,
                    "participant": self.events,
                }.get(kind)
                dump(
                    folder / f"{kind}.jsonl",
                    made() if made else self.line.samples() if self.answered else [],
                )
        return folder


def _reason(each: Try) -> str:
    if each.code == 200 or (each.code and 500 <= each.code < 600):
        return "CLIENT_INITIATED"
    return "USER_UNAVAILABLE" if each.code in (None, 404, 408, 480) else "USER_REJECTED"


def _raised(each: Try) -> dict[str, Any]:
    if each.code is None:
        return {
            "exc_type": "ServerError", "code": "canceled", "status": 408, "metadata": {},
            "message": "twirp error unknown: sip request timed out", "sip_status_code": None,
            "sip_status": None, "text": "ServerError(code=canceled, message=..., status=408)",
        }  # fmt: skip
    phrase = each.phrase or PHRASES[each.code]
    code, status = _TWIRP.get(each.code, ("failed_precondition", 412))
    return {
        "exc_type": "SipCallError", "code": code, "status": status,
        "message": f"twirp error unknown: INVITE failed: sip status: {each.code}: {phrase}",
        "metadata": {"sip_status": phrase, "sip_status_code": str(each.code)},
        "sip_status_code": each.code, "sip_status": phrase,
        "text": f"SIP call failed: {each.code} {phrase} ({code})",
    }  # fmt: skip
