"""What livekit-api's exceptions know about a dial that failed."""

from __future__ import annotations

import pytest
from livekit import api

from trunktrace.livekit.failures import sip_answer

META = {"sip_status_code": "486", "sip_status": "Busy Here"}


def _error(metadata, kind=api.TwirpError):
    return kind("resource_exhausted", "INVITE failed", status=429, metadata=metadata)


def test_code_and_reason_of_livekits_own_error():
    """`SipCallError` where livekit-api has it, a plain `TwirpError` before: the same answer."""
    kind = getattr(api, "SipCallError", api.TwirpError)
    assert sip_answer(_error(META, kind)) == (486, "Busy Here")
    assert sip_answer(_error(META)) == (486, "Busy Here")


@pytest.mark.parametrize("error", [_error(None), _error({}), TimeoutError(), KeyboardInterrupt()])
def test_the_http_status_is_no_sip_code(error):
    """An exception without a SIP answer has none, whatever its HTTP status says."""
    assert sip_answer(error) == (None, None)


@pytest.mark.parametrize(
    "code", ["", "busy", "-86", "48.6", "4860", "٤٨٦", 4.5, None, ["486"], "200", 180, 700]
)
def test_an_absurd_code_is_unknown(code):
    """What is no code of a refusal is no code; the reason stands for itself."""
    assert sip_answer(_error({"sip_status_code": code, "sip_status": "Busy"})) == (None, "Busy")


@pytest.mark.parametrize("metadata", ["text", 7, ["sip_status_code"]])
def test_absurd_metadata_is_survived(metadata):
    """An exception of somebody else's may have any `metadata`."""
    error = RuntimeError("theirs")
    error.metadata = metadata
    assert sip_answer(error) == (None, None)


def test_a_code_in_the_message_alone_is_a_code():
    """Bridges that give no metadata say the code in their words."""
    error = api.TwirpError("unknown", "INVITE failed: sip status: 486: Busy Here", status=500)
    assert sip_answer(error) == (486, "Busy Here")
    assert sip_answer(RuntimeError("sip status: 486: Busy Here")) == (None, None)
