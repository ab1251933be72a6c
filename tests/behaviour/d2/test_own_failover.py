"""Failover code of the user's own, loops and illegitimate advances as findings."""

from __future__ import annotations

import asyncio
import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from .lk import CALLEE, SERVER_ERROR, LiveKit, Reply, answer, no_answer, refuse
from .traces import Traces, attributes, events, findings, linked


async def attempts(traces: Traces, script, order, *, identities=None, numbers=None):
    """The user's own loop over trunks, by livekit-api alone."""
    async with LiveKit(script) as livekit:

        async def work(ctx):
            for place, trunk in enumerate(order):
                more = {"participant_identity": identities[place]} if identities else {}
                to = numbers[place] if numbers else CALLEE
                try:
                    await ctx.api.sip.create_sip_participant(livekit.request(trunk, to, **more))
                except SERVER_ERROR:
                    continue
                return

        await traces.job(livekit, work)
    return attributes(traces.root)


async def test_the_users_own_loop_is_a_failover(traces: Traces):
    """Two requests to one number: linked spans, path, count; no finding for a legitimate one."""
    root = await attempts(traces, {"ST_a": [refuse(503)]}, ["ST_a", "ST_b"])
    first, second = traces.invites
    assert linked(second) == [first.context.span_id]
    assert root["trunk.failover.path"] == "telnyx:503>twilio:200"
    assert root["trunk.failover.count"] == 1
    assert "failover_loop" not in findings(traces.root)


async def test_other_identities_are_the_same_call(traces: Traces):
    """As captured in 07: callee-1, then callee-2."""
    script = {"ST_a": [refuse(503)]}
    root = await attempts(traces, script, ["ST_a", "ST_b"], identities=["callee-1", "callee-2"])
    assert root["trunk.failover.path"] == "telnyx:503>twilio:200"


async def test_round_in_a_circle_is_a_loop_with_its_path(traces: Traces):
    """A:503>B:503>A is the issue's own example."""
    script = {"ST_a": [refuse(503), refuse(503)], "ST_b": [refuse(503)]}
    await attempts(traces, script, ["ST_a", "ST_b", "ST_a"])
    assert "FOL-1" in findings(traces.root)["failover_loop"]
    (event,) = [
        told
        for told in events(traces.root, "trunktrace.failure")
        if told["trunktrace.failure.mode"] == "failover_loop"
    ]
    assert event["trunk.failover.path"].startswith("telnyx:503>twilio:503>telnyx")


async def test_a_loop_that_is_answered_at_last_is_still_told(traces: Traces):
    """The third attempt answers; the circle was one all the same."""
    script = {"ST_a": [refuse(503), answer()], "ST_b": [refuse(503)]}
    root = await attempts(traces, script, ["ST_a", "ST_b", "ST_a"])
    assert root["trunk.failover.path"] == "telnyx:503>twilio:503>telnyx:200"
    assert "FOL-1" in findings(traces.root)["failover_loop"]


@pytest.mark.parametrize("code", [404, 486, 487, 603, 607, 403, 402, 488, 600, 302, 433])
async def test_going_on_after_a_code_that_another_trunk_cannot_change(traces: Traces, code: int):
    """An illegitimate advance is a finding."""
    await attempts(traces, {"ST_a": [refuse(code)]}, ["ST_a", "ST_b"])
    assert "FOL-4" in findings(traces.root)["failover_loop"]


@pytest.mark.parametrize("code", [408, 480, 500, 501, 502, 503, 504, 580])
async def test_going_on_after_a_worthy_code_is_none(traces: Traces, code: int):
    """What dial itself would do is not held against the user's own code."""
    await attempts(traces, {"ST_a": [refuse(code)]}, ["ST_a", "ST_b"])
    assert "failover_loop" not in findings(traces.root)


async def test_going_on_after_it_rang_out_is_a_finding(traces: Traces):
    """After progress an advance rings a second phone."""
    await attempts(traces, {"ST_a": [no_answer()]}, ["ST_a", "ST_b"])
    assert "FOL-4" in findings(traces.root)["failover_loop"]


@pytest.mark.parametrize("code", [482, 483])
async def test_a_loop_that_sip_itself_tells(traces: Traces, code: int):
    """482 and 483 are loops, even with a single attempt after them."""
    await attempts(traces, {"ST_a": [refuse(code)]}, ["ST_a", "ST_b"])
    assert "failover_loop" in findings(traces.root)


