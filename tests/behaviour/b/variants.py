"""Calls of an unknown rig with what is true of them: for precision and recall."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .rig import Line
from .rig_inbound import Inbound
from .rig_outbound import Outbound, Try

Write = Callable[..., Path]
SETUP = ("call_setup_failure", None)
LOSS = ("media_degradation", "in")
DEAF = ("one_way_audio", "in")
MUTE = ("one_way_audio", "out")
LOOP = ("failover_loop", None)
WRONG = ("misrouting", None)
ANY = frozenset(
    {"none", "caller", "callee", "carrier", "network", "operator", "platform", "agent",
     "intermediary", None}
)  # fmt: skip
NOT_TRUNK = ANY - {"network", "carrier"}


@dataclass(frozen=True)
class Truth:
    """What must be found, what may be, and whose fault it may be called."""

    must: frozenset[tuple[str, str | None]] = frozenset()
    may: frozenset[tuple[str, str | None]] = frozenset()
    fault: frozenset[str | None] = ANY
    outcome: str | None = "answered"
    loss: float | None = None
    """Counted loss on the trunk towards the agent; None is that no ratio may stand there."""


@dataclass(frozen=True)
class Variant:
    """One call: how its folder is written, and what is true."""

    name: str
    write: Write
    truth: Truth


def _code(code: int, outcome: str, fault: set[str | None], *, phrase: str | None = None,
          ringing: bool = True) -> Variant:  # fmt: skip
    made = Outbound([Try("north", code, phrase, ringing)], seed=code)
    label = f"final-{code}" + (f"-{phrase}" if phrase else "") + ("" if ringing else "-no-18x")
    truth = Truth(frozenset({SETUP}), fault=frozenset(fault), outcome=outcome)
    return Variant(label, made.write, truth)


CODES = [
    _code(400, "failed", {"operator", "platform", None}),
    _code(401, "failed", {"operator"}),
    _code(403, "rejected", {"operator", None}),
    _code(404, "invalid_number", {"callee", "caller", "operator", "carrier", None}),
    _code(407, "failed", {"operator"}),
    _code(408, "timeout", {"carrier", "network", "callee", None}),
    _code(410, "invalid_number", {"callee", "caller", "operator", None}),
    _code(480, "no_answer", {"callee", None}),
    _code(480, "no_answer", {"callee", "carrier", None}, ringing=False),
    _code(484, "invalid_number", {"caller", "operator", "callee", "agent", None}),
    _code(486, "busy", {"callee"}),
    _code(488, "failed", {"operator", "carrier", "platform", None}),
    _code(500, "failed", {"carrier", None}),
    _code(502, "failed", {"carrier", None}),
    _code(503, "congestion", {"carrier", None}),
    _code(503, "congestion", {"operator"}, phrase="CPS limit exceeded"),
    _code(504, "timeout", {"carrier", None}),
    _code(600, "busy", {"callee"}),
    _code(603, "rejected", {None}),
    _code(603, "rejected", {"callee"}, phrase="Call declined"),
    _code(603, "blocked", {"intermediary"}, phrase="Network Blocked"),
    _code(604, "invalid_number", {"callee", "caller", "operator", None}),
    _code(607, "blocked", {"callee"}),
    _code(608, "blocked", {"intermediary"}),
]


def _loss(percent: float, **more: object) -> Variant:
    line = Line(talk=60.0, lost=lambda _: percent / 100, seed=int(percent * 10) + 3)
    call = Inbound(line, seed=int(percent * 10) + 100, **more)  # type: ignore[arg-type]
    must = frozenset({LOSS}) if percent >= 2 else frozenset()
    may = frozenset({LOSS}) if percent >= 0.5 else frozenset()
    fault = frozenset({"network"}) if percent >= 2 else frozenset({"none"})
    fault = fault if percent not in (0.5, 1) else frozenset({"none", "network"})
    return Variant(f"loss-{percent}", call.write, Truth(must, may, fault, loss=line.truth))


CLEAN = frozenset({"none"})


def _clean(name: str, call: Inbound | Outbound, fault: frozenset[str | None] = CLEAN) -> Variant:
    return Variant(name, call.write, Truth(fault=fault, loss=call.line.truth))


MEDIA = [
    *[_loss(percent) for percent in (0.2, 0.5, 1.0, 2.0, 5.0, 20.0)],
    Variant(
        "payload-nobody-can-decode",
        Inbound(Line(talk=30, heard=False), seed=201).write,
        Truth(frozenset({DEAF}), fault=ANY - {"none", "caller"}),
    ),
    Variant(
        "nothing-came-and-the-bridge-gave-up",
        Inbound(Line(talk=30, silent=((0.0, 30.0),)), seed=202, ended="media-timeout").write,
        Truth(frozenset({DEAF}), fault=frozenset({"network", None})),
    ),
    Variant(
        "died-in-the-middle-and-the-bridge-gave-up",
        Inbound(Line(talk=45, silent=((30.0, 45.0),)), seed=203, ended="media-timeout").write,
        Truth(frozenset({DEAF}), fault=frozenset({"network", None}), loss=0.0),
    ),
    Variant(
        "the-caller-hears-nothing",
        Outbound(
            [Try("north")],
            Line(talk=40),
            seed=204,
            room_stats={"track_subscribes": 0, "input_packets": 0, "input_bytes": 0},
        ).write,
        Truth(frozenset({MUTE}), fault=NOT_TRUNK, loss=0.0),
    ),
    Variant(
        "one-bad-minute-of-three",
        Inbound(
            Line(talk=180, lost=lambda s: 0.08 if 60 <= s < 120 else 0.0, seed=5), seed=205
        ).write,
        Truth(frozenset({LOSS}), fault=frozenset({"network"}), loss=-1),
    ),
    Variant(
        "bursts",
        Inbound(
            Line(talk=60, lost=lambda s: 0.6 if 10 <= s % 20 < 12 else 0.0, seed=6), seed=206
        ).write,
        Truth(frozenset({LOSS}), fault=frozenset({"network"}), loss=-1),
    ),
    Variant(
        "loss-on-the-agents-leg-only",
        Inbound(Line(talk=40, agent_lost=0.08, seed=8), seed=207).write,
        Truth(may=frozenset({LOSS}), fault=NOT_TRUNK, loss=0.0),
    ),
    _clean("agent-hangs-up", Inbound(Line(talk=30), seed=211, ended="agent")),
    _clean("very-short", Inbound(Line(talk=2.0, every=1.0), seed=212)),
    Variant(
        "very-short-and-nothing-came",
        Inbound(Line(talk=2.0, silent=((0.0, 2.0),)), seed=213).write,
        Truth(fault=frozenset({"none", None})),
    ),
    _clean("short-talk", Inbound(Line(talk=6.5, every=1.0), seed=214)),
    _clean("hold-of-seven-seconds", Inbound(Line(talk=60, silent=((25.0, 32.0),)), seed=215)),
    _clean(
        "silence-suppression",
        Inbound(Line(talk=60, silent=tuple((t, t + 2.0) for t in range(5, 55, 7))), seed=216),
    ),
    *[
        _clean(f"looked-at-each-{every}s", Inbound(Line(talk=40, every=every), seed=220 + every))
        for every in (1, 2, 4)
    ],
    _clean("counters-begin-again", Inbound(Line(talk=60, reset_at=31.0), seed=231)),
    _clean("the-last-sample-is-missing", Inbound(Line(talk=40, without_last=True), seed=232)),
    _clean("slow-llm", Inbound(Line(talk=60), seed=233, think=3.2), frozenset({"none", "agent"})),
    _clean(
        "stt-fails", Inbound(Line(talk=60), seed=234, stt_fails=True), frozenset({"none", "agent"})
    ),
    _clean("agent-never-speaks", Inbound(Line(talk=20), seed=235, agent_speaks=False), NOT_TRUNK),
    _clean("g722", Inbound(Line(talk=30), seed=236, codec="G722/8000")),
    _clean("long", Inbound(Line(talk=200, every=4), seed=237)),
    _clean("outbound", Outbound([Try("north")], Line(talk=30), seed=238)),
    _clean(
        "outbound-agent-hangs-up", Outbound([Try("north")], Line(talk=30), seed=239, ended="agent")
    ),
]


def _tries(name: str, must: set[tuple[str, str | None]], outcome: str, fault: set[str | None],
           *tries: Try, may: set[tuple[str, str | None]] | None = None) -> Variant:  # fmt: skip
    made = Outbound(list(tries), seed=300 + sum(map(ord, name)))
    loss = 0.0 if outcome == "answered" else None
    truth = Truth(frozenset(must), frozenset(may or ()), frozenset(fault), outcome, loss)
    return Variant(name, made.write, truth)


ROUTES = [
    _tries("refused-then-answered", set(), "answered", {"none"},
           Try("north", 503, ringing=False), Try("south")),
    _tries("three-trunks", set(), "answered", {"none"},
           Try("north", 503, ringing=False), Try("south", 500, ringing=False), Try("east")),
    _tries("refused-after-180-then-answered", set(), "answered", {"none"},
           Try("north", 503, ringing=True), Try("south")),
    _tries("the-same-trunk-again", set(), "answered", {"none"},
           Try("north", 503, ringing=False), Try("north")),
    _tries("five-trunks", {LOOP}, "answered", {"operator", "agent", "carrier", "none", None},
           *(Try(name, 503, ringing=False) for name in ("a", "b", "c", "d")), Try("e")),
    _tries("timed-out-then-answered", set(), "answered", {"none"},
           Try("north", 408, ringing=False), Try("south")),
    _tries("blocked-then-elsewhere", {LOOP}, "answered", {"operator", "agent", "none", None},
           Try("north", 607), Try("south")),
    _tries("all-refused", {SETUP}, "congestion", {"carrier", None},
           Try("north", 503, ringing=False), Try("south", 503, ringing=False)),
    _tries("around-in-a-circle", {LOOP}, "answered", {"operator", "agent", "carrier", "none", None},
           Try("north", 503, ringing=False), Try("south", 503, ringing=False), Try("north")),
    _tries("around-in-a-circle-and-refused", {LOOP, SETUP}, "congestion", ANY - {"none", "callee"},
           Try("north", 503, ringing=False), Try("south", 503, ringing=False),
           Try("north", 503, ringing=False)),
    _tries("busy-then-elsewhere", {LOOP}, "answered", {"operator", "agent", "none", None},
           Try("north", 486), Try("south")),
    _tries("declined-then-elsewhere", {LOOP, SETUP}, "rejected",
           {"callee", "operator", "agent", None},
           Try("north", 603), Try("south", 603)),
    _tries("loop-detected", {LOOP, SETUP}, "loop", {"operator", "carrier", None},
           Try("north", 482)),
    _tries("nobody-answers", {SETUP}, "no_answer", {"callee", None}, Try("north", None, took=8.0)),
    _tries("nothing-at-all", {SETUP}, "timeout", {"network", "carrier", None},
           Try("north", None, ringing=False, took=8.0)),
]  # fmt: skip

_PAI = {"From": '"A" <sip:{0}@x.example>;tag=1', "To": "<sip:+15557410258@y.example>"}


def _headers(number: str, asserted: str, **more: str) -> dict[str, str]:
    return {
        "From": f'"Desk" <sip:{number}@x.example>;tag=1', "To": "<sip:+15557410258@y.example>",
        "P-Asserted-Identity": f"<sip:{asserted}@carrier.example>", **more,
    }  # fmt: skip


IDENTITY = [
    _clean(
        "withheld",
        Inbound(
            Line(talk=20),
            seed=401,
            from_user="anonymous",
            headers=_headers("anonymous", "+15553216549", Privacy="id"),
        ),
    ),
    _clean(
        "same-identity",
        Inbound(Line(talk=20), seed=402, headers=_headers("+15553216549", "+15553216549")),
    ),
    _clean(
        "same-identity-other-spelling",
        Inbound(Line(talk=20), seed=403, headers=_headers("+15553216549", "15553216549")),
    ),
    Variant(
        "another-identity",
        Inbound(Line(talk=20), seed=404, headers=_headers("+15553216549", "+15559998877")).write,
        Truth(frozenset({WRONG}), loss=0.0),
    ),
]

ALL = [*CODES, *MEDIA, *ROUTES, *IDENTITY]
