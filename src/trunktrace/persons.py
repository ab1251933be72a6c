"""What a call says of the persons in it: numbers masked, and no text that holds one in clear."""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal

from trunktrace import conventions as c
from trunktrace.belief import Value, believable_text
from trunktrace.dropped import drop_value
from trunktrace.redaction import Redaction, scrub


class Persons:
    """Applies one redaction to the facts of one call; read from the environment on first use."""

    __slots__ = ("_expected", "_numbers", "_redaction")

    def __init__(self, redaction: Redaction | None) -> None:
        self._redaction = redaction
        # In clear and in memory only, for the one comparison.
        self._numbers: dict[str, str] = {}
        self._expected: str | None = None

    def party(self, name: str, value: object) -> dict[str, Value]:
        """Attributes for `caller_number` or `callee_number`; dropped where that is no text."""
        if believable_text(value) is None or not isinstance(value, str):
            drop_value(name, value)
            return {}
        self._numbers[name] = value
        role: Literal["caller", "callee"] = "caller" if name == "caller_number" else "callee"
        return dict(self._asked().party(role, value))

    def forget_parties(self) -> None:
        """The call turns to another attempt: who calls whom will be said anew."""
        self._numbers = {}

    def expect_customer(self, number: str) -> None:
        """Remember the number that the customer should have."""
        self._expected = number

    def customer_matches(self, *, is_outbound: bool) -> bool | None:
        """Whether the other side is who was expected; None where a number is not known as E.164.

        The customer calls us, or is called by us (`is_outbound`).
        """
        said = self._numbers.get("callee_number" if is_outbound else "caller_number")
        if said is None or self._expected is None:
            return None
        found, expected = self._asked().number(said), self._asked().number(self._expected)
        if found is None or expected is None or not found.e164 or not expected.e164:
            return None
        return found.e164 == expected.e164

    def clean(self, key: str, value: Value, secrets: Collection[str]) -> Value:
        """Text without numbers, SIP users and, in a Call-ID, the host's IP address."""
        if not isinstance(value, str):
            return value
        if key == c.SIP_CALL_ID:
            value = self._asked().call_id(value) or value
        return scrub(value, secrets)

    def _asked(self) -> Redaction:
        if self._redaction is None:
            self._redaction = Redaction.from_environment()
        return self._redaction
