"""Hosts of SIP as records give them: `host`, `host:port`, IPv6, and the host in a URI.

Why not a library: `sipmessage` (BSD, kept, typed) reads whole messages by the letter of RFC 3261.
It refuses what stands in `sip.hostname` (`127.0.0.1:5090` is no URI) and the `_` that carriers'
trunk names have. Host and port, read leniently, are all that is needed here.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Final

_MAX_HOST_CHARACTERS: Final = 253
_MAX_URI_CHARACTERS: Final = 1024
_SCHEME: Final = re.compile(r"sips?:", re.IGNORECASE)
_AFTER_HOST: Final = re.compile(r"[;?,\s]")
_NAME: Final = re.compile(
    r"[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?)*"
)


@dataclass(frozen=True, slots=True)
class HostPort:
    """A host and, where it was given, its port.

    `host` is lower case, without brackets and without a dot at its end; `port` is 1..65535 or None.
    """

    host: str
    port: int | None = None

    @property
    def is_ip(self) -> bool:
        """Whether the host is an IP address and not a name."""
        return _ip(self.host) is not None

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port is None else f"{host}:{self.port}"


def parse_host(text: str) -> HostPort | None:
    """Host and port of `host`, `host:port`, `[v6]:port` or a bare IPv6; None if it is neither."""
    text = text.strip()
    if not text or len(text) > _MAX_HOST_CHARACTERS + 8:
        return None
    if (bare := _ip(text)) is not None:
        return HostPort(bare)
    if text.startswith("["):
        inside, bracket, after = text[1:].partition("]")
        address = _ip(inside)
        if not bracket or address is None or ":" not in address:
            return None
        return _with_port(address, after[1:] if after.startswith(":") else None, bool(after))
    name, colon, port = text.partition(":")
    host = _ip(name) or _hostname(name)
    return None if host is None else _with_port(host, port if colon else None, bool(colon))


def host_in_uri(text: object) -> str | None:
    """The host of `sip:user@host:port;...`, `"Name" <sip:host>` or `user@host`, as in `HostPort`.

    None for a host that stands alone (`parse_host` takes it), for `tel:`, and for anything else.
    The user part may hold parameters of its own, and a `;` (RFC 3261 section 25.1).
    """
    address = _address(text)
    if address is None:
        return None
    place = _SCHEME.sub("", address, count=1).rpartition("@")[2]
    found = parse_host(_AFTER_HOST.split(place, maxsplit=1)[0])
    return None if found is None else found.host


def is_sip_uri(party: object) -> bool:
    """Whether a party is named by a SIP URI, or as `user@host`, and not by a telephone number."""
    return _address(party) is not None


def _address(text: object) -> str | None:
    """A SIP URI without a name and brackets around it; None for what is none."""
    if not isinstance(text, str) or len(text) > _MAX_URI_CHARACTERS:
        return None
    address = text.rpartition("<")[2].partition(">")[0].strip()
    user, at, _ = address.partition("@")
    return address if _SCHEME.match(address) or (at and ":" not in user) else None


def _ip(text: str) -> str | None:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return None


def _hostname(text: str) -> str | None:
    name = text.lower().removesuffix(".")
    return name if len(name) <= _MAX_HOST_CHARACTERS and _NAME.fullmatch(name) else None


def _with_port(host: str, port: str | None, wanted: bool) -> HostPort | None:
    if not wanted:
        return HostPort(host)
    if port is None or not (port.isascii() and port.isdigit() and len(port) <= 5):
        return None
    number = int(port)
    return HostPort(host, number) if 0 < number <= 65535 else None
