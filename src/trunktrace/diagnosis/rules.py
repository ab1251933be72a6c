"""Every rule of the diagnosis: its id, its mode, what it asks, and which thresholds it reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. `direction` is in words; `thresholds` are keys of `thresholds.toml`."""

    id: str
    mode: str
    asks: str
    direction: str
    thresholds: tuple[str, ...] = ()


_SETUP = "call_setup_failure"
_ONE_WAY = "one_way_audio"
_LOOP = "failover_loop"
_MEDIA = "media_degradation"
_MISROUTED = "misrouting"
_COMPLIANCE = "compliance"
_LIMITS = ("ears.*", "recognition.*")
_WINDOWS = ("windows.*",)

RULES: Final = (
    Rule("CSF-1", _SETUP, "the INVITE was refused: a final answer from 300 on", "-"),
    Rule("CSF-2", _SETUP, "nobody answered within our own ringing time", "-"),
    Rule("CSF-3", _SETUP, "nothing answered the INVITE: transport, DNS, silence", "-"),
    Rule("CSF-4", _SETUP, "no media could be agreed (SDP)", "-"),
    Rule("CSF-5", _SETUP, "no bridge took the request", "-"),
    Rule("CSF-6", _SETUP, "the other side gave up before an answer", "-"),
    Rule("CSF-7", _SETUP, "the call ended without an answer, and no source says why", "-"),
    Rule(
        "OWA-1",
        _ONE_WAY,
        "no packet arrives from the answer on, or none any more until the end",
        "in",
        ("one_way.dead_at_start_s", "one_way.dead_mid_call_s", "one_way.pause_s", "one_way.pauses"),
    ),
    Rule(
        "OWA-2",
        _ONE_WAY,
        "packets arrive but hold no sound, while the agent has spoken and heard nobody",
        "in",
        (
            "one_way.silent_s",
            "one_way.silent_dbfs",
            "one_way.silent_ratio",
            "one_way.agent_turns",
        ),
    ),
    Rule(
        "OWA-3",
        _ONE_WAY,
        "nobody subscribed to the agent's track, or it spoke and no packet went out",
        "out",
        ("one_way.agent_spoke_s",),
    ),
    Rule(
        "OWA-4",
        _ONE_WAY,
        "the far end received none of the packets that were sent",
        "out",
        ("one_way.dead_at_start_s",),
    ),
    Rule(
        "OWA-5",
        _ONE_WAY,
        "packets arrive and are ignored: from an address, or in a payload, that was not agreed",
        "in",
        ("one_way.dead_at_start_s",),
    ),
    Rule(
        "OWA-6",
        _ONE_WAY,
        "the caller asks again and again whether anybody hears; never alone",
        "out",
        ("one_way.asks",),
    ),
    Rule("OWA-7", _ONE_WAY, "the bridge ended the call because no RTP came", "in"),
    Rule(
        "OWA-8",
        _ONE_WAY,
        "a PBX, SBC or carrier got no packet from the bridge's side, and sent it the far end's",
        "out",
        ("one_way.dead_at_start_s",),
    ),
    Rule("FOL-1", _LOOP, "a carrier and route is tried again after another was tried", "-"),
    Rule("FOL-2", _LOOP, "more attempts than allowed", "-", ("failover.most_attempts",)),
    Rule("FOL-3", _LOOP, "an attempt was refused as a loop: 482, 483", "-"),
    Rule(
        "FOL-4",
        _LOOP,
        "another attempt after an end that no other trunk can change, or after a 18x",
        "-",
    ),
    Rule("FOL-5", _LOOP, "the same carrier and route is tried again at once, and fails again", "-"),
    Rule(
        "MED-1",
        _MEDIA,
        "counted loss, in enough of the last windows of `length_s`",
        "in, out",
        (*_LIMITS, *_WINDOWS),
    ),
    Rule(
        "MED-2",
        _MEDIA,
        "counted loss over a longer window, or over a call too short for MED-1",
        "in, out",
        (*_LIMITS, "windows.least_packets", "windows.least_lost"),
    ),
    Rule(
        "MED-3",
        _MEDIA,
        "estimated loss, over windows or over the call; never where loss was counted",
        "in",
        (*_LIMITS, *_WINDOWS, "estimate.*"),
    ),
    Rule("MED-4", _MEDIA, "jitter, in windows", "in, out", (*_LIMITS, *_WINDOWS)),
    Rule("MED-5", _MEDIA, "round-trip time, in windows", "in, out", (*_LIMITS, *_WINDOWS)),
    Rule(
        "MED-6",
        _MEDIA,
        "the agent's jitter buffer made up audio, while all packets came",
        "in",
        (*_LIMITS, *_WINDOWS),
    ),
    Rule("MED-7", _MEDIA, "no media in either direction: not one-way", "both"),
    Rule("MED-8", _MEDIA, "the audio is clipped, in windows", "in, out", (*_LIMITS, *_WINDOWS)),
    Rule("MIS-1", _MISROUTED, "From and the asserted identity are two different numbers", "-"),
    Rule("MIS-2", _MISROUTED, "the caller is not the customer record's", "-"),
    Rule("MIS-3", _MISROUTED, "the country is not the customer record's", "-"),
    Rule("MIS-4", _MISROUTED, "the trunk's region is not the one that was expected", "-"),
    Rule("MIS-5", _MISROUTED, "the call was refused for its caller ID", "-"),
    Rule(
        "REC-1",
        _COMPLIANCE,
        "the recording began late after the answer",
        "-",
        ("recording.latest_start_s",),
    ),
    Rule(
        "REC-2",
        _COMPLIANCE,
        "a call that must be recorded was not",
        "-",
        ("recording.missing_after_s",),
    ),
)
"""In the order of the reference page, which is made from them."""

MODE_OF: Final[dict[str, str]] = {rule.id: rule.mode for rule in RULES}
