"""SIP headers that the directory needs and LiveKit did not map to attributes.

The SIP participant answers the RPC `lk.sip.GetRemoteHeaders` with the headers of the INVITE
(inbound) or of the 200 OK (outbound); `include` names those that are wanted.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final, cast

from trunktrace.sip.participant import HEADER_PREFIX

METHOD: Final = "lk.sip.GetRemoteHeaders"
TIMEOUT_S: Final = 5.0
_LONGEST_ANSWER: Final = 64 * 1024


async def fetch_headers(
    local_participant: Any, identity: str, include: Sequence[str]
) -> dict[str, str]:
    """The wanted headers as attributes (`sip.h.` and the lower-case name); only those asked for.

    Raises whatever the RPC raises, and ValueError for an answer that is no such JSON.
    """
    answer = await local_participant.perform_rpc(
        destination_identity=identity,
        method=METHOD,
        payload=json.dumps({"include": list(include)}),
        response_timeout=TIMEOUT_S,
    )
    if not isinstance(answer, str) or len(answer) > _LONGEST_ANSWER:
        raise ValueError(f"{METHOD} answered something that is no JSON text of reasonable size")
    parsed: object = json.loads(answer)
    if not isinstance(parsed, dict):
        raise ValueError(f"{METHOD} answered something that is no JSON object")
    headers = cast("dict[str, dict[str, object] | None]", parsed).get("headers")
    if not isinstance(headers, dict):
        raise ValueError(f"{METHOD} answered without headers")
    wanted = {name.lower() for name in include}
    return {
        HEADER_PREFIX + name.lower(): value
        for name, value in headers.items()
        if isinstance(value, str) and name.lower() in wanted
    }
