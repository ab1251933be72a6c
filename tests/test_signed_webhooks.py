"""Webhooks of Telnyx and LiveKit: what was signed by them, and everything else."""

from __future__ import annotations

import base64
import builtins
import datetime as dt
import hashlib
import json
import sys
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from livekit.api import AccessToken, TokenVerifier, WebhookReceiver

from trunktrace.clock import replaced
from trunktrace.errors import ConfigurationError, MissingDependencyError
from trunktrace.signatures import livekit, telnyx

BODY = b'{"data":{"event_type":"call.hangup"}}'
NOW = 1_795_342_500
PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = base64.b64encode(PRIVATE.public_key().public_bytes_raw()).decode()
OTHER = base64.b64encode(
    Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key().public_bytes_raw()
).decode()


def signed(body: bytes = BODY, timestamp: str = str(NOW)) -> str:
    """Telnyx's signature of a body."""
    return base64.b64encode(PRIVATE.sign(timestamp.encode() + b"|" + body)).decode()


def from_telnyx(**changed: Any) -> bool:
    """Whether a body is Telnyx's; by default it is, and came at once."""
    told: dict[str, Any] = {"timestamp": str(NOW), "signature": signed(), "public_key": PUBLIC,
                            "now": float(NOW)}  # fmt: skip
    body = changed.pop("body", BODY)
    return telnyx.is_signed(body, **{**told, **changed})


def test_a_body_that_telnyx_signed_is_signed() -> None:
    """Ed25519 over `timestamp|body`, with the public key in base64."""
    assert from_telnyx()
    assert from_telnyx(body=b"", signature=signed(b""))


def test_the_known_answer_of_rfc_8032_holds() -> None:
    """The key of RFC 8032 section 7.1, test 2, reads as Telnyx writes its keys."""
    private = Ed25519PrivateKey.from_private_bytes(
        bytes.fromhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb")
    )
    public = base64.b64encode(
        bytes.fromhex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c")
    ).decode()
    signature = base64.b64encode(private.sign(b"1|x")).decode()
    assert telnyx.is_signed(b"x", timestamp="1", signature=signature, public_key=public, now=1.0)


@pytest.mark.parametrize(
    "changed",
    [
        {"body": BODY + b" "},
        {"body": b"1|" + BODY},
        {"timestamp": str(NOW + 1)},
        {"timestamp": "0" + str(NOW)},
        {"timestamp": None},
        {"timestamp": ""},
        {"timestamp": "٣" * 10},
        {"timestamp": "1" * 5000},
        {"timestamp": f"{NOW}.0"},
        {"timestamp": f"-{NOW}"},
        {"signature": None},
        {"signature": ""},
        {"signature": "not base64!"},
        {"signature": base64.b64encode(b"x" * 63).decode()},
        {"signature": base64.b64encode(b"x" * 64).decode()},
        {"signature": "A" * 100_000},
        {"signature": signed(b"another body")},
        {"public_key": OTHER},
    ],
)
def test_anything_else_is_not_signed(changed: dict[str, Any]) -> None:
    """Whatever is wrong with a request, the answer is False and no exception."""
    assert from_telnyx(**changed) is False


@pytest.mark.parametrize("late,tolerance_s,good", [
    (300, 300, True), (301, 300, False), (-300, 300, True), (-301, 300, False),
    (0, 0, True), (1, 0, False), (3600, 3600, True),
])  # fmt: skip
def test_an_old_signature_is_a_replay(late: float, tolerance_s: float, good: bool) -> None:
    """The tolerance counts into the past and into the future."""
    assert from_telnyx(now=NOW + late, tolerance_s=tolerance_s) is good


def test_the_clock_tells_the_time_where_nobody_does() -> None:
    """Without `now` the moment is the present one."""
    with replaced(lambda: (NOW + 10) * 10**9):
        assert from_telnyx(now=None)
        assert not from_telnyx(now=None, tolerance_s=5)


@pytest.mark.parametrize(
    "key", ["", "x", "A" * 44, base64.b64encode(b"k" * 31).decode(), "A" * 999]
)
def test_a_wrong_key_of_telnyx_is_a_wrong_setting(key: str) -> None:
    """It raises at once, and says where the key is; it is no webhook that was not signed."""
    with pytest.raises(ConfigurationError) as caught:
        from_telnyx(public_key=key, signature=None)
    assert caught.value.field == "public_key"


@pytest.mark.parametrize("tolerance_s", [-1, float("nan")])
def test_a_negative_tolerance_is_a_wrong_setting(tolerance_s: float) -> None:
    """Nothing could ever be signed."""
    with pytest.raises(ConfigurationError):
        from_telnyx(tolerance_s=tolerance_s)


@given(st.binary(max_size=200), st.text(max_size=40), st.text(max_size=120))
def test_no_request_makes_the_check_fail(body: bytes, timestamp: str, signature: str) -> None:
    """Any body and any headers give an answer."""
    assert from_telnyx(body=body, timestamp=timestamp, signature=signature) is False


# LiveKit

