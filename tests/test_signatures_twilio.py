"""The check of Twilio's webhook signatures, against the one of Twilio's own SDK."""

from __future__ import annotations

import hashlib
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twilio.request_validator import RequestValidator

from trunktrace.errors import ConfigurationError
from trunktrace.signatures.twilio import is_signed, sign

TOKEN = "12345"
URL = "https://example.com/myapp.php?foo=1&bar=2"
FORM = {
    "CallSid": "CA1234567890ABCDE",
    "Caller": "+14158675310",
    "Digits": "1234",
    "From": "+14158675310",
    "To": "+18005551212",
}
WORDS = st.text(max_size=12)


def test_what_twilio_signed_is_taken() -> None:
    """A form with the signature that Twilio's SDK computes for it is Twilio's."""
    signature = RequestValidator(TOKEN).compute_signature(URL, FORM)
    assert is_signed(URL, signature=signature, auth_token=TOKEN, form=FORM)
    assert sign(URL, auth_token=TOKEN, form=FORM) == signature


PUBLISHED_URL = "https://mycompany.com/myapp.php?foo=1&bar=2"
PUBLISHED_FORM = {
    "CallSid": "CA1234567890ABCDE",
    "Digits": "1234",
    "From": "+14158675309",
    "To": "+18005551212",
    "Caller": "+14158675309",
}
PUBLISHED_JSON = b'{"property": "value", "boolean": true}'
PUBLISHED_HASH = "0a1ff7634d9ab3b95db5c9a2dfe9416e41502b283a80c7cf19632632f96e6620"


@pytest.mark.parametrize(
    "url, signature",
    [
        (PUBLISHED_URL, "RSOYDt4T1cUTdK1PDd93/VVr8B8="),
        (PUBLISHED_URL.replace(".com", ".com:1234"), "RSOYDt4T1cUTdK1PDd93/VVr8B8="),
        (PUBLISHED_URL, "kvajT1Ptam85bY51eRf/AJRuM3w="),
        (PUBLISHED_URL.replace("https", "http"), "0ZXoZLH/DfblKGATFgpif+LLRf4="),
        ("http://mycompany.com:1234/myapp.php?foo=1&bar=2", "Zmvh+3yNM1Phv2jhDCwEM3q5ebU="),
    ],
)
def test_published_vectors_of_forms(url: str, signature: str) -> None:
    """The vectors that each of Twilio's SDKs is tested with, with and without ports."""
    assert is_signed(url, signature=signature, auth_token=TOKEN, form=PUBLISHED_FORM)
    changed = {**PUBLISHED_FORM, "Digits": "1235"}
    assert not is_signed(url, signature=signature, auth_token=TOKEN, form=changed)


def test_published_vector_of_a_name_that_stands_twice() -> None:
    """Values of one name are sorted, and the same value twice counts once."""
    form = [("Sid", "CA123"), ("SidAccount", "AC123"), ("Digits", "5678"), ("Digits", "1234")]
    for told in (form, [*form, ("Digits", "1234")]):
        assert is_signed(
            PUBLISHED_URL, signature="IK+Dwps556ElfBT0I3Rgjkr1wJU=", auth_token=TOKEN, form=told
        )


@pytest.mark.parametrize(
    "url, signature",
    [
        (f"{PUBLISHED_URL}&bodySHA256={PUBLISHED_HASH}", "a9nBmqA0ju/hNViExpshrM61xv4="),
        (
            f"https://mycompany.com/myapp.php?bodySHA256={PUBLISHED_HASH}",
            "y77kIzt2vzLz71DgmJGsen2scGs=",
        ),
    ],
)
def test_published_vectors_of_json(url: str, signature: str) -> None:
    """A JSON body is signed by its URL, which has the body's hash among others or alone."""
    assert is_signed(url, signature=signature, auth_token=TOKEN, body=PUBLISHED_JSON)
    assert not is_signed(url, signature=signature, auth_token=TOKEN, body=PUBLISHED_JSON + b" ")


@given(form=st.dictionaries(WORDS, WORDS, max_size=6), path=WORDS, token=st.text(min_size=1))
def test_signatures_are_those_of_the_sdk(form: dict[str, str], path: str, token: str) -> None:
    """For any form, URL and token both compute the same, and take what the other made."""
    url = f"https://example.com/{quote(path)}"
    try:
        signature = RequestValidator(token).compute_signature(url, form)
    except UnicodeEncodeError:
        return
    assert sign(url, auth_token=token, form=form) == signature
    assert is_signed(url, signature=signature, auth_token=token, form=form)
    assert RequestValidator(token).validate(url, form, signature)