async def test_too_many_attempts(traces: Traces):
    """More than four INVITEs for one call."""
    script = {f"ST_{n}": [refuse(503)] for n in range(5)}
    await attempts(traces, script, [f"ST_{n}" for n in range(5)])
    assert "FOL-2" in findings(traces.root)["failover_loop"]


async def test_attempts_to_other_numbers_are_no_failover(traces: Traces):
    """Three people called in turn are three calls, not one that goes round."""
    script = {"ST_a": [refuse(486), refuse(486), answer()]}
    numbers = ["+15559990001", "+15559990002", "+15559990003"]
    root = await attempts(traces, script, ["ST_a"] * 3, numbers=numbers)
    assert "trunk.failover.path" not in root
    assert "failover_loop" not in findings(traces.root)


async def test_one_number_in_two_spellings_is_one_number(traces: Traces):
    """+1 555 999 0000 and +15559990000 ring the same phone."""
    numbers = ["+1 (555) 999-0000", CALLEE]
    script = {"ST_a": [refuse(503)]}
    root = await attempts(traces, script, ["ST_a", "ST_b"], numbers=numbers)
    assert root["trunk.failover.path"] == "telnyx:503>twilio:200"


async def test_trunks_that_nobody_names_are_told_by_their_ids(traces: Traces):
    """No carrier is known: the path still tells the trunks apart."""
    script = {"ST_x": [refuse(503)], "ST_y": [answer()]}
    root = await attempts(traces, script, ["ST_x", "ST_y"])
    assert root["trunk.failover.path"] == "ST_x:503>ST_y:200"


async def test_one_trunk_tried_twice_at_once_and_failing_twice(traces: Traces):
    """The same carrier and route again at once is a finding of its own."""
    script = {"ST_a": [refuse(503), refuse(503)]}
    await attempts(traces, script, ["ST_a", "ST_a"])
    assert "failover_loop" in findings(traces.root)


NAMES = {"ST_a": "telnyx", "ST_b": "twilio", "ST_c": "backup"}
WORTHY = {408, 480, 500, 501, 502, 503, 504, 580}
CODES = [200, 503, 503, 503, 480, 500, 404, 486, 482, 603]


def rules(tried: list[tuple[str, int]]) -> set[str]:
    """What the issue and its reference say of these attempts, in a few lines."""
    trunks = [trunk for trunk, _ in tried]
    found: set[str] = set()
    for place, trunk in enumerate(trunks):
        former = [other for other, each in enumerate(trunks[:place]) if each == trunk]
        if former and any(each != trunk for each in trunks[former[0] : place]):
            found.add("FOL-1")
    if len(tried) > 4:
        found.add("FOL-2")
    if any(code in (482, 483) for _, code in tried):
        found.add("FOL-3")
    if any(code not in WORTHY for _, code in tried[:-1]):
        found.add("FOL-4")
    pairs = itertools.pairwise(tried)
    if any(one[0] == two[0] and two[1] != 200 for one, two in pairs):
        found.add("FOL-5")
    return found


@settings(max_examples=60)
@given(
    st.lists(
        st.tuples(st.sampled_from(sorted(NAMES)), st.sampled_from(CODES)), min_size=1, max_size=6
    )
)
def test_any_order_of_attempts(planned: list[tuple[str, int]]):
    """Path, count, links and the rules of any sequence of attempts to one number."""
    answered = next((place for place, (_, code) in enumerate(planned) if code == 200), None)
    tried = planned if answered is None else planned[: answered + 1]
    script: dict[str, list[Reply]] = {}
    for trunk, code in tried:
        script.setdefault(trunk, []).append(answer() if code == 200 else refuse(code))
    with pytest.MonkeyPatch.context() as patch:
        traces = Traces()
        traces.install(patch)
        root = asyncio.run(attempts(traces, script, [trunk for trunk, _ in tried]))
        traces.provider.shutdown()
    told = [attributes(span) for span in traces.invites]
    assert [(each["trunk.id"], each["sip.response.status_code"]) for each in told] == tried
    for former, later in itertools.pairwise(traces.invites):
        assert linked(later) == [former.context.span_id]
    path = ">".join(f"{NAMES[trunk]}:{code}" for trunk, code in tried)
    advances = sum(one[0] != two[0] for one, two in itertools.pairwise(tried))
    # The same trunk again is no advance to another one.
    assert root.get("trunk.failover.path") == (path if advances else None)
    assert root.get("trunk.failover.count") == (advances or None)
    assert set(findings(traces.root).get("failover_loop", ())) == rules(tried)
    assert ("call_setup_failure" in findings(traces.root)) == (answered is None)
