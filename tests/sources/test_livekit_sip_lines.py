"""The bridge's log as people have it: the console's form, and lines in a shipper's wrapping."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.sources.captured import NAMES, data, lines

from trunktrace import conventions as c
from trunktrace.facts import Observation
from trunktrace.sources.kinds import kind_of
from trunktrace.sources.livekit import sip as livekit_sip
from trunktrace.sources.livekit.follow import follow
from trunktrace.sources.parsed import Broken, Parsed

ADDED = {"level", "ts", "logger", "caller", "msg"}
WRAPPINGS: dict[str, Callable[[str], str]] = {
    "docker compose": lambda line: f"sip-1  | {line}",
    "docker logs -t": lambda line: f"2026-11-23T10:11:12.123456789Z {line}",
    "container id": lambda line: f"0c5751a35fcf {line}",
    "kubectl --prefix": lambda line: f"[pod/livekit-sip-7c9/sip] {line}",
    "cri": lambda line: f"2026-11-23T10:11:12.123456789Z stderr F {line}",
    "journald": lambda line: f"Nov 23 10:11:12 host livekit-sip[123]: {line}",
    "json-file": lambda line: json.dumps({"log": line + "\n", "stream": "stderr"}),
    "journalctl -o json": lambda line: json.dumps({"MESSAGE": line, "PRIORITY": "6"}),
    "loki": lambda line: json.dumps({"line": line, "timestamp": "1795396157000000000"}),
}


def _console(record: dict[str, Any], gap: str = "\t", colour: str = "") -> str:
    """A record as zap writes it without `logging.json: true`."""
    at = datetime.fromtimestamp(record["ts"], UTC)
    text = f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03d}Z"
    level = f"{colour}{record['level'].upper()}" + ("\x1b[0m" if colour else "")
    columns = [text, level, record.get("logger"), record.get("caller"), record["msg"]]
    fields = json.dumps({key: value for key, value in record.items() if key not in ADDED})
    return gap.join([column for column in columns if column] + [fields])


def _records(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in data(name, "livekit-sip").splitlines()]


def _parsed(told: list[str]) -> Parsed:
    return livekit_sip.parse("\n".join(told).encode())


def _exact(parsed: Parsed) -> list[dict[str, Any]]:
    """What does not hang on the last digits of a time."""
    return [
        {
            "facts": {key: value for key, value in one.facts.items() if not key.endswith("_ms")},
            "ids": one.ids,
            "marks": [mark.kind for mark in one.marks],
            "windows": [(w.leg, w.direction, w.packet_count, w.loss_ratio) for w in one.windows],
            "attempts": [(a.status_code, a.failure, a.trunk_id) for a in one.attempts],
            "completeness": one.completeness,
        }
        for one in parsed.observations
    ]


@pytest.mark.parametrize("gap", ["\t", "    "], ids=["tabs", "blanks"])
@pytest.mark.parametrize("name", NAMES)
def test_the_consoles_form_says_the_same(name: str, gap: str) -> None:
    """A bridge without `logging.json` tells every fact that the JSON tells; nothing is broken."""
    parsed = _parsed([_console(record, gap) for record in _records(name)])
    assert parsed.broken == ()
    assert _exact(parsed) == _exact(livekit_sip.parse(data(name, "livekit-sip")))
    assert "1555" not in repr(parsed)


@pytest.mark.parametrize("wrap", WRAPPINGS.values(), ids=WRAPPINGS.keys())
@pytest.mark.parametrize("form", ["json", "console"])
def test_a_wrapping_changes_nothing(wrap: Callable[[str], str], form: str) -> None:
    """What docker, Kubernetes or journald put around a line is passed over, and recognised."""
    name = "05-outbound-answered"
    bare = [json.dumps(r) if form == "json" else _console(r) for r in _records(name)]
    wrapped = [wrap(line) for line in bare]
    assert _parsed(wrapped) == _parsed(bare)
    assert kind_of("\n".join(wrapped).encode()) == "livekit-sip"


def test_colours_and_a_local_clock_are_read() -> None:
    """ANSI colours around the level, and a time with an offset, as zap writes it."""
    told = [_console(record, colour="\x1b[34m") for record in _records("09-inbound-one-way")]
    told = [line.replace("Z\t", "+0000\t", 1) for line in told]
    parsed = _parsed(told)
    assert parsed.broken == ()
    assert _exact(parsed) == _exact(livekit_sip.parse(data("09-inbound-one-way", "livekit-sip")))


def test_a_message_without_a_gap_before_its_fields() -> None:
    """Terminals lose the tab between message and fields: the message is still known."""
    told = [_console(r).replace("\t{", "{", 1) for r in _records("06-outbound-486")]
    (one,) = _parsed(told).observations
    assert one.facts[c.SIP_RESPONSE_STATUS_CODE] == 486


def test_a_stack_is_no_broken_line() -> None:
    """Go's stack below an error, lines without fields and of Go's own logger are ignored."""
    told = [_console(record) for record in _records("06-outbound-486")]
    aside = [
        "2026-11-23T10:11:12.000Z\tINFO\tsip\tservice/service.go:161\tservice ready",
        "github.com/livekit/sip/pkg/sip.(*Server).processInvite",
        "\t/workspace/pkg/sip/inbound.go:231",
        "github.com/livekit/sip/pkg/sip.(*inboundCall).handleInvite.func1",
        "\t/workspace/pkg/sip/inbound.go:502 +0x1f4",
        "sync.(*Once).doSlow",
        "main.main",
        "2026/11/23 10:11:13 WARN SIP request handler not found caller=Server",
    ]
    parsed = _parsed([*told, *aside])
    assert parsed.broken == ()
    assert parsed.ignored == _parsed(told).ignored + len(aside)
    assert parsed.observations == _parsed(told).observations


def test_a_console_line_that_was_cut_is_broken() -> None:
    """A line whose fields end too early is named, and its numbers are not."""
    told = [_console(record) for record in _records("06-outbound-486")]
    parsed = _parsed([told[0][:-20], *told])
    assert parsed.broken == (Broken(1, "no JSON after the message"),)


def test_prose_between_lines_of_json_is_broken() -> None:
    """In a log of JSON nothing else is expected: such a line is told as broken."""
    good = data("06-outbound-486", "livekit-sip")
    parsed = livekit_sip.parse(b"something {else} happened\n" + good)
    assert [broken.line for broken in parsed.broken] == [1]


def test_the_consoles_form_can_be_followed(tmp_path: Path) -> None:
    """A growing log of the console's form gives each call when it is over."""
    told = [_console(record) for record in _records("07-outbound-503-failover")]
    path = tmp_path / "livekit-sip.log"
    path.write_text("\n".join(told) + "\n")
    seen = list(follow(path, wait=lambda _seconds: False))
    assert [type(one) for one in seen] == [Observation, Observation]


