"""FreeSWITCH: what its CDRs and channel events say of each leg, and what they do not."""

from __future__ import annotations

import base64
import json
import random
import re
from typing import Any
from urllib.parse import quote, unquote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.sources.golden import CAPTURES, GOLDEN
from tests.sources.quick import lines_of_json

from trunktrace.facts import Observation
from trunktrace.sources.ends import Bridge
from trunktrace.sources.output import as_json
from trunktrace.sources.parsed import Parsed
from trunktrace.sources.reading import Reading
from trunktrace.sources.table import SOURCES

CALLS = sorted(path.name for path in (CAPTURES / "freeswitch").glob("0*"))
CODE, CAUSE, HUNG_UP = "sip.response.status_code", "sip.reason.q850", "sip.hangup.source"
OUTCOME, SETUP = "sip.call.outcome", "sip.setup_ms"
CDR, ESL = "freeswitch-cdr", "freeswitch-esl"
BEGAN = 1795400000_000000


def captured(call: str, name: str) -> bytes:
    """A file of a captured call."""
    return (CAPTURES / "freeswitch" / call / name).read_bytes()


def truth(call: str) -> dict[str, Any]:
    """What was set up, and what the receiving network counted."""
    told: dict[str, Any] = json.loads(captured(call, "facts.json"))
    return told


def legs_of(call: str, kind: str) -> dict[str, Observation]:
    """The observations of a captured call's a-leg and b-leg, by one kind of record."""
    names = {"cdr": ("a-leg.cdr.json", "b-leg.cdr.json")}.get(kind, (f"{kind}.txt",))
    source = SOURCES[CDR if kind == "cdr" else ESL]
    told = [one for name in names for one in source.parse(captured(call, name)).observations]
    ids = truth(call)["ids"]
    by_uuid = {one.record_id: one for one in told}
    assert len(told) == 2
    return {end: by_uuid[ids[end]["uuid"]] for end in "ab"}


def cdr(*documents: dict[str, Any], reading: Reading | None = None) -> Parsed:
    """What the reader makes of CDR documents, one a line."""
    data = "\n".join(map(json.dumps, documents)).encode()
    return SOURCES[CDR].parse(data, reading or Reading())


def document(way: str = "inbound", uuid: str = "a", **told: Any) -> dict[str, Any]:
    """A CDR of an answered leg: times in ms after its beginning, statistics, variables."""
    times = {"created": 0, "progress": 1000, "answered": 2000, "hangup": 32_000}
    times |= {name: told.pop(name) for name in tuple(times) if name in told}
    inbound = {"packet_count": 1500, "cng_packet_count": 0, "flush_packet_count": 0,
               "mean_interval": 20, "flaw_total": 0, "mos": 4.5}  # fmt: skip
    inbound |= told.pop("audio", {})
    stats = {"audio": {"inbound": inbound, "outbound": {"packet_count": 1500}}}
    variables = {"uuid": uuid, "sip_call_id": f"id-{uuid}", "rtp_use_codec_name": "PCMU",
                 "rtp_use_codec_rate": "8000", "rtp_use_codec_ptime": "20", "rtp_use_pt": "0",
                 "hangup_cause": "NORMAL_CLEARING", "hangup_cause_q850": "16"}  # fmt: skip
    flow = {f"{name}_time": str(BEGAN + 1000 * at) if at is not None else "0"
            for name, at in times.items()}  # fmt: skip
    profile = {"caller_id_number": "+15555550199", "destination_number": "+15555550101"}
    return {
        "channel_data": {"direction": way},
        "callStats": told.pop("callStats", stats),
        "variables": variables | told,
        "callflow": [{"caller_profile": profile, "times": flow}],
    }


def failed(way: str = "inbound", uuid: str = "a", **told: Any) -> dict[str, Any]:
    """A CDR of a leg that was not answered."""
    return document(way, uuid, answered=None, callStats={}, **told)


def one(*documents: dict[str, Any], reading: Reading | None = None) -> Observation:
    """The first leg of documents that are all good."""
    parsed = cdr(*documents, reading=reading)
    assert not parsed.broken
    return parsed.observations[0]


def received(observation: Observation) -> Any:
    """The window of the whole call of what FreeSWITCH received."""
    return observation.windows[0]


# The captured calls ------------------------------------------------------------------------------

every_record = pytest.mark.parametrize("kind", ["cdr", "esl-json", "esl-plain"])
every_call = pytest.mark.parametrize("call", CALLS)


@every_record
@every_call
def test_codes_codec_and_hang_up_are_the_truth(call: str, kind: str) -> None:
    """Each leg has the final code, the cause, the codec and who hung up, or none of them."""
    told = truth(call)
    for end, leg in legs_of(call, kind).items():
        assert leg.facts[CODE] == told["sip_code"]
        assert leg.facts[CAUSE] == told["q850_cause"]
        assert (leg.facts[OUTCOME] == "answered") == told["answered"]
        assert leg.facts.get(HUNG_UP) == told["hung_up_by"]
        assert leg.facts.get("rtp.codec") == (told["codec"] and "pcmu")
        assert leg.facts.get("rtp.ptime_ms") == told["ptime_ms"]
        assert leg.facts["sip.call_id"] == told["ids"][end]["sip_call_id"]
        duration = leg.facts.get("sip.call.duration_ms", 0.0)
        assert duration == pytest.approx(told["duration_s"] * 1000, abs=1000)


@every_record
@every_call
def test_loss_is_derived_within_a_point_of_the_truth(call: str, kind: str) -> None:
    """Loss towards FreeSWITCH is told on each leg of an answered call; packets are counted."""
    legs = legs_of(call, kind)
    assert set(legs) == {"a", "b"}
    for end, leg in legs.items():
        counted = (truth(call)["legs"] or {}).get(end)
        if counted is None:
            assert not leg.windows
            continue
        arriving = counted["in"]["rtp_packets_arriving"] - counted["in"]["dropped"]
        window = received(leg)
        assert (window.leg, window.direction) == (
            ("pstn", "in") if end == "a" else ("trunk", "out")
        )
        assert window.loss_method == "derived"
        assert window.loss_ratio == pytest.approx(counted["in"]["loss_ratio"], abs=0.01)
        assert window.packet_count == pytest.approx(arriving, abs=10)
        sent = leg.windows[1]
        assert (sent.packet_count, sent.loss_ratio) == (
            counted["out"]["rtp_packets_arriving"],
            None,
        )


@every_record
@every_call
def test_carrier_and_route_stand_on_the_leg_that_they_are_about(call: str, kind: str) -> None:
    """What the dialplan exports is said of the leg that was made with it, not of the other."""
    legs = legs_of(call, kind)
    assert legs["b"].facts["trunk.carrier"] == truth(call)["carrier"]["b_leg"]
    assert legs["b"].facts["trunk.route"] == "gw-east"
    assert legs["b"].ids["endpoint"] == "acme-east"
    assert not {"trunk.carrier", "trunk.route", "trunk.id"} & legs["a"].facts.keys()


