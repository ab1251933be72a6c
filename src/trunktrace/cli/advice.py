"""A diagnosis in words: the findings, the verdict, and what to look at next."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from trunktrace import conventions as c
from trunktrace.diagnosis.findings import Diagnosis, Finding
from trunktrace.diagnosis.report import RootValue, root_facts
from trunktrace.diagnosis.rules import RULES
from trunktrace.diagnosis.story import Story

_VERDICTS: Final = {
    "none": "Nothing failed on the trunk: the call was answered, and its media were seen and good.",
    "caller": "The caller's side ended it.",
    "callee": "The callee's side: busy, away, or unwilling.",
    "carrier": "The carrier.",
    "network": "The path between carrier and bridge; from here it cannot be told more exactly.",
    "operator": "Our own account, limits, caller ID, credentials or routing.",
    "platform": "The bridge, LiveKit, or the network between bridge and agent.",
    "agent": "The agent itself.",
    "intermediary": "An analytics or blocking service on the way.",
}
_NEXT: Final = {
    "CSF-1": "Look up the code in the reference of final codes; ask whoever sent it.",
    "CSF-2": "Nobody took the phone within the ringing time. Ring longer, or try later.",
    "CSF-3": "Check address, firewall and DNS of the trunk from the bridge's host.",
    "CSF-4": "Compare the codecs and the encryption that both sides offer.",
    "CSF-5": "Is a livekit-sip running, and is it below its CPU limit?",
    "CSF-6": "The caller hung up before the answer. How long did it ring?",
    "CSF-7": "Ask the bridge's log or the carrier for the final code.",
    "OWA-1": "Capture RTP at the bridge's port: does it arrive? Check NAT, firewall, SDP address.",
    "OWA-2": "Packets come and are silent: is the far end muted, or on hold without saying so?",
    "OWA-3": "Did the bridge subscribe to the agent's track? See the room's track events.",
    "OWA-4": "What the bridge sends is lost on its way: check the address in the SDP it answered.",
    "OWA-5": "Packets come from another address, or with another codec, than was agreed.",
    "OWA-7": "The bridge gave up on the media. Check the way of RTP to its port range.",
    "OWA-8": "Did the bridge send anything? Read its log; check the way of RTP to the PBX's ports.",
    "FOL-1": "Take the trunk out of the list that was tried already.",
    "FOL-4": "Stop at this answer: another trunk cannot change it, and two phones may ring.",
    "MED-1": "Ask the carrier, and measure the path, for the time that is given.",
    "MED-2": "Ask the carrier, and measure the path, for the time that is given.",
    "MED-3": "An estimate: read the bridge's log for the count before asking the carrier.",
    "MED-7": "No media either way: check the bridge's RTP ports and what its SDP says.",
    "MED-8": "Turn the gain down where the audio is made.",
    "MIS-1": "Which number did the carrier assert, and which did the caller show?",
    "REC-1": "Start the recording before the call is answered.",
    "REC-2": "Did the egress start, and may this worker start it?",
}
_WIDTH: Final = 160
"""Characters of a line where the output is no terminal: words are not cut in a file."""

_RULE_ASKS: Final = {rule.id: rule.asks for rule in RULES}
_SHOWN: Final = (
    c.TRUNK_CARRIER,
    c.TRUNK_ROUTE,
    c.TRUNK_ID,
    c.TRUNK_FAILOVER_PATH,
    c.SIP_CALL_DIRECTION,
    c.SIP_RESPONSE_STATUS_CODE,
    c.SIP_HANGUP_SOURCE,
    c.SIP_SETUP_MS,
    c.SIP_CALL_DURATION_MS,
    c.RTP_CODEC,
    c.RTP_LOSS_RATIO,
    c.RTP_LOSS_METHOD,
    c.MEDIA_KEYS["trunk", "in", "mos"],
    c.MEDIA_KEYS["pstn", "in", "loss_ratio"],
    c.MEDIA_KEYS["pstn", "out", "loss_ratio"],
    c.PSTN_LOSS_METHOD,
    c.TRUNKTRACE_MEDIA_STATE,
    c.TRUNKTRACE_SOURCES,
)


def show(diagnosed: Sequence[tuple[Story, Diagnosis]]) -> None:
    """Print each call: its findings, its verdict, its facts, and the next step."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=_WIDTH)
    if len(diagnosed) > 1:
        console.print(f"{len(diagnosed)} calls", style="bold")
    for story, diagnosis in diagnosed:
        _show_call(console, story, diagnosis)


def _show_call(console: Console, story: Story, diagnosis: Diagnosis) -> None:
    outcome = diagnosis.outcome or "not known"
    if diagnosis.outcome_detail:
        outcome += f" ({diagnosis.outcome_detail})"
    console.print(Text.assemble(("Outcome  ", "bold"), outcome))
    fault = diagnosis.fault
    verdict = _verdict(story, diagnosis)
    console.print(Text.assemble(("Fault    ", "bold"), f"{fault or 'not known'}. {verdict}"))
    if diagnosis.findings:
        console.print(_table(diagnosis.findings))
    else:
        console.print(Text.assemble(("Findings ", "bold"), "none"))
    for step in dict.fromkeys(
        _NEXT[r] for f in diagnosis.findings for r in f.evidence if r in _NEXT
    ):
        console.print(Text.assemble(("Next     ", "bold"), step))
    facts = root_facts(story, diagnosis)
    for key in _SHOWN:
        if key in facts:
            console.print(Text(f"  {key} = {_value(facts[key])}", style="dim"))


def _verdict(story: Story, diagnosis: Diagnosis) -> str:
    if diagnosis.fault == "none" and diagnosis.outcome != "answered":
        return "Nothing failed: the call was given up before it was answered."
    if diagnosis.fault:
        return _VERDICTS[diagnosis.fault]
    if diagnosis.findings and story.ends_assumed:
        return "Which end faces the bridge is assumed only: say it with --bridge or --bridge-end."
    return "The evidence does not reach to name anybody."


def _table(findings: Sequence[Finding]) -> Table:
    table = Table()
    for name in ("finding", "where", "when (UTC)", "evidence", "what"):
        table.add_column(name, overflow="fold")
    for finding in findings:
        where = " ".join(part for part in (finding.leg, finding.direction) if part)
        table.add_row(
            finding.mode,
            where or "-",
            _when(finding),
            Text(", ".join(finding.evidence)),
            Text(finding.detail or "; ".join(_RULE_ASKS[rule] for rule in finding.evidence)),
        )
    return table


def _when(finding: Finding) -> str:
    def clock(at: float) -> str:
        return f"{datetime.fromtimestamp(at, UTC):%H:%M:%S}"

    if finding.start is None:
        return "-"
    return clock(finding.start) + (f" - {clock(finding.end)}" if finding.end is not None else " -")


def _value(value: RootValue) -> str:
    if isinstance(value, float):
        return f"{value:.4g}" if value < 1 else f"{value:.1f}"
    return ", ".join(value) if isinstance(value, list) else str(value)