KEY, SECRET = "APIkey", "a secret of more than thirty-two bytes"
EVENT = json.dumps({"event": "room_started", "room": {"sid": "RM_x", "name": "ä"}})


def token(claims: dict[str, Any] | None = None, secret: str = SECRET, **kwargs: Any) -> str:
    """A token as LiveKit's server sends it, but for what is changed; None takes a claim away."""
    told: dict[str, Any] = {
        "iss": KEY, "nbf": NOW, "exp": NOW + 300,
        "sha256": base64.b64encode(hashlib.sha256(EVENT.encode()).digest()).decode(),
        **(claims or {}),
    }  # fmt: skip
    return jwt.encode({k: v for k, v in told.items() if v is not None}, secret, **kwargs)


def from_livekit(authorization: str | None, body: bytes = EVENT.encode(), **changed: Any) -> bool:
    """Whether a body is LiveKit's."""
    told: dict[str, Any] = {"api_key": KEY, "api_secret": SECRET, "now": float(NOW)}
    return livekit.is_signed(body, authorization=authorization, **{**told, **changed})


def test_a_body_that_livekit_signed_is_signed() -> None:
    """With and without `Bearer` before the token."""
    assert from_livekit(token())
    assert from_livekit(f"Bearer {token()}")


def test_livekit_api_and_this_check_agree() -> None:
    """A token that livekit-api made passes here, and one made here passes its receiver."""
    digest = base64.b64encode(hashlib.sha256(EVENT.encode()).digest()).decode()
    made = AccessToken(KEY, SECRET).with_ttl(dt.timedelta(minutes=5)).with_sha256(digest)
    assert from_livekit(made.to_jwt(), now=None)
    ours = token({"nbf": 1, "exp": 4_000_000_000})
    assert WebhookReceiver(TokenVerifier(KEY, SECRET)).receive(EVENT, ours).event == "room_started"
    assert from_livekit(ours, now=None)


BAD_TOKENS: dict[str, str | None] = {
    "none": None,
    "empty": "",
    "bearer alone": "Bearer ",
    "not a token": "a.b.c",
    "not ASCII": "ä.ö.ü",
    "surrogates": "\ud800.\ud800.\ud800",
    "too long": "x" * 100_000,
    "another secret": token(secret="another secret of thirty-two bytes"),
    "another issuer": token({"iss": "APIother"}),
    "no issuer": token({"iss": None}),
    "no end": token({"exp": None}),
    "no hash": token({"sha256": None}),
    "hash of another body": token({"sha256": base64.b64encode(b"x" * 32).decode()}),
    "hash that is none": token({"sha256": "!"}),
    "hash that is a number": token({"sha256": 7}),
    "an end that is text": token({"exp": "soon"}),
    "an end that is true": token({"exp": True}),
    "a begin that is a list": token({"nbf": []}),
    "another algorithm": token(secret=SECRET * 2, algorithm="HS512"),
    "unsigned": jwt.encode({"iss": KEY, "exp": NOW + 300}, None, algorithm="none"),
}


@pytest.mark.parametrize("kind", BAD_TOKENS)
def test_any_other_token_is_not_signed(kind: str) -> None:
    """Whatever is wrong with a token, the answer is False and no exception."""
    assert from_livekit(BAD_TOKENS[kind]) is False


def test_a_token_of_another_body_is_not_signed() -> None:
    """The hash is over the body, byte for byte."""
    assert from_livekit(token(), EVENT.encode() + b"\n") is False


@pytest.mark.parametrize("at,good", [(NOW - 61, False), (NOW - 60, True), (NOW, True),
                                     (NOW + 359, True), (NOW + 360, False)])  # fmt: skip
def test_a_token_holds_from_its_begin_to_its_end(at: int, good: bool) -> None:
    """With the leeway on both sides; another leeway moves both."""
    assert from_livekit(token(), now=float(at)) is good
    assert from_livekit(token(), now=NOW + 359.0, leeway_s=0) is False


@pytest.mark.parametrize("changed", [{"api_key": ""}, {"api_secret": ""}, {"leeway_s": -1}])
def test_a_missing_key_of_livekit_is_a_wrong_setting(changed: dict[str, Any]) -> None:
    """It raises, and never quotes a secret."""
    with pytest.raises(ConfigurationError) as caught:
        from_livekit(token(), **changed)
    assert SECRET not in str(caught.value)


@given(st.text(max_size=200))
def test_any_header_gives_an_answer(authorization: str) -> None:
    """No text in `Authorization` makes the check fail."""
    assert from_livekit(authorization) is False


@pytest.mark.parametrize("package,check", [
    ("cryptography", from_telnyx), ("jwt", lambda: from_livekit(token())),
])  # fmt: skip
def test_a_missing_package_is_named(
    package: str, check: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error says which package is needed, and what to install."""
    real = builtins.__import__

    def missing(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.partition(".")[0] == package and args[0]["__name__"].startswith("trunktrace"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(MissingDependencyError, match=r"trunktrace\[webhooks\]"):
        check()
    assert package in sys.modules
