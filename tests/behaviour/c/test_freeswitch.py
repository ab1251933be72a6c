"""FreeSWITCH's records with other loss, codes, encodings, versions and order."""

from __future__ import annotations

import copy
import json
from urllib.parse import quote

import pytest

from .shelf import (
    OUTCOMES,
    losses,
    measure,
    parsed,
    raw,
    read,
    reading,
    same,
    values,
    windows,
)

CALLS = ("01-clean", "02-loss5-caller-in", "03-busy-486")
CDR, ESL = "freeswitch-cdr", "freeswitch-esl"


def leg(call: str, which: str) -> dict:
    """One captured document."""
    return dict(json.loads(raw("freeswitch", call, f"{which}-leg.cdr.json")))


def parse(*documents: dict, end="callee"):
    """What the reader makes of documents, one a line."""
    return read(CDR, "\n".join(map(json.dumps, documents)) + "\n", reading(end))


def changed(document: dict, inbound: dict | None = None, **variables) -> dict:
    """A copy with other statistics and variables; None takes one out."""
    found = copy.deepcopy(document)
    for target, more in (
        (found["variables"], variables),
        (found["callStats"].get("audio", {}).get("inbound", {}), inbound or {}),
    ):
        for key, value in more.items():
            if value is None:
                target.pop(key, None)
            else:
                target[key] = value
    return found


@pytest.mark.parametrize("ratio", [0.0, 0.02, 0.05, 0.2, 0.5])
@pytest.mark.parametrize("ptime", [10, 20, 30, 60])
def test_loss_follows_from_the_mean_interval(ratio, ptime):
    """1 - ptime / mean_interval, marked derived, within a point."""
    mean = ptime / (1 - ratio)
    came = int((38_620 if ratio else 33_600) / ptime * (1 - ratio))
    flaws = int(2.8 * came * ratio / (1 - ratio))
    counts = {
        "flaw_total": flaws,
        "packet_count": came,
        "media_packet_count": came,
        "raw_bytes": came * 172,
        "media_bytes": came * 172,
    }
    document = changed(
        leg("02-loss5-caller-in" if ratio else "01-clean", "a"),
        {"mean_interval": mean, **counts},
        rtp_audio_in_mean_interval=f"{mean:.2f}",
        **{f"rtp_audio_in_{key}": str(value) for key, value in counts.items()},
        rtp_use_codec_ptime=str(ptime),
        rtp_last_audio_codec_string=f"PCMU@8000h@{ptime}i@1c",
    )
    found = losses(parse(document), "pstn", "in")
    assert found, "a constant stream tells its loss"
    for told, method in found:
        assert told == pytest.approx(ratio, abs=0.01)
        assert method == "derived"


@pytest.mark.parametrize("flaws", [None, 100, 259, 4000])
def test_the_mean_interval_tells_the_loss(flaws):
    """1 - ptime / mean_interval, where no fewer flaws were counted than packets must be missing."""
    text = None if flaws is None else str(flaws)
    document = changed(
        leg("02-loss5-caller-in", "a"), {"flaw_total": flaws}, rtp_audio_in_flaw_total=text
    )
    told = [ratio for ratio, _ in losses(parse(document), "pstn", "in")]
    assert told
    assert all(abs(each - 0.0476) <= 0.01 for each in told), told


@pytest.mark.parametrize("flaws", [0, 4])
def test_without_gaps_in_the_sequence_a_slow_stream_lost_nothing(flaws):
    """Each missing number is a flaw: hardly any flaw is a sender that paused (hold, silence)."""
    document = changed(
        leg("02-loss5-caller-in", "a"), {"flaw_total": flaws}, rtp_audio_in_flaw_total=str(flaws)
    )
    told = [ratio for ratio, _ in losses(parse(document), "pstn", "in")]
    assert told
    assert all(each <= 0.003 for each in told), told


@pytest.mark.parametrize(
    "inbound,variables",
    [
        ({"skip_packet_count": 900}, {"rtp_audio_in_skip_packet_count": "900"}),
        ({"jitter_loss_rate": 90.8}, {"rtp_audio_in_jitter_loss_rate": "90.80"}),
        ({"flaw_total": 259, "quality_percentage": 85}, {}),
        ({"jitter_max_variance": 2500.0}, {"rtp_audio_in_jitter_max_variance": "2500.00"}),
    ],
    ids=["skip", "jitter-loss-rate", "flaws", "variance"],
)
def test_what_is_not_loss_or_jitter_is_neither(inbound, variables):
    """Skipped ticks, FreeSWITCH's own rates and a variance are no loss and no jitter in ms."""
    records = parse(changed(leg("01-clean", "a"), inbound, **variables))
    for window in windows(records):
        assert (measure(window, "loss_ratio") or 0) <= 0.005, window
        assert measure(window, "jitter_ms") is None, window
        assert measure(window, "jitter_max_ms") is None, window


