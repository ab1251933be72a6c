"""A SIP user agent of our own in the place of LiveKit's bridge: takes calls, and makes them.

It does what livekit-sip does with headers (its `pkg/sip/types.go`): those of an INVITE, or of the
200 to one, become attributes of the participant, and attributes become headers of the BYE. UDP on
loopback, nothing is sent twice, no media.
"""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Literal

from sipmessage import URI, CSeq, Message, Request, Response

from .servers import HOST

Place = tuple[str, int]
"""Host and port."""

_ANSWER_S = 30.0
_SDP = (
    b"v=0\r\no=bridge 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
    b"m=audio 40002 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n"
)


@dataclass(frozen=True, slots=True)
class Trunk:
    """What the trunk's settings at LiveKit say about headers.

    `include` is its `include_headers`: SIP_NO_HEADERS, SIP_X_HEADERS, SIP_ALL_HEADERS.
    """

    include: Literal["none", "x", "all"] = "none"
    headers_to_attributes: Mapping[str, str] = field(default_factory=dict)
    attributes_to_headers: Mapping[str, str] = field(default_factory=dict)

    def attributes(self, message: Message) -> dict[str, str]:
        """Attributes of the participant. Of a repeated header the last; by a name, the first."""
        names = [name for name in message.headers.keys() if self._includes(name)]  # noqa: SIM118
        found = {f"sip.h.{name.lower()}": message.headers.getlist(name)[-1] for name in names}
        for header, attribute in self.headers_to_attributes.items():
            value = message.headers.get(header)
            if value is not None:
                found[attribute] = value
        return {**found, "sip.callIDFull": message.call_id}

    def _includes(self, header: str) -> bool:
        return self.include == "all" or (self.include == "x" and header.lower().startswith("x-"))

    def headers(self, attributes: Mapping[str, str]) -> dict[str, str]:
        """Headers of the BYE."""
        wanted = self.attributes_to_headers.items()
        return {header: attributes[name] for name, header in wanted if name in attributes}


@dataclass(slots=True)
class Call:
    """One call at the bridge: its INVITE, as it came or went, and the answer to one of ours.

    `raw` is the INVITE byte for byte; `local`, `remote` and `target` are From, To and the URI of
    a request within the dialog. `attributes` are the participant's: the agent may add to them.
    """

    invite: Request
    raw: bytes
    local: str
    remote: str
    target: str
    routes: list[str]
    attributes: dict[str, str] = field(default_factory=dict)
    final: Response | None = None
    acknowledged: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def call_id(self) -> str:
        """The Call-ID at the bridge."""
        return self.invite.call_id

    @property
    def hop(self) -> Place:
        """Where a request within the dialog goes first."""
        uri = URI.parse(_within_brackets(self.routes[0]) if self.routes else self.target)
        return uri.host, uri.port or 5060


