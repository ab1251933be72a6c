"""RADIUS accounting of SBCs, gateways and proxies: sessions, legs, both ways of writing them."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.sources.golden import GOLDEN
from tests.sources.radius_packet import (
    ORACLE,
    attribute,
    hex_lines,
    long_extended,
    oracle_stop,
    packet,
    vendor,
)

from trunktrace.facts import Observation
from trunktrace.sources.ends import Bridge
from trunktrace.sources.parsed import Parsed
from trunktrace.sources.radius.reader import parse
from trunktrace.sources.reading import Reading
from trunktrace.windows import MediaWindow

HERE = GOLDEN / "radius"
ORACLE_DETAIL = (HERE / "made-oracle.detail").read_bytes()
CISCO_DETAIL = (HERE / "made-cisco.detail").read_bytes()
KAMAILIO_DETAIL = (HERE / "made-kamailio.detail").read_bytes()

STOP = """
\tAcct-Status-Type = Stop
\tAcct-Session-Id = "one"
\tAcme-Session-Ingress-CallId = "in@carrier.example"
\tAcme-Session-Egress-CallId = "out@sbc.example"
\tAcme-Session-Ingress-Realm = "carrier-one"
\tAcme-Session-Egress-Realm = "livekit"
"""


def _stop(*lines: str) -> bytes:
    """A Stop of an Oracle SBC with more attributes."""
    body = STOP.strip("\n") + "".join(f"\n\t{line}" for line in lines)
    return f"Mon Nov 23 13:01:06 2026\n{body}\n\n".encode()


def _legs(parsed: Parsed) -> dict[str, Observation]:
    return {one.leg: one for one in parsed.observations}


def _window(one: Observation, direction: str) -> MediaWindow:
    (found,) = [w for w in (*one.windows, *one.untimed) if w.direction == direction]
    return found


ANSWERED = (
    'h323-setup-time = "13:00:01.250 UTC NOV 23 2026"',
    'h323-connect-time = "13:00:05.500 UTC NOV 23 2026"',
    'h323-disconnect-time = "13:01:05.750 UTC NOV 23 2026"',
)


def test_start_and_stop_are_one_session_of_two_legs() -> None:
    """An Oracle session is the ingress leg and the egress leg, each with its own Call-ID."""
    parsed = parse(ORACLE_DETAIL)
    legs = _legs(parsed)
    assert len(parsed.observations) == 2
    assert legs["pstn"].ids["call_id"] == "f3a1c2d4-1"
    assert legs["trunk"].ids["call_id"] == "SDpk2a401-f3a1c2d4-1"
    assert legs["pstn"].ids["linked_id"] == legs["trunk"].ids["linked_id"]
    assert legs["pstn"].facts["sip.call.duration_ms"] == 60_250.0
    assert legs["pstn"].facts["sip.hangup.source"] == "caller"


def test_a_session_without_its_stop_is_partial() -> None:
    """A Start alone says who and when, is partial, and knows no end."""
    parsed = parse(ORACLE_DETAIL.partition(b"\n\n")[0])
    assert {one.completeness for one in parsed.observations} == {"partial"}
    assert all(one.facts["sip.response.status_code"] == 200 for one in parsed.observations)
    assert all("sip.call.duration_ms" not in one.facts for one in parsed.observations)


def test_records_of_a_session_may_come_in_any_order() -> None:
    """The Stop counts last, wherever it stands in the file."""
    start, stop = ORACLE_DETAIL.strip().split(b"\n\n")
    assert parse(stop + b"\n\n" + start).observations[0].facts == (
        parse(ORACLE_DETAIL).observations[0].facts
    )


def test_loss_is_as_the_sbc_counted_it() -> None:
    """Calling-RTP is what came from the caller: counted, towards the agent, on the far leg."""
    far = _window(_legs(parse(ORACLE_DETAIL))["pstn"], "in")
    assert (far.packet_count, far.lost_count, far.loss_ratio) == (2850, 150, 0.05)
    assert far.loss_method == "counted"
    assert (far.jitter_ms, far.jitter_max_ms, far.mos, far.r_factor) == (11, 38, 3.72, 72.4)


def test_what_the_far_end_reported_is_of_the_other_direction() -> None:
    """Calling-RTCP speaks of what was sent to the caller; its loss ratio is derived."""
    report = _window(
        _legs(parse(_stop(*ANSWERED, "Acme-Called-Packets_FS1 = 1000",
                          "Acme-Calling-RTCP-Packets-Lost_FS1 = 30",
                          "Acme-Calling-RTCP-Avg-Latency_FS1 = 42")))["pstn"],
        "out",
    )  # fmt: skip
    assert (report.lost_count, report.loss_ratio, report.rtt_ms) == (30, 0.03, 42.0)
    assert report.loss_method == "derived"


def test_zeros_without_any_measure_say_nothing() -> None:
    """Where QoS was not measured (no jitter, no score), a loss of 0 is no loss that was counted."""
    zeros = [f"Acme-Calling-{what}_FS1 = 0" for what in (
        "RTP-Packets-Lost", "RTP-Avg-Jitter", "RTP-MaxJitter", "RTCP-Packets-Lost",
        "RTCP-Avg-Jitter", "RTCP-Avg-Latency", "RTCP-MaxJitter", "RTCP-MaxLatency")]  # fmt: skip
    legs = _legs(parse(_stop(*ANSWERED, "Acme-Calling-Packets_FS1 = 900", *zeros,
                             "Acme-Calling-MOS = 0", "Acme-Post-Dial-Delay = 0")))  # fmt: skip
    (only,) = legs["pstn"].windows
    assert only.measures() == {"packet_count": 900}
    assert "sip.pdd_ms" not in legs["pstn"].facts


def test_the_bridge_at_the_callers_side() -> None:
    """A realm, a trunk group or an address given as the bridge's turns legs and directions."""
    for name in ("carrier-one", "US-EAST", "198.51.100.20", "198.51.100.20:5060"):
        parsed = parse(ORACLE_DETAIL, Reading(bridge=Bridge(frozenset({name}))))
        legs = _legs(parsed)
        assert legs["trunk"].ids["call_id"] == "f3a1c2d4-1"
        assert legs["trunk"].facts["sip.call.direction"] == "outbound"
        assert _window(legs["trunk"], "out").loss_ratio == 0.05
        assert legs["pstn"].facts["trunk.id"] == "livekit"