@every_call
def test_no_jitter_is_invented(call: str) -> None:
    """A variance is no jitter: only what the peer reported by RTCP is one (about 1 ms here)."""
    has_media = truth(call)["answered"]
    for leg in legs_of(call, "cdr").values():
        assert bool(leg.windows) == has_media
        assert all(window.jitter_ms is None for window in leg.windows)
    windows = [window for leg in legs_of(call, "esl-json").values() for window in leg.windows]
    told = [window.jitter_ms for window in windows if window.jitter_ms is not None]
    assert bool(told) == has_media
    assert all(0.5 < jitter < 3 for jitter in told)


def test_rtcp_reports_are_windows_between_two_of_them() -> None:
    """FreeSWITCH's own reports count what it missed; its first one counts one too many."""
    legs = legs_of("02-loss5-caller-in", "esl-json")
    own = [w for w in legs["a"].windows[2:] if w.direction == "in"]
    assert len(own) == 7
    assert sum(w.lost_count or 0 for w in own) == 87 - 8
    assert sum(w.packet_count or 0 for w in own) == 12258 - 10649 - 79
    assert {w.loss_method for w in own} == {"counted"}
    heard = [w for w in legs["a"].windows[2:] if w.direction == "out"]
    assert [w.lost_count for w in heard] == [0] * 6
    assert all(w.loss_ratio == 0 for w in legs["b"].windows[2:])
    assert all(w.rtt_ms is None for leg in legs.values() for w in leg.windows)


@every_call
def test_a_stream_that_begins_late_or_ends_early_says_nothing_false(call: str) -> None:
    """Cut at any event, each leg stands where it stands in the whole, and nobody else hung up."""
    whole = {one.record_id: one for one in legs_of(call, "esl-json").values()}
    lines = captured(call, "esl-json.txt").splitlines(keepends=True)
    pieces = [piece for at in range(1, len(lines)) for piece in (lines[:at], lines[at:])]
    for piece in pieces:
        for leg in SOURCES[ESL].parse(b"".join(piece)).observations:
            of_all = whole[leg.record_id]
            assert leg.leg == of_all.leg
            for key in (CODE, CAUSE, HUNG_UP, "rtp.codec", SETUP):
                assert leg.facts.get(key) in (None, of_all.facts.get(key))
            if "sip.call.duration_ms" in leg.facts:
                lasted = of_all.facts["sip.call.duration_ms"]
                assert leg.facts["sip.call.duration_ms"] == pytest.approx(lasted, abs=25)


@every_record
@every_call
def test_both_legs_have_one_linked_id(call: str, kind: str) -> None:
    """The a-leg's uuid is what all legs of a call have in common."""
    ids = truth(call)["ids"]
    for end, leg in legs_of(call, kind).items():
        assert leg.ids["linked_id"] == ids["a"]["uuid"]
        assert leg.ids["channel_id"] == ids[end]["uuid"]


@every_call
def test_cdr_and_events_say_the_same(call: str) -> None:
    """The facts of a leg are the same in its CDR and in its events, plain or JSON."""
    told = [{end: dict(leg.facts) for end, leg in legs_of(call, kind).items()}
            for kind in ("cdr", "esl-json", "esl-plain")]  # fmt: skip
    assert told[0] == told[1] == told[2]


@pytest.mark.parametrize(
    "name, leg, direction",
    [
        ("acme-east", "a", "inbound"),
        ("192.0.2.111", "a", "inbound"),
        ("192.0.2.101", "b", "outbound"),
    ],
)
@every_record
def test_the_bridge_is_named_by_gateway_or_address(
    kind: str, name: str, leg: str, direction: str
) -> None:
    """Each leg, also alone, is placed by the name of the end that is the bridge."""
    reading = Reading(bridge=Bridge(frozenset({name})))
    files = {"cdr": ("a-leg.cdr.json", "b-leg.cdr.json")}.get(kind, (f"{kind}.txt",))
    for file in files:
        data = captured("02-loss5-caller-in", file)
        ids = truth("02-loss5-caller-in")["ids"]
        for found in SOURCES[CDR if kind == "cdr" else ESL].parse(data, reading).observations:
            is_far = found.record_id == ids[leg]["uuid"]
            assert found.leg == ("pstn" if is_far else "trunk")
            assert found.facts["sip.call.direction"] == direction
            assert found.bridge_end_by == "configured"


def test_a_far_gateway_is_the_trunk() -> None:
    """Where LiveKit calls, the gateway is the trunk's id and its INVITE an attempt."""
    reading = Reading(bridge=Bridge(end="caller"))
    data = captured("03-busy-486", "b-leg.cdr.json")
    (found,) = SOURCES[CDR].parse(data, reading).observations
    assert (found.leg, found.facts["trunk.id"]) == ("pstn", "acme-east")
    (attempt,) = found.attempts
    assert (attempt.status_code, attempt.carrier, attempt.reason) == (486, "acme", "Busy Here")
    assert found.claims == {"sip.hostname": "192.0.2.111"}


# Traps ------------------------------------------------------------------------------------------


def test_skipped_packets_are_no_loss() -> None:
    """`skip_packet_count` counts reads that found nothing."""
    found = received(one(document(audio={"skip_packet_count": 700})))
    assert (found.loss_ratio, found.lost_count) == (0.0, None)


@pytest.mark.parametrize(
    "audio, loss",
    [
        ({"mean_interval": 21.006014215418261, "flaw_total": 259}, 0.0479),
        ({"mean_interval": 25.0, "flaw_total": 1000}, 0.2),
        ({"mean_interval": 20.01201923076923, "flaw_total": 0}, 0.0),
        ({"mean_interval": 19.97, "flaw_total": 3}, 0.0),
        ({"mean_interval": 30.0, "flaw_total": 15}, 0.0099),
        ({"mean_interval": 30.0, "flaw_total": 60}, None),
        ({"mean_interval": 25.1, "flaw_total": 375}, 0.2),
        ({"mean_interval": 25.0, "flaw_total": None}, 0.2),
        ({"mean_interval": 10.0, "flaw_total": 3}, None),
        ({"mean_interval": 21.0, "cng_packet_count": 7}, None),
        ({"mean_interval": 21.0, "cng_packet_count": None}, None),
        ({"mean_interval": 0, "flaw_total": 3}, None),
        ({"mean_interval": "nan", "flaw_total": 3}, None),
        ({"mean_interval": 25.0, "flaw_total": 20, "packet_count": 99}, None),
    ],
)
def test_loss_follows_from_the_mean_interval(audio: dict[str, Any], loss: float | None) -> None:
    """Only on a constant stream, never of a few packets, and where pauses hide it not at all."""
    found = received(one(document(audio=audio)))
    assert found.loss_ratio == (None if loss is None else pytest.approx(loss, abs=0.0005))
    assert found.loss_method == "derived"


def test_the_packet_time_is_the_codecs() -> None:
    """A stream of 30 ms packets has no loss at a mean interval of 30 ms."""
    found = one(
        document(audio={"mean_interval": 31.25, "flaw_total": 70}, rtp_use_codec_ptime="30")
    )
    assert received(found).loss_ratio == pytest.approx(0.04, abs=0.005)
    assert found.facts["rtp.ptime_ms"] == 30


