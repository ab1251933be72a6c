"""Names as Asterisk gives them: channels, ids with a time in them, numbers, formats."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Final

from trunktrace.sip import codecs
from trunktrace.sources.shapes.values import unix_time

_TECHNOLOGIES: Final = frozenset(
    {
        *("pjsip", "sip", "iax2", "dahdi", "ooh323"),
        *("zap", "h323", "misdn", "sccp", "dongle", "quectel"),
    }
)
"""What can be a leg of a trunk; `Local` and the like are Asterisk's own."""

_UNIQUE: Final = re.compile(r"[A-Za-z0-9_.:@+-]{1,150}")
_CREATED: Final = re.compile(r"(?:.*-)?(\d{9,11})\.\d{1,10}")
_NUMBER: Final = re.compile(r"\+?[0-9][0-9().\- ]{1,24}")
_NUMBER_WITHIN: Final = re.compile(r"\+\d{7,15}")
_MANY_DIGITS: Final = re.compile(r"\d{7}")
_UNKNOWN: Final = frozenset({"", "<unknown>", "unknown", "anonymous", "s", "h", "none"})
_LONGEST_NAME: Final = 150
_LATEST_S: Final = 2.0**32

_FORMATS: Final = {"g726": "g726-32", "silk8": "silk", "silk16": "silk", "speex16": "speex"}
"""What only Asterisk calls a codec."""


@dataclass(frozen=True, slots=True)
class ChannelName:
    """What the name of a channel (`PJSIP/acme-east-00000003`) says.

    `endpoint` is the name in the configuration of the PBX, `host` an address in its place; both are
    None where a number of a person stands there, which is in `persons` instead.
    """

    text: str
    endpoint: str | None = None
    host: str | None = None
    persons: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """What `--bridge` may call it by."""
        return tuple(name for name in (self.endpoint, self.host) if name)


def channel_name(text: str) -> ChannelName | None:
    """The name of a channel that is a leg of a trunk or phone; None for any other."""
    technology, slash, rest = text.partition("/")
    if not slash or technology.lower() not in _TECHNOLOGIES or len(text) > _LONGEST_NAME:
        return None
    name = rest.rpartition("-")[0] or rest
    if _is_address(name):
        return ChannelName(text, host=name)
    if number_of(name) or _MANY_DIGITS.search(name):
        return ChannelName(text, persons=(name, *name.split("/"), text))
    return ChannelName(text, endpoint=name)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True


def unique_id(text: str | None) -> str | None:
    """The id of a channel; None for what can be none (`none`, blanks, control characters)."""
    if text is None or text.lower() == "none" or not _UNIQUE.fullmatch(text):
        return None
    return text


def created_at(unique: str) -> float | None:
    """Unix time, in whole seconds, at which a channel of that id was made; None for own ids."""
    found = _CREATED.fullmatch(unique)
    return moment(found[1]) if found else None


def moment(value: object) -> float | None:
    """Unix seconds as Asterisk writes them; a number of 11 digits is no time of a call."""
    told = unix_time(value)
    return told if told is not None and told < _LATEST_S else None


def numbers_in(*ids: str | None) -> list[str]:
    """Numbers of persons in ids that an application made up itself (`carrier-+15555550143`)."""
    return [number for one in ids if one for number in _NUMBER_WITHIN.findall(one)]


def number_of(text: str | None) -> str | None:
    """The text if it is written as a number of a person; None for names and `<unknown>`."""
    told = (text or "").strip()
    return told if _NUMBER.fullmatch(told) else None


def person_of(text: str | None) -> str | None:
    """The text if it may name a person: anything but `<unknown>` and extensions of the PBX."""
    told = (text or "").strip()
    return None if told.lower() in _UNKNOWN else told


def codec_of(formats: str | None) -> str | None:
    """The IANA subtype of Asterisk's name of a format (`(ulaw)`); None for several or unknown."""
    told = (formats or "").strip().strip("()").lower()
    return _FORMATS.get(told) or codecs.known(told)
