"""What operators call the fields of their own (`log_extra`, `cdr_extra`, `extra_fields`).

Kamailio's default configuration has `src_user`, `src_ip`, `dst_ouser`, `dst_user`; the others are
seen in public configurations. Of several the first that says something counts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from trunktrace.sip.uris import parse_host

CALLERS: Final = (
    "src_user", "from_user", "caller", "caller_number", "calling", "calling_number", "src",
    "sip_from", "from", "from_uri", "src_uri", "cli", "ani", "a_number", "anum", "caller_id",
    "callerid",
)  # fmt: skip
CALLEES: Final = (
    "dst_ouser", "dst_user", "to_user", "callee", "callee_number", "called", "called_number", "dst",
    "sip_to", "to", "to_uri", "dst_uri", "b_number", "bnum", "ruri_user", "ruri", "callee_id",
    "cgr_destination",
)  # fmt: skip
CALLER_HOSTS: Final = (
    "src_ip", "source_ip", "srcip", "ip_src", "sip_src_ip", "src_addr", "src_host",
)  # fmt: skip
GATEWAYS: Final = (
    "gw", "gateway", "gw_ip", "gw_host", "dst_ip", "dest_ip", "ip_dst", "dst_addr", "nexthop",
)  # fmt: skip
CARRIERS: Final = ("carrier", "carrier_name", "carrier_id", "provider", "supplier")
ROUTES: Final = ("trunk", "trunk_name", "gw_name", "gw_id", "gwid", "route", "trunk_id")
BYE_HOSTS: Final = ("bye_src", "bye_src_ip", "bye_ip")
HUNG_UP_BY: Final = ("hangup_by", "hangup_source", "disconnected_by")

_IDS: Final = frozenset({"caller_id", "callerid", "callee_id", "a_number", "b_number"})
"""Some write a number here, some the key of an account."""

_NUMBER: Final = re.compile(r"\+?\d{5,20}")
_URI_OF_A_HOST: Final = re.compile(
    r"<?sips?:(?:\[[0-9a-f:.]{2,45}\]|\d{1,3}(?:\.\d{1,3}){3}|(?:[\w-]{1,63}\.){1,8}[a-z][\w-]{0,62})"
    r"(?::\d{1,5})?(?:;[^@]{0,256})?>?",
    re.ASCII | re.IGNORECASE,
)
"""Not `sip:15555550101`: some leave the host out."""


def person_in(fields: Mapping[str, str], names: tuple[str, ...]) -> str | None:
    """Who calls or is called, as a record says it; None where it names a host, or nobody."""
    for name in names:
        said = fields.get(name)
        if said is None or is_address(said):
            continue
        if name not in _IDS or _NUMBER.fullmatch(said):
            return said
    return None


def is_address(text: str) -> bool:
    """Whether a value is an IP address, with a port or without, or a URI without a user."""
    if _URI_OF_A_HOST.fullmatch(text):
        return True
    host = parse_host(text) if len(text) <= 64 else None
    return host is not None and host.is_ip
