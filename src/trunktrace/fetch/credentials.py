"""Who asks Twilio."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from trunktrace.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Credentials:
    """The account's SID, and who asks for it.

    User name and password are the SID with its auth token, or an API key with its secret. The
    password stands in no `repr`.
    """

    account_sid: str
    username: str
    password: str = field(repr=False)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Credentials:
        """What the environment says.

        Reads TWILIO_ACCOUNT_SID, and TWILIO_API_KEY with TWILIO_API_SECRET, or, where there is no
        key, TWILIO_AUTH_TOKEN. Raises ConfigurationError, naming the variable to set.
        """
        told = os.environ if environment is None else environment

        def value(name: str) -> str:
            return told.get(name, "").strip()

        account_sid, key = value("TWILIO_ACCOUNT_SID"), value("TWILIO_API_KEY")
        if not account_sid:
            raise _missing("TWILIO_ACCOUNT_SID", "your account's SID (AC...)")
        if key:
            secret = value("TWILIO_API_SECRET") or value("TWILIO_API_KEY_SECRET")
            if not secret:
                raise _missing("TWILIO_API_SECRET", "the secret of the key in TWILIO_API_KEY")
            return cls(account_sid, key, secret)
        token = value("TWILIO_AUTH_TOKEN")
        if not token:
            raise _missing(
                "TWILIO_API_KEY", "an API key, with its secret in TWILIO_API_SECRET; "
                "or set TWILIO_AUTH_TOKEN to the account's auth token"
            )  # fmt: skip
        return cls(account_sid, account_sid, token)


def _missing(name: str, what: str) -> ConfigurationError:
    return ConfigurationError(name, "", f"set it to {what}")
