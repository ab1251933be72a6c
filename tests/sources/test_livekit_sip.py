"""The bridge's log: what ten captured calls say, and the traps in it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.sources.captured import ANSWERED, INBOUND, NAMES, OUTBOUND, data, lines, truth

from trunktrace import conventions as c
from trunktrace.facts import Mark, MediaWindow, Observation
from trunktrace.sources.livekit import sip as livekit_sip
from trunktrace.sources.parsed import Parsed

T = 1_795_000_000.0
CALL = "SCL_made00000001"


def _parsed(name: str) -> Parsed:
    return livekit_sip.parse(data(name, "livekit-sip"))


def _answered_leg(name: str) -> Observation:
    return next(
        one
        for one in _parsed(name).observations
        if one.facts.get(c.SIP_RESPONSE_STATUS_CODE) == 200
    )


def _whole(one: Observation, leg: str, direction: str) -> MediaWindow:
    found = [w for w in one.windows if (w.leg, w.direction) == (leg, direction)]
    return max(found, key=lambda window: window.duration_s)


def _marks(one: Observation, kind: str) -> list[Mark]:
    return [mark for mark in one.marks if mark.kind == kind]


# The captured calls ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_every_line_of_a_captured_log_is_read(name: str) -> None:
    """No line is broken, and each call leg that the bridge had gives one observation."""
    parsed = _parsed(name)
    assert parsed.broken == ()
    ids = [one.ids["livekit_call_id"] for one in parsed.observations]
    assert ids == truth(name)["livekit_call_ids"]
    assert {one.completeness for one in parsed.observations} == {"complete"}


@pytest.mark.parametrize("name", ANSWERED)
def test_the_loss_is_the_truth(name: str) -> None:
    """Loss towards the agent is what the far end took out, and absent where nothing came."""
    counted = truth(name)["loss"]["carrier_to_bridge"]
    window = _whole(_answered_leg(name), "trunk", "in")
    if counted["removed"] == counted["packets_put_out"]:
        assert (window.packet_count, window.loss_ratio, window.lost_count) == (0, None, None)
        return
    assert window.lost_count == counted["removed"]
    assert window.packet_count == counted["packets_put_out"] - counted["removed"]
    assert window.loss_ratio == counted["removed"] / counted["packets_put_out"]
    assert window.loss_method == "counted"


@pytest.mark.parametrize("name", ANSWERED)
def test_codec_code_and_hang_up_are_the_truth(name: str) -> None:
    """The negotiated codec, the 200, who hung up and how long they talked are found."""
    facts, stated = _answered_leg(name).facts, truth(name)
    assert facts[c.RTP_CODEC] == stated["codec"]["negotiated"].lower()
    assert facts[c.RTP_CLOCK_RATE_HZ] == 8000
    assert facts[c.RTP_PTIME_MS] == 20
    assert facts[c.SIP_MEDIA_ENCRYPTION] == "none"
    assert facts[c.SIP_CALL_OUTCOME] == "answered"
    far_end = "caller" if stated["direction"] == "inbound" else "callee"
    assert facts[c.SIP_HANGUP_SOURCE] == far_end
    talked = float(facts[c.SIP_CALL_DURATION_MS]) / 1000.0
    # The far end's own clock runs from its 200 to its BYE, with a pause before the first packet.
    assert talked == pytest.approx(stated["talk_s"], abs=0.4)


@pytest.mark.parametrize("name", INBOUND)
def test_an_inbound_call_says_how_it_came(name: str) -> None:
    """Direction, trunk, rule, transport, Q.850 cause and setup time of an inbound call."""
    one, stated = _answered_leg(name), truth(name)
    assert one.facts[c.SIP_CALL_DIRECTION] == "inbound"
    assert one.facts[c.SIP_TRANSPORT] == "udp"
    assert one.facts[c.SIP_REASON_Q850] == 16
    assert one.ids["trunk_id"] == one.facts[c.TRUNK_ID] == stated["trunk"]["id"]
    assert one.ids["livekit_rule_id"] == stated["trunk"]["dispatch_rule"]
    assert one.ids["call_id"] == stated["sip_call_id_header"]
    assert float(one.facts[c.SIP_SETUP_MS]) / 1000.0 == pytest.approx(stated["setup_s"], abs=0.01)
    assert one.attempts == ()


@pytest.mark.parametrize("name", OUTBOUND)
def test_each_outbound_leg_is_an_attempt(name: str) -> None:
    """Trunk, final code and Call-ID of every attempt, and that a 18x came before."""
    told = _parsed(name).observations
    for one, stated in zip(told, truth(name)["attempts"], strict=True):
        (attempt,) = one.attempts
        assert attempt.trunk_id == stated["trunk"]
        assert attempt.livekit_call_id == stated["livekit_call_id"]
        assert attempt.status_code == stated["sip_final_code"]
        assert attempt.progress is True
        assert attempt.over
        assert one.ids["call_id"] == stated["call_id_header"]
        assert one.facts.get(c.SIP_RESPONSE_STATUS_CODE) == stated["sip_final_code"]


def test_a_ringing_timeout_is_no_code() -> None:
    """Nobody answered: there is no final code, and the attempt says that our timeout ended it."""
    (one,) = _parsed("08-outbound-no-answer").observations
    assert c.SIP_RESPONSE_STATUS_CODE not in one.facts
    assert one.facts[c.SIP_CALL_OUTCOME] == "no_answer"
    assert one.attempts[0].failure == "timeout"
    assert one.windows == ()


def test_the_status_of_the_closing_line_is_never_a_code() -> None:
    """Every inbound call closes with `"status": 486`, and each of them was a 200."""
    for name in INBOUND:
        assert b'"status": 486' in data(name, "livekit-sip")
        assert _answered_leg(name).facts[c.SIP_RESPONSE_STATUS_CODE] == 200


def test_reason_phrases_come_from_the_error() -> None:
    """486 and 503 stand in two different texts of the bridge."""
    (busy,) = _parsed("06-outbound-486").observations
    failed = _parsed("07-outbound-503-failover").observations[0]
    assert busy.facts[c.SIP_RESPONSE_REASON] == "Busy Here"
    assert busy.facts[c.SIP_CALL_OUTCOME] == "busy"
    assert failed.facts[c.SIP_RESPONSE_REASON] == "Service Unavailable"


def test_periodic_statistics_make_windows_of_their_own() -> None:
    """A call of 68 s has a first minute, the rest, and the whole, which add up."""
    one = _answered_leg("03-inbound-loss10")
    first, rest, whole = [w for w in one.windows if (w.leg, w.direction) == ("trunk", "in")]
    assert first.end == rest.start
    assert (whole.start, whole.end) == (first.start, rest.end)
    assert (first.lost_count, rest.lost_count, whole.lost_count) == (285, 40, 325)
    assert first.loss_ratio == pytest.approx(285 / 3001)
    assert rest.duration_s == pytest.approx(7.98, abs=0.01)


def test_towards_the_caller_nobody_counts_loss() -> None:
    """The bridge knows what it sent, and reads no RTCP: there is a count and no loss."""
    window = _whole(_answered_leg("03-inbound-loss10"), "trunk", "out")
    assert (window.packet_count, window.loss_ratio, window.lost_count) == (3399, None, None)


def test_marks_are_in_the_order_of_the_call() -> None:
    """INVITE, ringing, answer, the agent's track and the hang-up, with their times."""
    one = _answered_leg("05-outbound-answered")
    kinds = [mark.kind for mark in one.marks]
    assert kinds == ["invite", "ringing", "answered", "agent_track", "hangup"]
    assert one.start == one.marks[0].start
    assert one.end == one.marks[-1].start


