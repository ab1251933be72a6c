"""Reports of RFC 6035 as vendors write them, against the truth beside each sample."""

from __future__ import annotations

import json
import re
from datetime import timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.sources.golden import CAPTURES
from tests.sources.quick import lines_of_json

from trunktrace import conventions as c
from trunktrace.facts import Observation
from trunktrace.sources.ends import Bridge
from trunktrace.sources.parsed import Parsed
from trunktrace.sources.reading import Reading
from trunktrace.sources.table import SOURCES

FOLDER = CAPTURES / "vq-rtcpxr"
SAMPLES = sorted(FOLDER.glob("*.txt"))
LINPHONE = sorted((FOLDER / "linphone-clean").glob("*.txt"))

PLAIN = """VQSessionReport: CallTerm
CallID: plain-1
LocalID: <sip:1000@192.0.2.61>
RemoteID: <sip:2000@192.0.2.62>
OrigID: <sip:1000@192.0.2.61>
LocalAddr: IP=192.0.2.61 PORT=4000 SSRC=0x00000001
RemoteAddr: IP=192.0.2.62 PORT=6000 SSRC=0x00000002
LocalMetrics:
Timestamps: START=2026-11-23T01:00:00Z STOP=2026-11-23T01:00:30Z
SessionDesc: PT=0 PD=PCMU SR=8000
PacketLoss: NLR=5.6 JDR=0.0
Delay: RTD=40 IAJ=3
QualityEst: MOSLQ=4.1 MOSCQ=4.0
RemoteMetrics:
Timestamps: START=2026-11-23T01:00:00Z STOP=2026-11-23T01:00:30Z
PacketLoss: NLR=1.2 JDR=0.0
"""


def parse(text: str | bytes, bridge: tuple[str, ...] = (), end: Any = None) -> Parsed:
    """What is said of reports."""
    data = text.encode() if isinstance(text, str) else text
    return SOURCES["vq-rtcpxr"].parse(data, Reading(bridge=Bridge(frozenset(bridge), end)))


def one(text: str | bytes, **more: Any) -> Observation:
    """The only observation."""
    told = parse(text, **more)
    assert told.broken == ()
    (found,) = told.observations
    return found


def losses(told: Observation) -> dict[tuple[str, str], float | None]:
    """Loss by leg and direction."""
    return {(w.leg, w.direction): w.loss_ratio for w in told.windows}


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_samples_say_the_truth(path: Any) -> None:
    """Codec, duration, loss, jitter and that the call was answered are found in every sample."""
    facts = json.loads(path.with_suffix(".facts.json").read_text())
    told = one(path.read_bytes())
    assert told.facts[c.RTP_CODEC] == facts["codec"].split("/")[0].split(" ")[0].lower()
    assert told.facts[c.SIP_CALL_OUTCOME] == "answered"
    duration = facts["duration_s"] * 1000.0 if facts["duration_s"] is not None else None
    assert told.facts.get(c.SIP_CALL_DURATION_MS) == duration
    local = told.windows[0]
    assert local.loss_ratio == facts["loss_ratio_in"]
    assert local.loss_method == "derived"
    assert local.jitter_ms == facts["jitter_ms"]
    remote = told.windows[1].loss_ratio if len(told.windows) > 1 else None
    assert remote == facts["loss_ratio_out"]
    for unknown in (c.SIP_RESPONSE_STATUS_CODE, c.SIP_HANGUP_SOURCE, c.SIP_CALL_DIRECTION):
        assert unknown not in told.facts


@pytest.mark.parametrize("path", LINPHONE, ids=lambda path: path.stem)
def test_linphone_states_no_loss(path: Any) -> None:
    """linphone has no PacketLoss line: no loss is told; its MOS of 4.8 is cut at 4.5."""
    told = one(path.read_bytes())
    assert all(window.loss_ratio is None for window in told.windows)
    (score,) = re.findall(rb"MOSCQ=([0-9.]+)", path.read_bytes().partition(b"RemoteMetrics")[0])
    assert told.windows[0].mos == min(float(score), 4.5)
    assert told.facts[c.RTP_CODEC] == "pcmu"
    assert ("Session" in path.name) == (told.completeness == "complete")
    assert (told.leg == "pstn") == ("caller" in path.name)


