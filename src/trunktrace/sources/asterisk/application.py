"""Events of an application (ARI), each told as the manager tells the same.

Models: docs.asterisk.org, "Asterisk REST Data Models". They have no `Linkedid`: channels of which
one had the other dialled, or that meet in a mixing bridge, are one call.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Final

from trunktrace.facts import Observation
from trunktrace.sources.asterisk.ami import Stream
from trunktrace.sources.asterisk.events import Event
from trunktrace.sources.asterisk.leg import Leg
from trunktrace.sources.asterisk.legs import RING, STATES
from trunktrace.sources.asterisk.names import ChannelName, channel_name, created_at, unique_id
from trunktrace.sources.reading import Reading
from trunktrace.sources.shapes.jsonlines import Record, list_in, object_in, text_in
from trunktrace.sources.shapes.values import integer, iso_time

Said = str | None
"""Why a body could not be read; empty if it was, None if it says nothing of a leg."""

_NAMES: Final = {
    "ChannelStateChange": "newstate",
    "ChannelEnteredBridge": "bridgeenter",
    "ChannelLeftBridge": "bridgeleave",
    "ChannelVarset": "varset",
    "ChannelDtmfReceived": "dtmfend",
    "ChannelHangupRequest": "hanguprequest",
    "ChannelDestroyed": "hangup",
    "ChannelHold": "hold",
    "ChannelUnhold": "unhold",
}
"""Events of the manager by those of ARI; any other with a channel is its state at that time."""

_STATE: Final = "status"
_RECORDINGS: Final = {
    "RecordingStarted": "mixmonitorstart",
    "RecordingFinished": "mixmonitorstop",
    "RecordingFailed": "mixmonitorstop",
}
_DIALED: Final = frozenset({"AppDial", "AppDial2"})
"""Applications of a channel that `Dial` made, or a request to originate one."""

_UNDER_WAY: Final = frozenset({"RINGING", "PROGRESS", "PROCEEDING"})
_MOST_CHANNELS: Final = 64
"""More channels than these are no call."""


class Application:
    """The channels of the events so far, and of what stands beside them in a file."""

    def __init__(self, reading: Reading) -> None:
        self._stream = Stream(reading)
        self._calls: dict[str, list[str]] = {}
        """The ids of the channels of each call, the one first that names it."""
        self._call_of: dict[str, str] = {}

    def take(self, body: Record) -> Said:
        """Take an event."""
        kind, at = text_in(body, "type") or "", iso_time(text_in(body, "timestamp"))
        if kind in _RECORDINGS:
            return self._take_recording(kind, body, at)
        if kind == "Dial":
            return self._take_dial(body, at)
        leg = self._leg(object_in(body, "channel"), at)
        if leg is None:
            return None
        if kind == "ChannelEnteredBridge":
            self._meet(object_in(body, "bridge"), leg)
        name = _NAMES.get(kind, _STATE)
        if name == "hanguprequest" and body.get("soft") is True:
            name = "softhanguprequest"
        # The state of a channel that leaves began some time before.
        timed = None if kind == "StasisEnd" else at
        return self._tell(name, timed, self._fields(leg, object_in(body, "channel")) | _more(body))

    def take_channel(self, body: Record) -> Said:
        """Take a channel by itself: an answer to `GET /channels`."""
        leg = self._leg(body, None)
        return None if leg is None else self._tell(_STATE, None, self._fields(leg, body))

    def take_statistics(self, unique: str, pairs: Mapping[str, str]) -> None:
        """Take what was counted on a channel; under the names of the quality string."""
        legs = self._stream.legs.by_id
        leg = legs.get(unique)
        if leg is None:
            leg = legs[unique] = Leg(unique, ChannelName(""), created=created_at(unique))
        leg.quality_pairs.update(pairs)

    def observations(self, source: str) -> Iterator[Observation]:
        """What is known of each leg."""
        sizes = Counter(leg.linked or leg.unique for leg in self._stream.legs.by_id.values())
        for told in self._stream.observations(source):
            ids = dict(told.ids)
            if sizes[ids.get("linked_id", "")] < 2:
                # The id of a call is not in the events: of one channel alone nobody knows it.
                ids.pop("linked_id", None)
            yield replace(told, ids=ids)

    def _tell(self, name: str, at: float | None, fields: Mapping[str, str]) -> Said:
        timed = {} if at is None else {"timestamp": repr(at)}
        return self._stream.take(Event(0, name, {**fields, **timed}))

    def _leg(self, channel: Record, at: float | None) -> Leg | None:
        """The leg of a channel, which begins if it was not seen before; None for no leg."""
        unique = unique_id(text_in(channel, "id"))
        if unique is None:
            return None
        known = self._stream.legs.by_id.get(unique)
        name = channel_name(text_in(channel, "name") or "")
        if name is None or (known is not None and known.name.text):
            return known
        self._call_of.setdefault(unique, unique)
        self._calls.setdefault(unique, [unique])
        self._begin(channel, unique, at)
        return self._stream.legs.by_id.get(unique)

    def _begin(self, channel: Record, unique: str, at: float | None) -> None:
        began = iso_time(text_in(channel, "creationtime"))
        state = _state(channel)
        # Of one that was up before nobody knows how it began.
        is_new = state in (0, RING)
        fields = _snapshot(channel, unique)
        if state == RING:
            fields |= _text("exten", text_in(object_in(channel, "dialplan"), "exten"))
        counted = self._stream.legs.by_id.pop(unique, None)
        self._tell("newchannel" if is_new else _STATE, (began or at) if is_new else None, fields)
        leg = self._stream.legs.by_id.get(unique)
        if leg is None:
            return
        leg.began_at = leg.began_at or began
        leg.dialed = text_in(object_in(channel, "dialplan"), "app_name") in _DIALED
        if counted is not None:
            leg.quality_pairs.update(counted.quality_pairs)

    def _fields(self, leg: Leg, channel: Record) -> dict[str, str]:
        """The snapshot of a leg; where an event has but the id, its name is known."""
        leg.call_id = text_in(channel, "protocol_id") or leg.call_id
        told = _snapshot(channel, self._call_of.get(leg.unique, leg.unique))
        return {"channel": leg.name.text, "uniqueid": leg.unique, **told}

    def _take_dial(self, body: Record, at: float | None) -> Said:
        """A channel was dialled, by another one or for the application itself."""
        peer, caller = object_in(body, "peer"), object_in(body, "caller")
        dialed, by = self._leg(peer, at), self._leg(caller, at)
        if dialed is None:
            return None
        fields: dict[str, str] = {}
        if by is not None:
            self._join(by, dialed)
            fields = self._fields(by, caller)
        dest = self._fields(dialed, peer)
        fields |= {f"dest{key}": value for key, value in dest.items()}
        status = text_in(body, "dialstatus")
        fields |= _text("dialstring", text_in(body, "dialstring")) | _text("dialstatus", status)
        name = "dialend" if status else "dialbegin"
        return self._tell("dialstate" if status in _UNDER_WAY else name, at, fields)

    def _take_recording(self, kind: str, body: Record, at: float | None) -> Said:
        target = text_in(object_in(body, "recording"), "target_uri") or ""
        leg = self._stream.legs.by_id.get(target.removeprefix("channel:"))
        if leg is None or not leg.name.text:
            return None
        return self._tell(_RECORDINGS[kind], at, self._fields(leg, {}))

    def _meet(self, bridge: Record, leg: Leg) -> None:
        """Those who hear each other are one call."""
        if text_in(bridge, "bridge_type") == "holding":
            return
        legs = self._stream.legs.by_id
        for one in list_in(bridge, "channels")[:_MOST_CHANNELS]:
            other = legs.get(one) if isinstance(one, str) else None
            if other is not None and other is not leg:
                self._join(*((leg, other) if other.dialed and not leg.dialed else (other, leg)))

    def _join(self, first: Leg, other: Leg) -> None:
        """Two channels of one call, which is named after the first one's."""
        call = self._call_of.get(first.unique, first.unique)
        left = self._call_of.get(other.unique, other.unique)
        members = self._calls.get(call, [])
        moved = self._calls.get(left, [])
        if call == left or len(members) + len(moved) > _MOST_CHANNELS:
            return
        self._calls.pop(left, None)
        members += moved
        for unique in moved:
            self._call_of[unique] = call
        for unique in members:
            if (leg := self._stream.legs.by_id.get(unique)) is not None:
                leg.linked = call


def _snapshot(channel: Record, call: str) -> dict[str, str]:
    state = _state(channel)
    return (
        _text("channel", text_in(channel, "name"))
        | _text("uniqueid", text_in(channel, "id"))
        | {"linkedid": call}
        | _text("channelstate", None if state is None else str(state))
        | _text("calleridnum", text_in(object_in(channel, "caller"), "number"))
        | _text("connectedlinenum", text_in(object_in(channel, "connected"), "number"))
    )


def _state(channel: Record) -> int | None:
    return STATES.get((text_in(channel, "state") or "").lower())


def _more(body: Record) -> dict[str, str]:
    """What an event says beside the channel."""
    told = {key: text_in(body, key) for key in ("variable", "value")}
    told |= {"direction": "received"}
    for key, name in (("cause", "cause"), ("tech_cause", "techcause")):
        number = integer(body.get(key))
        told[name] = None if number is None else str(number)
    return {name: value for name, value in told.items() if value is not None}


def _text(key: str, value: str | None) -> dict[str, str]:
    return {} if value is None else {key: value}
