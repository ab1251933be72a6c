"""Names of codecs, their static payload types and their clocks."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunktrace import belief
from trunktrace.sip import codecs


@pytest.mark.parametrize(
    "written, name",
    [
        ("PCMU", "pcmu"), ("PCMU/8000", "pcmu"), ("audio/PCMA", "pcma"), ("opus/48000/2", "opus"),
        ("ulaw", "pcmu"), ("g.711u", "pcmu"), ("G711_ULAW", "pcmu"), ("G.711 A-law", "pcma"),
        ("g711mu", "pcmu"), ("g.729", "g729"), ("G729A", "g729"), ("g729r8", "g729"),
        ("G.722", "g722"), ("g722-64", "g722"), ("g723.1", "g723"), ("g726r32", "g726-32"),
        ("G726-32", "g726-32"), ("AMR-WB", "amr-wb"), ("iLBC", "ilbc"), ("evs", "evs"),
    ],
)  # fmt: skip
def test_names_as_systems_write_them(written: str, name: str) -> None:
    """Whoever wrote it, one codec has one name; what is not known stays as it is."""
    assert codecs.named(written) == name


@pytest.mark.parametrize(
    "written",
    ["telephone-event", "telephone-event/8000", "CN", "red", "rtx", "PROXY", "PROXY-VID",
     "comfort-noise", "t38", "T.38", "G.711", "unknown", "none", "N/A", "-", "", "a b", 0, None,
     "x" * 65],
)  # fmt: skip
def test_what_is_no_voice_codec(written: object) -> None:
    """Payloads beside the voice, and words for nothing, are no codec."""
    assert codecs.named(written) is None


@pytest.mark.parametrize("written", ["telephone-event/8000", "CN", "PROXY", "red"])
def test_nobody_can_say_what_is_no_codec(written: str) -> None:
    """The user's own facts refuse it as the sources do."""
    assert belief.codec(written) is None


@given(st.text(max_size=80))
def test_a_name_is_named_as_itself(text: str) -> None:
    """Any text gives a name that can be believed and names itself, or none."""
    name = codecs.named(text)
    assert name is None or (belief.codec(name) == name == codecs.named(name))


@pytest.mark.parametrize(
    "codec, sampled, clock",
    [
        ("PCMU", 8000, 8000), ("G722", 16000, 8000), ("g722", None, 8000), ("opus", 16000, 48000),
        ("speex", 16000, 16000), ("pcmu", None, None), (None, 8000, None), ("pcmu", 0, None),
    ],
)  # fmt: skip
def test_the_clock_of_a_codec(codec: str | None, sampled: int | None, clock: int | None) -> None:
    """The clock is the sampling rate, but for G.722 and Opus."""
    assert codecs.clock_hz(codec, sampled) == clock


def test_static_payload_types() -> None:
    """A static type means one codec; a dynamic one none."""
    assert [codecs.of_type(one) for one in (0, 8, 9, 18)] == ["pcmu", "pcma", "g722", "g729"]
    assert codecs.of_type(codecs.FIRST_DYNAMIC) is codecs.of_type(None) is None


@pytest.mark.parametrize("ticks, clock", [(8010.0, 8000), (47_500.0, 48_000), (9000.0, None)])
def test_a_measured_clock(ticks: float, clock: int | None) -> None:
    """A clock is known where it ticks within 2 % of one that voice has."""
    assert codecs.clock_near(ticks) == clock
