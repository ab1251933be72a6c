"""HEP packets and SIP messages for tests, built field by field."""

from __future__ import annotations

import ipaddress
import json
import struct
from dataclasses import dataclass, field
from typing import Any

CALLER, PROXY, EAST, WEST = "192.0.2.101", "192.0.2.10", "192.0.2.111", "192.0.2.112"
ALICE, BOB = "+15555550199", "+15555550101"
T0 = 1_795_400_000.0


def chunk(kind: int, data: bytes, vendor: int = 0) -> bytes:
    """One chunk with its head."""
    return struct.pack(">HHH", vendor, kind, 6 + len(data)) + data


def packet(
    payload: bytes | str,
    *,
    at: float,
    source: str,
    target: str,
    kind: int = 1,
    source_port: int = 5060,
    target_port: int = 5060,
    correlation: str | None = None,
    extra: bytes = b"",
) -> bytes:
    """A HEP3 packet; `at` is seconds after `T0`."""
    body = payload.encode() if isinstance(payload, str) else payload
    hosts = [ipaddress.ip_address(one) for one in (source, target)]
    is_six = hosts[0].version == 6
    micros = round((T0 + at) * 1e6)
    data = (
        chunk(1, bytes((10 if is_six else 2,))) + chunk(2, b"\x11")
        + chunk(5 if is_six else 3, hosts[0].packed) + chunk(6 if is_six else 4, hosts[1].packed)
        + chunk(7, struct.pack(">H", source_port)) + chunk(8, struct.pack(">H", target_port))
        + chunk(9, struct.pack(">I", micros // 1_000_000))
        + chunk(10, struct.pack(">I", micros % 1_000_000))
        + chunk(11, bytes((kind,))) + chunk(12, struct.pack(">I", 2001)) + extra
    )  # fmt: skip
    if correlation is not None:
        data += chunk(17, correlation.encode())
    data += chunk(15, body)
    return b"HEP3" + struct.pack(">H", 6 + len(data)) + data


def sdp(host: str, port: int, *formats: str, more: tuple[str, ...] = ()) -> str:
    """A session description; `formats` like `0 PCMU/8000`."""
    numbers = " ".join(one.split()[0] for one in formats)
    maps = [f"a=rtpmap:{one}" for one in formats]
    lines = ["v=0", f"o=- 1 1 IN IP4 {host}", "s=-", f"c=IN IP4 {host}", "t=0 0",
             f"m=audio {port} RTP/AVP {numbers}", *maps, *more]  # fmt: skip
    return "\r\n".join(lines) + "\r\n"


PCMU = ("0 PCMU/8000", "101 telephone-event/8000")


@dataclass
class Leg:
    """One hop of a call: its messages, as a capture agent sends them."""

    call_id: str
    client: str = CALLER
    server: str = PROXY
    caller: str = ALICE
    callee: str = BOB
    packets: list[bytes] = field(default_factory=list)

    def say(
        self,
        at: float,
        line: str,
        cseq: str,
        *,
        by: str = "client",
        tagged: bool = True,
        branch: str = "b1",
        headers: tuple[str, ...] = (),
        body: str = "",
    ) -> Leg:
        """Add a message; `line` is a method or `CODE phrase`."""
        is_answer = line[0].isdigit()
        first = (
            f"SIP/2.0 {line}" if is_answer else f"{line} sip:{self.callee}@{self.server} SIP/2.0"
        )
        tag = ";tag=to1" if tagged else ""
        lines = [
            first, f"Via: SIP/2.0/UDP {self.client};branch=z9hG4bK-{branch}",
            f"From: <sip:{self.caller}@{self.client}>;tag=from1",
            f"To: <sip:{self.callee}@{self.server}>{tag}", f"Call-ID: {self.call_id}",
            f"CSeq: {cseq}", *headers,
        ]  # fmt: skip
        if body:
            lines.append("Content-Type: application/sdp")
        lines.append(f"Content-Length: {len(body.encode())}")
        text = "\r\n".join([*lines, "", body])
        from_, to = (self.client, self.server) if by == "client" else (self.server, self.client)
        self.packets.append(packet(text, at=at, source=from_, target=to))
        return self

    def invite(self, at: float, **more: Any) -> Leg:
        """The INVITE that begins the call, with an offer."""
        more.setdefault("body", sdp(self.client, 4000, *PCMU, "8 PCMA/8000"))
        return self.say(at, "INVITE", "1 INVITE", tagged=False, **more)

    def answer(self, at: float, line: str = "200 OK", **more: Any) -> Leg:
        """The final answer; a 200 has an answer to the offer."""
        if line.startswith("200"):
            more.setdefault("body", sdp(self.server, 6000, *PCMU, more=("a=ptime:20",)))
        return self.say(at, line, "1 INVITE", by="server", **more)

    def bye(self, at: float, by: str = "client") -> Leg:
        """The BYE of one side and its answer."""
        other = "server" if by == "client" else "client"
        self.say(at, "BYE", "2 BYE", by=by, branch="bye")
        return self.say(at + 0.001, "200 OK", "2 BYE", by=other, branch="bye")


def answered(leg: Leg, at: float = 0.0, by: str = "client") -> Leg:
    """A call that rings after 1 s, is answered after 3 s and lasts 20 s."""
    leg.invite(at).say(at + 1.0, "180 Ringing", "1 INVITE", by="server")
    return leg.answer(at + 3.0).say(at + 3.001, "ACK", "1 ACK", branch="ack").bye(at + 23.0, by)


def hexed(*packets: bytes) -> bytes:
    """Packets as lines of hexadecimal digits."""
    return b"".join(one.hex().encode() + b"\n" for one in packets)


def rtcp(
    at: float, source: str, target: str, ssrc: int, sent: int | None, *blocks: dict[str, int],
    correlation: str | None = None, ports: tuple[int, int] = (4001, 6001),
) -> bytes:  # fmt: skip
    """A report as rtpengine writes it."""
    now = T0 + at
    sender = {
        "ntp_timestamp_sec": int(now) + 2_208_988_800,
        "ntp_timestamp_usec": int((now % 1) * 2**32),
        "octets": (sent or 0) * 160, "rtp_timestamp": 1, "packets": sent,
    }  # fmt: skip
    told: dict[str, Any] = {"ssrc": ssrc, "type": 200 if sent is not None else 201,
                            "report_count": len(blocks), "report_blocks": list(blocks)}  # fmt: skip
    if sent is not None:
        told["sender_information"] = sender
    return packet(
        json.dumps(told), at=at, source=source, target=target, kind=5, correlation=correlation,
        source_port=ports[0], target_port=ports[1],
    )  # fmt: skip


def block(source: int, highest: int, lost: int = 0, **more: int) -> dict[str, int]:
    """A report block."""
    return {"source_ssrc": source, "highest_seq_no": highest, "fraction_lost": 0, "ia_jitter": 8,
            "packets_lost": lost, "lsr": 0, "dlsr": 0, **more}  # fmt: skip
