"""Which text may hold a person's number or name: decided by an attribute key's segments.

The `pii` segment is not looked at: LiveKit has moved keys under it (`lk.room_name` became
`lk.pii.room_name`) and adds new ones. Case does not matter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, TypeAlias

from trunktrace.errors import ConfigurationError
from trunktrace.redaction.addresses import MASKED, is_ip, mask_whole, without_ip_host
from trunktrace.redaction.text import Scrubber
from trunktrace.sip.headers import PARTY_HEADERS

Rule: TypeAlias = Callable[[str, Scrubber], str]
"""Redacts one text; returns the same object if there is nothing to redact."""

TECHNICAL_HEADERS: Final = frozenset({
    "accept", "allow", "content-length", "content-type", "cseq", "date", "expires", "max-forwards",
    "min-se", "privacy", "require", "server", "session-expires", "supported", "user-agent",
})  # fmt: skip
"""SIP headers that hold no person and are let through without being asked for."""

PERSONAL_HEADERS: Final = PARTY_HEADERS | frozenset({
    "authorization", "call-id", "i", "p-charging-vector", "proxy-authorization", "record-route",
    "route", "via", "v",
})  # fmt: skip
"""SIP headers that name a person, or a device by its address; they cannot be let through."""

# Words that say that a value is conversation; LiveKit before 1.8 has them without `pii`.
_SPOKEN: Final = frozenset({
    "messages", "system_instructions", "instructions", "arguments", "result", "description",
    "definitions", "documents", "query_text", "query", "records", "variable", "explanation",
    "prompt", "completion",
})  # fmt: skip
_SPOKEN_LAST: Final = frozenset({
    "user_input", "user_transcript", "transcript", "input_text", "chat_ctx", "instructions", "text",
    "function_calls", "arguments", "output",
})  # fmt: skip
_SIP_PERSON: Final = frozenset(
    {"from", "to", "user", "username", "contact", "name", "display_name"}
)
_RPC_BODIES: Final = frozenset({"payload", "request", "response", "body"})


def keep(text: str, _scrubber: Scrubber) -> str:
    """The text as it is: the operator asked for numbers in clear."""
    return text


def drop(_text: str, _scrubber: Scrubber) -> str:
    """Nothing: the attribute goes as a whole."""
    return MASKED


def ordinary(text: str, scrubber: Scrubber) -> str:
    """Known secrets and numbers in signalling position are masked."""
    return scrubber.text(text)


def spoken(text: str, scrubber: Scrubber) -> str:
    """What people and models said is LiveKit's: only the call's own numbers are masked."""
    return scrubber.known(text)


def name(text: str, scrubber: Scrubber) -> str:
    """The name of a room: numbers in it are masked, the rest stays so that it can be found."""
    return scrubber.name(text)


def identity(text: str, scrubber: Scrubber) -> str:
    """A participant's identity: of a SIP participant's only `sip_` stays."""
    if not text.startswith("sip_"):
        return scrubber.name(text)
    user = text.removeprefix("sip_")
    mask = mask_whole(user)
    return text if mask == user else f"sip_{mask}"


def number(text: str, _scrubber: Scrubber) -> str:
    """A number or SIP user: masked whole, whatever it looks like."""
    return mask_whole(text) if text else text


def call_id(text: str, scrubber: Scrubber) -> str:
    """A Call-ID: cut before a host that is an IP address."""
    return scrubber.text(without_ip_host(text))


def host(text: str, scrubber: Scrubber) -> str:
    """The far SIP host: a name says which carrier; an address may be a person's."""
    return MASKED if is_ip(text) else scrubber.text(text)


def rpc_body(text: str, scrubber: Scrubber) -> str:
    """What went over LiveKit's RPC; of a SIP method (the headers of the INVITE) nothing stays."""
    return scrubber.text(text)


def rule_of(key: str, headers: frozenset[str], *, reveal: bool = False) -> Rule:
    """The rule for the text under `key`; `headers` are the SIP headers let through.

    With `reveal` what was said, and what stands under a key with a `pii` segment, is kept.
    """
    segments = key.lower().split(".")
    marked = "pii" in segments
    bare = [segment for segment in segments if segment != "pii"] or [""]
    rule = _rule(bare, headers, marked=marked)
    return keep if reveal and (marked or rule is spoken) else rule


def _rule(bare: list[str], headers: frozenset[str], *, marked: bool) -> Rule:
    last = bare[-1]
    if "sip" in bare[:-1] and (rule := _sip_rule(bare, headers)) is not None:
        return rule
    if _is_called(bare, "phone") or last.endswith(("phonenumber", "phone_number")):
        return number
    if last.endswith(("identity", "participant_name")) or bare[-2:] == ["participant", "name"]:
        return identity
    if _is_called(bare, "room"):
        return name
    if "rpc" in bare and last in _RPC_BODIES:
        return rpc_body
    if bare[0] == "gen_ai":
        return ordinary if _SPOKEN.isdisjoint(bare) else spoken
    return spoken if bare[0] == "lk" and (marked or last in _SPOKEN_LAST) else ordinary


def _is_called(bare: list[str], what: str) -> bool:
    """Whether the key is `what`, `what.name` or ends with `what_name`."""
    return bare[-1] in (what, f"{what}name") or (
        bare[-1].endswith(f"{what}_name") or bare[-2:] == [what, "name"]
    )


def _sip_rule(bare: list[str], headers: frozenset[str]) -> Rule | None:
    """The rule for what stands under a `sip` segment, whoever wrote it."""
    rest = bare[bare.index("sip") + 1 :]
    last = rest[-1]
    if rest[0] == "h" and len(rest) > 1:
        return ordinary if ".".join(rest[1:]) in headers else drop
    if "number" in last or last in _SIP_PERSON or last.endswith("uri"):
        return number
    if "callid" in last or "call_id" in last:
        return call_id
    if "host" in last:
        return host
    if bare[0] == "lk" and not last.endswith(("id", "tag", "status")):
        return name
    return None


def checked_headers(headers: Iterable[str]) -> frozenset[str]:
    """The SIP headers to let through, in lower case, with the technical ones.

    Raises `ConfigurationError` for one that names a person, and for what is no list of names.
    """
    if isinstance(headers, str):
        raise ConfigurationError("headers", headers, f"give a list of names: [{headers!r}]")
    asked = frozenset(str(header).strip().lower() for header in headers)
    for header in sorted(asked & PERSONAL_HEADERS):
        fix = "leave it out: this header names a person; the call's root has the masked number"
        raise ConfigurationError("headers", header, fix)
    if "" in asked:
        raise ConfigurationError("headers", "", "leave out the empty name")
    return TECHNICAL_HEADERS | asked
