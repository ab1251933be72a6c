"""rtpengine of other versions: shapes as people published them, with invented ids and counts."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.sources.proxies import legs, parse, total
from tests.sources.quick import lines_of_json

from trunktrace.sources.kinds import kind_of

T = 1590498074
"""When the made calls begin, unix seconds."""

LOG_3 = """\
Mar 16 17:06:29 edge1 rtpengine[6892]: [W9kpXB11sQ] Final packet stats:
Mar 16 17:06:29 edge1 rtpengine[6892]: [W9kpXB11sQ] --- Tag '3DF8', created 0:49 ago, in dialogue with 'lW2x'
Mar 16 17:06:29 edge1 rtpengine[6892]: [W9kpXB11sQ] ------ Media #1, port 30188 <>       192.0.2.101:52997, 1300 p, 1404 b, 0 e
Mar 16 17:06:29 edge1 rtpengine[6892]: [W9kpXB11sQ] ------ Media #1, port 30189 <>       192.0.2.101:65416 (RTCP), 13 p, 1404 b, 0 e
Mar 16 17:06:29 edge1 rtpengine[6892]: [W9kpXB11sQ] ------ Media #2, port 30218 <>       192.0.2.101:53367, 77 p, 1404 b, 0 e
Mar 16 17:06:29 edge1 rtpengine[6892]: [W9kpXB11sQ] --- Tag 'lW2x', created 0:49 ago, in dialogue with '3DF8'
Mar 16 17:06:29 edge1 rtpengine[6892]: [W9kpXB11sQ] ------ Media #1, port 30208 <>       192.0.2.111:7078 , 1228 p, 134496 b, 0 e
Mar 16 17:06:29 edge1 rtpengine[6892]: [W9kpXB11sQ] ------ Media #1, port 30209 <>       192.0.2.111:7079  (RTCP), 5 p, 510 b, 0 e
"""  # noqa: E501 - lines as they are written
LOG_4 = """\
Feb 14 15:57:50 edge1 rtpengine[31636]: [c4@192.0.2.9] --- Tag 'ft', created 0:49 ago for branch '', in dialogue with 'tt'
Feb 14 15:57:50 edge1 rtpengine[31636]: [c4@192.0.2.9] ------ Media #1 (audio over RTP/AVP) using PCMU/8000
Feb 14 15:57:50 edge1 rtpengine[31636]: [c4@192.0.2.9] --------- Port 28148 <>    192.0.2.101:15426, 1300 p, 132956 b, 0 e, 1590498123 last_packet
Feb 14 15:57:50 edge1 rtpengine[31636]: [c4@192.0.2.9] --------- Port 28149 <>    192.0.2.101:15427 (RTCP), 4 p, 400 b, 0 e, 1590498121 last_packet
Feb 14 15:57:50 edge1 rtpengine[31636]: [c4@192.0.2.9] --- Tag 'tt', created 0:49 ago for branch '', in dialogue with 'ft'
Feb 14 15:57:50 edge1 rtpengine[31636]: [c4@192.0.2.9] ------ Media #1 (audio over RTP/AVP) using PCMA/8000
Feb 14 15:57:50 edge1 rtpengine[31636]: [c4@192.0.2.9] --------- Port 28150 <>    192.0.2.111:15426, 1228 p, 132956 b, 0 e, 1590498122 last_packet
"""  # noqa: E501
_MOS = "Average MOS 4.3, lowest MOS 4.3 (at 0:08), highest MOS 4.4 (at 0:16)"
_LINES_5 = [
    "Final packet stats:",
    "--- Tag 'ft' (label 'Aleg_label'), created 0:56 ago for branch '', in dialogue with 'tt'",
    "------ Media #1 (audio over RTP/AVPF) using PCMA/8000",
    "--------- Port 192.0.2.20:30280 <> 192.0.2.101:59398, SSRC {a}, 1300 p, 209296 b, 12 e, 31 ts",
    "--------- Port 192.0.2.20:30281 <> 192.0.2.101:59399 (RTCP), SSRC {a}, 7 p, 544 b, 0 e, 31 ts",
    "--- Tag 'tt' (label 'Bleg_label'), created 0:56 ago for branch '', in dialogue with 'ft'",
    "------ Media #1 (audio over RTP/AVPF) using unknown codec",
    "--------- Port 192.0.2.20:30260 <> 192.0.2.111:30106 , SSRC {b}, 1228 p, 163400 b, 0 e, 31 ts",
    "--- SSRC {b}",
    f"------ {_MOS}",
]


def _log(prefix: str, **ssrc: str) -> str:
    ssrc = {"a": "568a0e3d", "b": "eed55b92", **ssrc}
    return "".join(f"{prefix}{line.format(**ssrc)}\n" for line in _LINES_5)


_STAMP = f"[{T + 56}.000131] INFO: "
LOGS: dict[str, str] = {
    "3": LOG_3,
    "4": LOG_4,
    "5, decimal SSRCs": _log(_STAMP + "[c5]: ", a="1451888189", b="4006960018"),
    "6": _log(_STAMP + "[c5]: "),
    "7.5": _log('Jul 31 09:16:20 edge1 rtpengine[514]: INFO: [ID="c5"]: '),
    "8, with a port": _log(_STAMP + '[ID="c5" port="30280"]: '),
    "9": _log(_STAMP + "[c5 port 30280]: [core] "),
}


@pytest.mark.parametrize("version", LOGS)
def test_logs_of_other_versions(version: str) -> None:
    """Each says of both ends what was received of them, and nothing in it is broken."""
    parsed = parse("rtpengine", LOGS[version].encode())
    assert not parsed.broken
    told = legs(parsed)
    assert total(told["caller"], "by").packet_count == 1300
    assert total(told["callee"], "by").packet_count == 1228
    call_id = {"3": "W9kpXB11sQ", "4": "c4"}.get(version, "c5")
    assert {one.facts["sip.call_id"] for one in told.values()} == {call_id}
    assert kind_of(LOGS[version].encode()) == "rtpengine"


@pytest.mark.parametrize("version", [name for name in LOGS if name not in ("3", "4")])
def test_a_mos_without_a_count_of_loss(version: str) -> None:
    """Before version 9 the line of the MOS has no `lost`: the score is told, and no loss."""
    told = legs(parse("rtpengine", LOGS[version].encode()))
    window = total(told["callee"], "to")
    assert (window.mos, window.loss_ratio) == (4.3, None)
    assert "rtp.codec" not in told["callee"].facts
    assert told["caller"].facts["rtp.codec"] == "pcma"


def test_unix_seconds_before_the_call() -> None:
    """The last packet came 31 s before the statistics: that is the end of what was said."""
    told = legs(parse("rtpengine", LOGS["6"].encode()))
    assert (told["caller"].start, told["caller"].end) == (T + 0.000131, T + 25.000131)
    assert total(told["caller"], "by").end == T + 25.000131


def test_the_process_is_no_call() -> None:
    """A line whose Call-ID is missing is broken; `[7000]` and `[core]` are none."""
    for line in ("rtpengine[7000]: --- Tag 'a', created 0:01 ago", "x [core] --- Tag 'a', created"):
        parsed = parse("rtpengine", line.encode())
        assert [one.reason for one in parsed.broken] == ["statistics without a Call-ID"]


@pytest.mark.parametrize("key", ["log", "message", "MESSAGE"])
def test_a_log_in_json(key: str) -> None:
    """A container's log, or a journal's: the same facts; other lines of it are ignored."""
    lines = [*LOGS["6"].splitlines(), f"{_STAMP}something else"]
    data = "\n".join(json.dumps({key: line + "\n", "stream": "stderr"}) for line in lines)
    parsed = parse("rtpengine", data.encode())
    assert parsed.observations == parse("rtpengine", LOGS["6"].encode()).observations
    assert not parsed.broken


# Answers of version 13 --------------------------------------------------------------------------


def _heard(lost: int) -> dict[str, Any]:
    entry = {"MOS": 43, "round-trip time": 20000, "round-trip time leg": 9000, "jitter": 2,
             "packet loss": 4}  # fmt: skip
    return {
        "bytes": 258000, "packets": 1500, "last RTP timestamp": 240000, "last RTP seq": 1500,
        "cumulative loss": lost, "average MOS": {**entry, "samples": 1},
        "lowest MOS": {**entry, "reported at": T + 10},
        "highest MOS": {**entry, "reported at": T + 10},
        "MOS progression": {"interval": 0, "entries": [{**entry, "reported at": T + 28}]},
    }  # fmt: skip


def _media(ssrcs: list[int], heard: dict[int, dict[str, Any]], *, at: str) -> dict[str, Any]:
    ingress = [{"SSRC": one, **heard.get(one, {"bytes": 0, "packets": 3})} for one in ssrcs]
    stream: dict[str, Any] = {
        "local port": 38156, "local address": "192.0.2.20", "family": "IPv4",
        "endpoint": {"family": "IPv4", "address": "192.0.2.60", "port": 40001},
        "last packet": T + 30, "last kernel packet": T + 30, "last user packet": T + 11,
        "flags": ["RTP", "filled", "confirmed", "kernelized"],
        "stats": {"packets": 1500, "bytes": 258000, "errors": 0},
        "stats_out": {"packets": 1500, "bytes": 258000, "errors": 0},
    }  # fmt: skip
    media: dict[str, Any] = {
        "index": 1, "type": "audio", "protocol": "RTP/AVP", "codec": "PCMU/8000",
        "streams": [stream], "flags": ["initialized", "send", "recv"],
    }  # fmt: skip
    (stream if at == "stream" else media).update({"ingress SSRCs": ingress, "egress SSRCs": []})
    return media


@pytest.mark.parametrize("at", ["stream", "media"])
@pytest.mark.parametrize("signed", [False, True])
def test_the_ssrc_stands_in_a_list(at: str, signed: bool) -> None:
    """No `SSRC` at the stream: of those that came one after the other, the one with reports."""
    other, callee, shown = 10, 3_000_000_000, 3_000_000_000
    if signed:
        shown -= 1 << 32
    heard = {callee: _heard(75)}
    tags = {
        "ft": {"tag": "ft", "label": "caller", "medias": [_media([0x0A0A0A0A], {}, at=at)]},
        "tt": {"tag": "tt", "label": "callee", "medias": [_media([other, shown], heard, at=at)]},
    }
    reply = {"created": T, "created_us": 5, "created_ts": T * 1_000_000 + 5, "last signal": T,
             "SSRC": {str(one): told for one, told in heard.items()}, "tags": tags,
             "result": "ok"}  # fmt: skip
    told = legs(parse("rtpengine", json.dumps(reply).encode()))
    window = total(told["callee"], "to")
    assert (window.mos, window.rtt_ms, window.jitter_ms) == (4.3, 9.0, 2.0)
    assert total(told["caller"], "by").lost_count == 75


def test_brackets_without_an_end_are_quick() -> None:
    """A line takes time in proportion to its length, whatever opens on it and never closes."""
    line = b"[1795396180.609211] INFO: " + b"[" * 1900 + b" --- Tag \n"
    assert lines_of_json(lambda: parse("rtpengine", line * 10)) < 30