def test_body_and_message_say_the_same() -> None:
    """The PUBLISH around a body adds nothing and takes nothing away."""
    for path in LINPHONE:
        if path.name.endswith(".body.txt"):
            whole = path.with_name(path.name.replace(".body.", ".publish."))
            assert one(path.read_bytes()) == one(whole.read_bytes())


def test_all_reports_of_one_end_are_one_observation() -> None:
    """Eight reports of two ends give two observations; the session's makes them complete."""
    data = b"".join(path.read_bytes() for path in LINPHONE if ".publish." in path.name)
    told = parse(data)
    assert (told.broken, told.ignored) == ((), 0)
    assert [(found.leg, found.completeness) for found in told.observations] == [
        ("pstn", "complete"), ("trunk", "complete"),
    ]  # fmt: skip
    assert all(found.facts[c.SIP_CALL_DURATION_MS] == 36_000.0 for found in told.observations)
    assert all(found.ids["call_id"] == "j8c0yYS4Zy" for found in told.observations)


@given(st.permutations([path for path in LINPHONE if ".body." in path.name]))
@settings(max_examples=20, deadline=None)
def test_the_order_of_reports_does_not_matter(paths: Any) -> None:
    """An interval's report that comes late changes nothing."""

    def told(some: Any) -> list[Observation]:
        data = b"".join(path.read_bytes() for path in some)
        return sorted(parse(data).observations, key=lambda found: found.leg)

    assert told(paths) == told(sorted(paths))


def test_whose_loss_it_is() -> None:
    """Local metrics are what the reporter hears, remote ones what its peer hears.

    The caller's phone hears what goes out, and its peer what comes in.
    """
    assert losses(one(PLAIN)) == {("pstn", "out"): 0.056, ("pstn", "in"): 0.012}


@pytest.mark.parametrize(
    "bridge, expected",
    [
        ("192.0.2.61", {("trunk", "in"): 0.056, ("trunk", "out"): 0.012}),
        ("192.0.2.62", {("trunk", "out"): 0.056, ("trunk", "in"): 0.012}),
    ],
)
def test_the_bridge_is_named(bridge: str, expected: dict[tuple[str, str], float]) -> None:
    """Where the bridge reports, it hears what comes in; where its neighbour does, what goes out."""
    told = one(PLAIN, bridge=(bridge,))
    assert losses(told) == expected
    assert told.facts[c.SIP_CALL_DIRECTION] == ("outbound" if bridge.endswith("61") else "inbound")


def test_the_called_end_reports() -> None:
    """A reporter that did not begin the call stands, if nothing else is known, at the bridge."""
    text = PLAIN.replace("OrigID: <sip:1000@192.0.2.61>", 'OrigID: "B" <sip:2000@192.0.2.62>')
    assert losses(one(text)) == {("trunk", "in"): 0.056, ("trunk", "out"): 0.012}


def test_the_call_id_tells_who_began_the_call() -> None:
    """Without OrigID, the host in the Call-ID is the caller's."""
    text = PLAIN.replace("OrigID: <sip:1000@192.0.2.61>\n", "")
    assert one(text).leg == "trunk"
    assert one(text.replace("CallID: plain-1", "CallID: plain-1@192.0.2.61")).leg == "pstn"


