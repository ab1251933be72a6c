"""Every attribute, span, event and metric name of trunktrace, spelled once.

The reference page in the docs is generated from this module. Namespaces: `sip.*` says what any SIP
element could say, `trunk.*` is commercial and routing identity, `rtp.*` is the trunk leg, `webrtc.*`
the agent leg, `pstn.*` what lies beyond the carrier's edge, `trunktrace.*` our own diagnosis.
Unknown is absent: never 0, never "", never an enum value `unknown` (one exception: `trunk.carrier`
on the root of a call over SIP whose carrier nobody could name, at its end).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

SCHEMA_URL: Final = "trunktrace/0.1"
"""Sent with our own spans and metrics; experimental: names may still change."""

SCOPE_NAME: Final = "trunktrace"
"""Instrumentation scope of our own spans and metrics."""

MAX_STRING_CHARACTERS: Final = 255
"""String values are cut here: Jaeger on Elasticsearch ignores longer ones."""

Type = Literal["string", "int", "double", "boolean", "string[]"]
Scope = Literal["inherited", "root", "event", "span", "metric"]
Privacy = Literal["public", "masked", "pseudonym", "pii"]


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute key: what it means, where it stands, and how private its value is."""

    key: str
    type: Type
    scope: Scope
    brief: str
    unit: str | None = None
    privacy: Privacy = "public"
    source: str = "any"


_table: dict[str, Attribute] = {}


def _define(
    key: str,
    type: Type,
    scope: Scope,
    brief: str,
    *,
    unit: str | None = None,
    privacy: Privacy = "public",
    source: str = "any",
) -> str:
    _table[key] = Attribute(key, type, scope, brief, unit, privacy, source)
    return key


# fmt: off
# One line a key: the table is read as a table.
# Inherited: on the root call span and on every span below it -----------------------------------
TRUNK_CARRIER: Final = _define("trunk.carrier", "string", "inherited", "slug of the carrier: `twilio`, `telnyx`, or the name in the directory", source="directory, host, provider id")
TRUNK_ROUTE: Final = _define("trunk.route", "string", "inherited", "the operator's name for route, gateway or trunk: `us-east/primary`", source="directory")
TRUNK_REGION: Final = _define("trunk.region", "string", "inherited", "signalling or media region of the trunk: `us1`", source="directory, host")
SIP_CALL_DIRECTION: Final = _define("sip.call.direction", "string", "inherited", "`inbound` or `outbound`, from the agent's side", source="livekit")
SIP_RESPONSE_STATUS_CODE: Final = _define("sip.response.status_code", "int", "inherited", "final answer to the INVITE: 200 once answered, else the failure code", source="livekit, carrier")
RTP_CODEC: Final = _define("rtp.codec", "string", "inherited", "lower-case IANA subtype negotiated on the trunk leg: `pcmu`, `g722`", source="bridge log, carrier, user")
RTP_LOSS_RATIO: Final = _define("rtp.loss_ratio", "double", "inherited", "trunk-leg loss of the part of the call that the span belongs to: spans of a turn, towards the agent over the caller's speech; `tts_*` and `agent_speaking`, towards the caller over their own time; others, towards the agent over their own time; root, the worse direction of the whole call", unit="1", source="bridge, carrier, estimate")
RTP_LOSS_METHOD: Final = _define("rtp.loss_method", "string", "inherited", "beside every `rtp.loss_ratio`: `counted` by a receiver on that leg, `derived` from what its record holds instead of a count (a mean interval, whole percents), or `estimated` by the agent from its packet rate", source="as rtp.loss_ratio")

