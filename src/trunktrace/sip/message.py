"""A SIP message as a trace holds it: the small part that says something about a call.

The one place that imports `sipmessage`, which takes headers apart and knows the compact forms. It
refuses what real traces hold (folded lines, LF for CRLF, no reason phrase, `_` in a host, a display
name that is not ASCII) and its headers cost the square of their number. So it is given the header
lines alone, unfolded and bounded; the first line, parties and tags are read here, leniently.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import sipmessage

from trunktrace.errors import ParseError
from trunktrace.sip.reason import q850_cause

MAX_HEAD_BYTES: Final = 32 * 1024
MAX_HEADER_LINES: Final = 200
MAX_VALUE: Final = 1024

PASSED_HEADERS: Final = (
    "x-carrier", "x-gateway", "x-provider", "x-region", "x-route", "x-trunk", "x-twilio-error",
)  # fmt: skip
"""Headers of one's own that are handed on, lower case: they name routes, never persons."""

IDENTITY_HEADERS: Final = ("p-asserted-identity", "remote-party-id", "privacy")
"""Headers that assert who calls, and whether that may be told (RFC 3325, RFC 3323)."""

_ENDS: Final = (b"\r\n\r\n", b"\n\n")
_REQUEST: Final = re.compile(r"([A-Za-z]{1,32}) +\S{1,2048} +SIP/2\.0 *")
_STATUS: Final = re.compile(r"SIP/2\.0 +([1-6]\d\d)(?: (.{0,255}))? *")
_CSEQ: Final = re.compile(r"(\d{1,10})\s+([A-Za-z]{1,32})\s*")
_TAG: Final = re.compile(r";\s*tag\s*=\s*([^\s;,>\"]{1,256})", re.IGNORECASE)
_USER: Final = re.compile(r"(?:sips?:([^\s@<>\"]{1,256})@|tel:([^\s;<>\",]{1,64}))", re.IGNORECASE)
_VIA: Final = re.compile(r"SIP\s*/\s*2\.0\s*/\s*([A-Za-z]{2,8})\s", re.IGNORECASE)
_BRANCH: Final = re.compile(r";\s*branch\s*=\s*([^\s;,\"]{1,256})", re.IGNORECASE)
_CALL_ID: Final = re.compile(r"[\x21-\x7e]{1,255}")


@dataclass(frozen=True, slots=True)
class Party:
    """Who stands in From or To: SIP user or number in clear, and the dialog's tag; None unknown."""

    text: str
    user: str | None
    tag: str | None


@dataclass(frozen=True, slots=True)
class Said:
    """What the headers of a message say beside its place in a dialog; None is not said.

    `reasons` are the values of the Reason headers (RFC 3326), `passed` those of `PASSED_HEADERS`.
    `identities` those of `IDENTITY_HEADERS`, in clear. `agent` is User-Agent or Server.
    """

    reasons: tuple[str, ...]
    agent: str | None
    retry_after_s: int | None
    session_id: str | None
    identities: Mapping[str, str]
    event: str | None
    content_type: str | None
    passed: Mapping[str, str]

    @property
    def q850_cause(self) -> int | None:
        """The cause of the first Reason value of Q.850, 0..127; None where there is none."""
        return q850_cause(self.reasons)


@dataclass(frozen=True, slots=True)
class SipMessage:
    """A request (`method`) or a response (`status` and `reason`, its phrase).

    `cseq_method` is the method that a response answers. Party names and users are in clear: they
    must not leave the reader.
    """

    method: str | None
    status: int | None
    reason: str | None
    call_id: str
    cseq: int
    cseq_method: str
    sender: Party
    receiver: Party
    branch: str | None
    transport: str | None
    said: Said
    body: str

    @property
    def is_request(self) -> bool:
        """Whether it asks; else it answers."""
        return self.method is not None

    @property
    def sdp(self) -> str | None:
        """The session description in the body, alone or as a part of several."""
        kind = (self.said.content_type or "").partition(";")[0].strip().lower()
        if kind == "application/sdp" or (not kind and self.body.startswith("v=0")):
            return self.body or None
        if not kind.startswith("multipart/"):
            return None
        start = self.body.find("v=0")
        end = self.body.find("\n--", start) if start >= 0 else -1
        return None if start < 0 else self.body[start:end] if end >= 0 else self.body[start:]