@pytest.mark.parametrize("name", NAMES)
def test_no_number_leaves_the_log(name: str) -> None:
    """No number of a captured call stands anywhere in what is read from its log."""
    text = repr(_parsed(name))
    assert "1555" not in text


# Calls of our own --------------------------------------------------------------------------------


def _line(msg: str, at: float, **fields: Any) -> dict[str, Any]:
    common = {"level": "info", "ts": T + at, "logger": "sip", "callID": CALL, "msg": msg}
    return {**common, "direction": "inbound", **fields}


def _statistics(at: float, *, jitter_buffer: bool | None = True, **port: int) -> dict[str, Any]:
    counted: dict[str, Any] = {"packets": 0, "audio_packets": 0, "audio_out_frames": 0, **port}
    line = _line("call statistics", at, stats={"port": counted, "room": {"input_packets": 5}})
    return line if jitter_buffer is None else {**line, "jitterBuf": jitter_buffer}


def _call(*middle: dict[str, Any], reason: str = "hangup", end: float = 30.0) -> Observation:
    begun = (_line("processing invite", 0.0), _line("Accepting the call", 1.0))
    closing = _line("Closing inbound call", end, status=486, reason=reason)
    parsed = livekit_sip.parse(lines(*begun, *middle, closing))
    assert parsed.broken == ()
    (one,) = parsed.observations
    return one


