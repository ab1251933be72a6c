"""How long a server asks not to be called again, from whoever states it."""

from __future__ import annotations

from trunktrace.sip.retry_after import retry_after_in

DATE = {"retry-after": "Fri, 07 Nov 2026 23:59:59 GMT"}


def test_a_value_that_says_nothing_hides_no_other() -> None:
    """The metadata hold a date of HTTP: what else is stated counts."""
    assert retry_after_in(DATE, {"sip.h.retry-after": "5"}) == 5.0
    assert retry_after_in({**DATE, "sip_retry_after": "7"}, {"sip.h.retry-after": "5"}) == 7.0
    assert retry_after_in(DATE, {}) is None
