"""The night in which clocks are set back: an hour of local time comes twice."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest
from tests.sources.asterisk import event, parse

from trunktrace.facts import Observation
from trunktrace.sources.reading import Reading
from trunktrace.sources.sbc.words import gateway_time
from trunktrace.sources.shapes.values import iso_time, strptime

BERLIN = ZoneInfo("Europe/Berlin")
LOCAL = Reading(zone=BERLIN)
BACK = 1792890000.0
"""2026-10-25 01:00 UTC: 03:00 there becomes 02:00."""


def _first(source: str, data: str, reading: Reading = LOCAL) -> Observation:
    parsed = parse(source, data, reading)
    assert parsed.broken == ()
    return parsed.observations[0]


@pytest.mark.parametrize(
    "after, second", [(None, 120.0 - 3600.0), (BACK - 3400.0, 120.0), (BACK + 3600.0, -3480.0)]
)
def test_an_hour_that_comes_twice(after: float | None, second: float) -> None:
    """The first hour is meant, unless only the second one is late enough."""
    assert iso_time("2026-10-25 02:02:00", BERLIN, after=after) == BACK + second
    assert strptime("25.10.26 02:02", "%d.%m.%y %H:%M", BERLIN, after=after) == BACK + second
    told = gateway_time("02:02:00.000 XYZ Sun Oct 25 2026", BERLIN, after=after)
    assert told == BACK + second


def test_a_time_with_an_offset_is_as_it_says() -> None:
    """Only a local time can mean two hours."""
    assert iso_time("2026-10-25T02:02:00+02:00", BERLIN, after=BACK) == BACK + 120.0 - 3600.0
    assert gateway_time("02:02:00 CEST Sun Oct 25 2026", BERLIN, after=BACK) == BACK - 3480.0


_ROW = (
    '"","+15555550142","+15555550143","in","","PJSIP/carrier-in-00000012","PJSIP/livekit-00000013",'
    '"Dial","","2026-10-25 {}","2026-10-25 {}","2026-10-25 {}",{},124,"ANSWERED","DOCUMENTATION",'
    '"{}",""\n'
)


@pytest.mark.parametrize(
    "times, duration, unique, span",
    [
        (("02:59:58", "02:00:03", "02:02:07"), 129, "", (-2.0, 127.0)),
        (("02:59:50", "02:59:55", "02:01:59"), 129, "", (-10.0, 119.0)),
        (("02:10:00", "02:10:05", "02:12:09"), 3729, "", (-3000.0, 729.0)),
        (("02:10:00", "02:10:05", "02:12:09"), 129, "1792890600.1", (600.0, 729.0)),
        (("02:10:00", "02:10:05", "02:12:09"), 129, "1792887000.1", (-3000.0, -2871.0)),
    ],
)
def test_rows_of_asterisk(
    times: tuple[str, str, str], duration: int, unique: str, span: tuple[float, float]
) -> None:
    """No row ends before it began; the id of the channel and the duration tell the hour, too."""
    one = _first("asterisk-cdr", _ROW.format(*times, duration, unique))
    assert (one.start, one.end) == (BACK + span[0], BACK + span[1])


def test_a_cdr_event_of_asterisk() -> None:
    """The `Cdr` event has the same times."""
    one = _first(
        "asterisk-ami",
        event(
            "Cdr",
            Channel="PJSIP/carrier-in-00000001",
            UniqueID="1792889998.1",
            StartTime="2026-10-25 02:59:58",
            EndTime="2026-10-25 02:02:07",
            Duration=129,
            Disposition="ANSWERED",
            BillableSeconds=124,
        ),
    )
    assert one.end == BACK + 127.0


def test_rows_of_an_sbc() -> None:
    """The window of the media is not turned around."""
    one = _first(
        "sbc-csv",
        "call_id,setup_time,answer_time,end_time,packet_count\n"
        "a-1,2026-10-25T02:59:58,2026-10-25T02:00:02,2026-10-25T02:00:30,1400\n",
    )
    assert (one.start, one.end) == (BACK - 2.0, BACK + 30.0)
    assert one.facts["sip.call.duration_ms"] == 28_000.0
    assert one.facts["sip.setup_ms"] == 4000.0


def test_a_session_of_a_gateway() -> None:
    """RADIUS with a zone whose name is not known."""
    one = _first(
        "radius",
        "Sun Oct 25 02:02:00 2026\n"
        "\tAcct-Status-Type = Stop\n"
        '\tAcct-Session-Id = "1"\n'
        '\th323-call-origin = "answer"\n'
        '\th323-setup-time = "02:59:50.000 XYZ Sun Oct 25 2026"\n'
        '\th323-connect-time = "02:59:58.000 XYZ Sun Oct 25 2026"\n'
        '\th323-disconnect-time = "02:01:00.000 XYZ Sun Oct 25 2026"\n',
    )
    assert (one.start, one.end) == (BACK - 10.0, BACK + 60.0)
    assert one.facts["sip.call.duration_ms"] == 62_000.0


def test_a_cdr_of_a_proxy() -> None:
    """Kamailio's CDR with local times."""
    one = _first(
        "kamailio-acc",
        "Oct 25 02:01:00 sbc1 kamailio[7]: NOTICE: acc [acc_cdr.c:395]: log_write_cdr(): "
        "start_time=2026-10-25 02:59:58; end_time=2026-10-25 02:00:58; duration=60.000; "
        "call_id=c1; src_user=a; dst_user=b\n",
    )
    assert (one.start, one.end) == (BACK - 2.0, BACK + 58.0)