class SipBridge(asyncio.DatagramProtocol):
    """Takes every call; makes one with `call`."""

    def __init__(self, trunk: Trunk) -> None:
        self.calls: list[Call] = []
        self._trunk = trunk
        self._waiting: dict[tuple[str, str], asyncio.Future[Response]] = {}

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        self._wire = transport
        host, port = transport.get_extra_info("sockname")
        self.address = f"{host}:{port}"

    def datagram_received(self, data: bytes, addr: Place) -> None:
        message = Message.parse(unfolded(data))
        known = [call for call in self.calls if call.call_id == message.call_id]
        if isinstance(message, Response):
            waiting = self._waiting.get((message.call_id, str(message.cseq)))
            if message.code >= 200 and waiting is not None and not waiting.done():
                waiting.set_result(message)
        elif message.method == "INVITE" and not known:
            self._take(message, data, addr)
        elif message.method == "ACK" and known:
            known[0].acknowledged.set()
        elif message.method == "BYE" and known:
            self._answer(message, 200, "OK", addr)
            known[0].ended.set()

    async def call(self, callee: str, proxy: Place, headers: Mapping[str, str]) -> Call:
        """Call a SIP URI through `proxy`; `final` of the call is the answer, whatever it is."""
        invite = self._request("INVITE", f"{secrets.token_hex(8)}@bridge", 1)
        invite.body = _SDP
        local = f"<sip:agent@{self.address}>;tag={secrets.token_hex(4)}"
        self._address(invite, local, f"<{callee}>")
        self._say_contact(invite)
        for name, value in headers.items():
            invite.headers.set(name, value)
        final, raw = await self._ask(invite, callee, proxy)
        call = Call(invite, raw, local, final.headers["To"], callee, [], final=final)
        self.calls.append(call)
        acknowledged = self._request("ACK", call.call_id, 1)
        if final.code < 300:
            call.target = _within_brackets(final.headers["Contact"])
            call.routes = final.headers.getlist("Record-Route")[::-1]
            call.attributes = self._trunk.attributes(final)
        else:  # of the INVITE's own transaction: hop by hop
            acknowledged.headers.set("Via", invite.headers["Via"])
        self._address(acknowledged, local, call.remote, call.routes)
        self._send(_bytes(acknowledged, call.target), call.hop if final.code < 300 else proxy)
        return call

    async def hang_up(self, call: Call) -> Response:
        """Send BYE, with the headers that the trunk makes of the call's attributes."""
        bye = self._request("BYE", call.call_id, 2)
        self._address(bye, call.local, call.remote, call.routes)
        for name, value in self._trunk.headers(call.attributes).items():
            bye.headers.set(name, value)
        answer, _ = await self._ask(bye, call.target, call.hop)
        call.ended.set()
        return answer

    def _take(self, invite: Request, raw: bytes, addr: Place) -> None:
        local = f"{invite.headers['To']};tag={secrets.token_hex(4)}"
        routes = invite.headers.getlist("Record-Route")
        target = _within_brackets(invite.headers["Contact"])
        call = Call(invite, raw, local, invite.headers["From"], target, routes)
        call.attributes = self._trunk.attributes(invite)
        self.calls.append(call)
        self._answer(invite, 100, "Trying", addr)
        self._answer(invite, 180, "Ringing", addr, to=local)
        self._answer(invite, 200, "OK", addr, to=local, body=_SDP)

    def _answer(
        self,
        request: Request,
        code: int,
        phrase: str,
        addr: Place,
        *,
        to: str | None = None,
        body: bytes = b"",
    ) -> None:
        response = Response(code, phrase, body)
        for name in ("Via", "Record-Route", "From", "To", "Call-ID", "CSeq"):
            if values := request.headers.getlist(name):
                response.headers.setlist(name, values)
        if to is not None:
            response.headers.set("To", to)
            self._say_contact(response)
        self._send(_bytes(response), addr)

    def _request(self, method: str, call_id: str, number: int) -> Request:
        asked = Request(method, URI.parse("sip:replaced.invalid"))
        branch = f"z9hG4bK{secrets.token_hex(8)}"
        asked.headers.set("Via", f"SIP/2.0/UDP {self.address};branch={branch}")
        asked.call_id, asked.cseq, asked.max_forwards = call_id, CSeq(number, method), 70
        return asked

    @staticmethod
    def _address(
        request: Request, local: str, remote: str, routes: list[str] | None = None
    ) -> None:
        request.headers.set("From", local)
        request.headers.set("To", remote)
        if routes:
            request.headers.setlist("Route", routes)

    def _say_contact(self, message: Message) -> None:
        message.headers.set("Contact", f"<sip:bridge@{self.address}>")

    async def _ask(self, request: Request, target: str, to: Place) -> tuple[Response, bytes]:
        """The final answer to a request, and what was sent."""
        key = (request.call_id, str(request.cseq))
        self._waiting[key] = asyncio.get_running_loop().create_future()
        raw = _bytes(request, target)
        self._send(raw, to)
        async with asyncio.timeout(_ANSWER_S):
            return await self._waiting[key], raw

    def _send(self, raw: bytes, to: Place) -> None:
        self._wire.sendto(raw, to)


@asynccontextmanager
async def sip_bridge(trunk: Trunk) -> AsyncIterator[SipBridge]:
    """A bridge on a free port of loopback."""
    loop = asyncio.get_running_loop()
    wire, bridge = await loop.create_datagram_endpoint(
        lambda: SipBridge(trunk), local_addr=(HOST, 0)
    )
    try:
        yield bridge
    finally:
        wire.close()


def unfolded(data: bytes) -> bytes:
    """The message with each folded header line in one line (RFC 3261, section 7.3.1)."""
    head, blank, body = data.partition(b"\r\n\r\n")
    return re.sub(rb"[ \t]*\r\n[ \t]+", b" ", head) + blank + body


def _bytes(message: Request | Response, target: str | None = None) -> bytes:
    """The message with its length and, a request, its URI as it was told to us.

    sipmessage would escape the `*` of a URI that Kamailio masked, and Kamailio not know it again.
    """
    if message.body:
        message.headers.set("Content-Type", "application/sdp")
    message.content_length = len(message.body)
    if isinstance(message, Response) or target is None:
        return bytes(message)
    _, line_end, rest = bytes(message).partition(b"\r\n")
    return f"{message.method} {target} SIP/2.0".encode() + line_end + rest


def _within_brackets(address: str) -> str:
    """The URI of a Contact or Record-Route as it stands there."""
    return address.partition("<")[2].partition(">")[0]
