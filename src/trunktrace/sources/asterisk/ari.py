"""Bodies of Asterisk's REST interface (ARI): `rtp_statistics` of channels, channels, and events.

Where there are events of an application, all is read with them (`application`). Without them, a
body of `GET /channels/{id}/rtp_statistics` (model `RTPstat`) says of whom it is by the channel's id
alone; a list of `GET /channels` in the same file adds the Call-ID, the endpoint and which end it
is. Without one, the leg is taken to be the caller's. Both are read while the call goes on: what
they say is partial, and has no end.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from trunktrace.facts import End, Observation
from trunktrace.sources.asterisk.application import Application
from trunktrace.sources.asterisk.media import say_quality
from trunktrace.sources.asterisk.names import (
    ChannelName,
    channel_name,
    created_at,
    number_of,
    numbers_in,
    person_of,
    unique_id,
)
from trunktrace.sources.asterisk.quality import Quality, quality_of
from trunktrace.sources.draft import Draft
from trunktrace.sources.ends import ENDPOINT, Ends
from trunktrace.sources.parsed import Broken, Parsed
from trunktrace.sources.reading import AS_IT_IS, Reading
from trunktrace.sources.shapes.bodies import bodies
from trunktrace.sources.shapes.jsonlines import Record, object_in, text_in
from trunktrace.sources.shapes.ordered import take_each
from trunktrace.sources.shapes.values import count, iso_time

NAME: Final = "asterisk-ari"

_FIELDS: Final = {
    "rxcount": "rxcount",
    "txcount": "txcount",
    "lp": "rxploss",
    "rlp": "txploss",
    "rtt": "rtt",
    "avgrtt": "normdevrtt",
    "txjitter": "txjitter",
    "rxjitter": "rxjitter",
    "avgrxjitter": "local_normdevjitter",
    "maxrxjitter": "local_maxjitter",
    "avgtxjitter": "remote_normdevjitter",
    "maxtxjitter": "remote_maxjitter",
    "txmes": "txmes",
    "avgrxmes": "local_normdevmes",
}
"""Names in the quality string by those in `RTPstat` (`normdev` is its word for the mean)."""


_OF_OTHERS: Final = frozenset({"type", "message", "bridge_type", "technology", "channel_ids"})
"""Keys of events, errors (`{"message": "Channel not found"}`), bridges, endpoints, applications."""

_MOST_DIALED: Final = 64
_DIALED: Final = "AppDial"
"""The application of a channel that `Dial` made."""


@dataclass(slots=True)
class _Leg:
    """A channel, as far as the bodies say."""

    unique: str
    channel: Record | None = None
    name: ChannelName | None = None
    quality: Quality | None = None
    local_ssrc: int | None = None
    remote_ssrc: int | None = None

    def number(self, party: str) -> str | None:
        return text_in(object_in(self.channel or {}, party), "number")

    @property
    def application(self) -> str:
        return text_in(object_in(self.channel or {}, "dialplan"), "app_name") or ""

    @property
    def up(self) -> bool | None:
        """Whether it was answered; None where no channel says so."""
        return None if self.channel is None else text_in(self.channel, "state") == "Up"

    @property
    def created(self) -> float | None:
        told = iso_time(text_in(self.channel or {}, "creationtime"))
        return told or created_at(self.unique)

    @property
    def age(self) -> tuple[float, int]:
        """What orders channels by when they were made; ids of one PBX are counted through."""
        return created_at(self.unique) or 0.0, count(self.unique.rpartition(".")[2]) or 0


def parse(data: bytes, reading: Reading = AS_IT_IS) -> Parsed:
    """One observation for each channel; the last statistics of a channel count."""
    found = list(bodies(data))
    if any(not isinstance(body, Broken) and _is_event(body) for _, body in found):
        application = Application(reading)
        broken, ignored = take_each(found, lambda body: _take_beside_events(application, body))
        return Parsed(tuple(application.observations(NAME)), broken, ignored)
    legs: dict[str, _Leg] = {}
    broken, ignored = take_each(found, lambda body: _take(legs, body))
    peers = _peers(legs.values())
    dialed = _dialed_for(legs.values())
    told = [
        _observation(leg, peers.get(leg.unique), _beside(leg, peers, dialed), reading)
        for leg in legs.values()
    ]
    return Parsed(tuple(told), broken, ignored)


def _is_event(body: Record) -> bool:
    """Whether it is an event of a channel that it names."""
    channels = (object_in(body, key) for key in ("channel", "peer"))
    return "type" in body and any(text_in(one, "name") for one in channels)


def _take_beside_events(application: Application, body: Record) -> str | None:
    """As `_take`, in a file in which there are events."""
    if "type" in body:
        return application.take(body)
    legs: dict[str, _Leg] = {}
    said = _take(legs, body)
    for leg in legs.values():
        if leg.channel is not None:
            return application.take_channel(leg.channel)
        application.take_statistics(leg.unique, _pairs(body))
    return said


def _take(legs: dict[str, _Leg], body: Record) -> str | None:
    """Why a body could not be read; empty if it was, None if it says nothing of a leg."""
    if "channel_uniqueid" in body or "rxcount" in body or "txcount" in body:
        return _take_statistics(legs, body)
    if not _OF_OTHERS.isdisjoint(body):
        return None
    if "id" in body and "name" in body:
        return _take_channel(legs, body)
    return "neither statistics nor a channel"


def _take_statistics(legs: dict[str, _Leg], body: Record) -> str | None:
    unique = unique_id(text_in(body, "channel_uniqueid"))
    quality = quality_of(_pairs(body))
    if unique is None:
        return "statistics without the id of a channel"
    if quality is None:
        return "statistics without packet counts"
    leg = legs.setdefault(unique, _Leg(unique))
    leg.quality = quality
    leg.local_ssrc, leg.remote_ssrc = count(body.get("local_ssrc")), count(body.get("remote_ssrc"))
    return ""


def _take_channel(legs: dict[str, _Leg], body: Record) -> str | None:
    unique, text = unique_id(text_in(body, "id")), text_in(body, "name")
    if unique is None or text is None:
        return "a channel without an id or a name"
    name = channel_name(text)
    if name is None:
        return None
    leg = legs.setdefault(unique, _Leg(unique))
    leg.channel, leg.name = body, name
    return ""


def _pairs(body: Record) -> dict[str, str]:
    """The statistics under the names of the quality string."""
    told = {name: body.get(key) for name, key in _FIELDS.items()}
    return {
        name: str(value)
        for name, value in told.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }


def _peers(legs: Collection[_Leg]) -> Mapping[str, _Leg]:
    """The other leg of a call, by the id of the one."""
    return {**_peers_by_media(legs), **_peers_by_parties(legs)}


def _peers_by_media(legs: Iterable[_Leg]) -> dict[str, _Leg]:
    """A native bridge passes packets on as they are: what one leg hears, the other sends."""
    by_remote = {leg.remote_ssrc: leg for leg in legs if leg.remote_ssrc}
    peers: dict[str, _Leg] = {}
    for leg in legs:
        heard = by_remote.get(leg.local_ssrc or 0)
        if heard is not None and heard is not leg:
            peers[leg.unique] = heard
            peers.setdefault(heard.unique, leg)
    return peers


def _peers_by_parties(legs: Iterable[_Leg]) -> dict[str, _Leg]:
    """The one channel whose parties are these the other way round."""
    by_parties: dict[tuple[str, str], list[_Leg]] = {}
    known = [leg for leg in legs if leg.number("caller") and leg.number("connected")]
    for leg in known:
        parties = (leg.number("caller") or "", leg.number("connected") or "")
        by_parties.setdefault(parties, []).append(leg)
    peers: dict[str, _Leg] = {}
    for leg in known:
        parties = (leg.number("connected") or "", leg.number("caller") or "")
        found = by_parties.get(parties, [])
        back = by_parties[parties[1], parties[0]]
        if len(found) == 1 and len(back) == 1 and found[0] is not leg:
            peers[leg.unique] = found[0]
    return peers


def _dialed_for(legs: Collection[_Leg]) -> Mapping[str, list[_Leg]]:
    """By the caller's number, the channels that were dialled for the one call that he makes."""
    callers = Counter(
        leg.number("caller") for leg in legs if leg.channel and leg.application != _DIALED
    )
    dialed: dict[str, list[_Leg]] = {}
    for leg in legs:
        number = leg.number("connected")
        if number and leg.application == _DIALED and callers[number] == 1:
            found = dialed.setdefault(number, [])
            if len(found) < _MOST_DIALED:
                found.append(leg)
    return dialed