# Root call span only ---------------------------------------------------------------------------
TRUNK_ID: Final = _define("trunk.id", "string", "root", "LiveKit `ST_`, Twilio `TK`, Telnyx connection id", source="livekit")
TRUNK_FAULT: Final = _define("trunk.fault", "string", "root", "whose fault a failure is: `none`, `caller`, `callee`, `carrier`, `network`, `operator`, `platform`, `agent`, `intermediary`", source="diagnosis")
TRUNK_FAILOVER_COUNT: Final = _define("trunk.failover.count", "int", "root", "advances to another trunk")
TRUNK_FAILOVER_PATH: Final = _define("trunk.failover.path", "string", "root", "`telnyx:503>twilio:200`")
SIP_CALL_ID: Final = _define("sip.call_id", "string", "root", "SIP `Call-ID` of the leg at the bridge; its host part is cut if it is an IP address", source="livekit")
SIP_SESSION_ID: Final = _define("sip.session_id", "string", "root", "RFC 7989 Session-ID, 32 hex digits", source="header")
SIP_PROVIDER_CALL_ID: Final = _define("sip.provider.call_id", "string", "root", "Twilio CallSid, Telnyx call leg id, Amazon contact id", source="livekit")
LIVEKIT_SIP_CALL_ID: Final = _define("livekit.sip.call_id", "string", "root", "LiveKit `SCL_`, the key of livekit-sip's own logs", source="livekit")
LIVEKIT_SIP_RULE_ID: Final = _define("livekit.sip.rule_id", "string", "root", "LiveKit `SDR_`, the dispatch rule of an inbound call", source="livekit")
SIP_CALL_OUTCOME: Final = _define("sip.call.outcome", "string", "root", "`answered`, `busy`, `no_answer`, `rejected`, `blocked`, `invalid_number`, `canceled`, `timeout`, `congestion`, `failed`, `loop`, `redirected`")
SIP_CALL_OUTCOME_DETAIL: Final = _define("sip.call.outcome_detail", "string", "root", "`auth`, `identity`, `media`, `our_limit`, `billing`, ...")
SIP_RESPONSE_REASON: Final = _define("sip.response.reason", "string", "root", "reason phrase of the final response")
SIP_REASON_Q850: Final = _define("sip.reason.q850", "int", "root", "Q.850 cause from `Reason` (RFC 3326)")
SIP_HANGUP_SOURCE: Final = _define("sip.hangup.source", "string", "root", "`caller`, `callee`, `agent`, `carrier`, `platform`; absent where the evidence does not reach")
SIP_SETUP_MS: Final = _define("sip.setup_ms", "double", "root", "INVITE to 2xx", unit="ms")
SIP_PDD_MS: Final = _define("sip.pdd_ms", "double", "root", "INVITE to first 18x", unit="ms")
SIP_RING_MS: Final = _define("sip.ring_ms", "double", "root", "first 18x to 2xx", unit="ms")
SIP_CALL_DURATION_MS: Final = _define("sip.call.duration_ms", "double", "root", "answer to BYE", unit="ms")
SIP_ATTEMPT_COUNT: Final = _define("sip.attempt_count", "int", "root", "INVITEs sent for this call")
SIP_DTMF_COUNT: Final = _define("sip.dtmf_count", "int", "root", "DTMF digits received; the digits themselves are never recorded", source="livekit")
SIP_TRANSPORT: Final = _define("sip.transport", "string", "root", "`udp`, `tcp`, `tls`")
SIP_MEDIA_ENCRYPTION: Final = _define("sip.media_encryption", "string", "root", "`none`, `srtp`")
SIP_STIR_ATTESTATION: Final = _define("sip.stir.attestation", "string", "root", "`A`, `B`, `C`, `none`")
SIP_ANSWERED_BY: Final = _define("sip.answered_by", "string", "root", "`human`, `machine`")
SIP_CALLER_NUMBER: Final = _define("sip.caller.number", "string", "root", "country code and last two digits, `+1*******34`; what is not E.164 is masked whole", privacy="masked")
SIP_CALLEE_NUMBER: Final = _define("sip.callee.number", "string", "root", "country code and last two digits, `+1*******34`; what is not E.164 is masked whole", privacy="masked")
SIP_CALLER_HASH: Final = _define("sip.caller.hash", "string", "root", "`KEYID:` and HMAC-SHA256 of the E.164 number, first 16 hex digits; absent without a key", privacy="pseudonym")
SIP_CALLEE_HASH: Final = _define("sip.callee.hash", "string", "root", "`KEYID:` and HMAC-SHA256 of the E.164 number, first 16 hex digits; absent without a key", privacy="pseudonym")
SIP_CALLER_COUNTRY: Final = _define("sip.caller.country", "string", "root", "ISO 3166 alpha-2")
SIP_CALLEE_COUNTRY: Final = _define("sip.callee.country", "string", "root", "ISO 3166 alpha-2")
SIP_CALLER_PII_NUMBER: Final = _define("sip.caller.pii.number", "string", "root", "in clear; only if asked for", privacy="pii")
SIP_CALLEE_PII_NUMBER: Final = _define("sip.callee.pii.number", "string", "root", "in clear; only if asked for", privacy="pii")
RTP_PAYLOAD_TYPE: Final = _define("rtp.payload_type", "int", "root", "RTP payload type")
RTP_CLOCK_RATE_HZ: Final = _define("rtp.clock_rate_hz", "int", "root", "RTP clock rate", unit="Hz")
RTP_PTIME_MS: Final = _define("rtp.ptime_ms", "int", "root", "packet time", unit="ms")
RTP_RTT_MS: Final = _define("rtp.rtt_ms", "double", "root", "round-trip time of the trunk leg, mean", unit="ms")
RTP_RTT_MAX_MS: Final = _define("rtp.rtt_max_ms", "double", "root", "round-trip time of the trunk leg, largest", unit="ms")
PSTN_RTT_MS: Final = _define("pstn.rtt_ms", "double", "root", "round-trip time beyond the edge", unit="ms", source="PBX, SBC, carrier")
PSTN_LOSS_METHOD: Final = _define("pstn.loss_method", "string", "root", "beside a loss beyond the edge: `counted`, or `derived` from what its record holds instead of a count", source="as pstn.{in,out}.loss_ratio")
WEBRTC_RTT_MS: Final = _define("webrtc.rtt_ms", "double", "root", "round-trip time of the agent leg", unit="ms")
WEBRTC_IN_CONCEALMENT_RATIO: Final = _define("webrtc.in.concealment_ratio", "double", "root", "share of samples that the agent's jitter buffer made up", unit="1")
TRUNKTRACE_MEDIA_STATE: Final = _define("trunktrace.media.state", "string", "root", "`good`, `degraded`, `bad`, `one_way`")
TRUNKTRACE_FAILURE_MODE: Final = _define("trunktrace.failure.mode", "string", "root", "the worst of `call_setup_failure`, `one_way_audio`, `failover_loop`, `media_degradation`, `misrouting`, `compliance`, in this order; absent when none")
TRUNKTRACE_FAILURE_EVIDENCE: Final = _define("trunktrace.failure.evidence", "string[]", "root", "rule ids: `OWA-1`, `FOL-2`")
TRUNKTRACE_RECORDING_START_DELAY_MS: Final = _define("trunktrace.recording.start_delay_ms", "double", "root", "answer to the first recorded audio", unit="ms")
TRUNKTRACE_DEAD_AIR_MS: Final = _define("trunktrace.dead_air_ms", "double", "root", "longest time of the call in which neither side was heard to speak", unit="ms", source="the audio that the agent received and sent")
TRUNKTRACE_LINK_TRACE_ID: Final = _define("trunktrace.link.trace_id", "string", "root", "trace id that a SIP header of the far end told without a span id, so that no span link could be made of it: 32 hex digits", source="header")
TRUNKTRACE_SOURCES: Final = _define("trunktrace.sources", "string[]", "root", "who said what: `livekit`, `directory`, `api`, `livekit-sip`, ...")