@pytest.mark.parametrize(
    "old, new",
    [
        ("CallID: ", "CallID="), ("CallID: ", "CALLID:"), ("CallID: plain-1\n", ""),
        ("Timestamps: ", "TimeStamps:"), ("NLR=5.6 JDR", "NLR=5.6JDR"), ("NLR=5.6", "nlr=5.6"),
        ("\n", "\r\n"), ("PORT=4000", "Port=4000"),
        ("IP=192.0.2.61 PORT=4000", "IP=192.0.2.61:4000"),
        ("IP=192.0.2.61 PORT=4000", "IP= 192.0.2.61 PORT=4000"), ("RTD=40", "ESD= RTD=40"),
        ("PD=PCMU ", "PD=audio/PCMU "), ("PD=PCMU ", "PD=G.711 Mu-Law "),
        ("MOSLQ=4.1 MOSCQ=4.0", "MOSLQ=4.1\nMOSCQ=4.0"), ("LocalMetrics:", "Metrics:"),
        ("Delay:", "VPN=0\nx-vendor: NLR=99\nDelay:"),
        (": CallTerm", ""), ("SSRC=0x0000000", "SSRC="),
        ("Delay:", 'LinphoneExt: UA="x/1"\nDelay:'), ("PD=PCMU ", ""), ("PT=0 PD", "PD"),
    ],
)  # fmt: skip
def test_what_vendors_write_otherwise(old: str, new: str) -> None:
    """Spellings that were seen say the same as those of the RFC."""
    assert old in PLAIN
    text = PLAIN + "DialogID: plain-1;to-tag=a;from-tag=b;1\n"
    told = one(text.replace(old, new))
    assert losses(told) == {("pstn", "out"): 0.056, ("pstn", "in"): 0.012}
    assert told.ids["call_id"] == "plain-1"
    assert told.facts[c.RTP_CODEC] == "pcmu"
    assert (told.windows[0].mos, told.windows[0].rtt_ms) == (4.0, 40.0)
    assert told.record_id == "plain-1/00000001"


@pytest.mark.parametrize(
    "old, new, field, expected",
    [
        ("RTD=40", "RTD=0", "rtt_ms", None), ("RTD=40", "RTD=65535", "rtt_ms", None),
        ("IAJ=3", "IAJ=0", "jitter_ms", 0.0), ("IAJ=3", "IAJ=x", "jitter_ms", None),
        ("NLR=5.6", "NLR=127", "loss_ratio", None), ("NLR=5.6", "NLR=0.0", "loss_ratio", 0.0),
        ("MOSCQ=4.0", "MOSCQ=127", "mos", 4.1), ("MOSCQ=4.0", "MOSCQ=4.8", "mos", 4.5),
        ("MOSCQ=4.0", "MOSCQ=9.9", "mos", 4.1), ("MOSLQ=4.1", "RCQ=127 RLQ=93", "r_factor", 93.0),
        ("MOSLQ=4.1", "RCQ=82 RLQ=93", "r_factor", 82.0),
        ("MOSLQ=4.1", "RCQ=127", "r_factor", None),
    ],
)  # fmt: skip
def test_values_that_say_nothing(old: str, new: str, field: str, expected: float | None) -> None:
    """127 is unavailable, a round trip of 0 was not measured, and a MOS above 4.5 is cut."""
    window = one(PLAIN.replace(old, new)).windows[0]
    assert getattr(window, field) == expected


@pytest.mark.parametrize(
    "description, codec, payload_type, clock",
    [
        ("PT=9", "g722", 9, 8000), ("PT=1 PD=opus SR=48000", "opus", None, 48000),
        ("PT=111 PD=opus", "opus", 111, 48000), ("PT=9 PD=G722 SR=16000", "g722", 9, 8000),
        ("PT=96", None, None, None), ("PD=G722/8000", "g722", None, 8000),
    ],
)  # fmt: skip
def test_codec(
    description: str, codec: str | None, payload_type: int | None, clock: int | None
) -> None:
    """The name is right where the number says otherwise; a static number alone names a codec."""
    facts = one(PLAIN.replace("PT=0 PD=PCMU SR=8000", description)).facts
    assert facts.get(c.RTP_CODEC) == codec
    assert facts.get(c.RTP_PAYLOAD_TYPE) == payload_type
    assert facts.get(c.RTP_CLOCK_RATE_HZ) == clock


