"""LiveKit signs each webhook with a token (JWT, HS256) that holds the hash of its body.

Needs PyJWT (`pip install "trunktrace[webhooks]"`). livekit-api's own `WebhookReceiver` does the
same and gives the event; this one is for who does not have livekit-api, or only keeps the body.
Source: LiveKit's page on webhooks; livekit-api 1.2, `webhook.py` and `access_token.py`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from typing import Any, Final

from trunktrace.clock import clock
from trunktrace.errors import ConfigurationError, MissingDependencyError

_LONGEST_TOKEN: Final = 8192
_BEARER: Final = "bearer "


def is_signed(
    body: bytes,
    *,
    authorization: str | None,
    api_key: str,
    api_secret: str,
    leeway_s: float = 60.0,
    now: float | None = None,
) -> bool:
    """Whether LiveKit's server signed this body with our key, and the token still holds.

    `body` is the body as it came, byte for byte. `authorization` is the header `Authorization`
    (None: there was none), with or without `Bearer`. `api_key` and `api_secret` are those that the
    server signs with (`webhook.api_key` of its configuration). `leeway_s` is seconds by which the
    clocks may differ; `now` is unix seconds, by default the clock's. A token without an end of
    its validity is none.

    Raises ConfigurationError without a key or secret or for a negative leeway, and
    MissingDependencyError without PyJWT.
    """
    for name, value in (("api_key", api_key), ("api_secret", api_secret)):
        if not value:
            raise ConfigurationError(name, "", "the key with which LiveKit's server signs")
    if not leeway_s >= 0:
        raise ConfigurationError("leeway_s", leeway_s, "seconds, 0 or more")
    claims = _claims(authorization, api_key, api_secret)
    if claims is None:
        return False
    moment = clock.now_s() if now is None else now
    return _is_valid_at(claims, moment, leeway_s) and _is_hash_of(claims.get("sha256"), body)


def _claims(authorization: str | None, api_key: str, api_secret: str) -> dict[str, Any] | None:
    try:
        import jwt
    except ImportError as error:
        raise MissingDependencyError(
            'LiveKit\'s signatures need PyJWT: pip install "trunktrace[webhooks]"'
        ) from error
    if not isinstance(authorization, str) or len(authorization) > _LONGEST_TOKEN:
        return None
    token = authorization.strip()
    if token.lower().startswith(_BEARER):
        token = token[len(_BEARER) :].strip()
    try:
        return jwt.decode(
            token,
            key=api_secret,
            issuer=api_key,
            algorithms=["HS256"],
            # The times are compared below, with a clock that a test can set.
            options={
                "require": ["exp", "iss"],
                "verify_exp": False,
                "verify_nbf": False,
                "verify_iat": False,
            },
        )
    except (jwt.PyJWTError, ValueError, RecursionError):
        return None


def _is_valid_at(claims: dict[str, Any], moment: float, leeway_s: float) -> bool:
    ends, begins = _time(claims["exp"]), _time(claims.get("nbf", 0))
    if ends is None or begins is None:
        return False
    return begins - leeway_s <= moment < ends + leeway_s


def _time(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if -1e15 < value < 1e15 else None


def _is_hash_of(claimed: object, body: bytes) -> bool:
    if not isinstance(claimed, str):
        return False
    try:
        told = base64.b64decode(claimed, validate=True)
    except (binascii.Error, ValueError):
        return False
    return hmac.compare_digest(told, hashlib.sha256(body).digest())