def read_message(data: bytes) -> SipMessage:
    """The message that the bytes hold. Raises ParseError with a reason that quotes no value.

    Source: RFC 3261, section 7. A Content-Length above what is there is a message cut short.
    """
    head, body = _parts(data.lstrip(b"\r\n"))
    lines = _unfolded(head)
    request, status = _REQUEST.fullmatch(lines[0]), _STATUS.fullmatch(lines[0])
    if request is None and status is None:
        raise ParseError("neither a SIP request nor a SIP response")
    headers = _headers(lines[1:])
    call_id = _value(headers, "Call-ID")
    if call_id is None or not _CALL_ID.fullmatch(call_id):
        raise ParseError("a SIP message without a Call-ID")
    cseq = _CSEQ.fullmatch(_value(headers, "CSeq") or "")
    if cseq is None:
        raise ParseError("a SIP message without a CSeq")
    method = request[1].upper() if request else None
    if method is not None and method != cseq[2].upper():
        raise ParseError("the CSeq is another method's")
    via = _value(headers, "Via") or ""
    transport, branch = _VIA.match(via), _BRANCH.search(via.partition(",")[0])
    return SipMessage(
        method=method,
        status=int(status[1]) if status else None,
        reason=((status[2] or "").strip() or None) if status else None,
        call_id=call_id,
        cseq=int(cseq[1]),
        cseq_method=cseq[2].upper(),
        sender=_party(_value(headers, "From")),
        receiver=_party(_value(headers, "To")),
        branch=branch[1] if branch else None,
        transport=transport[1].lower() if transport else None,
        said=_said(headers),
        body=_whole(body, headers).decode("utf-8", "replace"),
    )


def _said(headers: sipmessage.Headers) -> Said:
    retry = re.match(r"\d{1,7}(?!\d)", _value(headers, "Retry-After") or "")
    return Said(
        reasons=tuple(value[:MAX_VALUE] for value in headers.getlist("Reason")[:8]),
        agent=_value(headers, "User-Agent") or _value(headers, "Server"),
        retry_after_s=int(retry[0]) if retry else None,
        session_id=_value(headers, "Session-ID"),
        identities=_some(headers, IDENTITY_HEADERS),
        event=_value(headers, "Event"),
        content_type=_value(headers, "Content-Type"),
        passed=_some(headers, PASSED_HEADERS),
    )


def _some(headers: sipmessage.Headers, names: Iterable[str]) -> dict[str, str]:
    """Values by name; a header that stands twice has them joined."""
    told = {name: ", ".join(headers.getlist(name)[:8])[:MAX_VALUE].strip() for name in names}
    return {name: value for name, value in told.items() if value}


def _parts(data: bytes) -> tuple[bytes, bytes]:
    """Head and body; the blank line between them is there even where the body is not."""
    found = [(at, len(end)) for end in _ENDS if (at := data.find(end, 0, MAX_HEAD_BYTES)) >= 0]
    if not found:
        if len(data) > MAX_HEAD_BYTES:
            raise ParseError(f"SIP headers longer than {MAX_HEAD_BYTES // 1024} KiB")
        raise ParseError("no SIP message, or one cut short in its headers")
    at, length = min(found)
    return data[:at], data[at + length :]


def _unfolded(head: bytes) -> list[str]:
    """Lines of the head, continuations joined to what they continue (RFC 3261, 7.3.1)."""
    lines: list[str] = []
    for line in head.decode("utf-8", "replace").replace("\r\n", "\n").split("\n"):
        if line[:1] in (" ", "\t") and lines:
            lines[-1] = f"{lines[-1]} {line.strip()}"[: 4 * MAX_VALUE]
        else:
            lines.append(line.rstrip("\r"))
        if len(lines) > MAX_HEADER_LINES:
            raise ParseError(f"more than {MAX_HEADER_LINES} SIP header lines")
    return lines


def _headers(lines: list[str]) -> sipmessage.Headers:
    if any(line.strip() and ":" not in line for line in lines):
        raise ParseError("a SIP header line without a colon")
    pairs = (line.partition(":") for line in lines if line.strip())
    bare = "\r\n".join(f"{name.strip()}:{value}" for name, _, value in pairs)
    try:
        told = sipmessage.Message.parse(f"SIP/2.0 200 OK\r\n{bare}\r\n\r\n".encode())
    except (ValueError, KeyError) as error:
        raise ParseError("SIP headers that cannot be read") from error
    return told.headers


def _value(headers: sipmessage.Headers, name: str) -> str | None:
    value = headers.get(name)
    return value.strip()[:MAX_VALUE] or None if value is not None else None


def _whole(body: bytes, headers: sipmessage.Headers) -> bytes:
    length = _value(headers, "Content-Length") or ""
    if not (length.isascii() and length.isdigit() and len(length) <= 7):
        return body
    # Who keeps messages as text may have made LF of CRLF.
    if int(length) > len(body) + body.count(b"\n"):
        raise ParseError("the body is shorter than its Content-Length")
    return body[: int(length)]


def _party(text: str | None) -> Party:
    text = text or ""
    user = _USER.search(text)
    tag = _TAG.search(text, text.rfind(">") + 1)
    return Party(text, (user[1] or user[2]) if user else None, tag[1] if tag else None)
