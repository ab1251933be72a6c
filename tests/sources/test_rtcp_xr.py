"""RTCP on the wire: report blocks of RFC 3550, VoIP metrics of RFC 3611. No record was captured."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.sources.heptrace import hexed
from tests.sources.rtcp import (
    block,
    description,
    packet,
    receiver_report,
    sender_report,
    voip_metrics,
)  # fmt: skip

from trunktrace.sources.ends import Bridge
from trunktrace.sources.parsed import Parsed
from trunktrace.sources.reading import Reading
from trunktrace.sources.rtcp.flow import signed_24
from trunktrace.sources.table import SOURCES
from trunktrace.windows import MediaWindow

PHONE, BRIDGE = 0x1A2A9C52, 0xCE2256D2
T0 = 1_795_400_000.5


def parse(*packets: bytes, bridge: tuple[str, ...] = ()) -> Parsed:
    """What RTCP packets say, one a line."""
    return SOURCES["rtcp-xr"].parse(hexed(*packets), Reading(bridge=Bridge(frozenset(bridge))))


def call(lost: int = 6) -> list[bytes]:
    """30 s of a call in which the phone loses packets and the bridge none."""
    packets: list[bytes] = []
    for n in range(1, 7):
        told = block(BRIDGE, lost=lost * n, highest=10_000 + 250 * n, jitter=24, fraction=6)
        phone = sender_report(PHONE, T0 + 5 * n, 250 * n, told)
        packets.append(phone + description(PHONE, "phone@192.0.2.131"))
        told = block(PHONE, highest=60_000 + 250 * n, jitter=40)
        ours = sender_report(BRIDGE, T0 + 5 * n + 0.1, 250 * n, told)
        packets.append(ours + description(BRIDGE, "bridge@192.0.2.50"))
    return packets


def longest(told: Parsed, direction: str) -> MediaWindow:
    """The window of the whole call."""
    (found,) = told.observations
    windows = [window for window in found.windows if window.direction == direction]
    return max(windows, key=lambda window: window.duration_s)


@pytest.mark.parametrize("clock_hz", [8000, 16000, 48000])
def test_jitter_is_by_the_senders_own_clock(clock_hz: int) -> None:
    """Sender reports tell how fast RTP timestamps run; a clock is not taken for granted."""
    packets: list[bytes] = []
    for n in range(1, 5):
        told = block(BRIDGE, highest=10_000 + 250 * n)
        packets.append(sender_report(PHONE, T0 + 5 * n, 250 * n, told))
        told = block(PHONE, highest=60_000 + 250 * n, jitter=clock_hz // 100)
        report = bytearray(sender_report(BRIDGE, T0 + 5 * n, 250 * n, told))
        packets.append(bytes(report))
        phone = bytearray(packets[-2])
        phone[16:20] = (0xFFFF0000 + clock_hz * 5 * n & 0xFFFFFFFF).to_bytes(4, "big")
        packets[-2] = bytes(phone)
    found = {one.jitter_ms for one in parse(*packets).observations[0].windows}
    assert 10.0 in found
    assert found <= {10.0, 0.0, None}


def test_packets_that_came_late_are_not_lost() -> None:
    """A running total that falls again: the whole call has lost what its last report says."""
    packets: list[bytes] = []
    for n in range(1, 11):
        told = block(BRIDGE, lost=6 * (n % 2), highest=10_000 + 250 * n)
        packets.append(sender_report(PHONE, T0 + 5 * n, 250 * n, told))
        packets.append(sender_report(BRIDGE, T0 + 5 * n + 0.1, 250 * n, block(PHONE)))
    window = longest(parse(*packets), "in")
    assert (window.lost_count, window.loss_ratio) == (0, 0.0)


@pytest.mark.parametrize("bridge, lossy", [((), "in"), (("192.0.2.50",), "out")])
def test_counts_and_directions(bridge: tuple[str, ...], lossy: str) -> None:
    """Who is named as the bridge by its CNAME hears what comes in; else the first reporter does."""
    told = parse(*call(), bridge=bridge)
    window = longest(told, lossy)
    assert (window.lost_count, window.packet_count) == (36, 1464)
    assert window.loss_ratio == pytest.approx(36 / 1500)
    assert (window.loss_method, window.jitter_ms) == ("counted", 3.0)
    other = longest(told, "out" if lossy == "in" else "in")
    assert (other.loss_ratio, other.jitter_ms) == (0.0, 5.0)
    assert told.observations[0].leg == "trunk"


def test_windows_add_up_to_the_whole() -> None:
    """Between two reports stands what was lost between them; the sum is what was lost."""
    (found,) = parse(*call()).observations
    short = [w for w in found.windows if w.direction == "in" and w.duration_s < 15]
    assert len(short) == 6
    assert sum(window.lost_count or 0 for window in short) == 36
    assert {window.end - window.start for window in short[1:]} == {5.0}


@pytest.mark.parametrize(
    "more, field, expected",
    [
        ({"loss": 26}, "loss_ratio", 26 / 256), ({"loss": 0}, "loss_ratio", 0.0),
        ({"rtt": 84}, "rtt_ms", 84.0), ({"rtt": 0}, "rtt_ms", None), ({"r": 85}, "r_factor", 85.0),
        ({"r": 127}, "r_factor", None), ({"mos_cq": 40, "mos_lq": 41}, "mos", 4.0),
        ({"mos_cq": 127, "mos_lq": 41}, "mos", 4.1), ({"mos_cq": 48}, "mos", 4.5),
        ({"mos_cq": 127}, "mos", None),
    ],
)  # fmt: skip
def test_voip_metrics(more: dict[str, int], field: str, expected: float | None) -> None:
    """Rates are of 256, MOS in tenths; 127 is unavailable, and a round trip of 0 not measured."""
    data = receiver_report(PHONE) + voip_metrics(PHONE, BRIDGE, **more)
    (found,) = parse(data).observations
    (window,) = found.untimed
    assert getattr(window, field) == expected
    assert window.loss_method == "derived"
    assert window.mos_algorithm == (None if window.mos is window.r_factor is None else "vendor")


def test_a_count_is_believed_before_a_rate() -> None:
    """Where report blocks count, the rate of the VoIP metrics is not told beside it."""
    last = sender_report(PHONE, T0 + 31, 1550, block(BRIDGE, lost=36, highest=11_550))
    told = parse(*call(), last + voip_metrics(PHONE, BRIDGE, loss=20, r=80))
    (found,) = told.observations
    rated = [window for window in found.windows if window.r_factor is not None]
    assert [window.loss_ratio for window in rated] == [None]
    assert all(w.loss_method == "counted" for w in found.windows if w.loss_ratio is not None)


def test_without_a_clock_no_times_are_told() -> None:
    """Receiver reports have no time: the whole call is told, and not when."""
    packets = [receiver_report(PHONE, block(BRIDGE, lost=10 * n, highest=1000 + 250 * n))
               for n in range(1, 4)]  # fmt: skip
    (found,) = parse(*packets).observations
    assert found.windows == ()
    (window,) = found.untimed
    assert (window.start, window.end) == (0.0, 0.0)


def test_times_since_the_device_started_are_no_times() -> None:
    """An NTP time of 1900 is a device without a clock."""
    told = parse(sender_report(PHONE, -2_208_988_000, 250, block(BRIDGE, highest=250)))
    assert told.observations[0].windows == ()


def test_a_silent_hearer_leaves_what_was_sent() -> None:
    """Nobody reports on the phone: what it sent is told, and no loss."""
    (found,) = parse(sender_report(PHONE, T0, 250)).observations
    (window,) = found.windows
    assert (window.packet_count, window.loss_ratio) == (250, None)


def test_numbering_that_begins_anew() -> None:
    """A new start of the sequence numbers is not counted as loss."""
    heights = (65_000, 65_250, 100, 350)
    packets = [sender_report(PHONE, T0 + 5 * n, 0, block(BRIDGE, highest=height, lost=n))
               for n, height in enumerate(heights)]  # fmt: skip
    (found,) = parse(*packets).observations
    between = [w for w in found.windows if w.duration_s == 5.0]
    assert [w.lost_count for w in between] == [1, 1, 1]
    assert all(w.loss_ratio is not None and w.loss_ratio < 0.01 for w in between)


@pytest.mark.parametrize(
    "data, reason",
    [
        (call()[0][:-3], "cut short"),
        (b"\x40" + call()[0][1:], "version"),
        (call()[0][:2] + b"\x00\x40" + call()[0][4:], "cut short"),
        (call()[0][:1] + b"\x10" + call()[0][2:], "packet type"),
        (b"\x83" + call()[0][1:], "fewer blocks"),
        (packet(207, struct.pack(">IBBH", 1, 7, 0, 4)), "cut short"),
        (packet(207, struct.pack(">IBBHI", 1, 7, 0, 1, 9)), "wrong length"),
        (b"\xa0" + receiver_report(PHONE)[1:], "padding"),
    ],
)
def test_broken_packets(data: bytes, reason: str) -> None:
    """A packet whose lengths do not add up is broken as a whole; the next one is read."""
    told = parse(data, *call())
    (broken,) = told.broken
    assert broken.line == 1
    assert reason in broken.reason
    assert len(told.observations) == 1


def test_packets_without_a_report_are_ignored() -> None:
    """A BYE, and a receiver report without blocks, say nothing of media."""
    bye = packet(203, struct.pack(">I", PHONE), 1)
    assert parse(bye, receiver_report(PHONE) + bye) == Parsed((), (), 2)


def test_binary_says_the_same() -> None:
    """Compound packets one after the other, and after something that is none."""
    data = b"".join(call())
    said = parse(*call()).observations
    assert SOURCES["rtcp-xr"].parse(data).observations == said
    told = SOURCES["rtcp-xr"].parse(b"\x00\x01\x02\xff" + data)
    assert told.observations == said
    assert len(told.broken) == 1


@pytest.mark.parametrize("told, expected", [(0, 0), (0x7FFFFF, 8388607), (0xFFFFFF, -1), (5, 5)])
def test_24_bits_have_a_sign(told: int, expected: int) -> None:
    """Lost packets are a number of 24 bits with a sign."""
    assert signed_24(told) == expected


def test_the_name_of_a_person_is_not_told() -> None:
    """A CNAME may be a SIP user: it stands nowhere."""
    data = sender_report(PHONE, T0, 9, block(BRIDGE)) + description(PHONE, "+15555550199@192.0.2.9")
    assert "15555550199" not in repr(parse(data))


@given(st.data())
@settings(max_examples=80, deadline=None)
def test_no_mutation_breaks_the_reader(data: st.DataObject) -> None:
    """Whatever a byte becomes, nothing is raised, and the packet is told of in some way."""
    broken = bytearray(data.draw(st.sampled_from(call())) + voip_metrics(PHONE, BRIDGE, loss=3))
    for _ in range(data.draw(st.integers(1, 4))):
        broken[data.draw(st.integers(0, len(broken) - 1))] = data.draw(st.integers(0, 255))
    told = parse(bytes(broken))
    assert len(told.observations) + len(told.broken) + told.ignored == 1


@given(st.binary(max_size=300))
@settings(deadline=None)
def test_any_bytes_are_read(data: bytes) -> None:
    """No bytes raise."""
    told = SOURCES["rtcp-xr"].parse(data)
    assert isinstance(told, Parsed)


def test_who_alone_reports_is_not_the_bridge() -> None:
    """LiveKit's bridge sends no RTCP: what a lone reporter heard was on its way out."""
    (found,) = parse(receiver_report(PHONE) + voip_metrics(PHONE, BRIDGE, loss=26)).observations
    assert {window.direction for window in (*found.windows, *found.untimed)} == {"out"}
