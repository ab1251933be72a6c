"""What `dial` refuses before anything is dialled, and that it keeps its rules whatever happens."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import pytest
from livekit.protocol.sip import CreateSIPParticipantRequest

import trunktrace
from trunktrace import Trunk
from trunktrace.errors import ConfigurationError

from .behaviour.fakejob import Context, Participant, Room

NUMBER = "+15550100007"
A, B = "ST_a", "ST_b"


class _Api:
    """A client that must not be used: nothing is dialled where the configuration is wrong."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"{name} was asked for")


async def refusal(ctx: Any = None, number: Any = NUMBER, **options: Any) -> ConfigurationError:
    options.setdefault("trunks", [A])
    options.setdefault("api", _Api())
    with pytest.raises(ConfigurationError) as refused:
        await trunktrace.dial(Context(Room()) if ctx is None else ctx, number, **options)
    assert NUMBER[1:] not in str(refused.value)
    return refused.value


WRONG_TRUNKS: dict[str, tuple[Any, str, str]] = {
    "none": ([], "trunks", "at least one"),
    "one text": (A, "trunks", "a list"),
    "one trunk": (Trunk(A), "trunks", "a list"),
    "a number": ([NUMBER], "trunk", "id of an outbound trunk"),
    "a name": (["twilio"], "trunk", "id of an outbound trunk"),
    "half an id": (["ST_"], "trunk", "id of an outbound trunk"),
    "a line break": (["ST_a\r\nX: y"], "trunk", "id of an outbound trunk"),
    "nothing": ([None], "trunk", "id of an outbound trunk"),
}


@pytest.mark.parametrize("case", WRONG_TRUNKS)
async def test_wrong_trunks(case: str) -> None:
    """Each names the field and says what to give."""
    given, field, fix = WRONG_TRUNKS[case]
    error = await refusal(trunks=given)
    assert error.field == field
    assert fix in error.fix


async def test_a_trunk_twice_is_a_loop() -> None:
    """The message says what it would be: FOL-1."""
    error = await refusal(trunks=[A, B, Trunk(A, 5)])
    assert (error.field, error.value) == ("trunks", A)
    assert "FOL-1" in error.fix


@pytest.mark.parametrize("seconds", [0, -1, 0.5, math.inf, math.nan, "30", True])
async def test_wrong_ringing_times(seconds: Any) -> None:
    """Less than a second rings no phone; it has to be a finite number."""
    assert (await refusal(ringing_timeout_s=seconds)).field == "ringing_timeout_s"
    with pytest.raises(ConfigurationError, match="ringing_timeout_s"):
        Trunk(A, ringing_timeout_s=seconds)


@pytest.mark.parametrize("name", ["backoff_s", "longest_pause_s", "removal_timeout_s"])
@pytest.mark.parametrize("seconds", [-1, math.inf, math.nan, None])
async def test_wrong_waits(name: str, seconds: Any) -> None:
    """Each wait is finite and not below zero."""
    assert (await refusal(**{name: seconds})).field == name


@pytest.mark.parametrize("number", ["", "  ", None, 5550100001])
async def test_wrong_numbers(number: Any) -> None:
    """There must be a number to call, and one to show where one is given."""
    assert (await refusal(number=number)).field == "number"
    if number is not None:
        with pytest.raises(ConfigurationError, match="number"):
            Trunk(A, number=number)


def _template(**fields: Any) -> CreateSIPParticipantRequest:
    return CreateSIPParticipantRequest(**fields)


TEMPLATES: dict[str, tuple[Any, str]] = {
    "another room": (_template(room_name="elsewhere"), "request.room_name"),
    "a trunk": (_template(sip_trunk_id=B), "request.sip_trunk_id"),
    "another number": (_template(sip_call_to="+15550100002"), "request.sip_call_to"),
    "no request": ({"room_name": "call-room"}, "request"),
}


@pytest.mark.parametrize("case", TEMPLATES)
async def test_templates_that_contradict(case: str) -> None:
    """A template says nothing else than the call."""
    template, field = TEMPLATES[case]
    error = await refusal(request=template)
    assert error.field == field
    assert "5550100002" not in str(error)


async def test_an_identity_that_is_taken() -> None:
    """Who is in the room under that identity would be put out."""
    ctx = Context(Room(Participant("callee", {})))
    assert (await refusal(ctx, identity="callee")).field == "identity"


async def test_no_api() -> None:
    """A context without a client says which variables to set."""
    error = await refusal(api=None)
    assert error.field == "api"
    assert "LIVEKIT_URL" in error.fix


@pytest.mark.parametrize("ctx", [Context(Room(connected=False)), SimpleNamespace(), "job"])
async def test_no_connected_room(ctx: Any) -> None:
    """Without a room nobody can see whether the phone rings."""
    error = await refusal(ctx)
    assert error.field == "ctx"
    assert "connect()" in error.fix


def test_a_trunk_hides_its_number() -> None:
    """A trunk that is printed or logged does not show the number."""
    assert NUMBER not in repr(Trunk(A, number=NUMBER))
