"""The audio section of a session description."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunktrace.sip.sdp import audio_in, is_hold, ptime_ms

SDP = """v=0
o=- 1 1 IN IP4 192.0.2.1
s=-
c=IN IP4 192.0.2.1
t=0 0
m=audio 4000 RTP/AVP 101 13 9 0
a=rtpmap:101 telephone-event/8000
a=rtpmap:9 G722/8000
a=ptime:20
a=sendrecv
m=video 5000 RTP/AVP 96
a=ptime:90
a=inactive
"""


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_the_first_voice_of_the_audio_section(end: str) -> None:
    """The codec is the first that carries voice; the other sections say nothing of the audio."""
    audio = audio_in(SDP.replace("\n", end))
    assert audio is not None
    assert (audio.codec, audio.payload_type, audio.clock_rate_hz) == ("g722", 9, 8000)
    assert (audio.host, audio.port, audio.rtcp_port) == ("192.0.2.1", 4000, 4001)
    assert audio.ptime_ms == 20
    assert (audio.is_encrypted, audio.has_keys, is_hold(SDP)) == (False, False, False)
    assert ptime_ms(SDP) == 20


def test_static_types_need_no_map() -> None:
    """A payload type below 96 says its codec and clock by itself."""
    audio = audio_in("m=audio 4000 RTP/AVP 18 0")
    assert audio is not None
    assert (audio.codec, audio.clock_rate_hz) == ("g729", 8000)


@pytest.mark.parametrize(
    "profile, key, expected",
    [("RTP/SAVP", "", (True, False)), ("RTP/AVP", "a=crypto:1 A inline:x\n", (False, True))],
)
def test_encryption(profile: str, key: str, expected: tuple[bool, bool]) -> None:
    """A profile with SAVP is encrypted; keys beside another one are an offer only."""
    audio = audio_in(SDP.replace("RTP/AVP 101", f"{profile} 101").replace("a=ptime:20\n", key))
    assert audio is not None
    assert (audio.is_encrypted, audio.has_keys) == expected


@pytest.mark.parametrize(
    "old, new",
    [("a=sendrecv", "a=sendonly"), ("a=sendrecv", "a=inactive"),
     ("c=IN IP4 192.0.2.1", "c=IN IP4 0.0.0.0")],
)  # fmt: skip
def test_hold(old: str, new: str) -> None:
    """One direction, none, or the address 0.0.0.0 is a hold."""
    assert is_hold(SDP.replace(old, new))


def test_a_direction_of_the_session_holds_the_audio() -> None:
    """Where the section says no direction, the session's is its own."""
    assert is_hold("v=0\na=sendonly\nm=audio 4000 RTP/AVP 0\n")


@given(st.text(max_size=300) | st.text("m=audio 0123/RTPAVPc:\r\n", max_size=300))
def test_any_text_is_read(text: str) -> None:
    """A description that is none has no audio; one with an audio line is read or left."""
    audio = audio_in(text)
    assert audio is None or "m=audio " in text
    assert is_hold(text) in (True, False)