def test_a_call_that_never_left_has_one_leg() -> None:
    """Refused by the SBC: the ingress leg with the code, no egress leg, no media."""
    (only,) = parse((HERE / "broken-oracle.detail").read_bytes()).observations
    assert only.facts["sip.response.status_code"] == 403
    assert only.facts["sip.reason.q850"] == 21
    assert only.windows == only.untimed == ()


@pytest.mark.parametrize(
    "line, initiator",
    [("1", "caller"), ("2", "callee"), ("3", None), ("0", None), ("99", None)],
)
def test_who_hung_up(line: str, initiator: str | None) -> None:
    """Disconnect-Initiator 1 is the calling party, 2 the called one; the SBC itself is neither."""
    one = parse(_stop(*ANSWERED, f"Acme-Disconnect-Initiator = {line}")).observations[0]
    assert one.facts.get("sip.hangup.source") == initiator


@pytest.mark.parametrize(
    "told, seconds",
    [
        ("13:00:05.123 UTC Mon Nov 23 2026", 1_795_438_805.123),
        (".13:00:05.123 UTC Mon Nov 23 2026", 1_795_438_805.123),
        ("*13:00:05.123 UTC Mon Nov 23 2026", 1_795_438_805.123),
        ("h323-connect-time=13:00:05.123 UTC Mon Nov 23 2026", 1_795_438_805.123),
        ("13:00:05.123 UTC NOV 23 2026", 1_795_438_805.123),
        ("13:00:05 UTC Mon Nov 23 2026", 1_795_438_805.0),
        ("15:00:05.000 EET Mon Nov 23 2026", 1_795_438_805.0),
        ("17:00:05.000 GMT+4 Mon Nov 23 2026", 1_795_438_805.0),
        ("08:00:05.000 EST Mon Nov 23 2026", 1_795_438_805.0),
        ("25:00:05.000 UTC Mon Nov 23 2026", None),
        ("13:00:05.000 UTC Mon Foo 23 2026", None),
        ("yesterday", None),
    ],
)
def test_times_of_gateways(told: str, seconds: float | None) -> None:
    """Times are read with and without mark, weekday, milliseconds; garbage is no time."""
    line = f'h323-connect-time = "{told}"'
    assert parse(_stop(line)).observations[0].start == seconds


