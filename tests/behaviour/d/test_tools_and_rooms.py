"""The carrier on the way to a tool's services, nowhere else; a warm transfer over two rooms."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from livekit import api
from opentelemetry import baggage, propagate
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from tests.behaviour.fakejob import Job, caller
from tests.behaviour.kit import CARRIER, ROUTE, Pipeline
from tests.test_transfers import Warm, consulted_and_moved, traced_with

from trunktrace import Directory, RedactingExporter
from trunktrace.call_baggage import tool_baggage
from trunktrace.errors import ConfigurationError


@pytest.fixture(autouse=True)
def _the_processes_own_propagator() -> Iterator[None]:
    before = propagate.get_global_textmap()
    propagate.set_global_textmap(
        CompositePropagator([TraceContextTextMapPropagator(), W3CBaggagePropagator()])
    )
    yield
    tool_baggage.uninstall()
    propagate.set_global_textmap(before)


def sent(pipe: Pipeline, *names: str) -> dict[str, object]:
    """The baggage of a request that is made inside these spans."""
    if names:
        with pipe.tracer.start_as_current_span(names[0]):
            return sent(pipe, *names[1:])
    headers: dict[str, str] = {}
    propagate.inject(headers)
    return dict(baggage.get_all(W3CBaggagePropagator().extract(headers)))


async def requests_of(
    job: Job, *stacks: tuple[str, ...], phone: Any = None, **settings: Any
) -> Any:
    told: list[dict[str, object]] = []

    async def entry(ctx: Any) -> None:
        ctx.room.join(phone or caller())
        told.extend(sent(job.pipe, *stack) for stack in stacks)

    await job.run(entry, **settings)
    return told


OUTSIDE = (
    (), ("llm_node",), ("llm_request", "POST"), ("tts_node", "tts_request", "POST"), ("user_turn",),
    ("agent_turn", "llm_node", "llm_request_run", "GET"), ("sip.invite", "POST"), ("rpc_call",),
    ("function_tool_x",), ("my function_tool",), ("FUNCTION_TOOL", "POST"),
)  # fmt: skip


async def test_only_a_function_tool_sends_it() -> None:
    """Models, voices and the API get nothing; a tool's own request does, however deep."""
    job = Job()
    inside = (("function_tool",), ("agent_turn", "function_tool", "a", "b", "c", "POST"))
    told = await requests_of(job, *inside, *OUTSIDE, tool_baggage=[CARRIER, ROUTE])
    assert told[:2] == [{CARRIER: "telnyx", ROUTE: "us-east/primary"}] * 2
    assert told[2:] == [{}] * len(OUTSIDE)


async def test_only_what_is_allowed_is_sent_and_nothing_by_default() -> None:
    """Opt-in, key by key."""
    assert await requests_of(Job(), ("function_tool",), tool_baggage=[ROUTE]) == [
        {ROUTE: "us-east/primary"}
    ]
    tool_baggage.uninstall()
    assert await requests_of(Job(), ("function_tool",), directory=Directory.parse("")) == [{}]


@pytest.mark.parametrize(
    "keys",
    [["sip.caller.number"], ["sip.callee.pii.number"], ["sip.caller.hash"], ["nope"],
     "trunk.carrier", [None], 5, ["trunk.carrier\r\nX: 1"], ["+14155550134"]],
)  # fmt: skip
async def test_a_key_of_a_person_is_refused_at_once(keys: Any) -> None:
    """Loud, where it is configured."""
    with pytest.raises(ConfigurationError):
        await requests_of(Job(), ("function_tool",), tool_baggage=keys)


@pytest.mark.parametrize("route", ["+14155550134", "to-415-555-0134", "sip:4155550134@gw"])
async def test_a_route_that_holds_the_callers_number_is_not_sent(route: str) -> None:
    """A trusted header may repeat the caller: what it says does not travel in clear."""
    table = Directory.parse('[trunks.ST_h]\ntrusted_headers = { route = "X-Route" }\n')
    phone = caller(**{"sip.trunkID": "ST_h", "sip.h.x-route": route})
    (told,) = await requests_of(
        Job(), ("function_tool",), phone=phone, directory=table, tool_baggage=[ROUTE]
    )
    digits = "".join(char for char in str(told) if char.isdigit())
    assert "4155550134" not in digits


async def test_a_warm_transfer_is_one_story_with_two_trunks() -> None:
    """Each room's spans carry their own leg's trunk, and the story is one trace or linked."""
    with traced_with(Pipeline(wrap=RedactingExporter)) as pipe:
        warm = await Warm(pipe).run(consulted_and_moved)
    spans = pipe.finished()
    root, consult = pipe.named("job_entrypoint"), pipe.named("sip.call")
    links = {link.context.span_id for link in consult.links}
    assert consult.context.trace_id == root.context.trace_id or root.context.span_id in links
    below = {one.context.span_id for one in warm.below("sip.call")} | {consult.context.span_id}
    carriers: dict[bool, set[Any]] = {True: set(), False: set()}
    for span in spans:
        carriers[span.context.span_id in below].add((span.attributes or {}).get(CARRIER))
    assert carriers[True] - {None} == {"twilio"}
    assert carriers[False] == {"telnyx"}
    text = "".join(span.to_json() for span in spans)
    assert "5552223333" not in text
    assert "4155550134" not in text


async def test_a_failover_in_the_second_room_is_the_colleagues_story() -> None:
    """Busy over one trunk, then another: path and finding are of that call alone."""
    with traced_with(Pipeline(wrap=RedactingExporter)) as pipe:
        warm = Warm(pipe)

        async def story(_: Warm) -> None:
            async def consultation() -> None:
                await warm.consult()
                warm.phones.answer = warm.phones.is_busy
                with pytest.raises(api.TwirpError):
                    await warm.phones.dial(warm.elsewhere.name)
                warm.phones.answer = warm.phones.picks_up
                await warm.phones.dial(warm.elsewhere.name, sip_trunk_id="ST_in")

            await asyncio.create_task(consultation())
            await warm.phones.move()
            await warm.hang_up()

        await warm.run(story)
    root, consult = pipe.attributes("job_entrypoint"), pipe.attributes("sip.call")
    assert consult["trunk.failover.path"] == "twilio:486>telnyx:200"
    assert consult["sip.attempt_count"] == 2
    for key in ("trunk.failover.path", "trunk.failover.count", "sip.attempt_count"):
        assert key not in root
    assert root["trunk.id"] == "ST_in"
    assert root["sip.response.status_code"] == 200

    def loops(name: str) -> list[Any]:
        return [
            event.attributes
            for event in pipe.named(name).events
            if event.name == "trunktrace.failure"
            and (event.attributes or {})["trunktrace.failure.mode"] == "failover_loop"
        ]

    assert not loops("job_entrypoint")
    assert len(loops("sip.call")) == 1, "an advance after a 486 is a finding"
    first, second = sorted(
        (one for one in pipe.finished() if one.name == "sip.invite"),
        key=lambda one: one.start_time or 0,
    )
    assert [link.context.span_id for link in second.links] == [first.context.span_id]
    carriers = [(one.attributes or {})[CARRIER] for one in (first, second)]
    assert carriers == ["twilio", "telnyx"]
