"""To whom a transfer hands the caller."""

from __future__ import annotations

from typing import Final

from trunktrace.sip.uris import host_in_uri

_OF_AGENTS: Final = ".sip.livekit.cloud"
"""Where LiveKit Cloud's projects take SIP calls: what answers there is an agent's room."""


def transferred_to(target: str) -> str:
    """`human` or `other`, by the target of a SIP transfer (`tel:+1...`, `sip:desk@pbx.example`).

    A voice agent that gives a caller away by telephone gives it to people: a desk, a queue, a
    doctor. Only a SIP address where agents answer is `other`. Who answers in truth is not known.
    """
    host = host_in_uri(target)
    return "other" if host is not None and host.endswith(_OF_AGENTS) else "human"
