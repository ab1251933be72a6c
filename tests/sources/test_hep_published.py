"""HEP in shapes that people published: reports of other agents, and reports that cannot be."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.sources.heptrace import CALLER, PROXY, Leg, answered, block, packet, rtcp

from trunktrace.sources.parsed import Parsed
from trunktrace.sources.reading import Reading
from trunktrace.sources.table import SOURCES

GARBAGE: list[dict[str, Any]] = [
    {"sender_information": {"ntp_timestamp_sec": 2518786835, "ntp_timestamp_usec": 3517447210,
     "octets": 2584999171, "rtp_timestamp": 426469031, "packets": 2131419229}, "ssrc": 145716936,
     "type": 200, "report_count": 0, "report_blocks": []},
    {"ssrc": 145716936, "type": 201, "report_count": 1, "report_blocks": [{
     "source_ssrc": 2838416413, "highest_seq_no": 3177617446, "fraction_lost": 208,
     "ia_jitter": 3815682506, "packets_lost": 8293549, "lsr": 833282032, "dlsr": 3434899853}]},
]  # fmt: skip


def parse(*packets: bytes) -> Parsed:
    """What HEP says of packets."""
    return SOURCES["hep"].parse(b"".join(packets), Reading())


def _raw(told: dict[str, Any], at: float) -> bytes:
    return packet(json.dumps(told).encode(), at=at, kind=5, source=CALLER, target=PROXY,
                  source_port=4001, target_port=6001, correlation="a1")  # fmt: skip


@pytest.mark.parametrize("told", GARBAGE, ids=["sender", "receiver"])
@pytest.mark.parametrize("with_sip", [True, False])
def test_srtcp_that_was_read_as_rtcp(told: dict[str, Any], with_sip: bool) -> None:
    """Counts of millions within seconds are broken reports; the true ones beside them count."""
    packets = answered(Leg("a1")).packets if with_sip else []
    for n in range(1, 5):
        packets.append(rtcp(3 + 5.0 * n, CALLER, PROXY, 1, 250 * n,
                            block(2, 1000 + 250 * n, 2 * n), correlation="a1"))  # fmt: skip
    clean = parse(*packets)
    dirty = parse(*packets, _raw(told, 9.5))
    assert dirty.observations == clean.observations
    assert [one.reason for one in dirty.broken] == ["an RTCP report whose counts cannot be"]


def test_nothing_but_srtcp() -> None:
    """Where every report is one that cannot be, nothing is told."""
    parsed = parse(*(_raw(one, 9.5 + n) for n, one in enumerate(GARBAGE)))
    assert (parsed.observations, len(parsed.broken)) == ((), 2)


@pytest.mark.parametrize(
    "more",
    [
        {"sdes_ssrc": 7, "sdes_report_count": 1, "sdes_information": [{"type": 1, "text": "a@b"}]},
        {"cid": "a1", "sdes_information": [{"sdes_chunk_ssrc": 7, "text": "sip:x", "type": 1}]},
        {"report_blocks_xr": {"end_system_delay": 11, "round_trip_delay": 0}},
        {"mos": 4.1},
    ],
    ids=["captagent", "heplify-server", "heplify", "homer"],
)
def test_reports_of_other_agents(more: dict[str, Any]) -> None:
    """What an agent adds changes nothing; a receiver report has no sender's part."""
    packets = answered(Leg("a1")).packets
    for n in range(1, 5):
        body = block(2, 1000 + 250 * n, 2 * n)
        told = {"ssrc": 1, "type": 201, "report_count": 1, "report_blocks": [body], **more}
        packets.append(_raw(told, 3 + 5.0 * n))
    parsed = parse(*packets)
    assert not parsed.broken
    losses = [w.lost_count for one in parsed.observations for w in one.windows if w.lost_count]
    assert losses
