"""Users' own failover code: attempts to one number in one call, their path, and what is wrong."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.behaviour.fakejob import REASON, Job, caller
from tests.inviting import NUMBER, OTHER, REFUSED, asking, invites, leg, request, run, said
from tests.twirp import SipApi

from trunktrace import Directory

COUNT, PATH = "trunk.failover.count", "trunk.failover.path"
FINDING = "trunktrace.failure"
RULES = "trunktrace.failure.evidence"
TABLE = Directory.parse(
    "\n".join(f'[trunks.ST_{name}]\ncarrier = "{name}"\nroute = "{name}/1"' for name in "abc")
)
GOES_ON = {408, 480, 500, 501, 502, 503, 504, 580}


@dataclass(frozen=True)
class Try:
    """One dial of the user's code: over which trunk, what came of it, whether it rang before."""

    trunk: str
    code: int
    rings: bool = False
    to: str = NUMBER


async def dialled(*tries: Try, inbound: bool = False, directory: Directory = TABLE) -> Job:
    async def entry(ctx: Any, sip: SipApi) -> None:
        if inbound:
            ctx.room.status(ctx.room.join(caller()), "active")
        for number, one in enumerate(tries):
            identity, call = f"callee-{number}", f"SCL_{number}"
            task = asking(sip, request(f"ST_{one.trunk}", to=one.to, identity=identity))
            asked = await sip.next()
            phone = ctx.room.join(leg(identity, f"ST_{one.trunk}", call))
            if one.rings:
                ctx.room.status(phone, "ringing")
            if one.code == 200:
                asked.accept(call, identity)
                await task
                ctx.room.status(phone, "active")
                continue
            asked.refuse(one.code, "No")
            with pytest.raises(REFUSED):
                await task
            ctx.room.leave(phone, REASON.USER_UNAVAILABLE)

    return await run(entry, directory=directory)


def loops(job: Job) -> list[dict[str, Any]]:
    return [
        event
        for event in job.events(FINDING)
        if event["trunktrace.failure.mode"] == "failover_loop"
    ]


def rules(job: Job) -> set[str]:
    return {rule for event in loops(job) for rule in event[RULES]}


def linked(job: Job) -> list[int | None]:
    """For each attempt the number of the one that it links to."""
    spans = invites(job)
    number = {one.context.span_id: said(one)["sip.attempt.number"] for one in spans}
    return [number[one.links[0].context.span_id] if one.links else None for one in spans]


async def test_503_then_200_is_a_recovery() -> None:
    """Count, path and links; no finding."""
    job = await dialled(Try("a", 503), Try("b", 200))
    root = job.root()
    assert (root[COUNT], root[PATH]) == (1, "a:503>b:200")
    assert linked(job) == [None, 1]
    assert not job.events(FINDING)
    assert [said(one)["trunk.carrier"] for one in invites(job)] == ["a", "b"]
    assert root["trunk.carrier"] == "b"


async def test_round_in_a_circle_is_a_loop_with_its_path() -> None:
    """A:503>B:503>A, as the issue writes it."""
    job = await dialled(Try("a", 503), Try("b", 503), Try("a", 503))
    assert (job.root()[COUNT], job.root()[PATH]) == (2, "a:503>b:503>a:503")
    (event,) = loops(job)
    assert "FOL-1" in event[RULES]


async def test_a_loops_path_outlives_the_next_number() -> None:
    """Another person is dialled after it: the finding still has its path."""
    job = await dialled(
        Try("a", 503), Try("b", 503), Try("a", 503), Try("b", 200, to=OTHER),
    )  # fmt: skip
    assert "FOL-1" in rules(job)
    told = [job.root().get(PATH), *(value for event in loops(job) for value in event.values())]
    assert any("a:503>b:503>a:503" in str(value) for value in told), told


async def test_a_circle_that_is_answered_is_a_loop_too() -> None:
    """The callee had luck; the route is wrong all the same."""
    job = await dialled(Try("a", 503), Try("b", 503), Try("a", 200))
    assert job.root()[PATH] == "a:503>b:503>a:200"
    assert "FOL-1" in rules(job)


@pytest.mark.parametrize(
    "code", [302, 402, 403, 404, 415, 428, 436, 437, 438, 486, 487, 488, 505, 513, 600, 603, 604,
             606, 607, 608]
)  # fmt: skip
async def test_an_advance_after_a_no_is_a_finding(code: int) -> None:
    """After none of these another trunk is right; the path stands in the finding."""
    job = await dialled(Try("a", code), Try("b", 200))
    assert "FOL-4" in rules(job)
    assert job.root()[PATH] == f"a:{code}>b:200"