def test_its_mos_is_its_own() -> None:
    """The score stands under FreeSWITCH's algorithm, and there is no R factor."""
    found = received(one(document(audio={"mos": 4.198, "quality_percentage": 85})))
    assert (found.mos, found.mos_algorithm, found.r_factor) == (4.198, "freeswitch", None)
    few = received(one(document(audio={"mos": 4.5, "packet_count": 20})))
    assert (few.mos, few.mos_algorithm) == (None, None)


def test_nothing_received_is_a_count() -> None:
    """An answered leg that got no packet says 0 packets and no loss: somebody was not heard."""
    found = received(one(document(audio={"packet_count": 0, "mean_interval": 0, "mos": 0})))
    assert (found.packet_count, found.loss_ratio, found.mos) == (0, None, None)


def test_statistics_may_stand_in_the_variables_alone() -> None:
    """Without `callStats` the `rtp_audio_*` variables say the same, to two digits."""
    told = {"rtp_audio_in_packet_count": "1839", "rtp_audio_in_cng_packet_count": "0",
            "rtp_audio_in_mean_interval": "21.01", "rtp_audio_in_flaw_total": "259",
            "rtp_audio_out_packet_count": "1929"}  # fmt: skip
    found = one(document(callStats={}, **told))
    assert received(found).loss_ratio == pytest.approx(0.048, abs=0.001)
    assert (received(found).packet_count, found.windows[1].packet_count) == (1839, 1929)


def test_a_failed_call_has_no_codec() -> None:
    """What was offered on a leg that nobody answered is no codec of the call."""
    found = one(failed(read_codec="PCMU", sip_term_status="404"))
    assert not {"rtp.codec", "rtp.payload_type", "rtp.ptime_ms"} & found.facts.keys()
    assert not found.windows


@pytest.mark.parametrize(
    "way, variables, code",
    [
        ("outbound", {"sip_term_status": "486", "sip_invite_failure_status": "407"}, 486),
        ("outbound", {"proto_specific_hangup_cause": "sip:503"}, 503),
        ("outbound", {"sip_invite_failure_status": "603"}, 603),
        ("outbound", {"sip_term_status": "200", "sip_invite_failure_status": "480"}, 480),
        ("inbound", {"last_bridge_proto_specific_hangup_cause": "sip:404"}, 404),
        ("inbound", {"sip_hangup_disposition": "recv_cancel"}, 487),
        ("outbound", {"sip_hangup_disposition": "send_cancel"}, None),
        ("inbound", {"proto_specific_hangup_cause": "q.931:17"}, None),
        ("inbound", {}, None),
    ],
)
def test_the_final_code_of_a_failed_leg(
    way: str, variables: dict[str, str], code: int | None
) -> None:
    """It stands in other variables on the leg that was refused than on the one that refuses."""
    assert one(failed(way, **variables)).facts.get(CODE) == code


def test_an_answered_leg_has_200_whatever_came_of_the_bridge() -> None:
    """After an IVR answered, a callee's 486 is no answer to the caller."""
    told = {
        "last_bridge_proto_specific_hangup_cause": "sip:486",
        "sip_invite_failure_status": "486",
        "sip_invite_failure_phrase": "Busy Here",
    }
    found = one(document(sip_hangup_disposition="recv_bye", **told))
    assert (found.facts[CODE], found.facts[HUNG_UP]) == (200, "caller")
    assert "sip.response.reason" not in found.facts


@pytest.mark.parametrize(
    "variables, cause",
    [
        ({"hangup_cause_q850": "487", "hangup_cause": "ORIGINATOR_CANCEL"}, None),
        ({"hangup_cause_q850": "0"}, 16),
        ({"hangup_cause_q850": "0", "hangup_cause": "NONE"}, None),
        ({"sip_term_cause": "487", "hangup_cause_q850": "18"}, 18),
        ({"sip_reason": 'Q.850;cause=34;text="no circuit"', "sip_term_cause": "41"}, 34),
        ({"sip_reason": "Q.850%3Bcause%3D34%3Btext%3D%22no%20circuit%22"}, 34),
        ({"sip_reason": 'SIP;cause=200;text="elsewhere", Q.850 ;cause=26'}, 26),
        ({"sip_reason": 'SIP;cause=200;text="elsewhere"'}, 16),
        ({"hangup_cause_q850": "", "hangup_cause": "USER_BUSY"}, 17),
    ],
)
def test_a_q850_cause_is_one_of_q850(variables: dict[str, str], cause: int | None) -> None:
    """FreeSWITCH numbers causes of its own from 128 on; the Reason header stands first."""
    assert one(failed(**variables)).facts.get(CAUSE) == cause


@pytest.mark.parametrize(
    "name, outcome",
    [("NO_ANSWER", "no_answer"), ("ORIGINATOR_CANCEL", "canceled"), ("USER_BUSY", "busy"),
     ("UNALLOCATED_NUMBER", "invalid_number"), ("LOSE_RACE", "canceled"), ("NONE", None),
     ("DECLINE", "rejected"), ("BUSY_EVERYWHERE", "busy"), ("UNWANTED", "blocked"),
     ("DOES_NOT_EXIST_ANYWHERE", "invalid_number"), ("STALE_DATE", "blocked")],
)  # fmt: skip
def test_a_cause_says_what_became_of_a_call_without_a_code(name: str, outcome: str | None) -> None:
    """Where no SIP code was written, the cause's name gives the outcome, and no code."""
    found = one(failed(hangup_cause=name, hangup_cause_q850="0"))
    assert (found.facts.get(OUTCOME), found.facts.get(CODE)) == (outcome, None)


RECV, SEND = {"sip_hangup_disposition": "recv_bye"}, {"sip_hangup_disposition": "send_bye"}
BRIDGED = {"last_bridge_to": "x"}


@pytest.mark.parametrize(
    "way, variables, who",
    [
        ("inbound", RECV, "caller"),
        ("outbound", RECV, "callee"),
        ("inbound", {"sip_term_status": "200"}, "caller"),
        ("inbound", SEND | {"last_bridge_proto_specific_hangup_cause": "sip:200"}, "callee"),
        ("outbound", SEND | {"last_bridge_hangup_cause": "NORMAL_CLEARING"}, "caller"),
        ("inbound", SEND | BRIDGED | {"hangup_cause": "ALLOTTED_TIMEOUT"}, None),
        ("inbound", SEND | BRIDGED | {"hangup_cause": "MEDIA_TIMEOUT"}, None),
        ("outbound", SEND | {"last_bridge_hangup_cause": "MANAGER_REQUEST"}, None),
        ("inbound", SEND, None),
        ("inbound", SEND | BRIDGED, None),
        ("inbound", {}, None),
    ],
)
def test_who_hung_up_by_one_leg_alone(way: str, variables: dict[str, str], who: str | None) -> None:
    """A BYE that came: that end. One that was sent: the other end, or nobody: FreeSWITCH itself."""
    assert one(document(way, **variables)).facts.get(HUNG_UP) == who


