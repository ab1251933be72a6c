"""What an agent gets when the carrier refuses its call: livekit-api's own exception."""

from __future__ import annotations

from typing import Final

from livekit.api import SipCallError

Refusal: Final = SipCallError


def refusal(status_code: int, reason: str) -> SipCallError:
    """What `create_sip_participant(wait_until_answered=True)` raises for that final code."""
    return SipCallError(
        "failed_precondition",
        f"twirp error unknown: INVITE failed: sip status: {status_code}: {reason}",
        status=412,
        metadata={"sip_status_code": str(status_code), "sip_status": reason},
    )
