"""The story of a call: everything that the rules may ask about, as one frozen value.

The live call and the files of a call that is over are made into the same story, so the rules are
the same live and at the end.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from trunktrace.belief import Value
from trunktrace.diagnosis.flows import Flow, Source
from trunktrace.timeline import Attempt, Mark
from trunktrace.windows import MediaWindow


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """What the agent's customer record says that this call should be; None is not said.

    `caller_matches` is whether the caller's number is the record's: compared where the number is in
    clear, so that no number has to be kept.
    """

    caller_matches: bool | None = None
    country: str | None = None
    region: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FarAnswer:
    """The final answer that came from beyond a PBX or proxy, which handed on another or the same.

    `source` is who tells of it; empty where it is one of several attempts. A proxy makes a 500 of
    its only gateway's 503 (RFC 3261, 16.7): what was wrong, the gateway's own answer says.
    """

    code: int
    reason: str | None = None
    q850_cause: int | None = None
    source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """One call, as far as it is known at `now`.

    `facts` are by attribute key, as on the root call span. `windows` hold every leg and source,
    each with its own; `marks` and `attempts` are in the order of their times. `asides` are INVITEs
    beside the call, which the rules leave alone: their answer is another leg. `now` is unix
    seconds while the call goes on, None once it is over and nothing more will come.
    `windows_since`: windows that ended before are left out, and `flows` says what stays known of
    them; None where none is.
    `must_record` is whether the operator says that calls are recorded; None is not said.
    `identity_differs` is whether the From user and the asserted identity (P-Asserted-Identity,
    Remote-Party-ID) are two different numbers; None where one is absent, or withheld for privacy.
    `far_answer` is what the carrier's side answered, where a PBX or proxy stands between.
    `is_untimed` is whether nobody says when the call was: its windows then stand at any time.
    `ends_assumed` is whether which of the PBX's legs faces the bridge is an assumption: then a loss
    is known, and whose it is not.
    """

    facts: Mapping[str, Value] = field(default_factory=dict[str, Value])
    windows: tuple[MediaWindow, ...] = ()
    marks: tuple[Mark, ...] = ()
    attempts: tuple[Attempt, ...] = ()
    asides: tuple[Attempt, ...] = ()
    sources: frozenset[str] = frozenset()
    expected: Expectation | None = None
    must_record: bool | None = None
    identity_differs: bool | None = None
    now: float | None = None
    windows_since: float | None = None
    flows: Mapping[Source, Flow] = field(default_factory=dict[Source, Flow])
    far_answer: FarAnswer | None = None
    ends_assumed: bool = False
    is_untimed: bool = False