@pytest.mark.parametrize(
    "a_leg, b_leg, who",
    [(SEND, RECV, ("callee", "callee")), (RECV, SEND, ("caller", "caller")),
     (SEND | BRIDGED, SEND | BRIDGED, (None, None)), (RECV, RECV, ("caller", "callee"))],
)  # fmt: skip
def test_who_hung_up_by_both_legs(
    a_leg: dict[str, str], b_leg: dict[str, str], who: tuple[str | None, ...]
) -> None:
    """Legs in one file explain each other; after a BYE on each, each leg has its own end."""
    told = cdr(document("inbound", "a", **a_leg), document("outbound", "b", call_uuid="a", **b_leg))
    assert tuple(leg.facts.get(HUNG_UP) for leg in told.observations) == who


@pytest.mark.parametrize("cause", ["BLIND_TRANSFER", "ATTENDED_TRANSFER"])
def test_who_handed_a_call_over_was_not_hung_up_by_the_other_end(cause: str) -> None:
    """FreeSWITCH says goodbye to the leg that sent a REFER; the caller goes on elsewhere."""
    a_leg = document("inbound", "a", **RECV)
    agent = document("outbound", "b", call_uuid="a", hangup_cause=cause, **SEND)
    desk = document("outbound", "c", call_uuid="a", **SEND)
    told = cdr(a_leg, agent, desk).observations
    assert [leg.facts.get(HUNG_UP) for leg in told] == ["caller", None, "caller"]


@pytest.mark.parametrize("hangup, who", [(31_000, "callee"), (45_000, None), (20_000, None)])
def test_a_goodbye_ends_a_leg_at_once(hangup: int, who: str | None) -> None:
    """The callee's BYE did not end a leg that went on to voicemail, nor one that ended before."""
    last = {"last_bridge_proto_specific_hangup_cause": "sip:200"}
    a_leg = document("inbound", "a", hangup=hangup, **SEND | last)
    b_leg = document("outbound", "b", call_uuid="a", hangup=30_000, **RECV)
    told = cdr(a_leg, b_leg).observations
    assert [leg.facts.get(HUNG_UP) for leg in told] == [who, "callee"]


def test_nobody_hung_up_a_call_that_was_refused() -> None:
    """A refusal is an outcome, no hang-up of a call."""
    refused = failed(sip_hangup_disposition="send_refuse", hangup_cause="USER_BUSY")
    assert HUNG_UP not in one(refused).facts


CANCEL = {"hangup_cause": "ORIGINATOR_CANCEL", "hangup_cause_q850": "487"}


def test_the_caller_gave_up_what_he_canceled() -> None:
    """A CANCEL that came is the caller's, and so is the one that it made FreeSWITCH send on."""
    a_leg = failed("inbound", "a", sip_hangup_disposition="recv_cancel", **CANCEL)
    sent = {"sip_hangup_disposition": "send_cancel", "originator": "a"}
    b_leg = failed("outbound", "b", **sent, **CANCEL)
    lost = failed("outbound", "c", **sent, hangup_cause="LOSE_RACE")
    told = cdr(a_leg, b_leg, lost).observations
    assert [leg.facts.get(HUNG_UP) for leg in told] == ["caller", "caller", None]
    assert HUNG_UP not in one(b_leg).facts


def test_a_call_that_freeswitch_made_has_a_caller_of_its_own() -> None:
    """`originate`: the leg that was made first is the caller's end, although it was dialled."""
    first = document("outbound", "a", sip_gateway_name="acme", sip_to_host="acme.example", **RECV)
    second = document("outbound", "b", originator="a", sip_gateway_name="livekit", **SEND)
    reading = Reading(bridge=Bridge(frozenset({"livekit"})))
    for documents in ((first, second), (second, first)):
        told = {leg.record_id: leg for leg in cdr(*documents, reading=reading).observations}
        assert (told["a"].leg, told["b"].leg) == ("pstn", "trunk")
        assert {leg.facts[HUNG_UP] for leg in told.values()} == {"caller"}
        assert {leg.facts["sip.call.direction"] for leg in told.values()} == {"inbound"}
        assert {leg.ids["linked_id"] for leg in told.values()} == {"a"}
        assert told["a"].claims == {"sip.hostname": "acme.example"}
        assert (received(told["a"]).direction, received(told["b"]).direction) == ("in", "out")


def test_a_call_that_freeswitch_made_is_known_by_its_first_leg_alone() -> None:
    """A leg that nobody asked for, and that made another one, is the caller's."""
    made = document("outbound", "a", originated_legs="b;Outbound Call;+15555550101")
    assert one(made).leg == "pstn"
    alone = document("outbound", "a")
    assert one(alone).leg == "trunk"


def test_events_of_a_call_that_freeswitch_made() -> None:
    """The other leg that an event names is the caller's only where it asked for this one."""

    def complete(uuid: str, other: str, kind: str, **more: str) -> dict[str, str]:
        return {"Event-Name": "CHANNEL_HANGUP_COMPLETE", "Event-Date-Timestamp": str(BEGAN),
                "Unique-ID": uuid, "Call-Direction": "outbound", "Channel-Call-UUID": "a",
                "Other-Leg-Unique-ID": other, "Other-Type": kind,
                "Other-Leg-Direction": "outbound",
                "Caller-Channel-Created-Time": str(BEGAN), **more}  # fmt: skip

    events = [complete("a", "b", "originatee"), complete("b", "a", "originator")]
    told = SOURCES[ESL].parse("\n".join(map(json.dumps, events)).encode()).observations
    assert [(leg.ids["linked_id"], leg.leg) for leg in told] == [("a", "pstn"), ("a", "trunk")]


def test_a_phone_that_rang_beside_the_bridge_is_not_the_trunk() -> None:
    """Of several legs at the callee's end, the bridge's is the trunk; others stand aside."""
    a_leg = document("inbound", "a", **SEND)
    bridge = document("outbound", "b", originator="a", sip_gateway_name="livekit", **RECV)
    phone = failed("outbound", "c", originator="a", sip_gateway_name="phones",
                   sip_hangup_disposition="send_cancel", hangup_cause="LOSE_RACE")  # fmt: skip
    reading = Reading(bridge=Bridge(frozenset({"livekit"})))
    told = cdr(a_leg, bridge, phone, reading=reading).observations
    assert [(leg.leg, leg.is_aside) for leg in told] == [
        ("pstn", False), ("trunk", False), ("pstn", True)]  # fmt: skip
    assert "trunk.id" not in told[2].facts


@pytest.mark.parametrize(
    "created, progress, answered, told",
    [(0, 1000, 3000, (3000.0, 1000.0, 2000.0)), (0, None, 3000, (3000.0, None, None)),
     (0, 0, 20, (None, None, None)), (0, 0, 0, (None, None, None))],
)  # fmt: skip
def test_times_within_a_tick_are_left_out(
    created: int, progress: int | None, answered: int, told: tuple[float | None, ...]
) -> None:
    """FreeSWITCH's clock ticks every 20 ms: a time that it rounded away is unknown, not 0."""
    found = one(document(created=created, progress=progress, answered=answered))
    assert tuple(found.facts.get(key) for key in (SETUP, "sip.pdd_ms", "sip.ring_ms")) == told