@pytest.mark.parametrize(
    "change",
    [
        {"signature": None},
        {"signature": ""},
        {"signature": "AAAA"},
        {"signature": "ä\ud800"},
        {"url": URL + "&baz=3"},
        {"url": "http" + URL.removeprefix("https")},
        {"url": "https://example.com:port/"},
        {"url": ""},
        {"form": {**FORM, "Digits": "1235"}},
        {"form": {**FORM, "CallSid": "CA1234567890ABCDE "}},
        {"form": None},
        {"auth_token": "12346"},
        {"algorithm": "HMAC_MD5"},
        {"algorithm": "HMAC_SHA256"},
    ],
)
def test_anything_that_was_changed_is_refused(change: dict[str, object]) -> None:
    """Another signature, URL, form, token or algorithm is not what was signed; nothing raises."""
    request: dict[str, object] = {
        "auth_token": TOKEN,
        "signature": sign(URL, auth_token=TOKEN, form=FORM),
        "url": URL,
        "form": FORM,
    }
    assert is_signed(**request)  # type: ignore[arg-type]
    assert not is_signed(**{**request, **change})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "signed, seen",
    [
        ("https://example.com:443/a?b=c", "https://example.com/a?b=c"),
        ("https://example.com/a?b=c", "https://example.com:443/a?b=c"),
        ("http://example.com:80/a", "http://example.com/a"),
        ("http://example.com/a", "http://example.com:8080/a"),
    ],
)
def test_ports_as_the_sdk_takes_them(signed: str, seen: str) -> None:
    """Twilio signs some URLs with a port and some without: both stand for the same one."""
    signature = sign(signed, auth_token=TOKEN, form=FORM)
    assert RequestValidator(TOKEN).validate(seen, FORM, signature)
    assert is_signed(seen, signature=signature, auth_token=TOKEN, form=FORM)


@pytest.mark.parametrize("url", ["https://[2001:db8::1]/a", "https://me:pw@example.com/a?"])
def test_ports_of_other_hosts(url: str) -> None:
    """An IPv6 host and a user in the URL stay as they are when a port is put in."""
    with_port = url.replace("/a", ":443/a")
    assert is_signed(url, signature=sign(with_port, auth_token=TOKEN), auth_token=TOKEN)
    assert is_signed(with_port, signature=sign(url, auth_token=TOKEN), auth_token=TOKEN)


BODY = b'[{"specversion":"1.0","type":"com.twilio.voice.insights.call-summary.complete"}]'


def _signed(body: bytes) -> tuple[str, str]:
    url = f"https://example.com/events?bodySHA256={hashlib.sha256(body).hexdigest()}"
    return url, sign(url, auth_token=TOKEN)


def test_a_json_body_is_checked_by_its_hash() -> None:
    """The URL holds the body's hash: another body, or a URL without it, is refused."""
    url, signature = _signed(BODY)
    assert RequestValidator(TOKEN).validate(url, BODY.decode(), signature)
    assert is_signed(url, signature=signature, auth_token=TOKEN, body=BODY)
    assert not is_signed(url, signature=signature, auth_token=TOKEN, body=BODY + b" ")
    plain = "https://example.com/events"
    assert not is_signed(
        plain, signature=sign(plain, auth_token=TOKEN), auth_token=TOKEN, body=BODY
    )


@given(body=st.binary(max_size=100))
def test_any_body(body: bytes) -> None:
    """Bodies of any bytes are checked as they came."""
    url, signature = _signed(body)
    assert is_signed(url, signature=signature, auth_token=TOKEN, body=body)


def test_a_name_that_stands_twice() -> None:
    """Pairs of one name count in the order of their values, the same pair once."""
    pairs = [("Tag", "b"), ("Tag", "a"), ("CallSid", "CA1"), ("Tag", "b")]

    class Many(dict[str, str]):
        def getall(self, name: str) -> list[str]:
            return [value for key, value in pairs if key == name]

    expected = RequestValidator(TOKEN).compute_signature(URL, Many(pairs))
    assert sign(URL, auth_token=TOKEN, form=pairs) == expected


def test_shared_keys_sign_with_sha_256() -> None:
    """With a shared key the algorithm is that of the settings header."""
    signature = sign(URL, auth_token="secret", form=FORM, algorithm="HMAC_SHA256")
    assert is_signed(
        URL, signature=signature, auth_token="secret", form=FORM, algorithm="hmac_sha256"
    )
    assert not is_signed(URL, signature=signature, auth_token="secret", form=FORM)


@pytest.mark.parametrize("algorithm", ["HMAC_SHA1", "HMAC_SHA256"])
def test_algorithms_in_any_case(algorithm: str) -> None:
    """Both ways an algorithm is named in upper or lower case, and one that is none is refused."""
    signature = sign(URL, auth_token=TOKEN, form=FORM, algorithm=algorithm)
    assert sign(URL, auth_token=TOKEN, form=FORM, algorithm=algorithm.lower()) == signature
    with pytest.raises(ConfigurationError, match="HMAC_SHA1 or HMAC_SHA256"):
        sign(URL, auth_token=TOKEN, form=FORM, algorithm="HMAC_MD5")


def test_an_empty_token_is_a_setting_that_is_wrong() -> None:
    """Anybody can sign with an empty key: it is refused loudly, not checked."""
    with pytest.raises(ConfigurationError, match="auth_token"):
        is_signed(URL, signature=sign(URL, auth_token=""), auth_token="")
