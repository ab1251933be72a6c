"""No number of an outbound call leaves in clear: spans, metrics, logs, exceptions, headers."""

from __future__ import annotations

import contextlib
import json
import logging
import re
import traceback
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from tests.behaviour.fakejob import REASON, Job, caller, settle
from tests.behaviour.kit import Pipeline
from tests.fake_livekit_api import ANSWERS, Play
from tests.inviting import asking, invites, leg, request, run
from tests.twirp import SipApi

import trunktrace
from trunktrace import DialFailed, RedactingExporter, SipPropagator
from trunktrace.errors import ConfigurationError
from trunktrace.metrics import CallMetrics

from .witness import ApiContext, Witness, witnessed

# Callee, caller ID, target of a transfer; each with the digits that no output may hold.
US, GB, DE = "+14155550134", "+442079460018", "+4915112345678"
SECRET = ("4155550134", "2079460018", "15112345678")
WRITTEN = {
    US: ["+14155550134", "14155550134", "4155550134", "(415) 555-0134", "415-555-0134",
         "415.555.0134", "415 555 0134", "+1 (415) 555-0134", "tel:+1-415-555-0134",
         "sip:4155550134@192.0.2.1", "sip:+14155550134@gw.example;user=phone", "%2B14155550134",
         "0014155550134", "01114155550134",
         "\uff11\uff14\uff11\uff15\uff15\uff15\uff15\uff10\uff11\uff13\uff14",
         "+1\u00a0415\u00a0555\u00a00134"],
    DE: ["+4915112345678", "015112345678", "0151 12345678", "0151/12345678", "0151-12345678",
         "0049 151 12345678", "+49 (0) 151 12345678", "+49 151 1234 5678"],
}  # fmt: skip
FORMS = [(number, form) for number, forms in WRITTEN.items() for form in forms]


def strings_of(thing: Any) -> list[str]:
    if isinstance(thing, dict):
        return [text for pair in thing.items() for each in pair for text in strings_of(each)]
    if isinstance(thing, (list, tuple)):
        return [text for each in thing for text in strings_of(each)]
    return [str(thing)]


def in_clear(*texts: str) -> list[str]:
    """Those that hold one of the numbers, however its digits are separated."""
    found = []
    for text in texts:
        digits = re.sub(r"[^0-9a-zA-Z]", "", "".join(_ascii(char) for char in text))
        if any(secret in digits for secret in SECRET):
            found.append(text)
    return found


def _ascii(char: str) -> str:
    import unicodedata

    try:
        return str(unicodedata.digit(char))
    except ValueError:
        return char


def exported(job: Job) -> list[str]:
    return [text for one in job.pipe.finished() for text in strings_of(json.loads(one.to_json()))]


@pytest.fixture
def reader() -> InMemoryMetricReader:
    reader = InMemoryMetricReader()
    CallMetrics().install(MeterProvider([reader], shutdown_on_exit=False))
    return reader


def metrics_of(reader: InMemoryMetricReader) -> list[str]:
    data = reader.get_metrics_data()
    return [] if data is None else strings_of(json.loads(data.to_json()))


@pytest.mark.parametrize("number, form", FORMS)
async def test_a_reason_phrase_with_the_number(
    number: str, form: str, reader: InMemoryMetricReader, caplog: pytest.LogCaptureFixture
) -> None:
    """The far end repeats the callee in its phrase, in any form: nothing that leaves holds it."""
    caplog.set_level(logging.DEBUG)

    async def entry(ctx: Any, sip: SipApi) -> None:
        task = asking(sip, request(to=number, number=GB))
        asked = await sip.next()
        phone = ctx.room.join(leg(**{"sip.phoneNumber": number}))
        asked.refuse(404, f"No route to {form} here")
        with pytest.raises(Exception):  # noqa: B017, PT011  # the API's own
            await task
        ctx.room.leave(phone, REASON.USER_UNAVAILABLE)

    job = await run(entry)
    assert invites(job)[0].attributes["sip.response.reason"]  # type: ignore[index]
    assert not in_clear(*exported(job))
    assert not in_clear(*metrics_of(reader))
    assert not in_clear(caplog.text)


