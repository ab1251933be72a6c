"""The facts that every scenario stamps, so that all mechanisms do the same work."""

from __future__ import annotations

from typing import Final

from trunktrace import conventions as names

Value = str | int | float

OWN_ATTRIBUTES: Final[dict[str, Value]] = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "example",
    "gen_ai.request.model": "example-large",
    "gen_ai.response.id": "resp_0123456789",
    "lk.response.ttft": 0.412,
    "lk.response.tps": 61.5,
    "gen_ai.usage.input_tokens": 812,
    "gen_ai.usage.output_tokens": 64,
    "lk.interrupted": False,
    "lk.speech_id": "speech_0123456789ab",
}
"""The ten attributes that a span has of its own."""

FIELDS: Final[dict[str, Value]] = {
    "carrier": "telnyx",
    "route": "us-east/primary",
    "region": "us1",
    "direction": "inbound",
    "codec": "pcmu",
    "transport": "tls",
    "media_encryption": "srtp",
    "stir_attestation": "A",
    "status_code": 200,
    "payload_type": 0,
    "setup_ms": 812.5,
    "pdd_ms": 341.25,
}
"""Twelve facts (8 strings, 2 ints, 2 floats) by their name in `call.record`."""

KEYS: Final[dict[str, str]] = {
    "carrier": names.TRUNK_CARRIER,
    "route": names.TRUNK_ROUTE,
    "region": names.TRUNK_REGION,
    "direction": names.SIP_CALL_DIRECTION,
    "codec": names.RTP_CODEC,
    "transport": names.SIP_TRANSPORT,
    "media_encryption": names.SIP_MEDIA_ENCRYPTION,
    "stir_attestation": names.SIP_STIR_ATTESTATION,
    "status_code": names.SIP_RESPONSE_STATUS_CODE,
    "payload_type": names.RTP_PAYLOAD_TYPE,
    "setup_ms": names.SIP_SETUP_MS,
    "pdd_ms": names.SIP_PDD_MS,
}
"""The attribute key of each of them."""

TWELVE: Final[dict[str, Value]] = {KEYS[field]: value for field, value in FIELDS.items()}
"""The twelve facts as attributes."""

DEFAULT_SIX: Final = ("carrier", "route", "region", "direction", "status_code", "codec")
"""The default facts that `call.record` takes; the loss depends on the turn."""

SEVEN: Final[dict[str, Value]] = {KEYS[f]: FIELDS[f] for f in (*DEFAULT_SIX, "setup_ms")}
"""Seven facts of the types of the default seven; a double stands in for the loss, which never
comes without its method."""
