"""`trunktrace fetch`: a carrier's record of a call, as the carrier writes it."""

from __future__ import annotations

import asyncio
import json
import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from trunktrace.fetch.twilio import VoiceInsights

fetch_app = typer.Typer(no_args_is_help=True)


class What(StrEnum):
    """The records that Twilio's Voice Insights has of a call."""

    SUMMARY = "summary"
    METRICS = "metrics"
    EVENTS = "events"


@fetch_app.callback()
def _fetch() -> None:  # pyright: ignore[reportUnusedFunction]  # typer calls it
    """Ask a carrier for its record of a call, and print it as the carrier writes it."""


@fetch_app.command("twilio")
def run_fetch_twilio(
    call_sid: Annotated[str, typer.Argument(help="Twilio's CallSid: CA and 32 digits.")],
    what: Annotated[
        What, typer.Option(help="summary: the whole call; metrics: each 10 s; events: its progress")
    ] = What.SUMMARY,
    wait: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            metavar="MINUTES",
            help="How long to wait; by default 45 for a complete summary, 3 for the others.",
        ),
    ] = None,
    base_url: Annotated[
        str | None, typer.Option(help="Another address of the API: a proxy's, or a test's.")
    ] = None,
) -> None:
    """Print what Twilio's Voice Insights has of a call, in Twilio's own JSON.

    Reads TWILIO_ACCOUNT_SID, and TWILIO_API_KEY with TWILIO_API_SECRET or TWILIO_AUTH_TOKEN. A
    summary is complete about 30 minutes after the call: when the time is over, the partial one is
    printed. Metrics and events come a page a line. What is waited for stands on standard error.

    Exit status 0; 69 if Twilio has no such record or cannot be reached; 78 for a wrong setting.
    """
    from trunktrace.fetch.twilio import BASE_URL, VoiceInsights

    insights = VoiceInsights(base_url=base_url or BASE_URL, report=_tell)
    for text in asyncio.run(_asked(insights, call_sid, what, wait)):
        print(text)


async def _asked(
    insights: VoiceInsights, call_sid: str, what: What, wait: float | None
) -> list[str]:
    """What is to be printed, line by line."""
    limit = {} if wait is None else {"wait_s": wait * 60.0}
    async with insights:
        if what is What.SUMMARY:
            summary = await insights.summary(call_sid, **limit)
            if summary.get("processing_state") == "partial":
                _tell("this summary is partial: ask again half an hour after the call")
            return [json.dumps(summary, indent=2)]
        ask = insights.metrics if what is What.METRICS else insights.events
        return [json.dumps(page) for page in await ask(call_sid, **limit)]


def _tell(message: str) -> None:
    print(f"trunktrace fetch: {message}", file=sys.stderr, flush=True)