@pytest.mark.parametrize(
    "codec, written, rate",
    [("G722", "16000", 8000), ("opus", "48000", 48000), ("PCMA", "8000", 8000)],
)
def test_the_rtp_clock_of_a_codec(codec: str, written: str, rate: int) -> None:
    """G.722 runs on a clock of 8000 (RFC 3551), whatever rate FreeSWITCH samples it at."""
    found = one(document(rtp_use_codec_name=codec, rtp_use_codec_rate=written))
    assert (found.facts["rtp.codec"], found.facts["rtp.clock_rate_hz"]) == (codec.lower(), rate)


@pytest.mark.parametrize("variables", [{"rtp_use_codec_name": "PROXY"}, {"read_codec": "PROXY"}])
def test_media_that_are_passed_on_unread_have_no_known_codec(variables: dict[str, str]) -> None:
    """`PROXY` is what FreeSWITCH writes where it does not look into the packets."""
    found = one(document(**{"rtp_use_codec_name": ""} | variables))
    assert "rtp.codec" not in found.facts


@pytest.mark.parametrize(
    "profile, told, encryption",
    [
        ("RTP/AVP", {}, "none"),
        ("RTP/SAVP", {}, "srtp"),
        ("UDP/TLS/RTP/SAVPF", {}, "srtp"),
        ("RTP/AVP", {"rtp_secure_media_confirmed": "true"}, "srtp"),
    ],
)
def test_media_encryption_is_in_the_sdp(
    profile: str, told: dict[str, str], encryption: str
) -> None:
    """The peer's SDP tells it, where FreeSWITCH itself does not."""
    sdp = f"v=0\r\nm=audio 4000 {profile} 0\r\n"
    found = one(document(switch_r_sdp=sdp, **told))
    assert found.facts["sip.media_encryption"] == encryption
    assert "sip.media_encryption" not in one(document()).facts


def test_a_call_without_a_bridge_is_one_leg() -> None:
    """An IVR's call came in, and its far end is the caller."""
    found = one(document(sip_from_host="carrier.example"))
    assert (found.leg, found.facts["sip.call.direction"]) == ("pstn", "inbound")
    assert found.claims == {"sip.hostname": "carrier.example"}


def test_a_carrier_that_was_set_is_the_legs_own() -> None:
    """`set` names the leg's own carrier; `export` that of the legs that it makes."""
    assert one(document(carrier="acme", trunk="in")).facts["trunk.carrier"] == "acme"
    exported = document(carrier="acme", export_vars="x,nolocal:y,carrier")
    assert "trunk.carrier" not in one(exported).facts
    known = Reading(bridge=Bridge(end="callee"))
    assert one(exported, reading=known).facts["trunk.carrier"] == "acme"


def test_values_that_are_encoded_are_decoded() -> None:
    """With `encode-values` on, a document says the same as without."""
    plain = json.loads(captured("02-loss5-caller-in", "a-leg.cdr.json"))
    coded = json.loads(json.dumps(plain))
    coded["variables"] = {key: quote(text, safe="/,") for key, text in plain["variables"].items()}
    assert as_json(one(coded)) == as_json(one(plain))


def test_documents_as_they_are_posted() -> None:
    """A body of the module's HTTP client is a form with the document in `cdr`."""
    data = b"uuid=a_1&cdr=" + quote(json.dumps(document())).encode() + b"\r\ncdr=%7B\ncdr=\n"
    parsed = SOURCES[CDR].parse(data)
    assert [as_json(found) for found in parsed.observations] == [as_json(one(document()))]
    assert [broken.line for broken in parsed.broken] == [2, 3]


def test_a_call_id_may_hold_a_percent_sign() -> None:
    """What is in clear is not decoded."""
    found = one(document(sip_call_id="a%40b", sip_full_from="<sip:x@y>", sip_via_protocol="udp",
                         start_stamp="2026-11-23 01:16:15", channel_name="sofia/x@y"))  # fmt: skip
    assert found.facts["sip.call_id"] == "a%40b"


def test_the_later_document_of_a_leg_counts() -> None:
    """A leg that is told twice is one observation."""
    found = one(document(sip_hangup_disposition="send_bye"), document(**RECV))
    assert found.facts[HUNG_UP] == "caller"
    assert len(cdr(document(), document()).observations) == 1


def test_loopback_legs_are_nobodys() -> None:
    """A leg that never leaves FreeSWITCH is ignored."""
    parsed = cdr(document(channel_name="loopback/9664-a"), document(uuid="b"))
    assert (len(parsed.observations), parsed.ignored) == (1, 1)


def test_numbers_stand_nowhere_in_clear() -> None:
    """Numbers in users, names and reasons are masked in all that is said."""
    found = one(failed(sip_from_user="+15555550199", sip_contact_user="15555550199",
                       sip_invite_failure_status="404",
                       sip_invite_failure_phrase="No route to +15555550101",
                       sip_gateway_name="gw-15555550199"))  # fmt: skip
    said = json.dumps(as_json(found))
    assert "5550199" not in said
    assert "5550101" not in said


# Shapes that public records have ----------------------------------------------------------------


def test_one_profile_may_be_no_list() -> None:
    """FreeSWITCH wrote `callflow` as an object, and once more for each profile, before 1.6."""
    whole = document()
    flows = whole.pop("callflow")
    later = {"caller_profile": {"destination_number": "ivr"}, "times": flows[0]["times"]}
    text = json.dumps(whole)[:-1]
    for flow in (later, *flows):
        text += f', "callflow": {json.dumps(flow)}'
    (found,) = SOURCES[CDR].parse(f"{text}}}".encode()).observations
    assert as_json(found) == as_json(one(document()))
    alone = one(whole | {"callflow": flows[0]})
    assert alone.facts["sip.callee.number"] == "+1*******01"


def test_variables_of_media_had_other_names() -> None:
    """Before 1.4 they began with `sip_`."""
    old = {"rtp_use_codec_name": "", "rtp_use_codec_rate": "", "rtp_use_codec_ptime": "",
           "rtp_use_pt": "", "sip_use_codec_name": "G722", "sip_use_codec_rate": "8000",
           "sip_use_codec_ptime": "30", "sip_use_pt": "9"}  # fmt: skip
    facts = one(document(**old)).facts
    assert [facts[f"rtp.{key}"] for key in ("codec", "clock_rate_hz", "ptime_ms")] == [
        "g722", 8000, 30]  # fmt: skip
    assert facts["rtp.payload_type"] == 9
    only = old | {"sip_use_pt": "", "sip_audio_recv_pt": "9"}
    assert one(document(**only)).facts["rtp.payload_type"] == 9


