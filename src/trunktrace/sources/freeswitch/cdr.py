"""Call detail records of FreeSWITCH's mod_json_cdr: one JSON document a leg.

A file holds one document or many (one after the other, one a line, or a list), of a-legs and
b-legs; or one a line as the module posts them (`cdr=` and the document, URL-encoded or in base64).
Values are URL-encoded where `encode-values` is on; that is seen by what they hold. Of a leg that is
told twice the later document counts. Failed calls have `callStats: {}`.
"""

from __future__ import annotations

import binascii
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, cast

from trunktrace.sources.freeswitch.call import observations
from trunktrace.sources.freeswitch.frames import decoded
from trunktrace.sources.freeswitch.leg import (
    CAME_IN,
    MAX_NAME_CHARACTERS,
    NOT_SIP,
    VARIABLES,
    Leg,
    caller_of,
    holds_in,
    names_of,
)
from trunktrace.sources.freeswitch.media import Statistics
from trunktrace.sources.parsed import Broken, Parsed
from trunktrace.sources.reading import AS_IT_IS, Reading
from trunktrace.sources.shapes.bodies import Body, bodies
from trunktrace.sources.shapes.jsonlines import Record, list_in, object_in, record, text_in
from trunktrace.sources.shapes.values import unix_time

NAME: Final = "freeswitch-cdr"

_FORMS: Final = (b"cdr=", b"uuid=")
_MOST_POSTED: Final = 192 * 1024
"""Bytes of a posted document; encoded ones are up to twice as long as the document itself."""

_MOST_PROFILES: Final = 64
_NEVER_ENCODED: Final = frozenset(' "#&+:;<=>@')
"""Characters that FreeSWITCH encodes: a value that holds one is in clear."""

_TIMES: Final = {
    "created": ("created_time", "start_uepoch", "start_epoch"),
    "progress": ("progress_time", "progress_uepoch", "progress_epoch"),
    "early": ("progress_media_time", "progress_media_uepoch", "progress_media_epoch"),
    "answered": ("answered_time", "answer_uepoch", "answer_epoch"),
    "hung_up": ("hangup_time", "end_uepoch", "end_epoch"),
}
_OURS: Final = frozenset(
    {
        "uuid",
        "direction",
        "channel_name",
        "caller_id_number",
        "destination_number",
        *(name for _, *others in _TIMES.values() for name in others),
    }
)


def parse(data: bytes, reading: Reading = AS_IT_IS) -> Parsed:
    """One observation a leg; those of one call are read together."""
    legs: dict[str, Leg] = {}
    broken: list[Broken] = []
    ignored = 0
    for line, body in _documents(data):
        found = body if isinstance(body, Broken) else _leg(body, line)
        if found is None:
            ignored += 1
        elif isinstance(found, Broken):
            broken.append(found)
        else:
            legs.pop(found.uuid, None)
            legs[found.uuid] = found
    return Parsed(tuple(observations(NAME, legs.values(), reading)), tuple(broken), ignored)


def _documents(data: bytes) -> Iterator[Body]:
    if not data.lstrip()[:5].startswith(_FORMS):
        yield from bodies(data)
        return
    for number, line in enumerate(data.split(b"\n"), start=1):
        if line.strip():
            yield number, _posted(line.strip(), number)


def _posted(line: bytes, number: int) -> Record | Broken:
    """The document in the field `cdr` of a form."""
    if len(line) > _MOST_POSTED:
        return Broken(number, f"the form is longer than {_MOST_POSTED // 1024} KiB")
    fields = (field.partition(b"=") for field in line.split(b"&"))
    told = next((value for name, _, value in fields if name == b"cdr"), b"")
    if not told:
        return Broken(number, "no field `cdr`")
    if told[:1] not in b"{%":
        try:
            return record(binascii.a2b_base64(_unquoted(told)), number)
        except binascii.Error:
            return Broken(number, "neither JSON nor base64 under `cdr`")
    return record(_unquoted(told.replace(b"+", b" ")), number)


def _unquoted(text: bytes) -> bytes:
    """URL encoding undone, as quoted-printable: `urllib` takes 50 ms for what this does in one."""
    return binascii.a2b_qp(text.replace(b"=", b"=3D").replace(b"%", b"="))