def test_without_a_jitter_buffer_nobody_counts() -> None:
    """A zero that nobody counted is no loss of zero."""
    one = _call(
        _statistics(30.0, jitter_buffer=False, packets=100, audio_packets=100,
                    jitter_buffer_packets_lost=0)
    )  # fmt: skip
    window = _whole(one, "trunk", "in")
    assert (window.packet_count, window.lost_count, window.loss_ratio) == (100, None, None)


def test_packets_of_a_codec_that_was_not_agreed_are_ignored_ones() -> None:
    """The caller sends PCMA after PCMU was agreed: nothing usable came, and 650 were ignored."""
    one = _call(_statistics(30.0, packets=650, audio_packets=0, jitter_buffer_packets_lost=0))
    window = _whole(one, "trunk", "in")
    assert (window.packet_count, window.ignored_count, window.loss_ratio) == (0, 650, None)


def test_a_track_that_was_never_subscribed_leaves_no_mark() -> None:
    """Nothing came from the agent: no mark of its track, and a window of no packets."""
    line = _statistics(30.0, packets=10, audio_packets=10)
    line["stats"]["room"] = {"input_packets": 0, "track_subscribes": 0}
    one = _call(line)
    assert _marks(one, "agent_track") == []
    assert _whole(one, "agent", "out").packet_count == 0


def test_a_counter_that_runs_backwards_makes_no_window() -> None:
    """The part in which the bridge's counters were reset is left out, the rest stays."""
    one = _call(
        _statistics(10.0, packets=450, audio_packets=450),
        _statistics(20.0, packets=100, audio_packets=100),
        _statistics(30.0, packets=600, audio_packets=600),
    )
    windows = [w for w in one.windows if (w.leg, w.direction) == ("trunk", "in")]
    assert [(w.start - T, w.end - T) for w in windows] == [(1, 10), (20, 30), (1, 30)]


def test_a_call_cut_for_want_of_media_ends_by_the_platform() -> None:
    """The bridge's media timeout is a mark, and the hang-up is the platform's."""
    one = _call(_line("triggering media timeout", 29.9), reason="media-timeout")
    assert one.facts[c.SIP_HANGUP_SOURCE] == "platform"
    assert [mark.start for mark in _marks(one, "media_timeout")] == [T + 29.9]


def test_a_removed_participant_is_the_agents_hang_up() -> None:
    """The room was deleted, or the participant removed: the agent's side hung up."""
    assert _call(reason="removed").facts[c.SIP_HANGUP_SOURCE] == "agent"


def test_an_unknown_reason_names_nobody() -> None:
    """A reason that this version does not know says nothing about who hung up."""
    assert c.SIP_HANGUP_SOURCE not in _call(reason="some-new-reason").facts


def test_a_hold_is_an_interval() -> None:
    """A later offer with one direction begins a hold, one with both ends it."""

    def offer(direction: str, at: float) -> dict[str, Any]:
        media = f"v=0\r\nm=audio 4000 RTP/AVP 0\r\na={direction}\r\n"
        return _line("SDP offer", at, sdp=media)

    one = _call(offer("sendrecv", 0.5), offer("sendonly", 10.0), offer("sendrecv", 15.0))
    assert [(m.start - T, (m.end or 0) - T) for m in _marks(one, "hold")] == [(10.0, 15.0)]


def test_a_reinvite_is_no_call() -> None:
    """The bridge logs a re-INVITE under an id of its own, which is no call leg."""
    parsed = livekit_sip.parse(
        lines(_line("processing invite", 0.0), _line("accepting reinvite", 0.1))
    )
    assert (parsed.observations, parsed.broken) == ((), ())


