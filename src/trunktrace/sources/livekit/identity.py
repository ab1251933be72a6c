"""Whether the two identities of an inbound caller, From and the asserted one, are two numbers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from trunktrace.redaction import Redaction
from trunktrace.sip import participant as sip
from trunktrace.sip.headers import header_attribute

_ASSERTED: Final = (header_attribute("P-Asserted-Identity"), header_attribute("Remote-Party-ID"))
_FROM: Final = header_attribute("From")
_PRIVACY: Final = header_attribute("Privacy")
_URI: Final = re.compile(r"(?:sips?|tel):[^>,;\s]+", re.IGNORECASE)
_LONGEST: Final = 1024


def identities_differ(attributes: Mapping[str, str], redaction: Redaction) -> bool | None:
    """True or False where both are told and both are numbers; else None.

    None is a caller who withholds the number (From `anonymous`, or a Privacy header, RFC 3325
    section 9.3), a call without P-Asserted-Identity and Remote-Party-ID, one of ours to somebody,
    and an identity that is no E.164 number: a national number of an unknown country says nothing.
    An asserted identity may be given twice, as `sip:` and as `tel:` (RFC 3325 section 9.1): it
    differs if none of them is the caller of From.
    """
    if sip.direction_of(attributes) != "inbound":
        return None
    stated = next((attributes[key] for key in _ASSERTED if attributes.get(key)), "")
    if not stated or attributes.get(_PRIVACY, "none").strip().lower() != "none":
        return None
    asserted = {_e164(uri, redaction) for uri in _URI.findall(stated[:_LONGEST])}
    claimed = _e164(attributes.get(_FROM) or attributes.get(sip.PHONE_NUMBER) or "", redaction)
    if claimed is None or not asserted or None in asserted:
        return None
    return claimed not in asserted


def _e164(raw: str, redaction: Redaction) -> str | None:
    number = redaction.number(raw)
    return None if number is None else number.e164