@pytest.mark.parametrize(
    "name, value, told",
    [
        ("zrtp_secure_media_confirmed_audio", "true", "srtp"),
        ("rtp_secure_media_confirmed_audio", "true", "srtp"),
        ("sip_secure_media_confirmed", "true", "srtp"),
        ("zrtp_secure_media_confirmed_audio", "false", "none"),
    ],
)
def test_media_may_be_encrypted_beside_the_sdp(name: str, value: str, told: str) -> None:
    """ZRTP agrees its keys within the media: the SDP says RTP/AVP."""
    sdp = "v=0\r\nm=audio 4000 RTP/AVP 0\r\n"
    found = one(document(switch_r_sdp=sdp, **{name: value}))
    assert found.facts["sip.media_encryption"] == told


CANCELED = {"sip_hangup_disposition": "recv_cancel", "sip_invite_failure_status": "487",
            "sip_invite_failure_phrase": "CANCEL", "sip_term_status": "487",
            "sip_term_cause": "487", "hangup_cause": "ORIGINATOR_CANCEL"}  # fmt: skip


@pytest.mark.parametrize(
    "phrase, header, outcome",
    [
        ("Decline", 'SIP;cause=603;text="v=analytics1;url=https://a.example/x";location=TN',
         "blocked"),
        ("Network Blocked", 'Q.850;cause=21;text="v=analytics1;url=https://a.example"', "blocked"),
        ("Network Blocked", "", "blocked"),
        ("Decline", 'SIP;cause=603;text="Call Rejected"', "rejected"),
        ("Decline", "", "rejected"),
    ],
)  # fmt: skip
def test_a_block_by_analytics_is_told_in_phrase_or_reason(
    phrase: str, header: str, outcome: str
) -> None:
    """FreeSWITCH hands on the Reason header of a 603+ with the phrase of its own."""
    told = {"sip_term_status": "603", "sip_invite_failure_status": "603", "sip_reason": header}
    found = one(failed("outbound", sip_invite_failure_phrase=phrase, **told))
    assert (found.facts[OUTCOME], found.facts["sip.response.reason"]) == (outcome, phrase)


def test_freeswitchs_own_word_is_no_reason_phrase() -> None:
    """It writes CANCEL where a CANCEL came or went: no answer said so."""
    a_leg = one(failed(**CANCELED))
    b_leg = one(failed("outbound", "b", **CANCELED | {"sip_hangup_disposition": "send_cancel"}))
    for leg in (a_leg, b_leg):
        assert (leg.facts[CODE], leg.facts[OUTCOME]) == (487, "canceled")
        assert "sip.response.reason" not in leg.facts
    assert a_leg.facts[HUNG_UP] == "caller"


def test_early_media_that_were_only_sent_are_media() -> None:
    """A ringback tone is media of the codec that was agreed, also where nothing came back."""
    stats = {"audio": {"inbound": {"packet_count": 0, "mean_interval": 0, "mos": 4.5},
                       "outbound": {"packet_count": 174}}}  # fmt: skip
    found = one(document(answered=None, callStats=stats, **CANCELED))
    assert found.facts["rtp.codec"] == "pcmu"
    assert [(w.packet_count, w.loss_ratio, w.mos) for w in found.windows] == [
        (0, None, None), (174, None, None)]  # fmt: skip
    assert "sip.media_encryption" not in found.facts


@pytest.mark.parametrize(
    "flipped, caller", [("yes", "+1*******77"), ("true", "+1*******77"), ("", "+1*******99")]
)
def test_the_caller_of_a_call_that_freeswitch_made(flipped: str, caller: str) -> None:
    """From the answer on the profile has the callee's number; the caller's is in a variable."""
    told = {"channel_cid_flipped": flipped, "pre_transfer_caller_id_number": "+15555550177"}
    found = one(document("outbound", **told))
    assert found.facts["sip.caller.number"] == caller
    assert "5550177" not in json.dumps(as_json(found))


def test_without_profiles_the_invite_says_who_calls_whom() -> None:
    """A document of variables alone has the users of From and To."""
    alone = document(sip_from_user="+15555550155", sip_to_user="+15555550166",
                     start_uepoch=str(BEGAN), end_uepoch=str(BEGAN + 1_000_000))  # fmt: skip
    del alone["callflow"]
    facts = one(alone).facts
    assert facts["sip.caller.number"] == "+1*******55"
    assert facts["sip.callee.number"] == "+1*******66"
    alone["variables"]["sip_from_user"] = "FreeSWITCH"
    assert "sip.caller.number" not in one(alone).facts
    set_by_dialplan = {"caller_id_number": "+15555550188", "destination_number": "+15555550122"}
    alone["variables"] |= set_by_dialplan
    facts = one(alone).facts
    assert facts["sip.caller.number"] == "+1*******88"
    assert facts["sip.callee.number"] == "+1*******22"


def test_holds_are_marks() -> None:
    """`hold_events` lists them, also encoded; one that lasts to the end may have none."""
    second = 1_000_000
    holds = f"{{{{{BEGAN + 3 * second},{BEGAN + 5 * second}}},{{{BEGAN + 9 * second},0}}}}"
    begin = BEGAN / 1e6
    for text in (holds, quote(holds, safe="")):
        marks = [mark for mark in one(document(hold_events=text)).marks if mark.kind == "hold"]
        assert [(mark.start, mark.end) for mark in marks] == [
            (begin + 3, begin + 5), (begin + 9, None)]  # fmt: skip
    assert not [m for m in one(document(hold_events="{}")).marks if m.kind == "hold"]


def test_numbers_may_be_written_as_numbers() -> None:
    """Who stores a document may have turned its values into numbers."""
    told: dict[str, Any] = {"hangup_cause_q850": 17, "sip_term_status": 486, "rtp_use_pt": True}
    found = one(failed("outbound", **told))
    assert (found.facts[CAUSE], found.facts[CODE]) == (17, 486)


def test_posted_documents_in_base64() -> None:
    """With `encode` at base64 the document is not URL-encoded."""
    coded = base64.b64encode(json.dumps(document()).encode())
    good = as_json(one(document()))
    for data in (b"cdr=" + coded, b"uuid=a_1&cdr=" + quote(coded, safe="").encode()):
        parsed = SOURCES[CDR].parse(data + b"\n")
        assert ([as_json(found) for found in parsed.observations], parsed.broken) == ([good], ())
    wrong = SOURCES[CDR].parse(b"cdr=abc\ncdr=\xff\n")
    assert [broken.line for broken in wrong.broken] == [1, 2]


def test_a_posted_document_may_be_long() -> None:
    """A call through a long dialplan is posted in over 64 KiB, and is read."""
    steps = [{"app_name": "set", "app_data": f"step_{n}={{a}}", "app_stamp": "1"} for n in
             range(900)]  # fmt: skip
    data = b"cdr=" + quote(json.dumps(document() | {"app_log": {"applications": steps}})).encode()
    assert len(data) > 100_000
    assert len(SOURCES[CDR].parse(data).observations) == 1
    (broken,) = SOURCES[CDR].parse(b"cdr=" + b"%7B" * 100_000).broken
    assert "KiB" in broken.reason