@pytest.mark.parametrize(
    "told, answered, cause",
    [("10", True, 16), ("0x10", True, 16), ("16", True, 16), ("16", False, 22), ("11", False, 17),
     ("22 (0x16)", False, 22), ("0", True, None), ("zz", True, None), ("FF", True, None)],
)  # fmt: skip
def test_causes_are_hexadecimal(told: str, answered: bool, cause: int | None) -> None:
    """h323-disconnect-cause is two hexadecimal digits; an answered call never ends with 0x16."""
    line = f'h323-disconnect-cause = "{told}"'
    one = parse(_stop(*(ANSWERED if answered else ()), line)).observations[0]
    assert one.facts.get("sip.reason.q850") == cause


@pytest.mark.parametrize(
    "lines, cause",
    [
        (('h323-disconnect-cause = "5"',), None),
        (('h323-disconnect-cause = "1"', "Acme-Disconnect-Cause = 0"), None),
        (('h323-disconnect-cause = "5"', "Acme-Disconnect-Cause = 21"), 21),
        (('h323-disconnect-cause = "11"', "Acme-Disconnect-Cause = 0"), 17),
    ],
)
def test_one_digit_of_an_oracle_sbc_is_no_cause(lines: tuple[str, ...], cause: int | None) -> None:
    """`5` stood in a real Stop beside User-Error: that is no cause of Q.850."""
    one = parse(_stop(*lines)).observations[0]
    assert one.facts.get("sip.reason.q850") == cause


def test_audiocodes_writes_causes_in_decimal() -> None:
    """The same attribute in AudioCodes' vendor space, or beside sip-call-id, is decimal."""
    data = (HERE / "made-packets.hex").read_bytes()
    busy = [one for one in parse(data).observations if one.record_id == "34833"]
    assert [one.facts["sip.reason.q850"] for one in busy] == [17]
    assert [one.facts["sip.call.outcome"] for one in busy] == ["busy"]


def test_sessions_of_a_gateway_are_legs_of_one_call() -> None:
    """Cisco's sessions are joined by h323-conf-id; `answer` came from the caller."""
    legs = _legs(parse(CISCO_DETAIL))
    first = parse(CISCO_DETAIL).observations[0]
    assert first.leg == "pstn"
    assert first.ids["call_id"] == "91C70123-E77A11F0"
    heard = _window(first, "in")
    assert heard.loss_ratio == pytest.approx(57 / (57 + 5719))
    assert (heard.lost_count, heard.discarded_count, heard.rtt_ms) == (57, 4, 35.0)
    assert legs["trunk"].bridge_end == "callee"


def test_who_released_the_call_at_a_gateway() -> None:
    """Cisco's release-source 3 and 4 are the called party; AudioCodes says which leg ended it."""
    assert parse(CISCO_DETAIL).observations[0].facts["sip.hangup.source"] == "callee"
    (one,) = parse((HERE / "made-audiocodes.detail").read_bytes()).observations
    assert one.facts["sip.hangup.source"] == "caller"


def test_the_tags_of_a_bye_tell_who_hung_up() -> None:
    """Kamailio's Stop has the BYE's tags: turned around when the callee sent it."""
    assert parse(KAMAILIO_DETAIL).observations[0].facts["sip.hangup.source"] == "callee"
    stop = KAMAILIO_DETAIL.replace(b'Sip-From-Tag = "SCL_tag9"', b'Sip-From-Tag = "as6d31"')
    assert parse(stop).observations[0].facts["sip.hangup.source"] == "caller"


def test_the_parties_of_a_bye_are_not_the_calls() -> None:
    """The callee's BYE names the callee as calling: caller and callee stay those of the INVITE."""
    one = parse(KAMAILIO_DETAIL).observations[0]
    assert one.facts["sip.caller.number"] == "+1*******01"
    assert one.facts["sip.callee.number"] == "+1*******99"


def test_sessions_of_no_call_are_ignored() -> None:
    """Accounting-On and a Wi-Fi session are well formed and say nothing of a call."""
    assert parse(KAMAILIO_DETAIL).ignored == 2


def test_packets_say_what_detail_files_say() -> None:
    """The same Stop as a packet, several attributes in one Vendor-Specific, gives the same loss."""
    parsed = parse(hex_lines(oracle_stop()))
    far = _window(_legs(parsed)["pstn"], "in")
    assert parsed.broken == ()
    assert (far.packet_count, far.lost_count, far.loss_ratio, far.mos) == (2850, 150, 0.05, 3.72)
    assert parsed.observations[0].facts["sip.hangup.source"] == "callee"


