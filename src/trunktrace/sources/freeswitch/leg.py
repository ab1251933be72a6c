"""One leg of a call as FreeSWITCH tells it, from a CDR or from events: what its variables mean.

Variables are named as in FreeSWITCH, without `variable_`. Whose leg it is: `inbound` is the leg on
which the call came in (the a-leg: the caller's end), `outbound` one that FreeSWITCH made (a b-leg:
the callee's end). Where FreeSWITCH made the call itself (`originate`), it made the a-leg as well.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from trunktrace.facts import End
from trunktrace.sip import codecs
from trunktrace.sip.reason import q850_cause
from trunktrace.sip.sdp import audio_in
from trunktrace.sources.freeswitch.causes import cause_named
from trunktrace.sources.freeswitch.media import SIDES, Statistics
from trunktrace.sources.freeswitch.rtcp import Interval
from trunktrace.sources.shapes.values import count, unix_time
from trunktrace.timeline import MarkKind

CAME_IN: Final = {"inbound": True, "outbound": False}
"""FreeSWITCH's direction of a leg: whether the INVITE came to it, or was sent by it."""

NOT_SIP: Final = ("loopback/", "null/", "error/")
"""How the names of channels begin that lead to nobody outside."""

OTHER_END: Final[dict[End, End]] = {"caller": "callee", "callee": "caller"}

_CODE: Final = re.compile(r"sip:([2-6]\d\d)", re.IGNORECASE)
_TRANSPORT: Final = re.compile(r"SIP/2\.0/(\w{2,3})\b", re.IGNORECASE)
_CONTACT_TRANSPORT: Final = re.compile(r";transport=(\w{2,3})\b", re.IGNORECASE)
_GATEWAY: Final = re.compile(r"sofia/gateway/([^/|,\s\]]{1,64})/")
_HOLD: Final = re.compile(r"\{(\d{1,18}),(\d{1,18})\}")
_LONGEST_HOLDS: Final = 8192

_YES: Final = frozenset({"true", "yes"})
_SECURED: Final = (
    "rtp_secure_media_confirmed",
    "rtp_secure_media_confirmed_audio",
    "sip_secure_media_confirmed",
    "zrtp_secure_media_confirmed",
    "zrtp_secure_media_confirmed_audio",
)
"""What is `true` where the audio is encrypted: by SDES or DTLS (`sip_` before 1.4), or by ZRTP."""

_OWN_WORD: Final = "CANCEL"
"""What FreeSWITCH writes for the phrase of a canceled call itself: no answer came with it."""

MAX_NAME_CHARACTERS: Final = 255
VARIABLES: Final = frozenset(
    """
    bridge_channel bridge_hangup_cause call_uuid carrier channel_cid_flipped
    current_application_data endpoint_disposition export_vars hangup_cause hangup_cause_q850
    hold_events last_arg last_bridge_hangup_cause last_bridge_proto_specific_hangup_cause
    last_bridge_to originated_legs originating_leg_uuid originator pre_transfer_caller_id_number
    proto_specific_hangup_cause read_codec rtp_audio_recv_pt rtp_local_sdp_str rtp_secure_media
    rtp_secure_media_confirmed rtp_secure_media_confirmed_audio rtp_use_codec_name
    rtp_use_codec_ptime rtp_use_codec_rate rtp_use_pt rtp_use_ssrc sip_audio_recv_pt sip_call_id
    sip_contact_user sip_from_display sip_from_host sip_from_user sip_full_via sip_gateway
    sip_gateway_name sip_hangup_disposition sip_invite_failure_phrase sip_invite_failure_status
    sip_network_ip sip_outgoing_contact_uri sip_reason sip_received_ip sip_req_user
    sip_secure_media_confirmed sip_term_cause sip_term_status sip_to_host sip_to_user
    sip_use_codec_name sip_use_codec_ptime sip_use_codec_rate sip_use_pt sip_via_protocol
    switch_r_sdp trunk zrtp_secure_media_confirmed zrtp_secure_media_confirmed_audio
    """.split()  # noqa: SIM905 - a list of names is read as one
)
"""The variables that are read, beside those of media (`rtp_audio_*`)."""