@pytest.mark.parametrize(
    "inbound",
    [
        {"cng_packet_count": 400, "mean_interval": 31.0},
        {"mean_interval": 0},
        {"mean_interval": None},
        {"mean_interval": -5},
        {"packet_count": 0},
    ],
)
def test_no_loss_where_the_interval_cannot_tell(inbound):
    """Comfort noise, no interval, no packets: unknown."""
    names = {f"rtp_audio_in_{key}": None if v is None else f"{v:.2f}" for key, v in inbound.items()}
    records = parse(changed(leg("02-loss5-caller-in", "a"), inbound, **names))
    assert [each for each, _ in losses(records, "pstn", "in")] == []


CAUSES = {
    404: (1, "UNALLOCATED_NUMBER"),
    480: (18, "NO_USER_RESPONSE"),
    486: (17, "USER_BUSY"),
    488: (88, "INCOMPATIBLE_DESTINATION"),
    500: (41, "NORMAL_TEMPORARY_FAILURE"),
    503: (34, "NORMAL_CIRCUIT_CONGESTION"),
    600: (17, "USER_BUSY"),
    603: (21, "CALL_REJECTED"),
    608: (21, "CALL_REJECTED"),
}


def refused(which: str, code: int) -> dict:
    """A leg of the refused call with another final answer."""
    cause, name = CAUSES[code]
    text = json.dumps(leg("03-busy-486", which))
    text = text.replace("sip:486", f"sip:{code}").replace('"486"', f'"{code}"')
    text = text.replace("USER_BUSY", name).replace("Busy Here", "Other")
    text = text.replace('"hangup_cause_q850": "17"', f'"hangup_cause_q850": "{cause}"')
    text = text.replace('"sip_term_cause": "17"', f'"sip_term_cause": "{cause}"')
    return dict(json.loads(text))


@pytest.mark.parametrize("code", CAUSES)
@pytest.mark.parametrize("which", ["a", "b"])
def test_a_refusal_has_its_code_cause_and_outcome(which, code):
    """Either leg alone knows them."""
    records = parse(refused(which, code))
    assert values(records, "sip.response.status_code") == {code}
    assert values(records, "sip.reason.q850") == {CAUSES[code][0]}
    assert values(records, "sip.call.outcome") == {OUTCOMES[code]}
    assert values(records, "sip.hangup.source") == set()
    assert windows(records) == []


def test_a_caller_that_gives_up_while_it_rings_is_canceled():
    """recv_cancel on the a-leg: canceled by the caller, never answered."""
    text = json.dumps(leg("03-busy-486", "a"))
    text = text.replace("send_refuse", "recv_cancel").replace("USER_BUSY", "ORIGINATOR_CANCEL")
    text = text.replace('"hangup_cause_q850": "17"', '"hangup_cause_q850": "487"')
    text = text.replace("sip:486", "sip:487").replace('"486"', '"487"').replace("Busy Here", "")
    records = parse(dict(json.loads(text)))
    assert values(records, "sip.call.outcome") == {"canceled"}
    assert values(records, "sip.response.status_code") <= {487}
    assert values(records, "sip.reason.q850") == set(), "487 is no Q.850 cause"
    assert values(records, "sip.call.duration_ms") == set()


@pytest.mark.parametrize("which,received", [("a", "caller"), ("b", "callee")])
@pytest.mark.parametrize("call", ["01-clean", "02-loss5-caller-in"])
def test_who_received_the_bye_tells_who_hung_up(call, which, received):
    """recv_bye on a leg: that leg's end hung up."""
    document = changed(
        leg(call, which),
        sip_hangup_disposition="recv_bye",
        sip_term_status="200",
        proto_specific_hangup_cause="sip:200",
        last_bridge_proto_specific_hangup_cause=None,
        last_bridge_hangup_cause=None,
        sip_hangup_phrase=None,
    )
    assert values(parse(document), "sip.hangup.source") == {received}


def encoded(document: dict) -> dict:
    """As `encode-values` writes it: the values of variables are percent-encoded."""
    found = copy.deepcopy(document)
    found["variables"] = {key: quote(value, safe="") for key, value in found["variables"].items()}
    return found


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("which", ["a", "b"])
def test_encoded_values_say_the_same(call, which):
    """encode-values on or off: one record."""
    same(parse(encoded(leg(call, which))), parse(leg(call, which)))


@pytest.mark.parametrize("call", CALLS)
def test_documents_may_come_in_any_packing(call):
    """Both legs as lines, as a list, pretty, one after the other, in either order: the same."""
    a, b = leg(call, "a"), leg(call, "b")
    wanted = parse(a, b)
    assert len(wanted) == 2
    for data in (
        json.dumps([a, b]),
        json.dumps([a, b], indent=2),
        json.dumps(a, indent=1) + "\n" + json.dumps(b, indent=1),
        json.dumps(a) + json.dumps(b),
        json.dumps(b) + "\r\n" + json.dumps(a) + "\r\n",
        "\ufeff" + json.dumps(b) + "\n" + json.dumps(a),
    ):
        same(read(CDR, data, reading("callee")), wanted)


def test_a_leg_says_with_the_other_what_it_says_alone():
    """Two documents of a call add nothing wrong to each other."""
    for call in CALLS:
        together = parse(leg(call, "a"), leg(call, "b"))
        for which, place in (("a", "pstn"), ("b", "trunk")):
            (alone,) = parse(leg(call, which))
            (beside,) = [each for each in together if each["leg"] == place]
            assert alone["leg"] == place
            for key, value in alone["facts"].items():
                assert beside["facts"].get(key) == value, (call, which, key)