def test_times_of_zero_are_unknown() -> None:
    """START=0 STOP=0: the measures are of the whole call, and when it was nobody knows."""
    text = PLAIN.replace("START=2026-11-23T01:00:00Z STOP=2026-11-23T01:00:30Z", "START=0 STOP=0")
    told = one(text)
    assert told.windows == ()
    assert [window.loss_ratio for window in told.untimed] == [0.056, 0.012]
    assert c.SIP_CALL_DURATION_MS not in told.facts


@pytest.mark.parametrize(
    "old, new",
    [
        # So do RFC 6035's own examples (sections 4.7.1 to 4.7.4), nine days apart.
        ("STOP=2026-11-23T01:00:30Z", "STOP=2026-11-14T01:00:30Z"),
        ("Timestamps: START=2026-11-23T01:00:00Z STOP=2026-11-23T01:00:30Z", "Timestamps:"),
        ("Timestamps: START=2026-11-23T01:00:00Z STOP=2026-11-23T01:00:30Z\n", ""),
    ],
)
def test_times_that_cannot_be_leave_the_measures(old: str, new: str) -> None:
    """STOP before START, or no times: the measures are of the call, at no time that is known."""
    told = one(PLAIN.replace(old, new))
    assert (told.windows, told.start, told.end) == ((), None, None)
    assert [window.loss_ratio for window in told.untimed] == [0.056, 0.012]
    assert c.SIP_CALL_DURATION_MS not in told.facts


def test_a_report_without_times_and_measures_is_broken() -> None:
    """What was cut off after LocalMetrics says nothing."""
    told = parse(PLAIN.partition("Timestamps")[0])
    assert told.observations == ()
    assert [one.reason for one in told.broken] == ["no Timestamps, and nothing that was measured"]


@pytest.mark.parametrize("sender, leg", [("1000", "pstn"), ("2000", "trunk"), ("3777", "trunk")])
def test_who_publishes_tells_the_reporters_end(sender: str, leg: str) -> None:
    """Poly's default has FromID and ToID, and no OrigID: the message says whose report it is."""
    body = PLAIN.replace("LocalID", "FromID").replace("RemoteID", "ToID")
    body = body.replace("OrigID: <sip:1000@192.0.2.61>\n", "")
    head = (
        "PUBLISH sip:192.0.2.30 SIP/2.0\r\nEvent: vq-rtcpxr\r\n"
        f'From: "A" <sip:{sender}@192.0.2.6{sender[0]}>;tag=1\r\n\r\n'
    )
    assert one(head + body).leg == leg
    assert "3777" not in repr(one(head + body))


@pytest.mark.parametrize("name", ["RemoteMetrics", "LocalMetrics"])
@pytest.mark.parametrize("hour", ["00", "08"])
def test_a_section_that_was_never_filled(name: str, hour: str) -> None:
    """Yealink writes zeros at no time of its own zone where the peer told nothing: no loss of 0."""
    at = f"1970-01-01T{hour}:00:00Z"
    told = one(
        PLAIN.partition("RemoteMetrics")[0]
        + f"{name}:\nTimestamps:START={at} STOP={at}\nPacketLoss:NLR=0.0 JDR=0.0\n"
        "Delay:RTD=0 ESD=0 SOWD=0 IAJ=0 MAJ=0\nQualityEst:RCQ=0 EXTRI=0 MOSLQ=0.0 MOSCQ=0.0\n"
    )
    assert losses(told) == {("pstn", "out"): 0.056}
    assert told.untimed == ()
    assert told.facts[c.SIP_CALL_DURATION_MS] == 30_000.0


def test_a_phone_without_a_clock_still_measured() -> None:
    """Times of 1970 that differ are those of a clock that was never set: the measures stand."""
    text = PLAIN.replace("2026-11-23T01", "1970-01-01T00")
    told = one(text)
    assert (told.windows, told.start) == ((), None)
    assert [window.loss_ratio for window in told.untimed] == [0.056, 0.012]


def test_the_bridge_is_found_by_an_address_that_is_set_off() -> None:
    """Poly writes `LocalAddr:IP= 192.0.2.61`: the reporter has an address all the same."""
    text = PLAIN.replace("IP=192", "IP= 192")
    assert one(text, bridge=("192.0.2.61",)) == one(PLAIN, bridge=("192.0.2.61",))