def _leg(document: Record, line: int) -> Leg | Broken | None:
    """The leg of a document; None for one that is no leg to anybody outside (loopback)."""
    told = _texts(object_in(document, "variables"))
    flows = list(_flows(document))
    profiles = [object_in(flow, "caller_profile") for flow in flows]
    channel = object_in(document, "channel_data")
    if not told and not channel and not flows:
        return Broken(line, "no document of mod_json_cdr")
    uuid = told.get("uuid") or _first(profiles, "uuid") or text_in(document, "uuid")
    came_in = CAME_IN.get(text_in(channel, "direction") or told.get("direction") or "")
    if not uuid or len(uuid) > MAX_NAME_CHARACTERS:
        return Broken(line, "no uuid of a channel")
    if came_in is None:
        return Broken(line, "no direction under `channel_data`")
    if (told.get("channel_name") or "").startswith(NOT_SIP):
        return None
    times = {name: _time(flows, told, keys) for name, keys in _TIMES.items()}
    if times["created"] is None and times["hung_up"] is None:
        return Broken(line, "no time at which the leg began or ended")
    variables = {key: told[key] for key in VARIABLES if key in told}
    caller, callee = _parties(profiles, told)
    leg = Leg(
        uuid=uuid,
        came_in=came_in,
        variables=variables,
        statistics=_statistics(document, told),
        created=times["created"],
        progress=_earliest(times["progress"], times["early"]),
        answered=times["answered"],
        hung_up=times["hung_up"],
        caller=caller_of(variables, caller),
        callee=callee,
        marks=tuple(holds_in(told.get("hold_events"))),
    )
    _name_ends(leg, profiles)
    return leg


def _statistics(document: Record, told: Mapping[str, str]) -> Statistics:
    media = {key: value for key, value in told.items() if key.startswith("rtp_audio_")}
    return Statistics(media, object_in(object_in(document, "callStats"), "audio"))


def _flows(document: Record) -> Iterator[Record]:
    """What each profile of the call says, the last one that it had first.

    Before FreeSWITCH 1.6 `callflow` was an object, and stood there once for each profile: the last
    one that stands there is the oldest, and has no times but the beginning.
    """
    one = object_in(document, "callflow")
    yield from [one] if one else _objects(list_in(document, "callflow")[:_MOST_PROFILES])


def _parties(profiles: list[Record], told: Mapping[str, str]) -> tuple[str | None, str | None]:
    """Who calls and who is called: what was dialled is in the oldest profile.

    A document without profiles has the users of the INVITE, which are numbers or names.
    """
    dialled = _first(reversed(profiles), "destination_number") or told.get("sip_req_user")
    if profiles:
        return _first(reversed(profiles), "caller_id_number"), dialled
    caller = told.get("caller_id_number") or _number(told.get("sip_from_user"))
    return caller, told.get("destination_number") or dialled or _number(told.get("sip_to_user"))


def _number(user: str | None) -> str | None:
    return user if user and any(map(str.isdigit, user)) else None


def _name_ends(leg: Leg, profiles: list[Record]) -> None:
    """How the document calls either end, and the persons at them."""
    leg.name_end(_first(profiles, "network_addr"))
    users = ("sip_from_user", "sip_to_user", "sip_req_user", "sip_contact_user", "sip_from_display")
    leg.persons |= names_of(map(leg.said, users))
    for profile in profiles:
        people = ("username", "caller_id_name", "caller_id_number", "ani", "destination_number")
        leg.persons |= names_of(text_in(profile, key) for key in people)
        for role in ("originator", "originatee"):
            others = list_in(object_in(profile, role), f"{role}_caller_profiles")
            leg.far |= names_of(text_in(one, "network_addr") for one in _objects(others[:64]))


def _texts(variables: Record) -> dict[str, str]:
    """The variables that are read, as text, decoded where they were encoded."""
    told = {key: text for key, value in variables.items() if (text := _text(value)) is not None}
    in_clear = not all(map(_may_be_coded, told.values()))
    told = {key: value for key, value in told.items() if _is_read(key)}
    encoded = {key: value for key, value in told.items() if "%" in value and _may_be_coded(value)}
    if in_clear:
        # A Call-ID may hold a `%` of its own: where anything stands in clear, it does as well.
        encoded.pop("sip_call_id", None)
    return {key: told[key] for key in told.keys() - encoded.keys()} | decoded(encoded)


def _text(value: object) -> str | None:
    """A value as text: FreeSWITCH writes all as text, those who store it write numbers as such."""
    if isinstance(value, str):
        return value
    return None if isinstance(value, bool) or not isinstance(value, int | float) else str(value)


def _is_read(name: str) -> bool:
    return name in VARIABLES or name in _OURS or name.startswith("rtp_audio_")


def _may_be_coded(value: str) -> bool:
    return _NEVER_ENCODED.isdisjoint(value)


def _time(flows: list[Record], told: Mapping[str, str], keys: tuple[str, ...]) -> float | None:
    """The earliest time of that name, the latest for the end; FreeSWITCH writes 0 for none."""
    by_flow, microseconds, seconds = keys
    found = [
        time
        for flow in flows
        if (time := unix_time(object_in(flow, "times").get(by_flow), per_second=1e6))
    ]
    if found:
        return max(found) if by_flow == "hangup_time" else min(found)
    return unix_time(told.get(microseconds), per_second=1e6) or unix_time(told.get(seconds))


def _earliest(*times: float | None) -> float | None:
    return min((time for time in times if time is not None), default=None)


def _first(records: Iterable[Record], key: str) -> str | None:
    return next((text for one in records if (text := text_in(one, key))), None)


def _objects(values: Iterable[object]) -> Iterator[Record]:
    for value in values:
        if isinstance(value, dict):
            yield cast("Record", value)