@dataclass(slots=True)
class Leg:
    """What a record says of one leg. Times are unix seconds; None where FreeSWITCH wrote 0.

    `came_in` is whether the INVITE came to FreeSWITCH, `is_first` whether FreeSWITCH made this leg
    of itself, to bridge it on. `over` is whether the leg has ended, `complete` whether all was told
    of it. `near` are names of its own end (gateway, hosts), `far` those of the other end that the
    record holds. `other_leg` is the leg that asked for this one.
    """

    uuid: str
    came_in: bool
    variables: Mapping[str, str]
    statistics: Statistics
    created: float | None = None
    progress: float | None = None
    answered: float | None = None
    hung_up: float | None = None
    caller: str | None = None
    callee: str | None = None
    near: set[str] = field(default_factory=set[str])
    far: set[str] = field(default_factory=set[str])
    persons: set[str] = field(default_factory=set[str])
    over: bool = True
    complete: bool = True
    is_first: bool = False
    other_leg: str | None = None
    dtmf_count: int | None = None
    intervals: tuple[Interval, ...] = ()
    marks: tuple[tuple[MarkKind, float, float | None], ...] = ()

    def said(self, name: str) -> str | None:
        """A variable that is not empty."""
        return self.variables.get(name) or None

    @property
    def end(self) -> End:
        """The end of the call to which the leg leads."""
        return "caller" if self.came_in or self.is_first else "callee"

    @property
    def host(self) -> str | None:
        """The host of the party: of From where the INVITE came in, of To where it was sent."""
        return self.said("sip_from_host" if self.came_in else "sip_to_host")

    def name_end(self, address: str | None) -> None:
        """Take the names of the leg's own end, and its network address."""
        own = ("sip_gateway_name", "sip_gateway", "sip_network_ip", "sip_received_ip")
        self.near |= names_of([*map(self.said, own), self.host, address])

    @property
    def linked_id(self) -> str:
        """The a-leg's uuid: one for all legs of a call."""
        return (
            self.said("originating_leg_uuid")
            or self.said("originator")
            or (None if self.came_in else self.other_leg)
            or self.said("call_uuid")
            or self.uuid
        )

    @property
    def gateway(self) -> str | None:
        """The sofia gateway of this end."""
        return self.said("sip_gateway_name") or self.said("sip_gateway")

    @property
    def disposition(self) -> str | None:
        """What ended the leg in SIP: `recv_bye`, `send_bye`, `recv_cancel`, `send_refuse`, ..."""
        return self.said("sip_hangup_disposition")

    @property
    def got_bye(self) -> bool:
        """Whether its own end sent the BYE. Only then does a status of 200 stand on the leg."""
        if self.disposition is None:
            return self.is_answered and self.said("sip_term_status") == "200"
        return self.disposition == "recv_bye"

    @property
    def was_canceled(self) -> bool:
        """Whether the party took back its call before the answer."""
        return self.came_in and not self.is_answered and self.disposition == "recv_cancel"

    @property
    def is_answered(self) -> bool:
        """Whether a 2xx was sent or came on the leg; only then is there a BYE."""
        return (
            self.answered is not None
            or self.said("endpoint_disposition") == "ANSWER"
            or self.disposition in ("recv_bye", "send_bye")
        )

    @property
    def final_code(self) -> int | None:
        """The final answer on the leg; None while there is none, or where the record has none."""
        if self.is_answered:
            return 200
        if self.was_canceled:
            return 487  # RFC 3261 section 9.2: the answer to an INVITE that was canceled
        names: tuple[str, ...] = (
            "sip_term_status",
            "proto_specific_hangup_cause",
            "sip_invite_failure_status",
        )
        if self.came_in:
            # What came of the last b-leg is what FreeSWITCH sends on.
            names = ("last_bridge_proto_specific_hangup_cause", *reversed(names))
        codes = (_code(self.said(name)) for name in names)
        return next((code for code in codes if code is not None and code >= 300), None)

    @property
    def reason(self) -> str | None:
        """The reason phrase that came with the final answer of a failed call."""
        phrase = self.said("sip_invite_failure_phrase")
        if phrase == _OWN_WORD:
            return None
        return phrase if self.final_code == _code(self.said("sip_invite_failure_status")) else None

    @property
    def q850_cause(self) -> int | None:
        """The Reason header's cause, or FreeSWITCH's for the answer; none of its own (128+)."""
        found = (
            q850_cause(self.said("sip_reason") or ""),
            count(self.said("sip_term_cause")),
            count(self.said("hangup_cause_q850")),
            cause_named(self.said("hangup_cause")),
        )
        return next((cause for cause in found if cause is not None and 0 < cause < 128), None)

    @property
    def codec(self) -> str | None:
        """The codec that was agreed; None on a leg that had no media (there it is an offer)."""
        if not self.had_media:
            return None
        return codecs.named(self._media("use_codec_name") or self.said("read_codec"))

    @property
    def had_media(self) -> bool:
        """Whether the leg was answered, or RTP came or was sent before (early media)."""
        packets = (count(self.statistics.number(side, "packet_count")) for side in SIDES)
        return self.is_answered or any(packets)

    def _media(self, name: str) -> str | None:
        """A variable of the media; their names began with `sip_` before FreeSWITCH 1.4."""
        return self.said(f"rtp_{name}") or self.said(f"sip_{name}")

    @property
    def clock_rate_hz(self) -> int | None:
        """The RTP clock; FreeSWITCH writes the sampling rate."""
        return codecs.clock_hz(self.codec, count(self._media("use_codec_rate")))

    @property
    def ptime_ms(self) -> int | None:
        """The packet time that was agreed."""
        return count(self._media("use_codec_ptime")) or None

    @property
    def payload_type(self) -> int | None:
        """The payload type that FreeSWITCH sends."""
        if not self.had_media:
            return None
        used = count(self._media("use_pt"))
        return count(self._media("audio_recv_pt")) if used is None else used

    @property
    def transport(self) -> str | None:
        """`udp`, `tcp`, `tls`, `ws`, `wss`, out of the Via or of FreeSWITCH's own Contact."""
        told = self.said("sip_via_protocol")
        if told is not None:
            return told.lower()
        found = _TRANSPORT.match(self.said("sip_full_via") or "") or _CONTACT_TRANSPORT.search(
            (self.said("sip_outgoing_contact_uri") or "")[:512]
        )
        return found[1].lower() if found else None

    @property
    def media_encryption(self) -> str | None:
        """`srtp` where FreeSWITCH says so or the SDP has it, `none` where it has neither."""
        if not _YES.isdisjoint(self.said(name) or "" for name in _SECURED):
            return "srtp"
        if not self.is_answered:
            return None
        audio = audio_in(self.said("switch_r_sdp"))
        if audio is None:
            return None
        if audio.is_encrypted:
            return "srtp"
        return None if audio.has_keys else "none"

    def is_exported(self, name: str) -> bool:
        """Whether a variable was handed on to the legs that this one made (`export`)."""
        told = (self.said("export_vars") or "").replace("ARRAY::", "").replace("|:", ",")
        names = (one.strip().removeprefix("nolocal:") for one in told[:1024].split(","))
        return name in names