def _beside(leg: _Leg, peers: Mapping[str, _Leg], dialed: Mapping[str, list[_Leg]]) -> list[_Leg]:
    """All legs at the other end, or beside a leg that was dialled."""
    peer = peers.get(leg.unique)
    number = leg.number("connected" if leg.application == _DIALED else "caller")
    return [*([] if peer is None else [peer]), *dialed.get(number or "", [])]


def _end(leg: _Leg, peer: _Leg | None) -> End:
    """The dialled channel runs `AppDial`; of two others the older one is the caller's."""
    if leg.application == _DIALED:
        return "callee"
    if peer is None or peer.application == _DIALED or leg.application == "Dial":
        return "caller"
    return "callee" if leg.age > peer.age else "caller"


def _observation(
    leg: _Leg, peer: _Leg | None, beside: Iterable[_Leg], reading: Reading
) -> Observation:
    end = _end(leg, peer)
    names: dict[End, list[str]] = {"caller": [], "callee": []}
    names[end] += _names(leg)
    for one in beside:
        is_at_end = one.application == leg.application == _DIALED
        names[end if is_at_end else "caller" if end == "callee" else "callee"] += _names(one)
    ends = reading.bridge.ends(caller=names["caller"], callee=names["callee"])
    draft = Draft(NAME, record_id=leg.unique)
    draft.complete = False
    draft.start = leg.created
    draft.identify("channel_id", leg.unique)
    draft.hide(*numbers_in(leg.unique, None if peer is None else peer.unique))
    if leg.name is not None:
        draft.hide(*leg.name.persons)
        draft.identify(ENDPOINT, leg.name.endpoint)
        draft.identify("host", leg.name.host)
    if peer is not None:
        draft.identify("linked_id", leg.unique if end == "caller" else peer.unique)
    # Statistics alone say neither whose they are nor where the call went.
    is_known = leg.channel is not None or peer is not None or ends.by != "assumed"
    draft.place(ends, end, names=_names(leg), states_direction=is_known)
    _say_channel(draft, leg, end)
    _say_quality(draft, leg, end, ends, peer)
    return draft.build()


def _names(leg: _Leg) -> tuple[str, ...]:
    return () if leg.name is None else leg.name.names


def _say_channel(draft: Draft, leg: _Leg, end: End) -> None:
    if leg.channel is None:
        return
    own, other = leg.number("caller"), leg.number("connected")
    caller, callee = (own, other) if end == "caller" else (other, own)
    draft.hide(person_of(own), person_of(other))
    draft.say(
        # The SIP Call-ID of this leg (since 16.16 and 18.2).
        call_id=text_in(leg.channel, "protocol_id"),
        caller_number=number_of(caller),
        callee_number=number_of(callee),
    )
    if leg.up:
        draft.answer(200)


def _say_quality(draft: Draft, leg: _Leg, end: End, ends: Ends, peer: _Leg | None) -> None:
    if leg.quality is None:
        return
    upstream = peer.quality.lost if peer is not None and peer.quality is not None else None
    say_quality(draft, leg.quality, end, ends, leg.up is not False, upstream, times=None)