@pytest.mark.parametrize("letters", [b"%41", b"%", b"QUJD", b"a&"])
def test_a_posted_document_takes_no_longer_than_json(letters: bytes) -> None:
    """Whatever is posted is read in a few milliseconds."""
    data = b"cdr=" + letters * (190_000 // len(letters))
    assert lines_of_json(lambda: SOURCES[CDR].parse(data)) < 12


# Events -----------------------------------------------------------------------------------------


def frames(data: bytes) -> list[bytes]:
    """The frames of a captured stream."""
    found = re.split(rb"(?=Content-Length: )", data)
    return [frame for frame in found if frame]


@every_call
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_the_order_of_the_events_does_not_matter(call: str, seed: int) -> None:
    """A stream that was put together anew says the same."""
    data = captured(call, "esl-json.txt")
    shuffled = frames(data)
    random.Random(seed).shuffle(shuffled)
    assert _by_leg(b"".join(shuffled)) == _by_leg(data)


def _by_leg(data: bytes) -> dict[str, Any]:
    parsed = SOURCES[ESL].parse(data)
    assert not parsed.broken
    return {one.record_id: as_json(one) for one in parsed.observations}


@every_call
def test_line_ends_and_frames_do_not_matter(call: str) -> None:
    """CRLF, a byte order mark, wrong lengths and no frames at all say the same."""
    data = captured(call, "esl-plain.txt")
    told = _by_leg(data)
    assert _by_leg(data.replace(b"\n", b"\r\n")) == told
    assert _by_leg(b"\xef\xbb\xbf" + data) == told
    assert _by_leg(re.sub(rb"Content-Length: \d+", b"Content-Length: 3", data)) == told
    assert _by_leg(re.sub(rb"Content-[^\n]+\n", b"", data)) == told
    events = captured(call, "esl-json.txt")
    told = _by_leg(events)
    alone = [frame.split(b"\n\n", 1)[1] for frame in frames(events)]
    assert _by_leg(events.replace(b"\n", b"\r\n")) == told
    assert _by_leg(b"\n".join(alone)) == told
    assert _by_leg(b"".join(alone)) == told
    assert _by_leg(b"[" + b",\n".join(alone) + b"]") == told


def test_answers_to_commands_are_ignored() -> None:
    """What the socket says of itself is no event and no error."""
    talk = (b"Content-Type: auth/request\n\nContent-Type: command/reply\nReply-Text: +OK\n\n"
            b"Content-Type: api/response\nContent-Length: 9\n\n1 total.\n")  # fmt: skip
    parsed = SOURCES[ESL].parse(talk + captured("03-busy-486", "esl-plain.txt"))
    assert (len(parsed.observations), parsed.broken, parsed.ignored) == (2, (), 3)


def test_a_leg_that_goes_on_is_partial() -> None:
    """Before CHANNEL_HANGUP_COMPLETE a leg is partial, and without an end."""
    stream = b"".join(frames(captured("01-clean", "esl-json.txt"))[:5])
    for leg in SOURCES[ESL].parse(stream).observations:
        assert (leg.completeness, leg.end, leg.facts[CODE]) == ("partial", None, 200)
        assert not {HUNG_UP, CAUSE, "sip.call.duration_ms"} & leg.facts.keys()


def test_reports_of_an_unknown_channel_are_ignored() -> None:
    """An RTCP report does not say on which side its leg is."""
    reports = [
        frame for frame in frames(captured("01-clean", "esl-json.txt")) if b"RECV_RTCP" in frame
    ]
    parsed = SOURCES[ESL].parse(b"".join(reports))
    assert (parsed.observations, parsed.broken, parsed.ignored) == ((), (), len(reports))


def test_no_digit_is_said() -> None:
    """DTMF events are counted."""
    data = (GOLDEN / ESL / "made-live-lines.jsonl").read_bytes()
    leg = SOURCES[ESL].parse(data).observations[0]
    assert leg.facts["sip.dtmf_count"] == 2
    assert {mark.kind for mark in leg.marks} == {"invite", "answered", "hold", "recording"}


def test_a_sequence_that_begins_anew_is_no_loss() -> None:
    """Sequence numbers without their cycles wrap at 65,536; the peer's jitter is in its clock."""
    data = (GOLDEN / ESL / "made-live-lines.jsonl").read_bytes()
    (window,) = SOURCES[ESL].parse(data).observations[0].windows
    assert (window.direction, window.lost_count, window.packet_count) == ("out", 5, 245)
    assert window.jitter_ms == 10.0


def in_clear(data: bytes) -> bytes:
    """A captured stream of plain events as fs_cli prints it: decoded, with `RECV EVENT`."""
    text = unquote(re.sub(rb"Content-[^\n]+\n", b"", data).decode())
    described = re.compile(
        r"^(variable_switch_m_sdp: .*?)\n(?=variable_)", re.MULTILINE | re.DOTALL
    )
    told = described.sub(r"\1\n\n", text).replace("\r\n", "\n")
    return re.sub(r"(?m)^(?=Event-Name: )", "RECV EVENT\n", told).encode()


@every_call
def test_events_as_fs_cli_prints_them(call: str) -> None:
    """Descriptions over several lines, blank lines in events, prompts and answers say the same."""
    data = captured(call, "esl-plain.txt")
    clear = in_clear(data)
    assert b"\n\nvariable_" in clear
    assert _by_leg(clear) == _by_leg(data)
    talk = (b"/event plain ALL\n+OK event listener enabled plain\n\nfreeswitch@fs1> \n\n"
            b"2026-11-23 01:16:53.123456 [DEBUG] switch_core.c:1 x\n\n")  # fmt: skip
    parsed = SOURCES[ESL].parse(talk + clear + talk)
    assert (len(parsed.observations), parsed.broken) == (2, ())
    spaced = re.sub(rb"(?m)$", b"   ", clear)
    assert _by_leg(spaced) == _by_leg(data)


@every_call
def test_json_events_as_fs_cli_prints_them(call: str) -> None:
    """`/event json`: a line before each event, which may go over several lines."""
    data = captured(call, "esl-json.txt")
    told = [json.loads(frame.split(b"\n\n", 1)[1]) for frame in frames(data)]
    for indent in (None, 1):
        text = "".join(f"RECV EVENT\n{json.dumps(one, indent=indent)}\n\n" for one in told)
        assert _by_leg(text.encode()) == _by_leg(data)
    framed = "".join(
        f"Content-Length: 9\nContent-Type: text/event-json\n\n{json.dumps(one, indent=1)}\n"
        for one in told
    )
    assert _by_leg(framed.encode()) == _by_leg(data)


def test_what_is_in_clear_is_not_decoded_again() -> None:
    """A percent sign of a Call-ID stays in an event that is not encoded."""
    data = (GOLDEN / ESL / "made-fs-cli.txt").read_bytes()
    legs = {leg.leg: leg for leg in SOURCES[ESL].parse(data).observations}
    assert legs["pstn"].facts["sip.call_id"] == "3ce0%40fec6b"
    assert legs["pstn"].facts["sip.media_encryption"] == "none"
    assert {leg.facts[HUNG_UP] for leg in legs.values()} == {"caller"}


def test_a_torn_event_in_clear_is_broken() -> None:
    """Also where it is torn after a blank line."""
    data = in_clear(captured("03-busy-486", "esl-plain.txt"))
    at = data.rindex(b"variable_sip_hangup_disposition")
    parsed = SOURCES[ESL].parse(data[: at + 20])
    assert [broken.reason for broken in parsed.broken] == ["the event is cut off"]
    assert len(parsed.observations) == 1


def test_an_event_without_a_frame_may_have_a_body() -> None:
    """A body is as long as the event says, and is no event."""
    job = b"Event-Name: BACKGROUND_JOB\nContent-Length: 12\n\n+OK\n\nab: cd\n\n"
    data = re.sub(rb"Content-[^\n]+\n", b"", captured("03-busy-486", "esl-plain.txt"))
    parsed = SOURCES[ESL].parse(job + data + job)
    assert (len(parsed.observations), parsed.broken, parsed.ignored) == (2, (), 2)


def test_an_empty_value_is_none() -> None:
    """FreeSWITCH writes `_undef_` for it."""
    data = captured("01-clean", "esl-plain.txt")
    data = re.sub(rb"(?m)^variable_carrier: .*$", b"variable_carrier: _undef_", data)
    legs = SOURCES[ESL].parse(re.sub(rb"Content-[^\n]+\n", b"", data)).observations
    assert len(legs) == 2
    assert "_undef_" not in repr(legs)
    assert not any("trunk.carrier" in leg.facts for leg in legs)


def test_a_header_that_stands_several_times_is_a_list_in_json() -> None:
    """`originated_legs` is one where several legs were made."""
    made = ["b;Outbound Call;1", "c;Outbound Call;1"]
    event = {"Event-Name": "CHANNEL_HANGUP_COMPLETE", "Event-Date-Timestamp": str(BEGAN),
             "Unique-ID": "a", "Call-Direction": "outbound", "variable_originated_legs": made,
             "variable_originate_causes": [1]}  # fmt: skip
    (leg,) = SOURCES[ESL].parse(json.dumps(event).encode()).observations
    assert leg.leg == "pstn"


def test_reports_that_freeswitch_sends_have_an_event_of_their_own() -> None:
    """SEND_RTCP_MESSAGE says what FreeSWITCH received; the same told as received counts once."""
    data = (GOLDEN / ESL / "made-sent-rtcp.jsonl").read_bytes()
    (leg,) = SOURCES[ESL].parse(data).observations
    told = [(w.direction, w.packet_count, w.lost_count, w.jitter_ms) for w in leg.windows]
    assert told == [("in", 225, 25, None), ("out", 245, 5, 10.0)]
    lines = data.splitlines()
    sent = b"\n".join(line for line in lines if b"RECV_RTCP" not in line)
    (leg,) = SOURCES[ESL].parse(sent).observations
    assert [(w.direction, w.lost_count, w.loss_method) for w in leg.windows] == [
        ("in", 25, "counted")]  # fmt: skip
    assert leg.facts["rtp.codec"] == "pcmu"


def test_the_last_event_alone_tells_of_holds() -> None:
    """Where no CHANNEL_HOLD was kept, `hold_events` has them; else each is told once."""
    lines = (GOLDEN / ESL / "made-live-lines.jsonl").read_text().splitlines()
    told = [json.loads(line) for line in lines]
    held = next(event for event in told if event["Event-Name"] == "CHANNEL_HOLD")
    at = int(held["Event-Date-Timestamp"])
    last = held | {"Event-Name": "CHANNEL_HANGUP_COMPLETE",
                   "Event-Date-Timestamp": str(at + 9_000_000),
                   "variable_hold_events": f"{{{{{at},{at + 1_000_000}}}}}"}  # fmt: skip

    def holds(*events: dict[str, Any]) -> list[float]:
        data = "\n".join(map(json.dumps, events)).encode()
        (leg,) = SOURCES[ESL].parse(data).observations
        return [mark.start for mark in leg.marks if mark.kind == "hold"]

    assert holds(last) == holds(held, last) == [at / 1e6]


# Whatever a file holds ---------------------------------------------------------------------------

RECORDS = {
    CDR: captured("02-loss5-caller-in", "a-leg.cdr.json"),
    ESL: captured("03-busy-486", "esl-plain.txt"),
    f"{ESL} json": captured("03-busy-486", "esl-json.txt"),
}
every_source = pytest.mark.parametrize("name", RECORDS)


@every_source
@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.data_too_large])
@given(data=st.data())
def test_reading_is_total(name: str, data: st.DataObject) -> None:
    """Bytes put anywhere, or cut out, never raise; no number of the record comes out."""
    record = RECORDS[name]
    at = data.draw(st.integers(0, len(record)))
    cut = data.draw(st.integers(0, 400))
    put = data.draw(st.binary(max_size=12))
    parsed = SOURCES[name.partition(" ")[0]].parse(record[:at] + put + record[at + cut :])
    said = json.dumps([as_json(one) for one in parsed.observations])
    assert "+15555550" not in said
    assert parsed.observations or parsed.broken or parsed.ignored