def test_packets_as_they_are() -> None:
    """Packets one after the other say what their hex lines say; a broken one ends the file."""
    other = packet(
        attribute(40, 2), attribute(44, "s"), vendor(ORACLE, attribute(3, "c@d.example"))
    )
    whole = parse(oracle_stop() + other)
    assert whole.observations == parse(hex_lines(oracle_stop(), other)).observations
    cut = parse(oracle_stop() + other[:-3])
    assert cut.observations == parse(oracle_stop()).observations
    assert [(one.line, one.reason) for one in cut.broken] == [(2, "the packet is truncated")]


def test_long_extended_attributes_are_put_together() -> None:
    """A vendor's attribute in fragments (RFC 6929 section 2.2) is read as one."""
    name = b"carrier-" + b"x" * 100
    parts = ((9148).to_bytes(4, "big") + bytes((41,)) + name[:50], name[50:])
    data = hex_lines(
        packet(attribute(40, 2), attribute(44, "s"), vendor(ORACLE, attribute(3, "c@d.example")),
               long_extended(245, 26, *parts))
    )  # fmt: skip
    assert parse(data).observations[0].ids["endpoint"] == name.decode()


def test_a_vendors_attributes_without_a_name_are_looked_up() -> None:
    """Attr-26.9148.3 = 0x... of a server without Oracle's dictionary is read all the same."""
    data = (
        b'Mon Nov 23 13:01:06 2026\n\tAcct-Status-Type = Stop\n\tAcct-Session-Id = "u"\n'
        b"\tAttr-26.9148.3 = 0x696e40612e6578616d706c65\n\tAttr-26.9148.71 = 0x000001e6\n"
        b"\tVendor-9148-Attr-41 = 0x6f6e65\n"
    )  # fmt: skip
    (one,) = parse(data).observations
    assert one.ids["call_id"] == "in@a.example"
    assert one.facts["sip.response.status_code"] == 486
    assert one.ids["endpoint"] == "one"


def test_no_number_stands_in_clear() -> None:
    """Numbers in headers, routing numbers and AV pairs are masked wherever they could turn up."""
    for file in HERE.iterdir():
        if not file.name.endswith((".json", ".toml")):
            assert "5551230" not in repr(parse(file.read_bytes()))


def test_line_ends_do_not_matter() -> None:
    """CRLF and LF say the same."""
    assert parse(ORACLE_DETAIL.replace(b"\n", b"\r\n")) == parse(ORACLE_DETAIL)


def test_broken_records_leave_the_others() -> None:
    """Each broken packet is told by its line, and the good one after them is read."""
    parsed = parse((HERE / "broken-packets.hex").read_bytes())
    assert [one.line for one in parsed.broken] == list(range(1, 11))
    assert [one.facts["sip.response.status_code"] for one in parsed.observations] == [404, 404]


@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 2**32), hexed=st.booleans())
def test_parsing_is_total(seed: int, hexed: bool) -> None:
    """Whatever bytes change, a reader gives observations, broken or ignored, and never raises."""
    chance = random.Random(seed)
    data = bytearray(oracle_stop() if hexed else ORACLE_DETAIL)
    for _ in range(chance.randint(1, 12)):
        data[chance.randrange(len(data))] = chance.randrange(256)
    parsed = parse(hex_lines(bytes(data)) if hexed else bytes(data))
    assert parsed.observations or parsed.broken or parsed.ignored
    assert all(one.line >= 1 and one.reason for one in parsed.broken)


def _detail(*lines: str) -> bytes:
    """One record of a `detail` file."""
    return ("Mon Nov 23 13:01:06 2026\n" + "".join(f"\t{line}\n" for line in lines)).encode()


MINIMAL = ("Acct-Status-Type = Stop", 'Acct-Session-Id = "s"')


def test_values_in_quotes_are_unescaped() -> None:
    r"""Octal escapes are bytes of UTF-8, `\"` and `\\` are themselves."""
    line = r'Acme-Session-Ingress-Realm = "caf\303\251 \"one\" \\ two"'
    (one,) = parse(_detail(*MINIMAL, line)).observations
    assert one.ids["endpoint"] == 'café "one" \\ two'


def test_attributes_that_are_not_known_are_passed_over() -> None:
    """An unnamed attribute of an unknown vendor or number, or of odd bytes, is no error."""
    odd = ("Attr-26.311.7 = 0x0102", "Attr-26.9148.250 = 0x01", "Attr-26.9148.3 = 0xzz",
           'Attr-26.9148.41 = "realm"', "Attr-26.5003.34 = 0x6140622e6578616d706c65")  # fmt: skip
    parsed = parse(_detail(*MINIMAL, *odd))
    assert parsed.broken == ()
    assert parsed.observations[0].ids["endpoint"] == "realm"


