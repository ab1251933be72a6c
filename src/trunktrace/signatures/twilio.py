"""Whether a webhook was sent by Twilio: the check of its `X-Twilio-Signature`.

A form is signed by the URL and, sorted by name, each parameter's name and value. A JSON body is
signed by the URL alone, which then has the body's SHA-256 as its query parameter `bodySHA256`. The
key is the account's auth token. Source: Twilio's page "Webhook security".
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, cast
from urllib.parse import SplitResult, parse_qs, urlsplit

from trunktrace.errors import ConfigurationError

Form = Mapping[str, str] | Iterable[tuple[str, str]]
"""Parameters of a form; pairs where a name may stand more than once."""

_DIGESTS: Final[dict[str, Callable[..., Any]]] = {
    "HMAC_SHA1": hashlib.sha1,
    "HMAC_SHA256": hashlib.sha256,
}
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_BODY_HASH: Final = "bodySHA256"


def is_signed(
    url: str,
    *,
    signature: str | None,
    auth_token: str,
    form: Form | None = None,
    body: bytes | None = None,
    algorithm: str = "HMAC_SHA1",
) -> bool:
    """Whether Twilio signed this request; False for anything that is missing or malformed.

    `url` is the URL that Twilio was told to call, with its query, as it was told: behind a proxy it
    is not the one that your server sees. `signature` is the header `X-Twilio-Signature` (None:
    there was none). Give `form` for a form, with every parameter of it and none trimmed; give
    `body`, byte for byte as it came, for JSON (Event Streams). `auth_token` is the account's.
    Where there is a header `X-Twilio-Webhooks-Signature-Settings`, `algorithm` is the one that it
    names, and `auth_token` the secret of its shared key.

    Twilio signs some URLs with their default port and some without: both are taken. The comparison
    takes the same time wherever a signature differs. Raises ConfigurationError without a token:
    anybody can sign with an empty one.
    """
    if not auth_token:
        raise ConfigurationError("auth_token", "", "give the auth token of your Twilio account")
    digest = _DIGESTS.get(algorithm.upper())
    if digest is None or not signature:
        return False
    try:
        parts = urlsplit(url)
        urls = _variants(url, parts)
        told = parse_qs(parts.query).get(_BODY_HASH)
    except ValueError:
        return False
    if body is not None and (told is None or not _is_hash_of(body, told[0])):
        return False
    pairs = _sorted(form)
    given = signature.encode("utf-8", "replace")
    # Every variant is tried: the time taken says nothing about which one fits.
    fits = [hmac.compare_digest(_sign(auth_token, u, pairs, digest), given) for u in urls]
    return any(fits)


def sign(
    url: str, *, auth_token: str, form: Form | None = None, algorithm: str = "HMAC_SHA1"
) -> str:
    """The signature of a request, as Twilio makes it: for tests of your own endpoint.

    `algorithm` is in upper or lower case. Raises ConfigurationError for one that Twilio does not
    have.
    """
    digest = _DIGESTS.get(algorithm.upper())
    if digest is None:
        raise ConfigurationError("algorithm", algorithm, " or ".join(_DIGESTS))
    return _sign(auth_token, url, _sorted(form), digest).decode("ascii")


def _sorted(form: Form | None) -> list[tuple[str, str]]:
    """The parameters by name, then value; the same pair twice counts once."""
    if form is None:
        return []
    if isinstance(form, Mapping):
        return sorted(cast("Mapping[str, str]", form).items())
    return sorted(set(form))


def _sign(
    auth_token: str, url: str, pairs: Iterable[tuple[str, str]], digest: Callable[..., Any]
) -> bytes:
    text = url + "".join(name + value for name, value in pairs)
    mac = hmac.new(auth_token.encode(), text.encode("utf-8", "surrogatepass"), digest)
    return base64.b64encode(mac.digest())


def _is_hash_of(body: bytes, told: str) -> bool:
    found = hashlib.sha256(body).hexdigest()
    return hmac.compare_digest(found.encode(), told.lower().encode("utf-8", "replace"))


def _variants(url: str, parts: SplitResult) -> list[str]:
    """The URL as given, and without its port, or with the default one where it has none."""
    default = _DEFAULT_PORTS.get(parts.scheme)
    if parts.port is not None:
        netloc = parts.netloc[: parts.netloc.rindex(":")]
    elif default is not None and parts.netloc:
        netloc = f"{parts.netloc}:{default}"
    else:
        return [url]
    # Not put together anew from its parts: every other character must stay as it was signed.
    before, slashes, rest = url.partition("//")
    return [url, before + slashes + netloc + rest[len(parts.netloc) :]]