@pytest.mark.parametrize("number, form", FORMS)
async def test_the_request_names_the_number_in_any_form(
    number: str, form: str, caplog: pytest.LogCaptureFixture
) -> None:
    """`sip_call_to`, `sip_number` and the participant's own attributes, as trunks want them."""
    caplog.set_level(logging.DEBUG)

    async def entry(ctx: Any, sip: SipApi) -> None:
        task = asking(sip, request(to=form, number=number))
        asked = await sip.next()
        phone = ctx.room.join(leg(**{"sip.phoneNumber": form, "sip.trunkPhoneNumber": form}))
        ctx.room.status(phone, "ringing")
        asked.accept()
        await task
        ctx.room.status(phone, "active")

    job = await run(entry)
    assert invites(job)
    assert not in_clear(*exported(job))
    assert not in_clear(caplog.text)


async def test_a_number_that_is_not_of_the_call(caplog: pytest.LogCaptureFixture) -> None:
    """A redirect names somebody else: a signalling number all the same."""
    caplog.set_level(logging.DEBUG)
    phrases = (f"Moved to <sip:{DE}@gw.example>", f"Forwarded to {DE}", f"tel:{DE} unknown")

    async def entry(_: Any, sip: SipApi) -> None:
        for phrase in phrases:
            task = asking(sip, request())
            (await sip.next()).refuse(302, phrase)
            with pytest.raises(Exception):  # noqa: B017, PT011  # the API's own
                await task

    assert not in_clear(*exported(await run(entry)), caplog.text)