def test_requests_for_access_are_ignored() -> None:
    """A `detail` file of authentication says nothing of a call."""
    parsed = parse(_detail("Packet-Type = Access-Request", 'User-Name = "x"'))
    assert (parsed.observations, parsed.broken, parsed.ignored) == ((), (), 1)


def test_absurdly_many_lines_are_broken() -> None:
    """A record of more than a thousand attributes is none."""
    parsed = parse(_detail(*MINIMAL, *["Acme-Called-MOS = 1"] * 1100))
    assert [one.line for one in parsed.broken] == [1]


def test_a_connect_time_at_the_end_is_none() -> None:
    """A gateway that writes the end as connect time, with no session time, had no answer."""
    at = "13:24:58.000 UTC Mon Nov 23 2026"
    lines = (*MINIMAL, "Acct-Session-Time = 0", 'h323-call-origin = "originate"',
             f'h323-connect-time = "{at}"', f'h323-disconnect-time = "{at}"',
             'h323-disconnect-cause = "12"')  # fmt: skip
    (one,) = parse(_detail(*lines)).observations
    assert "sip.response.status_code" not in one.facts
    assert one.facts["sip.reason.q850"] == 18
    assert one.facts["sip.call.outcome"] == "timeout"


def test_output_of_the_servers_debug_mode() -> None:
    """`rad_recv:` lines begin records as times do; the numbers of AV pairs are hidden."""
    data = (
        b"rad_recv: Accounting-Request packet from host 192.0.2.5 port 60841, id=44, length=7\n"
        b"        Acct-Status-Type = Stop\n"
        b'        Acct-Session-Id = "110003f6 52fa39ed"\n'
        b'        Calling-Station-Id = "0015551230001"\n'
        b'        Cisco-AVPair = "xpgk-src-number-out=15551230001"\n'
        b'        Cisco-AVPair = "h323-remote-id=Trunk 15551230001"\n'
        b'        h323-conf-id = "110003f6 52fa39ed"\n'
        b'        h323-call-origin = "originate"\n'
        b'        h323-connect-time = "18:55:42.000 GMT+4 Tue Feb 11 2014"\n'
        b'        h323-disconnect-time = "18:56:22.000 GMT+4 Tue Feb 11 2014"\n'
        b'        h323-disconnect-cause = "10"\n'
        b"Sending Accounting-Response of id 44 to 192.0.2.5 port 60841\n"
    )
    parsed = parse(data)
    (one,) = parsed.observations
    assert one.facts["sip.call.duration_ms"] == 40_000.0
    assert one.facts["sip.reason.q850"] == 16
    assert "5551230001" not in repr(parsed)


def test_attestation_of_a_detail_file() -> None:
    """Acme-Stir-VS-Attest by name is the attestation level."""
    (one,) = parse(_detail(*MINIMAL, 'Acme-Stir-VS-Attest = "a"')).observations
    assert one.facts["sip.stir.attestation"] == "A"


def test_a_bye_without_its_start_knows_no_parties() -> None:
    """A Stop alone: answered, but neither who called whom, nor who hung up."""
    (one, _) = parse(KAMAILIO_DETAIL.split(b"\n\n")[1]).observations
    assert one.facts["sip.response.status_code"] == 200
    assert "sip.caller.number" not in one.facts
    assert "sip.hangup.source" not in one.facts


OTHER = (HERE / "made-other-fashions.detail").read_bytes()


def _other(record_id: str) -> list[Observation]:
    return [one for one in parse(OTHER).observations if one.record_id.startswith(record_id)]


def test_debug_output_with_the_requests_number() -> None:
    """FreeRADIUS 3 and later write `(31)    Name = value`; the refused call has code and phrase."""
    first, second = _other("180382")
    assert {first.leg, second.leg} == {"pstn", "trunk"}
    assert first.facts["sip.response.status_code"] == 484
    assert first.facts["sip.response.reason"] == "Address Incomplete"
    assert "sip.reason.q850" not in first.facts
    assert "5555550101" not in repr(parse(OTHER))


def test_a_registration_is_no_call() -> None:
    """An Oracle SBC that accounts for REGISTER says nothing of a call with it."""
    assert _other("reg-77") == []
    assert parse(OTHER).ignored == 1


def test_the_example_of_audiocodes_manuals() -> None:
    """Names in lower case, vendor and number before a name, a remark: one record."""
    (one,) = _other("1")[-1:]
    assert one.facts["sip.reason.q850"] == 16
    assert one.ids["linked_id"] == "02102944 600a1899 3fd61009 0e2f3cc5"
    assert one.ids["host"] == "198.51.100.214"


