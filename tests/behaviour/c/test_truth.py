"""Every labelled capture: what its records can know is found, and nothing contradicts the truth."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from .shelf import (
    End,
    Record,
    calls,
    is_whole,
    losses,
    measure,
    on,
    parsed,
    raw,
    read,
    reading,
    truth,
    values,
    windows,
)

ALL = frozenset({"code", "q850", "codec", "hangup", "duration", "outcome"})


@dataclass(frozen=True)
class Kind:
    """A file of a captured call: who reads it, and what it can know."""

    system: str
    file: str
    source: str
    knows: frozenset[str]

    def data(self, call: str) -> bytes | None:
        """The file's bytes; None where the call has no such file."""
        try:
            return raw(self.system, call, self.file)
        except FileNotFoundError:
            return None

    def read(self, call: str, end: End | None) -> list[Record]:
        """What the reader says of it."""
        data = self.data(call)
        assert data is not None
        return read(self.source, data, reading(end))


KINDS = [
    Kind("asterisk", "ami.txt", "asterisk-ami", ALL - {"codec"}),
    Kind("asterisk", "Master.csv", "asterisk-cdr", frozenset({"outcome", "duration"})),
    Kind("asterisk", "hep.hex", "hep", ALL),
    Kind("asterisk", "ari-rtp_statistics-live-caller.json", "asterisk-ari", frozenset()),
    Kind("asterisk", "ari-channels-live.json", "asterisk-ari", frozenset()),
    Kind("freeswitch", "a-leg.cdr.json", "freeswitch-cdr", ALL),
    Kind("freeswitch", "b-leg.cdr.json", "freeswitch-cdr", ALL),
    Kind("freeswitch", "esl-json.txt", "freeswitch-esl", ALL),
    Kind("freeswitch", "esl-plain.txt", "freeswitch-esl", ALL),
    Kind("kamailio", "kamailio.log", "kamailio-acc", ALL - {"codec", "q850"}),
    Kind("kamailio", "json_acc.log", "kamailio-acc-json", ALL - {"codec", "q850"}),
    Kind("kamailio", "hep-sip.hex", "hep", ALL),
    Kind("rtpengine", "hep-rtcp.hex", "hep", frozenset()),
    Kind("rtpengine", "ng-delete.json", "rtpengine", frozenset({"codec"})),
    Kind("rtpengine", "ng-delete.bencode", "rtpengine", frozenset({"codec"})),
    Kind("rtpengine", "ng.jsonl", "rtpengine", frozenset({"codec"})),
    Kind("rtpengine", "rtpengine.log", "rtpengine", frozenset({"codec"})),
]
EVERY = [
    pytest.param(kind, call, id=f"{kind.system}-{call[:2]}-{kind.file}")
    for kind in KINDS
    for call in calls(kind.system)
    if kind.data(call) is not None
]
PLACED = [
    pytest.param(*case.values, end, id=f"{case.id}-{end}")
    for case in EVERY
    for end in (None, "caller", "callee")
]


def bridge(kind: Kind, end: End | None) -> End:
    """The end that is ours: as told, else by the record's carrier, else the callee."""
    if end is not None:
        return end
    return "caller" if kind.source.startswith("kamailio") else "callee"


def legs(facts: dict) -> dict[str, dict]:
    """The legs of a truth by the end that they face."""
    told = facts["legs"] or {}
    return {
        "caller": told.get("a") or told.get("caller") or {},
        "callee": told.get("b") or told.get("callee") or {},
    }


def place(end: str, flow: str, ours: End) -> tuple[str, str]:
    """Our leg and direction of what a truth calls `in` (towards the PBX) or `out` at an end."""
    if end == ours:
        return "trunk", "out" if flow == "in" else "in"
    return "pstn", flow


def expected(facts: dict, ours: End) -> dict[tuple[str, str], dict]:
    """What was counted, by our leg and direction."""
    found = {}
    for end, told in legs(facts).items():
        for flow in ("in", "out"):
            found[place(end, flow, ours)] = told.get(flow) or {}
    return found