@pytest.mark.parametrize(
    "target",
    [f"tel:{DE}", f"sip:{DE}@gw.example", DE, "tel:+49-151-12345678", "0151 12345678",
     "sip:015112345678@192.0.2.9", f"<sip:{DE}@gw.example>?X=1", "sip:reception.desk@gw.example",
     f"sip:desk@gw.example?Replaces={DE}", "tel:0151-12345678"],
)  # fmt: skip
@pytest.mark.parametrize("refused", [False, True])
async def test_a_transfers_target_is_masked(
    target: str, refused: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """`sip.refer`: neither number nor user in clear, also where the answer repeats it."""
    from livekit import api
    from livekit.agents import telemetry
    from livekit.protocol import sip as messages
    from opentelemetry import trace

    # livekit-api before 1.1 answers with a participant.
    response = getattr(messages, "TransferSIPParticipantResponse", messages.SIPParticipantInfo)

    caplog.set_level(logging.DEBUG)
    job = Job()

    async def answer(*_: Any, **__: Any) -> Any:
        if refused:
            meta = {"sip_status_code": "603", "sip_status": f"Decline {target}"}
            raise api.TwirpError("permission_denied", f"no {target}", status=403, metadata=meta)
        return response()

    async def entry(ctx: Any) -> None:
        phone = ctx.room.join(caller())
        ctx.room.status(phone, "active")
        client = api.LiveKitAPI("http://127.0.0.1:9", "key", "secret" * 6)
        client.sip._client.request = answer  # type: ignore[method-assign]
        asked = api.TransferSIPParticipantRequest(
            room_name=ctx.room.name, participant_identity=phone.identity, transfer_to=target
        )
        try:
            await client.sip.transfer_sip_participant(asked)
        except api.TwirpError:
            assert refused
        finally:
            await client.aclose()

    telemetry.set_tracer_provider(job.pipe.provider)
    try:
        await job.run(entry)
    finally:
        telemetry.set_tracer_provider(trace.get_tracer_provider())
    span = job.pipe.named("sip.refer")
    assert span.attributes["trunk.carrier"] == "telnyx"  # type: ignore[index]
    texts = [*exported(job), caplog.text]
    assert not in_clear(*texts)
    assert not any("reception.desk" in text for text in texts)


@pytest.mark.parametrize("number, form", FORMS)
async def test_dial_tells_nobody(number: str, form: str, caplog: pytest.LogCaptureFixture) -> None:
    """DialFailed, its attempts, their representation, the log: not even with a repeating phrase."""
    caplog.set_level(logging.DEBUG)
    plays = {"ST_a": Play(503, f"{form} unreachable"), "ST_b": Play(486, f"{form} is busy")}
    async with witnessed(plays) as (ctx, _):
        with pytest.raises(DialFailed) as failed:
            await trunktrace.dial(ctx, form, trunks=plays, identity="callee")
    error = failed.value
    told = [str(error), repr(error), error.path, error.why, repr(error.attempts), repr(error.args)]
    assert not in_clear(*told, caplog.text)
    assert not in_clear("".join(traceback.format_exception_only(error)))


@pytest.mark.parametrize(
    "wrong",
    [
        {"trunks": [US]}, {"trunks": US}, {"trunks": []}, {"trunks": ["ST_a"], "identity": US},
        {"trunks": ["ST_a"], "ringing_timeout_s": US}, {"trunks": [4155550134]},
        {"trunks": ["ST_a", "ST_a"]}, {"trunks": ["ST_a"], "backoff_s": US},
        {"trunks": ["ST_a"], "request": US},
    ],
)  # fmt: skip
async def test_a_wrong_dial_says_what_is_wrong_without_the_number(wrong: dict[str, Any]) -> None:
    """ConfigurationError before anything is dialled, and without the number that was given."""
    async with witnessed({"ST_a": ANSWERS}) as (ctx, server):
        ctx.room.join(leg(US))
        with pytest.raises(ConfigurationError) as refused:
            await trunktrace.dial(ctx, US, **wrong)
        assert not in_clear(str(refused.value), repr(refused.value), repr(refused.value.args))
        assert not server.asked


def test_no_number_in_what_a_trunk_shows() -> None:
    """A Trunk and a failure can be logged."""
    assert not in_clear(repr(trunktrace.Trunk("ST_a", number=US)))


async def test_no_number_in_x_baggage_of_an_attempt() -> None:
    """A carrier or route of the directory that holds a number does not go out with the INVITE."""
    table = trunktrace.Directory.parse(
        '[trunks.ST_a]\ncarrier = "twilio"\nroute = "to-415-555-0134"\nregion = "us1"\n'
    )
    sent: dict[str, str] = {}

    async def entry(_: Any, sip: SipApi) -> None:
        task = asking(sip, request())
        asked = await sip.next()
        sent.update(asked.request.headers)
        asked.accept()
        await task

    keys = ["trunk.carrier", "trunk.route", "trunk.region"]
    await run(entry, directory=table, sip_headers=SipPropagator(baggage=keys, session_id=True))
    assert "X-Traceparent" in sent
    assert "trunk.carrier=twilio" in sent["X-Baggage"]
    assert not in_clear(*sent.values())


async def test_with_the_redaction_told_to_reveal_only_pii_keys_have_it() -> None:
    """In clear only under a key with a `pii` segment, and only because it was asked for."""

    async def entry(ctx: Any, sip: SipApi) -> None:
        task = asking(sip, request())
        asked = await sip.next()
        ctx.room.join(leg())
        asked.refuse(486, f"{US} is busy")
        with pytest.raises(Exception):  # noqa: B017, PT011  # the API's own
            await task
        await settle()

    from trunktrace import Redaction

    job = await run(entry, redaction=Redaction(reveal_numbers=True))
    for span in job.pipe.finished():
        for key, value in (span.attributes or {}).items():
            assert "pii" in key.split(".") or not in_clear(str(value)), key
        for event in span.events:
            for key, value in (event.attributes or {}).items():
                assert "pii" in key.split(".") or not in_clear(str(value)), key


def test_the_helpers_find_what_they_look_for() -> None:
    """A check that finds nothing would pass for ever."""
    assert all(in_clear(form) for _, form in FORMS)
    assert not in_clear("+1*******34", "twilio:503>telnyx:486")
    assert issubclass(Witness, object)
    assert ApiContext is not None


@pytest.mark.parametrize("number, form", FORMS)
async def test_an_exception_that_a_span_records(number: str, form: str) -> None:
    """The user's own span records DialFailed with its cause and stack: scrubbed as it leaves."""
    from livekit.agents import telemetry
    from opentelemetry import trace

    pipe = Pipeline(wrap=RedactingExporter)
    telemetry.set_tracer_provider(pipe.provider)
    plays = {"ST_a": Play(486, f"{form} is busy")}
    try:
        async with witnessed(plays) as (ctx, _):
            job = Job(ctx.room, pipe=pipe, ctx=ctx)

            async def entrypoint(_: Any) -> None:
                with (
                    contextlib.suppress(DialFailed),
                    pipe.tracer.start_as_current_span("mine"),
                ):
                    await trunktrace.dial(ctx, number, trunks=["ST_a"], identity="callee")

            await job.run(entrypoint)
    finally:
        telemetry.set_tracer_provider(trace.get_tracer_provider())
    (event,) = pipe.named("mine").events
    assert event.name == "exception"
    assert not in_clear(*exported(job))