# Bridges of other versions -----------------------------------------------------------------------

T = 1_795_000_000.0


def _line(msg: str, at: float, **fields: Any) -> dict[str, Any]:
    """A line of 2025: no `direction`, no `transport`, no `jitterBuf`."""
    common = {"level": "info", "ts": T + at, "logger": "sip", "caller": "sip/inbound.go:178"}
    parties = {
        "fromIP": "192.0.2.7", "toIP": "192.0.2.1:5060", "fromHost": "carrier.example.com",
        "fromUser": "+12025550142", "toHost": "bridge.example.com", "toUser": "+12025550171",
    }  # fmt: skip
    return {**common, "msg": msg, "callID": "SCL_made00000002", **parties, **fields}


def _one(*records: dict[str, Any]) -> Observation:
    parsed = livekit_sip.parse(lines(*records))
    assert parsed.broken == ()
    (one,) = parsed.observations
    return one


def test_an_inbound_call_of_2025() -> None:
    """Without `direction` the messages tell it; `BYE` is what came before `BYE from remote`."""
    one = _one(
        _line("SDP offer", 0.0, sdp=""),
        _line("processing invite", 0.0),
        _line("Accepting the call", 1.0),
        _line("BYE", 20.0),
        _line("Closing inbound call", 20.1, status=486, reason="hangup"),
    )
    assert one.facts[c.SIP_CALL_DIRECTION] == "inbound"
    assert one.facts[c.SIP_HANGUP_SOURCE] == "caller"
    assert one.facts[c.SIP_CALL_DURATION_MS] == pytest.approx(19_000.0)
    assert one.claims["sip.hostname"] == "carrier.example.com"
    assert "5550" not in repr(one)


