"""Each end of an INVITE: outcome, detail, fault, whether another trunk may be tried, the span.

The table is spelled out here, from the reference (`side` of each code) by the words of the issue:
`us` is `operator`, and `platform` where the message itself was wrong; callee data is `callee`;
analytics is `intermediary`; two sides are nobody. `caller data` (484, 485) is the caller's: the
digits are what the caller sent.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import StatusCode

from trunktrace.sip.codes import CODES, UNANSWERED
from trunktrace.sip.failover import decide, ending_of_attempt, error_type, is_error
from trunktrace.timeline import Attempt

from .inviting import REFUSED, asking, invite, leg, run, said
from .twirp import SipApi


@dataclass(frozen=True, slots=True)
class Row:
    """What one end means, without anything that came with it."""

    end: int | str
    outcome: str | None
    detail: str | None
    fault: str | None
    goes_on: bool
    error_type: str | None
    """None: the span is no error."""


# fmt: off
TABLE = (
    #   end  outcome           detail       fault           on     error.type
    Row(200, "answered",       None,        "none",         False, None),
    Row(202, "answered",       None,        "none",         False, None),
    Row(300, "redirected",     None,        "carrier",      False, None),
    Row(301, "redirected",     None,        "carrier",      False, None),
    Row(302, "redirected",     None,        "carrier",      False, None),
    Row(305, "redirected",     None,        "carrier",      False, None),
    Row(380, "redirected",     None,        "carrier",      False, None),
    Row(400, "failed",         None,        "platform",     False, "400"),
    Row(401, "failed",         "auth",      "operator",     False, "401"),
    Row(402, "failed",         "billing",   "operator",     False, "402"),
    Row(403, "rejected",       None,        "operator",     False, "403"),
    Row(404, "invalid_number", None,        None,           False, "404"),
    Row(405, "failed",         None,        "platform",     False, "405"),
    Row(406, "failed",         None,        "platform",     False, "406"),
    Row(407, "failed",         "auth",      "operator",     False, "407"),
    Row(408, "timeout",        None,        None,           True,  "408"),
    Row(410, "invalid_number", None,        "callee",       False, "410"),
    Row(413, "failed",         None,        "platform",     False, "413"),
    Row(414, "failed",         None,        "platform",     False, "414"),
    Row(415, "failed",         "media",     None,           False, "415"),
    Row(416, "failed",         None,        "platform",     False, "416"),
    Row(420, "failed",         None,        "platform",     False, "420"),
    Row(421, "failed",         None,        "platform",     False, "421"),
    Row(422, "failed",         None,        "platform",     False, "422"),
    Row(423, "failed",         None,        "platform",     False, "423"),
    Row(428, "blocked",        "identity",  None,           False, "428"),
    Row(433, "rejected",       None,        "caller",       False, "433"),
    Row(436, "blocked",        "identity",  None,           False, "436"),
    Row(437, "blocked",        "identity",  None,           False, "437"),
    Row(438, "blocked",        "identity",  None,           False, "438"),
    Row(480, "no_answer",      None,        None,           True,  "480"),
    Row(481, "failed",         None,        "platform",     False, "481"),
    Row(482, "loop",           None,        None,           False, "482"),
    Row(483, "loop",           None,        None,           False, "483"),
    Row(484, "invalid_number", None,        "caller",       False, "484"),
    Row(485, "invalid_number", None,        "caller",       False, "485"),
    Row(486, "busy",           None,        "callee",       False, "486"),
    Row(487, "canceled",       None,        "caller",       False, "487"),
    Row(488, "failed",         "media",     None,           False, "488"),
    Row(491, None,             None,        "platform",     False, "491"),
    Row(493, "failed",         None,        "platform",     False, "493"),
    Row(494, "failed",         None,        "platform",     False, "494"),
    Row(500, "failed",         None,        "carrier",      True,  "500"),
    Row(501, "failed",         None,        "carrier",      True,  "501"),
    Row(502, "failed",         None,        "carrier",      True,  "502"),
    Row(503, "congestion",     None,        "carrier",      True,  "503"),
    Row(504, "timeout",        None,        "carrier",      True,  "504"),
    Row(505, "failed",         None,        None,           False, "505"),
    Row(513, "failed",         None,        None,           False, "513"),
    Row(580, "failed",         None,        None,           True,  "580"),
    Row(600, "busy",           None,        "callee",       False, "600"),
    Row(603, "rejected",       None,        None,           False, "603"),
    Row(604, "invalid_number", None,        "callee",       False, "604"),
    Row(606, "failed",         "media",     None,           False, "606"),
    Row(607, "blocked",        "unwanted",  "callee",       False, "607"),
    Row(608, "blocked",        "analytics", "intermediary", False, "608"),
    # A code without a row is of its class, and nobody is blamed.
    Row(399, "redirected",     None,        None,           False, None),
    Row(499, "failed",         None,        None,           False, "499"),
    Row(599, "failed",         None,        None,           False, "599"),
    Row(699, "rejected",       None,        None,           False, "699"),
)
NO_ANSWER = (
    Row("timeout",      "no_answer", None,        "callee",   False, "timeout"),
    Row("no_response",  "timeout",   None,        "network",  True,  "timeout"),
    Row("transport",    "failed",    "transport", "network",  True,  "transport"),
    Row("dns",          "failed",    "dns",       None,       True,  "dns"),
    Row("sdp",          "failed",    "media",     None,       False, "sdp"),
    Row("auth",         "failed",    "auth",      "operator", False, "auth"),
    Row("no_bridge",    "failed",    "no_bridge", "platform", False, "no_bridge"),
    Row("canceled",     "canceled",  None,        None,       False, None),
    Row("client_error", "failed",    "api",       None,       True,  "client_error"),
    Row("unanswered",   "failed",    None,        None,       False, "unanswered"),
    Row("other",        "failed",    None,        None,       False, "other"),
)
# fmt: on

each_code = pytest.mark.parametrize("row", TABLE, ids=lambda row: str(row.end))
each_end = pytest.mark.parametrize("row", [*TABLE, *NO_ANSWER], ids=lambda row: str(row.end))


def attempt_of(row: Row, **more: Any) -> Attempt:
    if isinstance(row.end, int):
        return Attempt(start=1.0, end=2.0, status_code=row.end, **more)
    return Attempt(start=1.0, end=2.0, failure=row.end, **more)


def test_the_table_holds_every_row_of_the_library():
    """No code and no end without a code is missing here."""
    assert {row.end for row in TABLE} >= set(CODES)
    assert {row.end for row in NO_ANSWER} == {*UNANSWERED, "other"}


@each_end
def test_an_end_means_what_the_table_says(row):
    """Outcome, detail and fault, by the end alone."""
    ending = ending_of_attempt(attempt_of(row))
    assert ending is not None
    assert (ending.outcome, ending.detail, ending.fault) == (row.outcome, row.detail, row.fault)


@each_end
def test_another_trunk_is_tried_where_the_table_says(row):
    """Without progress, and not with it; what nobody saw is no progress after these ends."""
    # Our own ringing timeout is another end where nothing rang: see below.
    silent = row.goes_on or row.end == "timeout"
    assert decide(attempt_of(row, progress=False)).goes_on is silent
    assert decide(attempt_of(row)).goes_on is row.goes_on
    assert not decide(attempt_of(row, progress=True)).goes_on


@each_end
def test_after_progress_it_goes_on_only_if_told_to(row):
    """And only where the end itself allows it; our own ringing timeout does, then."""
    decision = decide(attempt_of(row, progress=True), after_progress=True)
    assert decision.goes_on is (row.goes_on or row.end == "timeout")


@each_end
def test_what_our_side_gave_up_is_not_tried_again(row):
    """Whoever cancelled the attempt did not ask for another."""
    assert not decide(attempt_of(row, own_cancel=True), after_progress=True).goes_on


@each_end
def test_a_decision_says_why_and_holds_no_number(row):
    """In words, and whatever the far end wrote into its phrase."""
    reason = "call +15550100001 is not allowed"
    for progress in (None, False, True):
        decision = decide(attempt_of(row, reason=reason, progress=progress))
        assert decision.why.startswith(str(row.end))
        assert "5550100001" not in decision.why


def test_our_own_ringing_timeout_by_what_was_seen():
    """It rang: the callee's. Nothing came: the network's, as a 408. Nobody saw it: it may have."""
    timeout = Attempt(start=1.0, end=2.0, failure="timeout")
    silent, rang = (replace(timeout, progress=seen) for seen in (False, True))
    ended = [ending_of_attempt(one) for one in (timeout, rang, silent)]
    assert [(one.outcome, one.fault) for one in ended if one is not None] == [
        ("no_answer", "callee"),
        ("no_answer", "callee"),
        ("timeout", "network"),
    ]
    assert [decide(one).goes_on for one in (timeout, rang, silent)] == [False, False, True]
    assert [error_type(one) for one in (timeout, rang, silent)] == ["timeout"] * 3


def test_an_attempt_that_goes_on_is_no_reason_to_try_another():
    """Two phones must not ring."""
    assert not decide(Attempt(start=1.0), after_progress=True).goes_on


@each_end
def test_the_span_is_an_error_where_the_table_says(row):
    """Each final code from 400, and each end without a code but our own CANCEL."""
    attempt = attempt_of(row)
    assert is_error(attempt) is (row.error_type is not None)
    assert error_type(attempt) == row.error_type


def test_a_487_after_our_own_cancel_is_no_error():
    """RFC 3261, 9.1: it is what a CANCEL brings about. Without one it is an error."""
    cancelled = Attempt(start=1.0, end=2.0, status_code=487, own_cancel=True)
    assert (is_error(cancelled), error_type(cancelled)) == (False, None)
    assert is_error(replace(cancelled, own_cancel=False))


@pytest.mark.parametrize("code", [480, 486, 603])
def test_our_own_cancel_excuses_no_other_code(code):
    """The callee's answer came first."""
    assert is_error(Attempt(start=1.0, end=2.0, status_code=code, own_cancel=True))


