"""Records of Asterisk for tests: the captured calls with their truth, and events of our own."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from tests.sources.golden import CAPTURES

from trunktrace.sources.ends import Bridge
from trunktrace.sources.parsed import Observation, Parsed
from trunktrace.sources.reading import Reading
from trunktrace.sources.table import SOURCES

FOLDER = CAPTURES / "asterisk"
CALLS = tuple(sorted(path.name for path in FOLDER.iterdir() if (path / "facts.json").exists()))
CALLER_CALLS = Reading(bridge=Bridge(end="caller"))
"""A reading in which the bridge stands at the caller's end."""

CALLER = "PJSIP/carrier-in-00000001"
CALLEE = "PJSIP/livekit-00000002"
CALLER_ID = "1795396417.1"
CALLEE_ID = "1795396417.2"


@cache
def captured(call: str, file: str) -> bytes:
    """A file of a captured call."""
    return (FOLDER / call / file).read_bytes()


@cache
def truth(call: str) -> dict[str, Any]:
    """What was set up, and what was counted beside Asterisk."""
    facts: dict[str, Any] = json.loads(captured(call, "facts.json"))
    return facts


def parse(source: str, data: bytes | str, reading: Reading | None = None) -> Parsed:
    """What the source says of a record."""
    raw = data.encode() if isinstance(data, str) else data
    return SOURCES[source].parse(raw, reading or Reading())


def by_leg(parsed: Parsed) -> dict[str, Observation]:
    """The observations by their leg; each leg once."""
    assert len({one.leg for one in parsed.observations}) == len(parsed.observations)
    return {one.leg: one for one in parsed.observations}


def whole(observation: Observation, direction: str) -> dict[str, Any]:
    """The measures of the whole call in one direction."""
    windows = [*observation.windows, *observation.untimed]
    found = [one for one in windows if one.direction == direction and one.loss_method == "derived"]
    assert len(found) == 1
    return found[0].measures()


def event(name: str, **fields: object) -> str:
    """An event of the manager."""
    lines = [f"Event: {name}", *(f"{key}: {value}" for key, value in fields.items())]
    return "".join(f"{line}\r\n" for line in lines) + "\r\n"


def channel(
    name: str = CALLER,
    state: int = 6,
    *,
    unique: str = CALLER_ID,
    linked: str | None = CALLER_ID,
    prefix: str = "",
    **fields: object,
) -> dict[str, object]:
    """The snapshot of a channel, as an event holds it."""
    told: dict[str, object] = {"Channel": name, "ChannelState": state, "Uniqueid": unique}
    if linked is not None:
        told["Linkedid"] = linked
    return {f"{prefix}{key}": value for key, value in (told | fields).items()}


def callee(state: int = 6, *, prefix: str = "", **fields: object) -> dict[str, object]:
    """The snapshot of the channel that was dialled."""
    return channel(CALLEE, state, unique=CALLEE_ID, prefix=prefix, **fields)


def variable(name: str, value: str, **snapshot: object) -> str:
    """A variable that was set on a channel."""
    return event("VarSet", **(snapshot or channel()), Variable=name, Value=value)


def answered_call(*between: str) -> str:
    """The events of a call of two legs that was answered, up to its end."""
    return "".join(
        [
            event("Newchannel", **channel(state=4, Exten="+15555550143")),
            event("Newchannel", **callee(0)),
            event("DialBegin", **channel(state=4), **callee(0, prefix="Dest")),
            event("DialEnd", **channel(state=4), **callee(6, prefix="Dest"), DialStatus="ANSWER"),
            event("Newstate", **channel()),
            *between,
        ]
    )


def quality(**values: object) -> str:
    """A quality string; what is not given is 0."""
    names = ("ssrc", "themssrc", "lp", "rxjitter", "rxcount", "txjitter", "txcount", "rlp", "rtt")
    told: dict[str, object] = dict.fromkeys(names, 0) | values
    return ";".join(f"{name}={value}" for name, value in told.items())