def codes(kind: Kind, facts: dict, ours: End) -> dict[str, set]:
    """The final codes that may stand on each leg."""
    code = facts["sip_code"]
    tried = {attempt["sip_code"] for attempt in facts.get("attempts", ())} - {None}
    callee, caller = ("trunk", "pstn") if ours == "callee" else ("pstn", "trunk")
    behind = tried or {code}
    if tried == set() and "attempts" in facts:
        # nobody answered: a 408 of the proxy's own making may be told by acc, never by the wire
        behind = set() if kind.source == "hep" else {code}
    return {caller: {code}, callee: behind, "agent": set()}


@pytest.mark.parametrize("kind,call,end", PLACED)
def test_no_code_cause_codec_party_or_time_contradicts_the_truth(kind, call, end):
    """Codes, Q.850, codec, who hung up, outcome, duration, direction, numbers are true."""
    facts, ours = truth(kind.system, call), bridge(kind, end)
    records = kind.read(call, end)
    right = codes(kind, facts, ours)
    for record in records:
        told = record["facts"]
        if "sip.response.status_code" in told:
            assert told["sip.response.status_code"] in right[record["leg"]], record
        if facts["q850_cause"] is not None:
            assert told.get("sip.reason.q850") in (None, facts["q850_cause"]), record
        elif not facts["answered"]:
            assert told.get("sip.reason.q850") in (None, 102, 18), record
        assert told.get("rtp.codec") in (None, "pcmu"), record
        assert told.get("rtp.clock_rate_hz") in (None, 8000), record
        assert told.get("rtp.payload_type") in (None, 0), record
        assert told.get("rtp.ptime_ms") in (None, 20), record
        assert told.get("sip.hangup.source") in (None, facts["hung_up_by"]), record
        assert (told.get("sip.call.outcome", "answered") == "answered") == facts["answered"] or (
            "sip.call.outcome" not in told
        ), record
        duration = told.get("sip.call.duration_ms")
        if facts["answered"]:
            assert duration is None or abs(duration / 1000 - facts["duration_s"]) <= 1.0, record
        else:
            assert duration is None, "nobody talked"
        allowed = {None, "inbound" if ours == "callee" else "outbound"}
        assert told.get("sip.call.direction") in allowed, record
        assert told.get("sip.caller.number") in (None, "*******", "+1*******99"), record
        assert told.get("sip.callee.number") in (None, "*******", "+1*******01"), record
        if "trunk.carrier" in told:
            assert told["trunk.carrier"] == "acme"


HEARD = ("kamailio.log", "json_acc.log", "hep-rtcp.hex")
"""Records that say what an end heard, and not where it was lost."""


def heard(facts: dict, ours: End, direction: str) -> float:
    """The loss between both ends of the call in one of our directions."""
    told = expected(facts, ours)
    both = (told[leg, direction].get("loss_ratio") or 0 for leg in ("trunk", "pstn"))
    return max(both)


@pytest.mark.parametrize("kind,call", [each for each in EVERY if each.id.endswith(HEARD)])
@pytest.mark.parametrize("end", [None, "caller", "callee"])
def test_a_loss_that_an_end_heard_is_not_put_on_a_leg_that_had_none(kind, call, end):
    """What was lost before the proxy is missing at the far end: that leg itself lost nothing."""
    facts, ours = truth(kind.system, call), bridge(kind, end)
    real = expected(facts, ours)
    for window in windows(kind.read(call, end)):
        ratio = measure(window, "loss_ratio")
        true = real[window["leg"], window["direction"]].get("loss_ratio")
        if ratio is not None and true in (None, 0):
            assert ratio <= 0.005, window


@pytest.mark.parametrize("kind,call", EVERY)
def test_no_window_counts_more_packets_than_its_time_holds(kind, call):
    """20 ms a packet: a window of 5 s has not 300 packets, and one of no length has none."""
    facts = truth(kind.system, call)
    for window in windows(read(kind.source, kind.data(call))):
        packets, lost = measure(window, "packet_count"), measure(window, "lost_count")
        if packets is not None and window["start"] is not None:
            span = min(window["end"] - window["start"], facts["duration_s"])
            assert packets + (lost or 0) <= 50 * (span + 2), window


