"""RTPAUDIOQOS strings of Asterisk, one a line: the media of one leg each.

A string does not say whose it is. It is taken to be of the channel that ran the dialplan, which is
the caller's: there the `h` extension runs, and writes it down. One under `RTPAUDIOQOSBRIDGED` is
the other channel's. Where the line names the channel (a line of the log), its endpoint tells with
`--bridge` whether it faces the bridge.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from trunktrace.facts import End, Observation
from trunktrace.sources.asterisk.media import say_quality
from trunktrace.sources.asterisk.names import ChannelName, channel_name
from trunktrace.sources.asterisk.quality import MAX_CHARACTERS, pairs_of, quality_of, string_of
from trunktrace.sources.draft import Draft
from trunktrace.sources.ends import ENDPOINT
from trunktrace.sources.parsed import Broken, Parsed
from trunktrace.sources.reading import AS_IT_IS, Reading
from trunktrace.sources.shapes.lines import text_lines
from trunktrace.sources.shapes.values import count

NAME: Final = "asterisk-qos"

_LOOKS_LIKE: Final = re.compile(
    r"\b(?:ssrc|themssrc|lp|rlp|[rt]xcount|[rt]xjitter|[rt]xmes|rtt"
    r"|(?:min|max|avg|stdev)(?:[rt]x(?:jitter|lost|mes)|rtt))=",
    re.IGNORECASE,
)
_SIBLING: Final = re.compile(r"\b(?:avg|max)(?:[rt]x(?:jitter|lost|mes)|rtt)=", re.IGNORECASE)
_CHANNEL: Final = re.compile(
    r"\b(?:PJSIP|SIP|IAX2)/[^\s\",;()]{1,100}-[0-9a-f]{6,8}\b", re.IGNORECASE
)
_NO_STRING: Final = re.compile(r"[A-Za-z][\w-]{0,40}:(?:\s|$)|--$|\s*$")
"""A line of the manager's, what `grep -A` puts between them, or nothing."""

_VALUE: Final = re.compile(r"Value:", re.IGNORECASE)
"""Follows the manager's line with the name of the variable."""

_VARIABLE: Final = re.compile(r"RTP(AUDIO|VIDEO|TEXT)QOS([A-Z]*)", re.IGNORECASE)


@dataclass(slots=True)
class _String:
    """A string, with its siblings as far as they followed it."""

    pairs: dict[str, str]
    bridged: bool
    channel: ChannelName | None
    siblings: dict[str, str] = field(default_factory=dict[str, str])


@dataclass(slots=True)
class _Strings:
    """The strings of a file so far, each once, whichever channel it was read from."""

    by_pairs: dict[frozenset[tuple[str, str]], _String] = field(
        default_factory=dict[frozenset[tuple[str, str]], _String]
    )
    last: dict[bool, _String] = field(default_factory=dict[bool, _String])
    """The last string, and the last one under a `BRIDGED` name: their siblings follow them."""

    def take(self, line: str, bridged: bool) -> str | None:
        """Why a string could not be read; empty if it was, None if it says nothing new."""
        if _SIBLING.search(line):
            if bridged not in self.last:
                return None
            self.last[bridged].siblings.update(pairs_of(line))
            return ""
        pairs = string_of(line)
        if pairs is None:
            return "a quality string without its packet counts"
        known = self.by_pairs.get(frozenset(pairs.items()))
        if known is not None:
            known.bridged = known.bridged and bridged
            self.last.pop(bridged, None)
            return None
        found = _CHANNEL.search(line)
        string = _String(pairs, bridged, channel_name(found[0]) if found else None)
        self.by_pairs[frozenset(pairs.items())] = string
        self.last[bridged] = string
        return ""


def parse(data: bytes, reading: Reading = AS_IT_IS) -> Parsed:
    """One observation for each string; a copy of the other channel's counts once."""
    strings = _Strings()
    broken: list[Broken] = []
    ignored = 0
    variable, is_audio = "", True
    for number, line in text_lines(data, max_line_bytes=MAX_CHARACTERS):
        if isinstance(line, Broken):
            broken.append(line)
            continue
        named = _VARIABLE.search(line)
        if named or _VALUE.match(line) is None:
            variable = named[2] if named else ""
            is_audio = named is None or named[1].upper() == "AUDIO"
        if _LOOKS_LIKE.search(line) is not None and is_audio:
            said = strings.take(line, "BRIDGED" in variable.upper())
        else:
            said = None if named or not is_audio or _NO_STRING.match(line) else "no quality string"
        if said is None and line.strip():
            ignored += 1
        elif said:
            broken.append(Broken(number, said))
    told = [_observation(one, reading) for one in strings.by_pairs.values()]
    kept = tuple(one for one in told if one is not None)
    return Parsed(kept, tuple(broken), ignored + len(told) - len(kept))


def _observation(string: _String, reading: Reading) -> Observation | None:
    """What the string says; None where there was no media at all."""
    quality = quality_of(string.pairs | string.siblings)
    if quality is None or quality.silent:
        return None
    end: End = "callee" if string.bridged else "caller"
    name = None if string.bridged else string.channel
    ends = reading.bridge.ends(caller=[name.endpoint, name.host] if name is not None else [])
    draft = Draft(NAME, record_id=_id_of(string.pairs))
    if name is not None:
        draft.hide(*name.persons)
        draft.identify(ENDPOINT, name.endpoint)
        draft.identify("host", name.host)
    draft.place(ends, end)
    say_quality(draft, quality, end, ends, answered=True, upstream=None, times=None)
    return draft.build()


def _id_of(pairs: dict[str, str]) -> str:
    """The stream that was sent and the one that came, in hexadecimal digits."""
    return "-".join(f"{count(pairs.get(name)) or 0:08x}" for name in ("ssrc", "themssrc"))