@pytest.mark.parametrize("call", CALLS)
def test_plain_and_json_events_say_the_same(call):
    """Code, cause, codec, hang-up, duration of both streams are equal, loss within rounding."""
    one = read(ESL, raw("freeswitch", call, "esl-json.txt"), reading("callee"))
    two = read(ESL, raw("freeswitch", call, "esl-plain.txt"), reading("callee"))
    for key in (
        "sip.response.status_code",
        "sip.reason.q850",
        "rtp.codec",
        "sip.hangup.source",
        "sip.call.duration_ms",
        "sip.call.outcome",
        "sip.call.direction",
        "trunk.carrier",
        "trunk.route",
        "sip.call_id",
    ):
        assert values(one, key) == values(two, key), key
    assert sorted(r["leg"] for r in one) == sorted(r["leg"] for r in two) == ["pstn", "trunk"]


def frames(data: bytes) -> list[bytes]:
    """The frames of an ESL stream."""
    found, at = [], 0
    while (start := data.find(b"Content-Length: ", at)) >= 0:
        head = data.index(b"\n\n", start) + 2
        size = int(data[start + 16 :].split(b"\n", 1)[0])
        found.append(data[start : head + size])
        at = head + size
    return found


@pytest.mark.parametrize("file", ["esl-json.txt", "esl-plain.txt"])
def test_calls_that_overlap_are_told_apart(file):
    """Three calls' frames dealt like cards: each as it is alone."""
    streams = [frames(raw("freeswitch", call, file)) for call in CALLS]
    dealt = []
    while any(streams):
        dealt += [stream.pop(0) for stream in streams if stream]
    alone = [r for call in CALLS for r in read(ESL, raw("freeswitch", call, file))]
    same(read(ESL, b"".join(dealt)), alone)


@pytest.mark.parametrize("file", ["esl-json.txt", "esl-plain.txt"])
@pytest.mark.parametrize("call", CALLS)
def test_greetings_answers_and_other_events_change_nothing(file, call):
    """auth/request, command/reply and events of other kinds around the calls."""
    data = raw("freeswitch", call, file)
    beat = b'{"Event-Name":"HEARTBEAT","Core-UUID":"x","Up-Time":"0 years"}'
    around = (
        b"Content-Type: auth/request\n\nContent-Type: command/reply\nReply-Text: +OK accepted\n\n"
        + data
        + b"Content-Length: %d\nContent-Type: text/event-json\n\n" % len(beat)
        + beat
    )
    same(read(ESL, around), read(ESL, data))


def test_two_ends_of_a_stream_may_come_in_either_order():
    """The two HANGUP_COMPLETE frames swapped: the same records."""
    for call in CALLS:
        both = frames(raw("freeswitch", call, "esl-plain.txt"))
        assert len(both) == 2
        same(read(ESL, b"".join(both[::-1])), read(ESL, b"".join(both)))


@pytest.mark.parametrize("number", ["+4930901820", "447911123456"])
@pytest.mark.parametrize("which", ["a", "b"])
def test_no_number_of_any_country_is_printed(number, which):
    """Numbers in URIs, channel names, display names and SDP never come out."""
    text = json.dumps(leg("02-loss5-caller-in", which)).replace("+15555550199", number)
    text = text.replace("15555550199", number.lstrip("+"))
    found = parsed(CDR, text, reading("callee"))
    assert len(found.observations) == 1
    assert number.lstrip("+") not in repr(found)


def test_a_cdr_without_optional_parts_still_tells_its_call():
    """No app_log, no callStats, no callflow: what the variables say."""
    document = leg("02-loss5-caller-in", "a")
    for part in ("app_log", "callStats", "callflow", "switchname"):
        document.pop(part)
    records = parse(document)
    assert values(records, "sip.response.status_code") == {200}
    assert values(records, "sip.hangup.source") == {"callee"}
    assert values(records, "rtp.codec") == {"pcmu"}


@pytest.mark.parametrize(
    "name,codec,clock",
    [
        ("PCMA", "pcma", 8000),
        ("G722", "g722", 8000),
        ("opus", "opus", 48000),
        ("AMR-WB", "amr-wb", 16000),
    ],
)
def test_other_codecs_are_named_in_lower_case(name, codec, clock):
    """IANA subtype in lower case; G.722's RTP clock is 8000."""
    rate = {"G722": "16000", "opus": "48000", "AMR-WB": "16000"}.get(name, "8000")
    document = changed(
        leg("01-clean", "a"),
        rtp_use_codec_name=name,
        rtp_use_codec_rate=rate,
        read_codec=name,
        write_codec=name,
        original_read_codec=name,
        read_rate=rate,
        write_rate=rate,
        rtp_last_audio_codec_string=f"{name}@{rate}h@20i@1c",
    )
    records = parse(document)
    assert values(records, "rtp.codec") == {codec}
    assert values(records, "rtp.clock_rate_hz") <= {clock}
