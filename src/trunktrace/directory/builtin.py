"""What is known of well-known carriers without any directory file: SIP hosts and call ids.

Only what a page of the carrier (or a stated source) says stands here. A region is the label in the
carrier's own host name, unchanged: `ashburn`, `us1`, `eu`. Hosts starting with `*.` mean every name
below. Carriers that give out IP addresses cannot be recognised: they need a row.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final

from trunktrace.directory.model import Row
from trunktrace.sip.headers import header_attribute

# https://www.twilio.com/docs/global-infrastructure/localized-uris/termination
# https://www.twilio.com/docs/global-infrastructure/localized-uris/sip-uris
_TWILIO_EDGES: Final = (
    "ashburn", "umatilla", "dublin", "frankfurt", "singapore", "tokyo", "sao-paulo", "sydney",
    "us1", "us2", "ie1", "de1", "sg1", "jp1", "br1", "au1",
)  # fmt: skip
# https://www.twilio.com/docs/global-infrastructure/localized-uris/interconnect-termination-uris
# https://www.twilio.com/docs/global-infrastructure/localized-uris/interconnect-sip-uris
_TWILIO_PRIVATE_EDGES: Final = (
    "ashburn-ix", "san-jose-ix", "london-ix", "frankfurt-ix", "singapore-ix", "tokyo-ix",
    "sydney-ix", "sao-paulo-ix",
    "us1-ix", "us2-ix", "ie1-ix", "de1-ix", "sg1-ix", "jp1-ix", "au1-ix", "br1-ix",
)  # fmt: skip


def _twilio() -> Iterator[tuple[str, str | None]]:
    # `pstn` is Elastic SIP Trunking, `sip` is Programmable Voice; the names without `*.` are for
    # an outbound proxy: https://www.twilio.com/docs/sip-trunking/sending-sip-to-twilio-best-practices
    for service in ("pstn", "sip"):
        yield from ((f"*.{service}.twilio.com", None), (f"{service}.twilio.com", None))
        for edge in (*_TWILIO_EDGES, *_TWILIO_PRIVATE_EDGES):
            yield f"*.{service}.{edge}.twilio.com", edge
            yield f"{service}.{edge}.twilio.com", edge


def _vonage() -> Iterator[tuple[str, str | None]]:
    # https://developer.vonage.com/en/sip/configure/asterisk-legacy (sip.nexmo.com)
    # https://developer.vonage.com/voice/sip/concepts/programmable-sip, .../sip/technical-details
    # https://developer.nexmo.com/voice/sip/overview (sip-us1.nexmo.com and so on)
    yield "sip.nexmo.com", None
    for region in ("us", "eu", "ap"):
        yield f"*.sip-{region}.vonage.com", region
        yield f"*.sip-{region}.nexmo.com", region
        yield f"sip-{region}1.nexmo.com", region
        yield f"sip-{region}2.nexmo.com", region


# fmt: off
_HOSTS_BY_CARRIER: Final[Mapping[str, tuple[tuple[str, str | None], ...]]] = {
    "twilio": tuple(_twilio()),
    # https://sip.telnyx.com (table of SIP regions); for sip-eu:
    # https://developers.telnyx.com/docs/voice/sip-trunking/routing/failover-and-retries
    "telnyx": (
        ("sip.telnyx.com", "us"), ("sip.telnyx.eu", "eu"), ("sip-eu.telnyx.com", "eu"),
        ("sip.telnyx.com.au", "au"), ("sip.telnyx.ca", "ca"), ("sip.telnyx.asia", "asia"),
    ),
    # https://plivo.com/docs/voice-agents/sip-trunking/api/sip-trunking (trunk_domain)
    "plivo": (("*.zt.plivo.com", None),),
    "vonage": tuple(_vonage()),
    # No page of SignalWire's documentation that could be read spells it out. Public code that
    # reads a space's SIP domain from its API has SPACE-ID.sip.signalwire.com throughout.
    "signalwire": (("*.sip.signalwire.com", None),),
    # https://dev.bandwidth.com/docs/voice/programmable-voice/inbound-sip-uri (its trunks proper
    # use IP addresses, given to each customer)
    "bandwidth": (("sip-uri.voice-api.bandwidth.com", None),),
    # Amazon Chime SDK Voice Connector, which also carries Amazon Connect's transfers; no region in
    # the name. awscli/examples/chime/create-voice-connector.rst in aws/aws-cli (OutboundHostName)
    "amazon": (("*.voiceconnector.chime.aws", None),),
    # Elastic SIP Trunking gives each trunk a name under pstn.sinch.com (topLevelDomain in Sinch's
    # SDKs); the others: https://developers.sinch.com/docs/voice/api-reference/sip-trunking
    "sinch": (
        ("*.pstn.sinch.com", None), ("euc1.sip.sinch.com", "euc1"), ("use1.sip.sinch.com", "use1"),
        ("sae1.sip.sinch.com", "sae1"), ("apse1.sip.sinch.com", "apse1"),
        ("apse2.sip.sinch.com", "apse2"),
    ),
    # Wavix's guide for FreeSWITCH, table of regional gateways
    "wavix": (
        ("nl.wavix.net", "nl"), ("us.wavix.net", "us"), ("sg.wavix.net", "sg"),
        ("au.wavix.net", "au"),
    ),
    # https://www.skills.sh/vobiz-ai/agent-skills/vobiz-sip-trunking (by Vobiz; trunk_domain)
    "vobiz": (("*.sip.vobiz.ai", None),),
}
# fmt: on

HOSTS: Final[Mapping[str, Row]] = MappingProxyType({
    pattern: Row(f"built-in host {pattern}", carrier=carrier, region=region)
    for carrier, hosts in _HOSTS_BY_CARRIER.items()
    for pattern, region in hosts
})  # fmt: skip
"""SIP host, or `*.` and a suffix, to carrier and region."""

_HEADERS: Final = (
    ("twilio", "X-Twilio-CallSid"),
    ("twilio", "X-Twilio-AccountSid"),
    ("telnyx", "X-call_leg_id"),
    ("telnyx", "X-call_session_id"),
    ("amazon", "X-Amzn-ConnectContactId"),
)
"""Headers in which a provider sends its own call id: livekit/sip, `pkg/sip/participant.go`."""

PROVIDER_IDS: Final[Mapping[str, str]] = MappingProxyType({
    "sip.twilio.callSid": "twilio",
    "sip.twilio.accountSid": "twilio",
    "sip.telnyx.callLegID": "telnyx",
    "sip.telnyx.callSessionID": "telnyx",
    "sip.amazon.contactId": "amazon",
    "sip.amazon.initialContactId": "amazon",
} | {header_attribute(name): carrier for carrier, name in _HEADERS})  # fmt: skip
"""Participant attribute that holds a provider's call id, to its carrier.

LiveKit maps the headers to the names without `h` always; the others are there where the trunk has
`include_headers` (an older bridge maps Twilio's only).
"""

ALIASES: Final[Mapping[str, str]] = MappingProxyType({"nexmo": "vonage"})
"""Former names. Nexmo is Vonage: https://developer.vonage.com"""