# Events ----------------------------------------------------------------------------------------
EVENT_SIP_STATE: Final = "sip.state"
EVENT_SIP_LEG: Final = "sip.leg"
EVENT_WINDOW: Final = "trunk.window"
EVENT_FAILURE: Final = "trunktrace.failure"
EVENT_FACT_CONFLICT: Final = "trunktrace.fact_conflict"
SIP_CALL_STATE: Final = _define("sip.call.state", "string", "event", "`dialing`, `ringing`, `automation`, `active`, `hangup`", source="livekit")
LIVEKIT_DISCONNECT_REASON: Final = _define("livekit.disconnect_reason", "string", "event", "LiveKit's DisconnectReason, lower case, on `sip.state` hangup and `sip.leg`. `client_initiated` does not say who hung up: a 503 and a media timeout look the same", source="livekit")
TRUNKTRACE_LEG: Final = _define("trunktrace.leg", "string", "event", "`agent`, `trunk`, `pstn`")
RTP_DIRECTION: Final = _define("rtp.direction", "string", "event", "`in` towards the agent, `out` towards the caller")
TRUNKTRACE_WINDOW_START_UNIX_MS: Final = _define("trunktrace.window.start_unix_ms", "int", "event", "start of the time that is spoken of", unit="ms")
TRUNKTRACE_WINDOW_END_UNIX_MS: Final = _define("trunktrace.window.end_unix_ms", "int", "event", "end of the time that is spoken of", unit="ms")
CONFLICT_KEY: Final = _define("trunktrace.conflict.key", "string", "event", "the key on which two sources disagree")
CONFLICT_KEPT: Final = _define("trunktrace.conflict.kept", "string", "event", "the value that stands")
CONFLICT_KEPT_SOURCE: Final = _define("trunktrace.conflict.kept_source", "string", "event", "who said it")
CONFLICT_REFUSED: Final = _define("trunktrace.conflict.refused", "string", "event", "the value that was refused")
CONFLICT_REFUSED_SOURCE: Final = _define("trunktrace.conflict.refused_source", "string", "event", "who said that")