def test_an_inbound_call_given_up_while_it_rang() -> None:
    """The caller's CANCEL: no code, outcome canceled, hung up by the caller."""
    closing = _line("Closing inbound call", 5.0, status=486, reason="cancelled")
    (one,) = livekit_sip.parse(lines(_line("processing invite", 0.0), closing)).observations
    assert c.SIP_RESPONSE_STATUS_CODE not in one.facts
    assert one.facts[c.SIP_CALL_OUTCOME] == "canceled"
    assert one.facts[c.SIP_HANGUP_SOURCE] == "caller"


def test_a_log_that_ends_in_a_call_gives_it_as_partial() -> None:
    """A call that still goes on is told as far as it is known."""
    parsed = livekit_sip.parse(
        lines(_line("processing invite", 0.0), _line("Accepting the call", 1.0))
    )
    (one,) = parsed.observations
    assert (one.completeness, one.end) == ("partial", None)


@pytest.mark.parametrize(
    "error, reason, failure",
    [
        ("dial udp: lookup sip.invalid: no such host", "dns-resolution", "dns"),
        ("transaction failed to complete (0 intermediate responses)", "failed", "no_response"),
        ("something new", "invite-failed", "other"),
        ("no common media", "no-common-codec", "sdp"),
    ],
)
def test_a_failure_without_a_code_says_why(error: str, reason: str, failure: str) -> None:
    """Where no final answer came, the attempt says what came instead."""
    outbound = {"direction": "outbound", "sipTrunk": "ST_made"}
    parsed = livekit_sip.parse(
        lines(
            _line("Creating SIP participant", 0.0, **outbound),
            _line("SIP call failed", 0.2, error=error, **outbound),
            _line("Closing outbound call", 0.3, reason=reason, **outbound),
        )
    )
    (attempt,) = parsed.observations[0].attempts
    assert (attempt.status_code, attempt.failure) == (None, failure)


def test_a_number_in_a_reason_phrase_is_masked() -> None:
    """What the far end wrote beside its code may hold a number: it does not get out."""
    outbound = {"direction": "outbound", "toUser": "+15551234567"}
    error = "INVITE failed: sip status: 404: No such user +15551234567 here"
    parsed = livekit_sip.parse(
        lines(
            _line("Creating SIP participant", 0.0, **outbound),
            _line("SIP call failed", 0.2, error=error, **outbound),
        )
    )
    (one,) = parsed.observations
    assert one.facts[c.SIP_RESPONSE_STATUS_CODE] == 404
    assert "5551234567" not in repr(one)


def test_provider_ids_are_ids_to_be_matched_by() -> None:
    """Twilio's CallSid, which the bridge logs, joins the call to Twilio's own records."""
    one = _call(_line("ACK from remote", 1.1, twilioCallSID="CA0123"))
    assert one.ids["provider_call_id"] == one.facts[c.SIP_PROVIDER_CALL_ID] == "CA0123"


def test_srtp_and_wideband() -> None:
    """An encrypted AMR-WB call, and a time stamp in text."""
    codecs = _line("using codecs", 0.5, srtp="AES_CM_128_HMAC_SHA1_80")
    codecs |= {"audio-codec": "AMR-WB/16000", "audio-rtp": 96, "ts": "2026-11-17T00:00:00.5Z"}
    facts = _call(codecs).facts
    assert facts[c.RTP_CODEC] == "amr-wb"
    assert facts[c.RTP_CLOCK_RATE_HZ] == 16000
    assert facts[c.RTP_PAYLOAD_TYPE] == 96
    assert facts[c.SIP_MEDIA_ENCRYPTION] == "srtp"