# On the span ------------------------------------------------------------------------------------


async def span_of(row: Row) -> ReadableSpan:
    """The `sip.invite` span of a job whose only dial got this answer of livekit-api."""

    async def entry(ctx: Any, sip: SipApi) -> None:
        task = asking(sip)
        asked = await sip.next()
        ctx.room.join(leg())
        asked.refuse(row.end, "Phrase")
        with contextlib.suppress(REFUSED):
            await task

    return invite(await run(entry))


@pytest.mark.parametrize(
    "row", [row for row in TABLE if int(row.end) >= 300], ids=lambda row: str(row.end)
)
async def test_the_attempts_span_says_it(row):
    """Code, outcome, detail, fault, status and `error.type` of the exported span."""
    span = await span_of(row)
    told = said(span)
    assert told["sip.response.status_code"] == row.end
    # The API is quicker than the room, which may still tell of a 18x: neither is said.
    assert "sip.attempt.progress" not in told
    assert told.get("sip.call.outcome") == row.outcome
    assert told.get("sip.call.outcome_detail") == row.detail
    assert told.get("trunk.fault") == row.fault
    assert told.get("error.type") == row.error_type
    is_an_error = row.error_type is not None
    assert span.status.status_code == (StatusCode.ERROR if is_an_error else StatusCode.UNSET)
