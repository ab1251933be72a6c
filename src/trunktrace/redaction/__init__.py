"""Phone numbers and SIP users: what may stand on a span in their place, and finding them in text.

`policy` is what the operator asked for: mask, keyed hash, country. `text` finds and masks what
others wrote. `addresses` reads the strings that signalling gives. Nothing here raises in a call.
"""

from __future__ import annotations

from trunktrace.redaction.addresses import MASKED
from trunktrace.redaction.policy import RedactedNumber, Redaction
from trunktrace.redaction.text import scrub, secrets_of

__all__ = ["MASKED", "RedactedNumber", "Redaction", "scrub", "secrets_of"]