def caller_of(variables: Mapping[str, str], told: str | None) -> str | None:
    """The number that a call was made with, where a record shows `told` for it.

    Of a call that FreeSWITCH made (`originate`) and somebody answered, the caller's number is that
    of the one who answered from then on; the first one stands in a variable.
    """
    if variables.get("channel_cid_flipped") not in _YES:
        return told
    return variables.get("pre_transfer_caller_id_number") or told


def holds_in(text: str | None) -> Iterator[tuple[MarkKind, float, float | None]]:
    """The holds that `hold_events` lists: `{{1795400010000000,1795400020000000}}`, one by one."""
    for start, end in _HOLD.findall((text or "")[:_LONGEST_HOLDS]):
        since = unix_time(start, per_second=1e6)
        if since is not None:
            yield "hold", since, unix_time(end, per_second=1e6)


def gateways_in(leg: Leg) -> Iterator[str]:
    """Gateways that the leg's dial strings name: those of the other end."""
    for name in ("current_application_data", "last_arg"):
        yield from _GATEWAY.findall((leg.said(name) or "")[:1024])


def names_of(values: Iterable[str | None]) -> set[str]:
    """Those that are names: not empty, and not too long for one."""
    return {value for value in values if value and len(value) <= MAX_NAME_CHARACTERS}


def _code(text: str | None) -> int | None:
    """A SIP code, written as `486` or `sip:486`."""
    if text is None:
        return None
    found = _CODE.fullmatch(text.strip())
    code = count(found[1]) if found else count(text)
    return code if code is not None and 200 <= code <= 699 else None