@every_source
def test_one_broken_record_leaves_the_others(name: str) -> None:
    """What is cut off in the middle of a file is told, and what follows is read."""
    record = RECORDS[name]
    for at in range(1, len(record), len(record) // 25):
        parsed = SOURCES[name.partition(" ")[0]].parse(record[:at] + b"\n\n" + RECORDS[name])
        assert parsed.broken or len(parsed.observations) >= 1
        assert len(parsed.observations) >= (1 if name == CDR else 2)


@every_source
@pytest.mark.parametrize("variable", ["sip_reason", "sip_full_via", "switch_r_sdp", "last_arg",
                                      "export_vars", "sip_outgoing_contact_uri"])  # fmt: skip
@pytest.mark.parametrize("text", ["q.850" + ";" * 60_000, "sofia/gateway/" * 8000,
                                  "%41" * 60_000, "a," * 60_000, "m=audio 1 " * 9000])  # fmt: skip
def test_no_value_takes_long(name: str, variable: str, text: str) -> None:
    """A record with one huge value is read in a few milliseconds."""
    if name == CDR:
        record = json.dumps(document(**{variable: text})).encode()
    else:
        told = {"Event-Name": "CHANNEL_HANGUP_COMPLETE", "Unique-ID": "a",
                "Call-Direction": "inbound", "Event-Date-Timestamp": str(BEGAN),
                f"variable_{variable}": text}  # fmt: skip
        is_json = name.endswith("json")
        plain = "".join(f"{key}: {value}\n" for key, value in told.items())
        record = json.dumps(told).encode() if is_json else plain.encode()
    source = SOURCES[name.partition(" ")[0]]
    assert lines_of_json(lambda: source.parse(record)) < 6


@pytest.mark.parametrize(
    "data",
    [b"a:\n" * 80_000, b"{" * 200_000, b"\n" * 300_000, b'{"Event-Name":"X"}' * 10_000,
     b"Content-Length: 9\n\n" * 10_000, b"x" * 600_000],
)  # fmt: skip
def test_a_stream_of_nothing_is_read_once(data: bytes) -> None:
    """Garbage of any shape takes no longer than its length lets expect."""
    assert lines_of_json(lambda: SOURCES[ESL].parse(data)) < 300
