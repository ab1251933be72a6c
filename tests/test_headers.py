"""SIP headers that are fetched from the SIP participant, by LiveKit's RPC."""

from __future__ import annotations

import json
from typing import Any

import pytest

from trunktrace.livekit.headers import fetch_headers


class Caller:
    """The agent's side of the room; `answer` is what the SIP participant answers."""

    def __init__(self, answer: object) -> None:
        self.answer = answer
        self.asked: dict[str, Any] = {}

    async def perform_rpc(self, **asked: Any) -> Any:
        self.asked = asked
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def _answer(**headers: object) -> str:
    return json.dumps(
        {"headers": {name.replace("_", "-"): value for name, value in headers.items()}}
    )


async def test_the_wanted_headers_come_as_attributes():
    """The keys are those of LiveKit's own mapping; the names' case does not matter."""
    caller = Caller(_answer(X_Carrier="carrier-a", x_route="lcr-7", User_Agent="SBC/1.0"))
    headers = await fetch_headers(caller, "sip_1", ["x-carrier", "X-Route"])
    assert headers == {"sip.h.x-carrier": "carrier-a", "sip.h.x-route": "lcr-7"}


async def test_only_the_wanted_headers_are_asked_for():
    """The request goes to the caller's participant, names the headers, and does not wait long."""
    caller = Caller(_answer())
    assert await fetch_headers(caller, "sip_1", ["X-Carrier"]) == {}
    assert caller.asked["destination_identity"] == "sip_1"
    assert caller.asked["method"] == "lk.sip.GetRemoteHeaders"
    assert json.loads(caller.asked["payload"]) == {"include": ["X-Carrier"]}
    assert 0 < caller.asked["response_timeout"] <= 5


async def test_what_was_not_asked_for_is_not_taken():
    """A bridge that answers with every header gives us no person's number."""
    caller = Caller(_answer(From="<sip:+15557778888@c>", X_Carrier="carrier-a"))
    assert await fetch_headers(caller, "sip_1", ["X-Carrier"]) == {"sip.h.x-carrier": "carrier-a"}


async def test_a_value_that_is_no_text_is_left_out():
    """Numbers, lists and nothing are no header values."""
    caller = Caller(_answer(X_A=1, X_B=None, X_C=["c"], X_D="d"))
    wanted = ["x-a", "x-b", "x-c", "x-d"]
    assert await fetch_headers(caller, "sip_1", wanted) == {"sip.h.x-d": "d"}


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "no json",
        "[]",
        "null",
        '"text"',
        "{}",
        '{"headers": null}',
        '{"headers": ["X-Carrier"]}',
        json.dumps({"headers": {"X-Carrier": "c" * 70_000}}),
        None,
        b"{}",
        {"headers": {}},
    ],
)
async def test_an_answer_that_is_none_is_refused(answer):
    """What is no JSON object with headers, or is too large, raises ValueError."""
    with pytest.raises(ValueError, match=r".") as caught:
        await fetch_headers(Caller(answer), "sip_1", ["X-Carrier"])
    assert "cccc" not in str(caught.value)


async def test_what_the_rpc_raises_passes():
    """An older bridge does not know the method; that is for the observer to survive."""
    with pytest.raises(LookupError, match="unsupported"):
        await fetch_headers(Caller(LookupError("unsupported method")), "sip_1", ["X-Carrier"])