TRACEPARENT_ATTRIBUTE: Final = "trunktrace.traceparent"
"""Of a LiveKit SIP participant, not of a span: what `attributes_to_headers` puts on its BYE."""

# Spans of our own ------------------------------------------------------------------------------
SPAN_CALL: Final = "sip.call"
SPAN_INVITE: Final = "sip.invite"
SPAN_REFER: Final = "sip.refer"
SPAN_RECORD: Final = "trunk.record"
SIP_ATTEMPT_NUMBER: Final = _define("sip.attempt.number", "int", "span", "on `sip.invite`: which INVITE of the call this was, those beside it too, counted from 1", source="livekit")
SIP_ATTEMPT_PROGRESS: Final = _define("sip.attempt.progress", "boolean", "span", "on `sip.invite`: whether a 18x came before the final answer: progress, not proof of ringing; absent where nobody saw the participant, or its end came before the room could tell", source="livekit")
SIP_RETRY_AFTER_MS: Final = _define("sip.retry_after_ms", "double", "span", "on `sip.invite`: Retry-After (RFC 3261, 20.33), where a source states it", unit="ms")
SIP_REFER_TARGET: Final = _define("sip.refer.target", "string", "span", "on `sip.refer`: whom the caller was sent to: country code and last two digits; what is not E.164 is masked whole", privacy="masked", source="livekit")
LIVEKIT_TRANSFER_REASON: Final = _define("livekit.transfer_reason", "string", "span", "on `sip.refer`: LiveKit's word for how a transfer ended, lower case: `rejected`, `ringing_timeout`", source="livekit")
TRUNKTRACE_UNOBSERVABLE: Final = _define("trunktrace.unobservable", "string[]", "span", "on `sip.invite`: keys that nobody can state of this attempt, because it was asked for without `wait_until_answered`, or its room was not seen")
TRUNKTRACE_LINK_HEADER: Final = _define("trunktrace.link.header", "string", "span", "on a span link of the root: the SIP header in which the far end told its trace, `X-Traceparent` and the like", source="header")
TRUNKTRACE_SOURCE: Final = _define("trunktrace.source", "string", "span", "on `trunk.record`: the system that wrote the record")
TRUNKTRACE_MATCH_METHOD: Final = _define("trunktrace.match.method", "string", "span", "on `trunk.record`: by which id the record was joined to the call")
TRUNKTRACE_RECORD_COMPLETENESS: Final = _define("trunktrace.record.completeness", "string", "span", "on `trunk.record`: `partial` or `complete`")
ERROR_TYPE: Final = _define("error.type", "string", "span", "the SIP code as a string, or `timeout`, `dns`, `transport`, `sdp`, `carrier_blocked`, `no_bridge`, `auth`, `unanswered`; the exception's class on `sip.call`, and where an attempt ended by something else")

TRUNK_FAILOVER_TO_CARRIER: Final = _define("trunk.failover.to_carrier", "string", "metric", "on `trunk.failovers`: the carrier that the call went to; `trunk.carrier` is the one it left")
VOICE_AGENT_TRANSFER_TO: Final = _define("voice_agent.transfer.to", "string", "metric", "`human` or `other`; also on `sip.refer`")
VOICE_AGENT_TRANSFER_RESULT: Final = _define("voice_agent.transfer.result", "string", "metric", "`completed` or `failed`; also on `sip.refer`, absent there where our side gave the request up")
VOICE_AGENT_TASK_RESULT: Final = _define("voice_agent.task.result", "string", "metric", "`completed`, `failed`, `abandoned`")
GEN_AI_EVALUATION_NAME: Final = _define("gen_ai.evaluation.name", "string", "metric", "name of the evaluation (OpenTelemetry GenAI)")
RTP_MOS_ALGORITHM: Final = _define("rtp.mos_algorithm", "string", "metric", "on `rtp.mos`: `g107-2015`, `vendor`, `freeswitch`, `mes`, `rtpengine`")
TRUNKTRACE_PLACE: Final = _define("trunktrace.place", "string", "metric", "on `trunktrace.internal_errors`: where it went wrong, a name in our code")