def test_times_without_an_offset_are_of_the_zone() -> None:
    """The RFC asks for UTC; who writes local time is read in the zone that was told."""
    text = PLAIN.replace("00Z STOP", "00 STOP").replace("30Z", "30")
    reading = Reading(zone=timezone(timedelta(hours=2)))
    (told,) = SOURCES["vq-rtcpxr"].parse(text.encode(), reading).observations
    assert told.start == (one(PLAIN).start or 0.0) - 7200.0


@pytest.mark.parametrize(
    "old, new, reason",
    [
        ("CallID: plain-1", "CallID:", "no CallID that can be read"),
        ("CallID: plain-1", "CallID: (null)", "no CallID that can be read"),
        ("LocalMetrics:", "SomeMetrics:", None),
        ("Timestamps: START=2026-11-23T01:00:00Z", "Timestamps: START=now", "START is no time"),
        ("VQSessionReport: CallTerm", "VQReport", "belong to none"),
    ],
)
def test_broken_reports(old: str, new: str, reason: str | None) -> None:
    """What lacks its id, its time or its kind is broken, and the report after it is still read."""
    text = PLAIN.replace(old, new) + PLAIN.replace("plain-1", "good-1")
    told = parse(text)
    assert "good-1" in {found.ids.get("call_id") for found in told.observations}
    if reason is not None:
        (broken,) = told.broken
        assert broken.line == 1
        assert reason in broken.reason


def test_other_messages_are_ignored() -> None:
    """A PUBLISH about presence is no report; one about vq-rtcpxr without a body is broken."""
    head = "PUBLISH sip:c@192.0.2.30 SIP/2.0\r\nEvent: {}\r\nCall-ID: x\r\n\r\n"
    assert parse(head.format("presence")) == Parsed((), (), 1)
    (broken,) = parse(head.format("vq-rtcpxr")).broken
    assert "without a report" in broken.reason


def test_no_number_and_no_display_name_is_told() -> None:
    """Users, numbers and display names of the identities stand nowhere."""
    text = PLAIN.replace("<sip:1000@192.0.2.61>", '"Alice Example" <sip:+15555550199@192.0.2.61>')
    said = repr(one(text))
    assert "15555550199" not in said
    assert "Alice" not in said
    assert one(text).facts[c.SIP_CALLER_NUMBER] == "+1*******99"


@given(st.data())
@settings(max_examples=80, deadline=None)
def test_no_mutation_breaks_the_reader(data: st.DataObject) -> None:
    """Whatever characters become of others, nothing is raised, and the next report is read."""
    text = list(PLAIN)
    for _ in range(data.draw(st.integers(1, 5))):
        at = data.draw(st.integers(0, len(text) - 1))
        text[at] = data.draw(st.sampled_from(["\n", "=", ":", " ", "9", "\x00", "é", "VQ", '"']))
    told = parse("".join(text) + "\n" + PLAIN.replace("plain-1", "good-1"))
    assert "good-1" in {found.ids.get("call_id") for found in told.observations}


@given(st.binary(max_size=300))
@settings(deadline=None)
def test_any_bytes_are_read(data: bytes) -> None:
    """No bytes raise, and what is not blank is told of in some way."""
    told = SOURCES["vq-rtcpxr"].parse(data)
    text = data.removeprefix(b"\xef\xbb\xbf").strip()
    assert told.observations or told.broken or told.ignored or not text


@pytest.mark.parametrize("filling", ["a", "a=", 'a="', "ab=1", "sip:", '"', "=", ": "])
def test_hostile_reports_are_quick(filling: str) -> None:
    """No report takes longer than a long line of JSON takes three times."""
    text = PLAIN.replace("NLR=5.6", filling * (14_000 // len(filling)))
    text = text.replace("<sip:1000@192.0.2.61>", filling * 100)
    assert lines_of_json(lambda: parse(text)) < 3