@pytest.mark.parametrize("code", sorted(GOES_ON))
async def test_an_advance_after_a_worthy_code_is_none(code: int) -> None:
    """Each code of the list, without progress."""
    job = await dialled(Try("a", code), Try("b", 200))
    assert not loops(job)


@pytest.mark.parametrize("code", [408, 480])
async def test_an_advance_after_ringing_is_a_finding(code: int) -> None:
    """The phone has rung: to call it over another trunk is two calls to one person."""
    assert "FOL-4" in rules(await dialled(Try("a", code, rings=True), Try("b", 200)))


async def test_different_callees_are_no_failover() -> None:
    """Two people, one after the other: no link, no path, no finding."""
    job = await dialled(Try("a", 486), Try("b", 200, to=OTHER))
    assert COUNT not in job.root()
    assert PATH not in job.root()
    assert not loops(job)
    assert linked(job) == [None, None]


async def test_callees_dialled_in_turns_are_told_apart() -> None:
    """A list of people, each over one trunk and then the other: each has its own story."""
    job = await dialled(
        Try("a", 503), Try("b", 486), Try("a", 503, to=OTHER), Try("b", 200, to=OTHER)
    )
    assert linked(job) == [None, 1, None, 3]
    assert (job.root()[COUNT], job.root()[PATH]) == (1, "a:503>b:200")
    assert not loops(job)


@pytest.mark.parametrize(
    "again",
    ["14155550134", "+1 (415) 555-0134", "+1-415-555-0134", "tel:+14155550134", "+1.415.555.0134",
     "sip:+14155550134@carrier.example", "sip:+14155550134@10.0.0.1:5060;user=phone",
     "0014155550134", "1 415-555-0134", "001 (415) 555-0134", "tel:14155550134",
     "sip:14155550134@carrier.example", "sip:0014155550134@carrier.example;user=phone",
     "tel:+1-415-555-0134", "sips:+14155550134@x.example", "+1 415 555 0134"],
)  # fmt: skip
async def test_one_number_however_it_is_written_is_one_callee(again: str) -> None:
    """Trunks want their numbers in different forms."""
    job = await dialled(Try("a", 503), Try("b", 200, to=again))
    assert linked(job) == [None, 1]
    assert job.root()[PATH] == "a:503>b:200"


async def test_the_national_form_is_the_same_callee() -> None:
    """With the directory's default country."""
    table = Directory.parse('default_country = "US"\n[trunks.ST_a]\ncarrier = "a"\nroute = "a/1"\n'
                            '[trunks.ST_b]\ncarrier = "b"\nroute = "b/1"\n')  # fmt: skip
    job = await dialled(Try("a", 503), Try("b", 200, to="(415) 555-0134"), directory=table)
    assert job.root()[PATH] == "a:503>b:200"


async def test_a_colleague_beside_the_caller_is_no_attempt_of_the_call() -> None:
    """Inbound and answered: whom the agent calls in changes nothing of the call's own story."""
    job = await dialled(Try("a", 486, to=OTHER), Try("b", 200, to=OTHER), inbound=True)
    root = job.root()
    assert COUNT not in root
    assert "sip.attempt_count" not in root
    assert root["sip.response.status_code"] == 200
    assert not loops(job)
    assert len(invites(job)) == 2


async def test_without_a_directory_the_trunks_are_the_path() -> None:
    """Nobody names a carrier: the trunk ids do."""
    job = await dialled(Try("x", 503), Try("y", 503), Try("x", 200), directory=Directory.parse(""))
    assert job.root()[PATH] == "ST_x:503>ST_y:503>ST_x:200"
    assert "FOL-1" in rules(job)


TRIES = st.lists(
    st.builds(Try, st.sampled_from("abc"), st.sampled_from([404, 408, 480, 486, 500, 503, 603])),
    min_size=1,
    max_size=4,
)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(TRIES, st.booleans())
async def test_any_course_is_told_as_it_was(tries: list[Try], answered: bool) -> None:
    """Path, count, links and findings, by a model of the issue's words."""
    if answered:
        tries = [*tries, Try("b", 200)]
    job = await dialled(*tries)
    root, advances = (
        job.root(),
        [(a, b) for a, b in itertools.pairwise(tries) if a.trunk != b.trunk],
    )
    assert linked(job) == [None, *range(1, len(tries))]
    assert [said(one)["sip.response.status_code"] for one in invites(job)] == [
        one.code for one in tries
    ]
    assert root.get(COUNT, 0) == len(advances)
    if advances:
        assert root[PATH] == ">".join(f"{one.trunk}:{one.code}" for one in tries)
    bad = any(one.code not in GOES_ON for one, _ in itertools.pairwise(tries))
    assert ("FOL-4" in rules(job)) == bad
    names = [name for name, _ in itertools.groupby(one.trunk for one in tries)]
    assert ("FOL-1" in rules(job)) == (len(names) > len(set(names)))