# Broken lines ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line, reason",
    [
        (b'{"callID": "SCL_1"', "not JSON at character 18"),
        (b"2026-11-23 INFO processing invite +15551234567", "not JSON at character 4"),
        (b'{"msg": "\xff"}', "not UTF-8 at byte 9"),
        (b"[1, 2]", "no JSON object"),
        (b'"text"', "no JSON object"),
        (b"[" * 5_000, "JSON is nested too deeply"),
        (b"[" * 100_000, "JSON of too many parts"),
        (b'{"ts": ' + b"9" * 5000 + b"}", "a whole number has too many digits"),
        (b'{"a": "' + b"x" * 300_000 + b'"}', "the line is longer than 256 KiB"),
        (b'{"callID": "SCL_1", "msg": "processing invite"}', "no time under `ts`"),
        (b'{"callID": "SCL_1", "ts": 1e999, "msg": "processing invite"}', "no time under `ts`"),
        (b"\x00\x00", "not JSON at character 0"),
    ],
)
def test_a_broken_line_is_named_and_the_good_ones_stay(line: bytes, reason: str) -> None:
    """A line that cannot be read is told by number and reason, and spoils nothing else."""
    good = data("01-inbound-clean-pcmu", "livekit-sip")
    parsed = livekit_sip.parse(line + b"\n" + good)
    assert [(broken.line, broken.reason) for broken in parsed.broken] == [(1, reason)]
    assert parsed.observations == livekit_sip.parse(good).observations


def test_reasons_never_quote_a_value() -> None:
    """A number in a broken line does not stand in the reason."""
    parsed = livekit_sip.parse(b'{"toUser": "+15551234567", "x": }\n')
    assert "555" not in parsed.broken[0].reason


def test_line_ends_and_a_byte_order_mark_do_not_matter() -> None:
    """CRLF, empty lines, a BOM and a missing last line end change nothing."""
    good = data("09-inbound-one-way", "livekit-sip")
    changed = b"\xef\xbb\xbf" + good.replace(b"\n", b"\r\n\r\n").rstrip()
    assert livekit_sip.parse(changed) == livekit_sip.parse(good)


def test_nothing_says_nothing() -> None:
    """An empty file and one of blank lines give no call and no broken line."""
    assert livekit_sip.parse(b"") == livekit_sip.parse(b"\n \r\n") == Parsed()


def test_other_lines_are_counted_and_not_broken() -> None:
    """Well-formed lines that say nothing of a call are ignored, and that is counted."""
    parsed = livekit_sip.parse(lines({"msg": "starting", "ts": T}, {"callID": "x@y", "ts": T}))
    assert parsed == Parsed(ignored=2)


def test_wrong_types_are_unknown() -> None:
    """Values of the wrong type leave their fact absent; the call is told all the same."""
    wrong: dict[str, Any] = {
        "sipTrunk": 7,
        "room": [],
        "fromUser": {},
        "transport": None,
        "sipCallID": False,
    }
    one = _call(
        _line("using codecs", 0.5, **{"audio-codec": 8, "audio-rtp": "0", "srtp": 1}),
        _line("call statistics", 20.0, stats=[1, 2]),
        _line("signaling timestamps", 30.0, inviteToAcceptMs="long", inviteToRingingMs=True),
        _line("BYE from remote", 29.0, **{"reason-type": 8, "reason-cause": "16"}, **wrong),
    )
    told = {c.SIP_HANGUP_SOURCE, c.SIP_CALL_DURATION_MS, c.SIP_RESPONSE_STATUS_CODE}
    assert told <= one.facts.keys()
    assert not {c.RTP_CODEC, c.SIP_SETUP_MS, c.SIP_REASON_Q850, c.TRUNK_ID} & one.facts.keys()
    assert one.windows == ()


def test_new_keys_are_passed_over() -> None:
    """Counters of a later bridge change nothing of what is known."""
    name = "04-inbound-loss3-nft"
    newer: list[dict[str, Any]] = []
    for text in data(name, "livekit-sip").splitlines():
        record = json.loads(text)
        if record["msg"] == "call statistics":
            record["stats"]["port"] |= {"jitter_buffer_reordered": 7, "deep": {"er": [1]}}
        newer.append({**record, "aNewKey": {"x": None}})
    assert livekit_sip.parse(lines(*newer)) == _parsed(name)


@pytest.mark.parametrize("name", NAMES)
def test_post_dial_delay_is_of_calls_that_were_dialled(name: str) -> None:
    """To a caller the bridge itself says that it rings: that is no delay, and no phone rang."""
    for one in _parsed(name).observations:
        told = {"sip.pdd_ms", "sip.ring_ms"} & one.facts.keys()
        if one.facts["sip.call.direction"] == "inbound":
            assert not told
            assert ("sip.setup_ms" in one.facts) == (name in ANSWERED)
        elif any(mark.kind == "ringing" for mark in one.marks):
            assert "sip.pdd_ms" in told