@pytest.mark.parametrize("kind,call,end", PLACED)
def test_no_window_says_what_did_not_happen(kind, call, end):
    """No loss where there was none, no jitter from a variance, no wrapped delay, no count beyond
    what was sent; a loss of the whole call is within a point of the truth."""
    facts, ours = truth(kind.system, call), bridge(kind, end)
    records = kind.read(call, end)
    real = expected(facts, ours)
    seconds = facts["duration_s"]
    for window in windows(records):
        there = real[window["leg"], window["direction"]]
        assert facts["answered"], "a call that nobody answered has no media"
        ratio, true = measure(window, "loss_ratio"), there.get("loss_ratio")
        if kind.file in HEARD:
            true = heard(facts, ours, window["direction"])
        if ratio is not None:
            if true is None or true == 0:
                assert ratio <= 0.005, window
            elif true == 1:
                assert ratio == 1 or kind.file in HEARD, window
            elif is_whole(window, seconds):
                assert abs(ratio - true) <= 0.01, window
        packets, lost = measure(window, "packet_count"), measure(window, "lost_count")
        if packets is not None:
            assert packets <= 50 * (seconds + 3), window
            if (true == 1 and kind.file not in HEARD) or there.get("rtp_packets_arriving") == 0:
                assert packets == 0, window
        if lost is not None:
            assert lost <= there.get("dropped", 0) + 5 or kind.file in HEARD, window
        jitter = measure(window, "jitter_ms")
        if jitter is not None:
            assert jitter < (5 if is_whole(window, seconds) else 30), window
            assert packets != 0, "no jitter of packets that never came"
        rtt = measure(window, "rtt_ms")
        assert rtt is None or 0 < rtt < 20, window
        mos = measure(window, "mos")
        assert mos is None or packets != 0, "no score of a silence"
        assert mos is None or 1 <= mos <= 4.5
        assert mos is None or measure(window, "mos_algorithm"), "a score without its algorithm"
        if window["start"] is not None:
            assert window["end"] - window["start"] <= seconds + 3, window


@pytest.mark.parametrize("kind,call", EVERY)
def test_what_the_record_can_know_is_found(kind, call):
    """Code, cause, codec, who hung up, duration and outcome stand in an observation."""
    facts = truth(kind.system, call)
    records = read(kind.source, kind.data(call))
    known = kind.knows
    if "code" in known:
        assert facts["sip_code"] in values(records, "sip.response.status_code")
        for attempt in facts.get("attempts", ()):
            if attempt["sip_code"] is not None:
                assert attempt["sip_code"] in values(records, "sip.response.status_code")
    if (
        "q850" in known
        and facts["q850_cause"] is not None
        and (kind.source != "hep" or not facts["answered"])
    ):
        assert values(records, "sip.reason.q850") == {facts["q850_cause"]}
    if "codec" in known and facts["codec"]:
        assert values(records, "rtp.codec") == {"pcmu"}
    if "hangup" in known and facts["hung_up_by"]:
        assert values(records, "sip.hangup.source") == {facts["hung_up_by"]}
    if "duration" in known and facts["answered"]:
        found = values(records, "sip.call.duration_ms")
        assert found
        assert all(abs(each / 1000 - facts["duration_s"]) <= 1 for each in found), found
    if "outcome" in known:
        found = values(records, "sip.call.outcome")
        right = {200: {"answered"}, 486: {"busy"}, 500: {"congestion", "failed"}, 408: {"timeout"}}
        assert found
        assert found <= right[facts["sip_code"]], found
        if facts["sip_code"] == 500:
            assert "congestion" in found, "the gateway's 503"


BOTH = [each for each in EVERY if "code" in each.values[0].knows and "leg" not in each.id]


@pytest.mark.parametrize("kind,call", BOTH)
@pytest.mark.parametrize("end", ["caller", "callee"])
def test_each_leg_is_told_and_turns_with_the_bridge(kind, call, end):
    """One trunk and one pstn observation; both state the direction that was configured."""
    records = kind.read(call, end)
    assert sorted(each["leg"] for each in records) == ["pstn", "trunk"]
    assert values(records, "sip.call.direction") == {"inbound" if end == "callee" else "outbound"}


@pytest.mark.parametrize("kind,call", [each for each in EVERY if "rtcp" not in each.id])
def test_turning_the_bridge_only_turns_legs_and_directions(kind, call):
    """With the other end as the bridge each window is on the other leg, in the other direction."""

    def seen(end):
        turn = {"trunk": "pstn", "pstn": "trunk", "in": "out", "out": "in"}
        return sorted(
            (
                turn[w["leg"]] if end == "caller" else w["leg"],
                turn[w["direction"]] if end == "caller" else w["direction"],
                w["start"] or 0,
                w["end"] or 0,
                str(measure(w, "loss_ratio")),
                str(measure(w, "packet_count")),
            )
            for w in windows(kind.read(call, end))
        )

    assert seen("caller") == seen("callee")