# fmt: on
# Media keys, by leg and direction --------------------------------------------------------------
_MEDIA: Final[tuple[tuple[str, Type, str | None, str], ...]] = (
    ("packet_count", "int", None, "packets received in that direction"),
    ("lost_count", "int", None, "packets lost in that direction"),
    ("discarded_count", "int", None, "packets that came too late to be played"),
    ("loss_ratio", "double", "1", "packets lost of packets sent"),
    ("burst_ratio", "double", "1", "burst ratio as in ITU-T G.107; 1 is random loss"),
    ("jitter_ms", "double", "ms", "interarrival jitter (RFC 3550), mean"),
    ("jitter_max_ms", "double", "ms", "interarrival jitter (RFC 3550), largest"),
    ("clipping_ratio", "double", "1", "share of voiced samples that are clipped"),
    ("silence_ratio", "double", "1", "share of the time that is silent"),
    ("level_dbfs", "double", "dBFS", "level of voiced audio, relative to full scale"),
    ("gap_count", "int", None, "holes of 80 ms or more in the audio that arrived"),
    ("mos", "double", None, "mean opinion score, 1 to 4.5"),
    ("r_factor", "double", None, "transmission rating of ITU-T G.107"),
    ("mos_algorithm", "string", None, "`g107-2015`, `vendor`, `freeswitch`, `mes`, `rtpengine`"),
)  # fmt: skip
_PREFIX: Final = {"trunk": "rtp", "agent": "webrtc", "pstn": "pstn"}
_PLACES: Final = {"trunk": "the trunk leg", "agent": "the agent leg", "pstn": "beyond the edge"}
_SUFFIXES: Final = {
    "trunk": frozenset(suffix for suffix, *_ in _MEDIA),
    "agent": frozenset({"loss_ratio", "jitter_ms"}),
    "pstn": frozenset(suffix for suffix, *_ in _MEDIA)
    - {"clipping_ratio", "silence_ratio", "level_dbfs", "gap_count"},
}
"""What has a key on each leg: beyond the edge, what a carrier, PBX or SBC counts there."""


def _define_media() -> dict[tuple[str, str, str], str]:
    keys: dict[tuple[str, str, str], str] = {}
    for leg, prefix in _PREFIX.items():
        for direction, towards in (("in", "the agent"), ("out", "the caller")):
            for suffix, type, unit, brief in _MEDIA:
                if suffix not in _SUFFIXES[leg]:
                    continue
                keys[leg, direction, suffix] = _define(
                    f"{prefix}.{direction}.{suffix}",
                    type,
                    "root",
                    f"{brief}; {_PLACES[leg]}, towards {towards}",
                    unit=unit,
                )
    return keys


MEDIA_KEYS: Final = _define_media()
"""(leg, direction, fact) to key: `("trunk", "in", "loss_ratio")` is `rtp.in.loss_ratio`."""

MEDIA_KEYS["agent", "in", "concealment_ratio"] = WEBRTC_IN_CONCEALMENT_RATIO

ROUND_TRIP_KEYS: Final = {
    ("trunk", "rtt_ms"): RTP_RTT_MS,
    ("agent", "rtt_ms"): WEBRTC_RTT_MS,
    ("pstn", "rtt_ms"): PSTN_RTT_MS,
}
"""(leg, fact) to key, for what has no direction."""

ATTRIBUTES: Final[dict[str, Attribute]] = dict(_table)
"""Every key of ours by its name, in the order of this page."""

INHERITED_BY_DEFAULT: Final = (
    TRUNK_CARRIER,
    TRUNK_ROUTE,
    TRUNK_REGION,
    SIP_CALL_DIRECTION,
    SIP_RESPONSE_STATUS_CODE,
    RTP_CODEC,
    RTP_LOSS_RATIO,
    RTP_LOSS_METHOD,
)
"""The seven keys that children carry, and the method that stands beside a loss."""