def test_when_a_gateways_leg_rang() -> None:
    """Cisco's alert-timepoint gives post-dial delay and ringing time."""
    (one,) = _other("0000002C")
    assert (one.facts["sip.pdd_ms"], one.facts["sip.ring_ms"]) == (2_400.0, 3_110.0)
    assert {mark.kind for mark in one.marks} == {"invite", "ringing", "answered", "hangup"}
    assert one.facts["sip.reason.q850"] == 16
    assert one.facts["sip.hangup.source"] == "caller"


@pytest.mark.parametrize(
    "told",
    ["2026-11-23_12:00:10", "2026-11-23 12:00:10", "2026-11-23T12:00:10.000000+0000",
     "Mon, 23 Nov 2026 13:00:10 +0100", "12:00:10.000 UTC Mon Nov 23 2026"],
)  # fmt: skip
def test_times_of_gatekeepers(told: str) -> None:
    """GNU Gatekeeper and its like write times of several fashions in h323-connect-time."""
    (one,) = parse(_detail(*MINIMAL, f"h323-connect-time = '{told}'")).observations
    assert one.start == 1_795_435_210.0
    assert one.facts["sip.response.status_code"] == 200


@pytest.mark.parametrize("told", ["00:00:00.000 UTC Thu Jan 1 1970", "1970-01-01 03:00:00"])
def test_a_connect_time_of_1970_is_none(told: str) -> None:
    """Who writes the beginning of the clock was not answered."""
    (one,) = parse(_detail(*MINIMAL, f'h323-connect-time = "{told}"')).observations
    assert one.start is None
    assert "sip.response.status_code" not in one.facts


def test_a_trunk_that_is_known_by_its_address_keeps_it() -> None:
    """A User-Name that is the peer's address (Sippy) is no person's, and hides no host."""
    lines = (*MINIMAL, 'User-Name = "198.51.100.20"', 'h323-remote-address = "198.51.100.20"')
    (one,) = parse(_detail(*lines)).observations
    assert one.ids["host"] == "198.51.100.20"


def test_a_vendors_name_before_an_attributes() -> None:
    """Dictionaries that tell vendors apart write Quintum-h323-conf-id, Cisco.h323-call-origin."""
    lines = (*MINIMAL, 'Quintum-h323-conf-id = "h323-conf-id=A B"',
             'Vendor-Specific.Cisco.h323-call-origin = "answer"')  # fmt: skip
    (one,) = parse(_detail(*lines)).observations
    assert one.ids["linked_id"] == "A B"
    assert one.leg == "pstn"


def test_legs_with_one_session_id_stay_two() -> None:
    """Sippy's B2BUA gives `answer` and `originate` the same Acct-Session-Id: they are two legs."""
    same = (*MINIMAL, 'h323-conf-id = "A B"', "Acct-Delay-Time = 1795438805",
            'h323-connect-time = "13:00:05.000 GMT Mon Nov 23 2026"',
            'h323-disconnect-time = "13:00:35.000 GMT Mon Nov 23 2026"')  # fmt: skip
    legs = [
        _detail(*same, f"h323-call-origin = '{origin}'", f"h323-remote-address = '{host}'")
        for origin, host in (("answer", "198.51.100.20"), ("originate", "203.0.113.7"))
    ]
    parsed = parse(b"\n".join(legs))
    assert {one.leg: one.ids["host"] for one in parsed.observations} == {
        "pstn": "198.51.100.20", "trunk": "203.0.113.7"
    }  # fmt: skip
    assert all(one.facts["sip.call.duration_ms"] == 30_000.0 for one in parsed.observations)


@pytest.mark.parametrize("told", ["20261123", "2026-11-23", "2026-W48-1"])
def test_a_day_alone_is_no_time(told: str) -> None:
    """It would be midnight, which nobody said."""
    (one,) = parse(_stop(f'h323-setup-time = "{told}"')).observations[:1]
    assert "invite" not in {mark.kind for mark in one.marks}


@pytest.mark.parametrize("line", [b"\x1f", b"\x1e  ", b"\x1c\x1d"])
def test_control_characters_are_no_blank_line(line: bytes) -> None:
    """Python strips them like blanks; here they are a record that cannot be read."""
    parsed = parse(line)
    assert (len(parsed.broken), parsed.ignored, parsed.observations) == (1, 0, ())