COUNTED = {
    "02-loss5-caller-to-proxy": [("caller", "in", 109)],
    "03-loss5-proxy-to-caller": [("caller", "out", 98)],
}


@pytest.mark.parametrize("end", [None, "caller", "callee"])
@pytest.mark.parametrize("call", COUNTED)
@pytest.mark.parametrize(
    "file", ["ng-delete.json", "ng-delete.bencode", "ng.jsonl", "rtpengine.log"]
)
def test_rtpengine_counts_the_loss_on_its_leg_exactly(file, call, end):
    """Loss as rtpengine counted it, on the leg and in the direction where it was lost."""
    records = read("rtpengine", raw("rtpengine", call, file), reading(end))
    for party, flow, lost in COUNTED[call]:
        leg, direction = place(party, flow, end or "callee")
        found = [
            each for each in windows(records, leg, direction) if measure(each, "lost_count") == lost
        ]
        assert found, windows(records, leg, direction)
        for each in found:
            assert measure(each, "loss_method") == "counted"
            true = legs(truth("rtpengine", call))[party][flow]["loss_ratio"]
            assert measure(each, "loss_ratio") == pytest.approx(true, abs=0.01)


@pytest.mark.parametrize(
    "file",
    [
        "ng-delete.json",
        "ng-delete.bencode",
        "ng.jsonl",
        "rtpengine.log",
        "ng-query-live.json",
        "ng-query-live.bencode",
    ],
)
@pytest.mark.parametrize("end", ["caller", "callee"])
def test_rtpengine_sees_the_silent_callee(file, end):
    """07: not a packet from the callee, all from the caller."""
    data = raw("rtpengine", "07-one-way-callee-silent", file)
    records = read("rtpengine", data, reading(end))
    dead = [measure(w, "packet_count") for w in windows(records, *place("callee", "in", end))]
    alive = [measure(w, "packet_count") for w in windows(records, *place("caller", "in", end))]
    assert [each for each in dead if each is not None] == [0] or set(dead) - {None} == {0}
    assert max(each for each in alive if each is not None) > 1300


@pytest.mark.parametrize("file", ["a-leg.cdr.json", "esl-json.txt", "esl-plain.txt"])
@pytest.mark.parametrize("end", [None, "caller", "callee"])
def test_freeswitch_loss_is_derived_and_within_a_point(file, end):
    """02: 4.76 % on the caller's way in, by mean_interval, marked derived."""
    source = "freeswitch-cdr" if "cdr" in file else "freeswitch-esl"
    records = read(source, raw("freeswitch", "02-loss5-caller-in", file), reading(end))
    leg, direction = place("caller", "in", end or "callee")
    found = losses(records, leg, direction)
    whole = [each for each in windows(records, leg, direction) if is_whole(each, 38)]
    assert any(
        measure(each, "loss_method") == "derived"
        and abs(measure(each, "loss_ratio") - 0.0476) <= 0.01
        for each in whole
        if measure(each, "loss_ratio") is not None
    ), found


@pytest.mark.parametrize("end", ["caller", "callee"])
@pytest.mark.parametrize("call", calls("asterisk"))
def test_asterisk_says_derived_where_its_count_stops_early(call, end):
    """A loss by `lp` is derived; the silent side of 03 has no packet and no loss."""
    records = read("asterisk-ami", raw("asterisk", call, "ami.txt"), reading(end))
    facts = truth("asterisk", call)
    if not facts["answered"]:
        assert windows(records) == []
        return
    whole = [each for each in windows(records) if is_whole(each, facts["duration_s"])]
    assert {measure(each, "loss_method") for each in whole} <= {"derived", None}
    if call == "03-one-way":
        dead = windows(records, *place("caller", "in", end))
        assert dead
        assert {measure(each, "packet_count") for each in dead} == {0}
        assert losses(records, *place("caller", "in", end)) == []


