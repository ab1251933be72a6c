"""To whom a transfer hands the caller."""

from __future__ import annotations

from typing import Final

from trunktrace.sip.uris import parse_host

_OF_AGENTS: Final = ".sip.livekit.cloud"
"""Where LiveKit Cloud's projects take SIP calls: what answers there is an agent's room."""


def transferred_to(target: str) -> str:
    """`human` or `other`, by the target of a SIP transfer (`tel:+1...`, `sip:desk@pbx.example`).

    A voice agent that gives a caller away by telephone gives it to people: a desk, a queue, a
    doctor. Only a SIP address where agents answer is `other`. Who answers in truth is not known.
    """
    address = target.strip().strip("<>").partition(";")[0]
    found = parse_host(address.rpartition("@")[2])
    is_agent = found is not None and found.host.endswith(_OF_AGENTS)
    return "other" if is_agent else "human"
