"""Looks at live calls: a finding becomes an event when it happens, the verdict an attribute.

The rules are pure functions of the call's story (`trunktrace.diagnosis`); here is only who asks
them when, and where the answer goes.
"""

from __future__ import annotations

from typing import Final

from trunktrace import conventions as c
from trunktrace.belief import Rank, Value
from trunktrace.clock import clock
from trunktrace.diagnosis import failover_loop
from trunktrace.diagnosis.engine import diagnose
from trunktrace.diagnosis.findings import Finding
from trunktrace.diagnosis.report import verdict_facts
from trunktrace.diagnosis.scores import with_scores
from trunktrace.diagnosis.thresholds import Thresholds
from trunktrace.guard import guarded
from trunktrace.livecall import Examiner, LiveCall
from trunktrace.registry import calls

_MEANWHILE: Final = (c.TRUNKTRACE_MEDIA_STATE,)
_AT_THE_END: Final = (
    *_MEANWHILE,
    c.TRUNKTRACE_FAILURE_MODE,
    c.TRUNKTRACE_FAILURE_EVIDENCE,
)


class Watch:
    """Asks the rules about calls, with one set of thresholds; subscribed to the registry once."""

    def __init__(self) -> None:
        self._thresholds: Thresholds | None = None
        # One bound method for all calls: each would be 64 bytes more of every call.
        self._look: Examiner = self.look

    @property
    def thresholds(self) -> Thresholds:
        """What the rules compare with; on first use the environment's file, or the default.

        Raises ConfigurationError if that file is wrong.
        """
        if self._thresholds is None:
            self._thresholds = Thresholds.find()
        return self._thresholds

    @thresholds.setter
    def thresholds(self, thresholds: Thresholds | None) -> None:
        self._thresholds = thresholds

    def install(self) -> None:
        """Look at every call of this process when it comes to its end."""
        calls.subscribe(self)

    def call_opened(self, call: LiveCall) -> None:
        """Be asked when the call comes to its end."""
        call.examiner = self._look

    @guarded
    def call_finished(self, call: LiveCall) -> None:
        """Judge once more for the metrics: what was said after the hang-up counts too.

        Where the root ended and nobody had asked, what is found is known to the late exporter.
        """
        if call.is_phone_call:
            found = diagnose(call.story(final=True), self.thresholds)
            call.diagnosis = found
            told = verdict_facts(found)
            call.annotate({key: told[key] for key in told.keys() - call.attributes.keys()})

    @guarded
    def look(self, call: LiveCall, *, final: bool) -> None:
        """Ask the rules now; what is new goes on the root, and is kept in `call.diagnosis`."""
        if not call.is_phone_call or call.finished:
            return
        story = call.story(final=final)
        found = diagnose(story, self.thresholds)
        call.diagnosis = found
        for finding in found.findings:
            _tell(call, finding)
        told = verdict_facts(found)
        # An attribute cannot be taken back, and the end may know better: a count that refutes an
        # estimate, a hold that is told late. So while the call goes on a finding is an event.
        keys = _AT_THE_END if final else _MEANWHILE
        call.annotate({key: told[key] for key in keys if key in told})
        if final:
            facts = {
                "fault": found.fault,
                "outcome": found.outcome,
                "outcome_detail": found.outcome_detail,
            }
            call.observe(facts, source=c.SCOPE_NAME, rank=Rank.HINT)
            call.annotate(dict(with_scores(story.facts).items() - story.facts.items()))


watch: Final = Watch()
"""The watch of this process."""


def _tell(call: LiveCall, finding: Finding) -> None:
    """An event for a finding that is new: one for each mode, leg and direction of a call."""
    if not call.first_told((finding.mode, finding.leg, finding.direction)):
        return
    event: dict[str, Value | tuple[str, ...]] = {
        c.TRUNKTRACE_FAILURE_MODE: finding.mode,
        c.TRUNKTRACE_FAILURE_EVIDENCE: finding.evidence,
    }
    if finding.leg is not None:
        event[c.TRUNKTRACE_LEG] = finding.leg
    if finding.direction is not None:
        event[c.RTP_DIRECTION] = finding.direction
    if finding.mode == failover_loop.MODE:
        # The root's path is that of the number that was dialled last, which may be another one.
        event[c.TRUNK_FAILOVER_PATH] = finding.detail
    if finding.start is not None:
        event[c.TRUNKTRACE_WINDOW_START_UNIX_MS] = round(finding.start * 1000)
        end = clock.now_s() if finding.end is None else finding.end
        event[c.TRUNKTRACE_WINDOW_END_UNIX_MS] = round(end * 1000)
    call.add_event(c.EVENT_FAILURE, event)