def test_an_outbound_call_of_2025() -> None:
    """Created, answered, ended by the callee: outbound, and one attempt."""
    one = _one(
        _line("Creating SIP participant", 0.0),
        _line("Outbound SIP call established", 4.0),
        _line("Closing outbound call", 9.0, reason="bye"),
    )
    assert one.facts[c.SIP_CALL_DIRECTION] == "outbound"
    assert one.facts[c.SIP_HANGUP_SOURCE] == "callee"
    assert one.claims["sip.hostname"] == "bridge.example.com"
    assert [attempt.status_code for attempt in one.attempts] == [200]


@pytest.mark.parametrize(
    "reason, who",
    [("bye", "callee"), ("rpc", "agent"), ("removed", "agent"), ("hangup", None),
     ("bye-q.850-38", "callee"), ("shutdown", "platform"), ("call transferred", None)],
)  # fmt: skip
def test_who_ended_an_outbound_call(reason: str, who: str | None) -> None:
    """`hangup` is the bridge's own end of an outbound call (its longest duration), not the far's.

    Source: livekit/sip, `outbound.go` (`ctx.Done()`), `client.go` (`onBye`), `EndCall`.
    """
    one = _one(
        _line("Creating SIP participant", 0.0),
        _line("Outbound SIP call established", 4.0),
        _line("Closing outbound call", 9.0, status="", result="success", reason=reason),
    )
    assert one.facts.get(c.SIP_HANGUP_SOURCE) == who


def test_an_inbound_call_that_the_bridge_ended_itself() -> None:
    """`hangup` without a BYE is the bridge's own end: a call's longest duration, or a shutdown.

    Source: livekit/sip of 2024 to 2026, `inbound.go` (`context.WithTimeout(ctx, MaxCallDuration)`,
    `closeWithHangup`; `onBye` logs each BYE at level info).
    """
    begun = [_line("processing invite", 0.0), _line("Accepting the call", 1.0)]
    closing = _line("Closing inbound call", 601.0, status=486, result="success", reason="hangup")
    one = _one(*begun, closing)
    assert c.SIP_HANGUP_SOURCE not in one.facts
    assert one.facts[c.SIP_CALL_DURATION_MS] == pytest.approx(600_000.0)
    ended = _one(*begun, _line("BYE from remote", 600.9), closing)
    assert ended.facts[c.SIP_HANGUP_SOURCE] == "caller"


def test_after_a_transfer_the_bridge_hangs_up() -> None:
    """The bridge ends a call that it passed on, unless the far end's BYE comes first."""
    begun = [
        _line("processing invite", 0.0),
        _line("Accepting the call", 1.0),
        _line("inbound call transferred", 8.0, transferTo="tel:+12025550199"),
    ]
    closing = _line("Closing inbound call", 9.0, status=486, reason="hangup")
    assert c.SIP_HANGUP_SOURCE not in _one(*begun, closing).facts
    ended = _one(*begun, _line("BYE from remote", 8.9), closing)
    assert ended.facts[c.SIP_HANGUP_SOURCE] == "caller"
    assert "5550" not in repr(ended)


@pytest.mark.parametrize(
    "reason, outcome, detail",
    [("cannot-subscribe", "failed", None), ("no-dispatch", "failed", None),
     ("no-common-codec", "failed", "media"), ("cancelled", "canceled", None),
     ("hangup", None, None), ("something new", None, None)],
)  # fmt: skip
def test_an_inbound_call_that_the_bridge_did_not_take(
    reason: str, outcome: str | None, detail: str | None
) -> None:
    """It failed, without a code: the closing line's 486 is none. An unknown reason says nothing."""
    closing = _line("Closing inbound call", 30.0, status=486, reason=reason)
    one = _one(_line("processing invite", 0.0), closing)
    assert one.facts.get(c.SIP_CALL_OUTCOME) == outcome
    assert one.facts.get(c.SIP_CALL_OUTCOME_DETAIL) == detail
    assert c.SIP_RESPONSE_STATUS_CODE not in one.facts
    # Where the log begins later, the call may have been answered before.
    assert c.SIP_CALL_OUTCOME not in _one(closing).facts or reason == "cancelled"