@pytest.mark.parametrize("call", ["01-clean", "03-one-way"])
def test_asterisk_jitter_is_ours_where_we_received(call):
    """`txjitter` is measured by Asterisk of what it received, not `rxjitter`."""
    records = read("asterisk-ami", raw("asterisk", call, "ami.txt"), reading("callee"))
    whole = [each for each in windows(records, "trunk", "out") if is_whole(each, 26)]
    jitters = {measure(each, "jitter_ms") for each in whole} - {None}
    assert jitters, whole
    assert jitters <= ({1.375, 0.781} if call == "01-clean" else {0.75, 0.911}), jitters
    if call == "03-one-way":
        for each in windows(records, "pstn", "in"):
            assert measure(each, "jitter_ms") is None


@pytest.mark.parametrize(
    "source,file",
    [
        ("kamailio-acc", "kamailio.log"),
        ("kamailio-acc-json", "json_acc.log"),
        ("hep", "hep-sip.hex"),
    ],
)
def test_kamailios_500_is_the_gateways_503(source, file):
    """05: 500 on the caller's leg, 503 on the gateway's; each on its own leg."""
    records = read(source, raw("kamailio", "05-unavailable-503", file), reading("caller"))
    assert values(on(records, "trunk"), "sip.response.status_code") == {500}
    assert values(on(records, "pstn"), "sip.response.status_code") == {503}
    assert values(on(records, "pstn"), "sip.call.outcome") == {"congestion"}


@pytest.mark.parametrize(
    "source,file", [("kamailio-acc", "kamailio.log"), ("kamailio-acc-json", "json_acc.log")]
)
@pytest.mark.parametrize("call", calls("kamailio"))
def test_kamailio_names_carrier_route_and_who_stands_where(source, file, call):
    """Gateway attributes name the carrier; the other end is ours, and the call is outbound."""
    records = read(source, raw("kamailio", call, file))
    assert values(records, "sip.call.direction") == {"outbound"}
    assert values(on(records, "pstn"), "trunk.carrier") == {"acme"}
    assert values(on(records, "pstn"), "trunk.route") == {"gw-east"}
    for each in parsed(source, raw("kamailio", call, file)).observations:
        assert each.bridge_end == "caller"
        assert each.bridge_end_by == "told"


@pytest.mark.parametrize("name", ["acme-east", "ACME-EAST"])
@pytest.mark.parametrize(
    "system,file,source",
    [
        ("asterisk", "ami.txt", "asterisk-ami"),
        ("asterisk", "Master.csv", "asterisk-cdr"),
        ("freeswitch", "esl-json.txt", "freeswitch-esl"),
    ],
)
def test_a_named_endpoint_is_found_whatever_its_case(system, file, source, name):
    """`--bridge acme-east`: the callee's end is ours, and both legs know the direction."""
    records = read(source, raw(system, "01-clean", file), reading(None, (name,)))
    assert values(records, "sip.call.direction") == {"inbound"}
    trunk = on(records, "trunk")
    assert all(each["ids"].get("endpoint") in (None, "acme-east") for each in trunk)


@pytest.mark.parametrize("call", calls("asterisk"))
def test_the_caller_named_as_bridge_turns_asterisk(call):
    """`--bridge carrier-in`: the caller's leg is the trunk and the call outbound."""
    records = read("asterisk-ami", raw("asterisk", call, "ami.txt"), reading(None, ("carrier-in",)))
    assert values(records, "sip.call.direction") == {"outbound"}
    assert {each["ids"]["endpoint"] for each in on(records, "trunk")} == {"carrier-in"}
    assert {each["ids"]["endpoint"] for each in on(records, "pstn")} == {"acme-east"}


@pytest.mark.parametrize("kind,call", EVERY)
def test_a_callers_and_a_callees_record_never_change_places(kind, call):
    """The caller's Call-ID or host stands on the caller's leg, the callee's on the callee's."""
    for end in ("caller", "callee"):
        for record in kind.read(call, end):
            mine = (record["leg"] == "trunk") == (end == "caller")
            endpoint = record["ids"].get("endpoint")
            if endpoint == "carrier-in":
                assert mine, record
            if endpoint in ("acme-east", "gw-east"):
                assert not mine, record
            host = record["ids"].get("host")
            if host in ("192.0.2.101", "192.0.2.121"):
                assert mine, record
            if host in ("192.0.2.111", "192.0.2.122"):
                assert not mine, record