FAULTS: Final = (
    "none", "caller", "callee", "carrier", "network", "operator", "platform", "agent",
    "intermediary",
)  # fmt: skip
"""Values of `trunk.fault`."""

OUTCOMES: Final = (
    "answered", "busy", "no_answer", "rejected", "blocked", "invalid_number", "canceled", "timeout",
    "congestion", "failed", "loop", "redirected",
)  # fmt: skip
"""Values of `sip.call.outcome`."""

UNKNOWN_CARRIER: Final = "unknown"
"""`trunk.carrier` on the root of a call over SIP whose carrier nobody could name."""

FAILURE_MODES: Final = (
    "call_setup_failure", "one_way_audio", "failover_loop", "media_degradation", "misrouting",
    "compliance",
)  # fmt: skip
"""Values of `trunktrace.failure.mode`, the worst first. The first five are the trunk's; the last is
evidence for the operator: a recording that began late or never."""

MEDIA_STATES: Final = ("good", "degraded", "bad", "one_way")
"""Values of `trunktrace.media.state`."""

MOS_ALGORITHM: Final = "g107-2015"
"""Ours; a vendor's score is never mixed with it."""

# Metrics -----------------------------------------------------------------------------------------
Instrument = Literal["counter", "histogram", "observable_counter", "observable_updowncounter"]


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric: its instrument, its unit, what it answers, and how its values are split.

    `attributes` are those beside carrier, route, region and direction, which stand on every metric
    of a call (`of_call`). `bounds` are the bucket bounds of a histogram.
    """

    name: str
    instrument: Instrument
    unit: str
    brief: str
    attributes: tuple[str, ...] = ()
    bounds: tuple[float, ...] = ()
    of_call: bool = True


CALL_LABELS: Final = (TRUNK_CARRIER, TRUNK_ROUTE, TRUNK_REGION, SIP_CALL_DIRECTION)
"""On every metric of a call. Never a number, a Call-ID or a room name."""

_SETUP_S: Final = (0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 8.0, 13.0, 20.0, 30.0, 60.0)
_DURATION_S: Final = (6.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1200.0, 1800.0, 3600.0)
_FIRST_AUDIO_S: Final = (0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0)
_LOSS: Final = (0.001, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2)
_JITTER_S: Final = (0.001, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1)
_RTT_S: Final = (0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.6, 1.0)
_MOS: Final = (1.5, 2.0, 2.5, 3.0, 3.5, 3.8, 4.0, 4.2, 4.4)
_SCORE: Final = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)

SIP_INVITES: Final = "sip.invites"
SIP_CALL_SETUP_DURATION: Final = "sip.call.setup.duration"
SIP_CALL_PDD: Final = "sip.call.pdd"
SIP_CALL_DURATION: Final = "sip.call.duration"
SIP_CALLS_ACTIVE: Final = "sip.calls.active"
SIP_CALLS_DROPPED: Final = "sip.calls.dropped"
TRUNK_FAILOVERS: Final = "trunk.failovers"
RTP_LOSS_METRIC: Final = "rtp.loss.ratio"
RTP_CLIPPING_METRIC: Final = "rtp.clipping.ratio"
RTP_JITTER_METRIC: Final = "rtp.jitter"
RTP_RTT_METRIC: Final = "rtp.rtt"
RTP_MOS_METRIC: Final = "rtp.mos"
RTP_CALLS: Final = "rtp.calls"
FAILURES: Final = "trunktrace.failures"
TIME_TO_FIRST_AUDIO: Final = "voice_agent.time_to_first_audio"
TURN_RESPONSE_TIME: Final = "voice_agent.turn.response_time"
USER_TURNS: Final = "voice_agent.user_turns"
USER_CORRECTIONS: Final = "voice_agent.user_corrections"
AGENT_TURNS: Final = "voice_agent.agent_turns"
BARGE_INS: Final = "voice_agent.barge_ins"
TRANSFERS: Final = "voice_agent.transfers"
TASKS: Final = "voice_agent.tasks"
EVALUATION_SCORE: Final = "gen_ai.evaluation.score"
INTERNAL_ERRORS: Final = "trunktrace.internal_errors"
FACTS_DROPPED: Final = "trunktrace.facts.dropped"
CALLS_EVICTED: Final = "trunktrace.calls.evicted"

_TOWARDS: Final = (RTP_DIRECTION,)
# fmt: off
METRICS: Final = (
    Metric(SIP_INVITES, "counter", "{invite}", "final answers to INVITEs: response-code distribution, invite success rate (RFC 6076 SER); inbound failures never reach an agent", (SIP_RESPONSE_STATUS_CODE, SIP_CALL_OUTCOME)),
    Metric(SIP_CALL_SETUP_DURATION, "histogram", "s", "call setup duration: INVITE to 2xx", bounds=_SETUP_S),
    Metric(SIP_CALL_PDD, "histogram", "s", "post-dial delay: INVITE to the first 18x", bounds=_SETUP_S),
    Metric(SIP_CALL_DURATION, "histogram", "s", "answer to BYE: ACD, and short calls (under 6 s)", bounds=_DURATION_S),
    Metric(SIP_CALLS_ACTIVE, "observable_updowncounter", "{call}", "calls now, by what is known of them now"),
    Metric(SIP_CALLS_DROPPED, "counter", "{call}", "answered calls that neither side ended: dropped-call rate", (SIP_HANGUP_SOURCE,)),
    Metric(TRUNK_FAILOVERS, "counter", "{failover}", "advances to another trunk, by the carrier that was left", (TRUNK_FAILOVER_TO_CARRIER, SIP_RESPONSE_STATUS_CODE)),
    Metric(RTP_LOSS_METRIC, "histogram", "1", "packet loss of a call on the trunk leg", (RTP_DIRECTION, RTP_LOSS_METHOD), _LOSS),
    Metric(RTP_CLIPPING_METRIC, "histogram", "1", "share of voiced samples of a call that are clipped", _TOWARDS, _LOSS),
    Metric(RTP_JITTER_METRIC, "histogram", "s", "interarrival jitter of a call on the trunk leg, mean", _TOWARDS, _JITTER_S),
    Metric(RTP_RTT_METRIC, "histogram", "s", "round-trip time of a call on the trunk leg, mean", (), _RTT_S),
    Metric(RTP_MOS_METRIC, "histogram", "1", "mean opinion score of a call", (RTP_DIRECTION, RTP_MOS_ALGORITHM), _MOS),
    Metric(RTP_CALLS, "counter", "{call}", "codec mix of answered calls", (RTP_CODEC,)),
    Metric(FAILURES, "counter", "{incident}", "findings by failure mode: one-way-audio incidents and the others", (TRUNKTRACE_FAILURE_MODE, RTP_DIRECTION)),
    Metric(TIME_TO_FIRST_AUDIO, "histogram", "s", "answer to the first agent audio sent", bounds=_FIRST_AUDIO_S),
    Metric(TURN_RESPONSE_TIME, "histogram", "s", "end of the caller's speech to the first agent audio of the turn", bounds=_FIRST_AUDIO_S),
    Metric(USER_TURNS, "counter", "{turn}", "turns of the caller"),
    Metric(USER_CORRECTIONS, "counter", "{turn}", "turns of the caller that correct what the agent understood"),
    Metric(AGENT_TURNS, "counter", "{turn}", "turns of the agent"),
    Metric(BARGE_INS, "counter", "{turn}", "turns of the agent that the caller interrupted: barge-in rate"),
    Metric(TRANSFERS, "counter", "{transfer}", "transfers asked for: transfer-to-human rate", (VOICE_AGENT_TRANSFER_TO, VOICE_AGENT_TRANSFER_RESULT)),
    Metric(TASKS, "counter", "{task}", "task results that the agent's code recorded: task-completion rate", (VOICE_AGENT_TASK_RESULT,)),
    Metric(EVALUATION_SCORE, "histogram", "1", "evaluation scores by trunk", (GEN_AI_EVALUATION_NAME,), _SCORE),
    Metric(INTERNAL_ERRORS, "observable_counter", "{error}", "failures inside trunktrace that were swallowed, by place", (TRUNKTRACE_PLACE,), of_call=False),
    Metric(FACTS_DROPPED, "observable_counter", "{fact}", "facts that were refused: unknown name, wrong type, absurd value", of_call=False),
    Metric(CALLS_EVICTED, "observable_counter", "{call}", "calls forgotten because too many were open", of_call=False),
)
# fmt: on


def media_key(leg: str, direction: str, fact: str) -> str | None:
    """The key of a media fact, or None where this vocabulary has none for that leg."""
    return MEDIA_KEYS.get((leg, direction, fact)) or ROUND_TRIP_KEYS.get((leg, fact))
