"""Telnyx signs each webhook with Ed25519, over its timestamp and its body.

Needs `cryptography` (`pip install "trunktrace[webhooks]"`). Source: Telnyx's page on webhooks,
`telnyx-timestamp` and `telnyx-signature-ed25519`; its SDKs allow 300 s.
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Final

from trunktrace.clock import clock
from trunktrace.errors import ConfigurationError, MissingDependencyError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

_KEY_BYTES: Final = 32
_LONGEST_TIMESTAMP: Final = 16
_LONGEST_SIGNATURE: Final = 128
_LONGEST_KEY: Final = 256


def is_signed(
    body: bytes,
    *,
    timestamp: str | None,
    signature: str | None,
    public_key: str,
    tolerance_s: float = 300.0,
    now: float | None = None,
) -> bool:
    """Whether Telnyx signed this body, not longer ago than the tolerance.

    `body` is the body as it came, byte for byte. `timestamp` and `signature` are the headers
    `telnyx-timestamp` and `telnyx-signature-ed25519` (None: there was none). `public_key` is in
    base64, from the Portal (Account, Keys & Credentials, Public Key). `tolerance_s` is seconds
    into the past and into the future; `now` is unix seconds, by default the clock's.

    Raises ConfigurationError for a key that is none or a negative tolerance, and
    MissingDependencyError without `cryptography`.
    """
    key = _key(public_key)
    if not tolerance_s >= 0:
        raise ConfigurationError("tolerance_s", tolerance_s, "seconds, 0 or more")
    signed_at = _seconds(timestamp)
    if timestamp is None or signed_at is None:
        return False
    moment = clock.now_s() if now is None else now
    if abs(moment - signed_at) > tolerance_s:
        return False
    raw = _from_base64(signature, _LONGEST_SIGNATURE)
    return raw is not None and _fits(key, raw, timestamp.encode("ascii") + b"|" + body)


def _fits(key: Ed25519PublicKey, signature: bytes, message: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature

    try:
        key.verify(signature, message)
    except InvalidSignature:
        return False
    return True


def _key(public_key: str) -> Ed25519PublicKey:
    try:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    except ImportError as error:
        raise MissingDependencyError(
            'Telnyx\'s signatures need cryptography: pip install "trunktrace[webhooks]"'
        ) from error
    raw = _from_base64(public_key, _LONGEST_KEY)
    if raw is None or len(raw) != _KEY_BYTES:
        raise ConfigurationError(
            "public_key",
            str(public_key)[:64],
            "32 bytes in base64, as in the Portal under Keys & Credentials, Public Key",
        )
    return Ed25519PublicKey.from_public_bytes(raw)


def _seconds(timestamp: str | None) -> int | None:
    if timestamp is None or len(timestamp) > _LONGEST_TIMESTAMP:
        return None
    return int(timestamp) if timestamp.isascii() and timestamp.isdigit() else None


def _from_base64(text: str | None, longest: int) -> bytes | None:
    if not isinstance(text, str) or len(text) > longest:
        return None
    try:
        return base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError):
        return None
