"""Asking Twilio for the records of a call: a real HTTP server stands where Twilio would."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from trunktrace.errors import ConfigurationError, FetchError, MissingDependencyError
from trunktrace.fetch import transport
from trunktrace.fetch.credentials import Credentials
from trunktrace.fetch.retry_after import retry_after_s
from trunktrace.fetch.transport import Answer
from trunktrace.fetch.twilio import VoiceInsights

SID = "CA" + "1" * 32
PASSWORD = "s3cret-t0ken"
WHO = Credentials("AC" + "1" * 32, "SK" + "2" * 32, PASSWORD)
COMPLETE = {"call_sid": SID, "processing_state": "complete", "call_type": "carrier", "new": [1]}
PARTIAL = {"call_sid": SID, "processing_state": "partial", "call_type": "carrier"}
NOT_YET = (404, {"code": 17001, "message": "Completed summary not found", "status": 404}, {})
NO_SUCH = (404, {"code": 20404, "status": 404}, {})

Told = tuple[int, Any, dict[str, str]]


class Twilio:
    """A server that answers each path with what it was given, one after the other."""

    def __init__(self) -> None:
        self.answers: dict[str, list[Told]] = {}
        self.asked: list[str] = []
        self.authorizations: set[str] = set()
        twilio = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                twilio.asked.append(self.path)
                twilio.authorizations.add(self.headers.get("Authorization", ""))
                status, body, headers = twilio._next(self.path)
                data = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def _next(self, path: str) -> Told:
        parts = urlsplit(path)
        state = parse_qs(parts.query).get("ProcessingState", [""])[0]
        told = self.answers.get(f"{parts.path}?{state}" if state else parts.path, [NO_SUCH])
        return told[0] if len(told) == 1 else told.pop(0)

    def answer(self, what: str, *told: Told | dict[str, Any]) -> None:
        """The last answer is given again and again."""
        self.answers[f"/v1/Voice/{SID}/{what}"] = [
            one if isinstance(one, tuple) else (200, one, {}) for one in told
        ]


class Time:
    """A clock that goes on only while something sleeps."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def clock(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def twilio() -> Iterator[Twilio]:
    """A server on a free port."""
    found = Twilio()
    thread = threading.Thread(
        target=found.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
    )
    thread.start()
    yield found
    found.server.shutdown()
    found.server.server_close()
    thread.join()


@pytest.fixture
def time() -> Time:
    return Time()


def _client(twilio: Twilio, time: Time, told: list[str] | None = None) -> VoiceInsights:
    report = None if told is None else told.append
    return VoiceInsights(
        WHO, base_url=twilio.url, sleep=time.sleep, clock=time.clock, report=report
    )


async def test_a_complete_summary_comes_as_it_is(twilio: Twilio, time: Time) -> None:
    """What is there comes at once, with fields that nobody knows, and is asked for by the key."""
    twilio.answer("Summary", COMPLETE)
    async with _client(twilio, time) as insights:
        assert await insights.summary(SID) == COMPLETE
    assert time.slept == []
    assert twilio.asked == [f"/v1/Voice/{SID}/Summary"]
    login = base64.b64encode(f"{WHO.username}:{PASSWORD}".encode()).decode()
    assert twilio.authorizations == {f"Basic {login}"}


async def test_a_summary_is_waited_for_until_it_is_complete(twilio: Twilio, time: Time) -> None:
    """Neither the 404 of a summary in the making nor a partial one is the end; pauses grow."""
    twilio.answer("Summary", NOT_YET, NO_SUCH, PARTIAL, NOT_YET, COMPLETE)
    told: list[str] = []
    async with _client(twilio, time, told) as insights:
        assert await insights.summary(SID) == COMPLETE
    assert time.slept == [15.0, 30.0, 60.0, 60.0]
    assert len(told) == 4
    assert "has not completed" in told[0]


async def test_the_last_partial_one_when_the_time_is_over(twilio: Twilio, time: Time) -> None:
    """The wait is bounded, and what Twilio has then is given: only on request, or as it came."""
    twilio.answer("Summary", NOT_YET)
    twilio.answer("Summary?partial", PARTIAL)
    async with _client(twilio, time) as insights:
        assert await insights.summary(SID, wait_s=100.0) == PARTIAL
        assert sum(time.slept) == 100.0
        twilio.answer("Summary", PARTIAL)
        twilio.answer("Summary?partial", NO_SUCH)
        assert await insights.summary(SID, wait_s=0.0) == PARTIAL
    assert twilio.asked[-1].endswith("ProcessingState=partial")


async def test_45_minutes_by_default(twilio: Twilio, time: Time) -> None:
    """Nobody waits for ever for a summary that is being made; then it is told that it is."""
    twilio.answer("Summary", NOT_YET)
    async with _client(twilio, time) as insights:
        with pytest.raises(FetchError, match="has not completed the summary yet"):
            await insights.summary(SID)
    assert sum(time.slept) == 45 * 60.0


@pytest.mark.parametrize("seen", [[], [PARTIAL], [NOT_YET]])
async def test_a_call_that_twilio_does_not_know(
    twilio: Twilio, time: Time, seen: list[Told | dict[str, Any]]
) -> None:
    """A CallSid that is mistyped or another account's is asked for again for three minutes."""
    twilio.answer("Summary", *seen, NO_SUCH)
    async with _client(twilio, time) as insights:
        if PARTIAL in seen:
            assert await insights.summary(SID) == PARTIAL
        else:
            with pytest.raises(FetchError, match=r"does not know this CallSid .* another account"):
                await insights.summary(SID)
    assert sum(time.slept) == 180.0


async def test_it_goes_on_when_twilio_is_busy(twilio: Twilio, time: Time) -> None:
    """429 and 5xx are no end; what `Retry-After` asks for is waited."""
    twilio.answer(
        "Summary",
        (429, {}, {"Retry-After": "7"}),
        (503, b"<html>", {}),
        (500, {"code": 20500}, {"Retry-After": "0"}),
        (200, b"no JSON", {}),
        COMPLETE,
    )
    async with _client(twilio, time) as insights:
        assert await insights.summary(SID) == COMPLETE
    assert time.slept == [7.0, 30.0, 1.0, 60.0]


async def test_a_wait_that_is_too_long_is_not_begun(twilio: Twilio, time: Time) -> None:
    """Who is asked to wait longer than he may asks no more, not even for a partial one."""
    twilio.answer("Summary", PARTIAL, (429, {}, {"Retry-After": "3600"}))
    async with _client(twilio, time) as insights:
        assert await insights.summary(SID, wait_s=600.0) == PARTIAL
        with pytest.raises(FetchError, match=r"busy \(429\), and asks to wait 3600 s"):
            await insights.summary(SID, wait_s=600.0)
    assert len(twilio.asked) == 3


@pytest.mark.parametrize(
    "status, told",
    [
        (401, "TWILIO_API_SECRET"),
        (403, "Advanced Features"),
        (400, "check the CallSid"),
        (302, "302"),
    ],
)
async def test_a_refusal_ends_it_at_once(
    twilio: Twilio, time: Time, status: int, told: str
) -> None:
    """Asking again would change nothing: it is told what to do, and no credential."""
    twilio.answer("Summary", (status, {"code": 20003, "message": PASSWORD}, {"Location": "/x"}))
    async with _client(twilio, time) as insights:
        with pytest.raises(FetchError, match=told) as raised:
            await insights.summary(SID)
    assert PASSWORD not in str(raised.value)
    assert len(twilio.asked) == 1


async def test_a_call_before_voice_insights_was_active(twilio: Twilio, time: Time) -> None:
    """Of such a call there will never be a summary: nobody waits for it."""
    twilio.answer("Summary", (404, {"code": 17007, "status": 404}, {}))
    async with _client(twilio, time) as insights:
        with pytest.raises(FetchError, match="not active when the call was made"):
            await insights.summary(SID)
    assert len(twilio.asked) == 1


async def test_a_server_that_is_not_there(twilio: Twilio, time: Time) -> None:
    """What cannot be reached is tried again; the message names no address and no credential."""
    client = VoiceInsights(
        WHO, base_url=f"http://me:{PASSWORD}@127.0.0.1:9", sleep=time.sleep, clock=time.clock
    )
    async with client as insights:
        with pytest.raises(FetchError, match="cannot be reached") as raised:
            await insights.summary(SID, wait_s=60.0)
    assert PASSWORD not in f"{raised.value} {raised.value.__cause__} {raised.value.__context__}"
    assert sum(time.slept) == 60.0


@pytest.mark.parametrize("mistake", [AttributeError, TypeError, KeyError, RecursionError])
async def test_a_mistake_in_a_program_is_not_asked_again(
    time: Time, mistake: type[Exception]
) -> None:
    """What a transport or the SDK does wrong comes through at once, as it is."""

    class Wrong(Given):
        async def get(self, url: str, params: Mapping[str, str]) -> Answer:
            raise mistake("in the SDK")

    async with VoiceInsights(transport=Wrong(), sleep=time.sleep, clock=time.clock) as insights:
        with pytest.raises(mistake, match="in the SDK"):
            await insights.summary(SID)
    assert time.slept == []


def _page(key: str, number: int, following: str | None) -> dict[str, Any]:
    return {key: [{"n": number}], "meta": {"key": key, "next_page_url": following}}


async def test_pages_follow_each_other(twilio: Twilio, time: Time) -> None:
    """All pages come, as they are, in order; a next page is asked for where we ask, and nowhere
    else.
    """
    pages = [
        _page("metrics", 0, f"https://elsewhere.example/v1/Voice/{SID}/Metrics?Page=1"),
        _page("metrics", 1, f"https://insights.twilio.com/v1/Voice/{SID}/Metrics?Page=2"),
        _page("metrics", 2, None),
    ]
    twilio.answer("Metrics", {"metrics": [], "meta": {}}, pages[0], (500, {}, {}), *pages[1:])
    async with _client(twilio, time) as insights:
        assert await insights.metrics(SID) == pages
    queries = [urlsplit(path).query for path in twilio.asked]
    assert queries == ["PageSize=50", "PageSize=50", "Page=1", "Page=1", "Page=2"]


@pytest.mark.parametrize("following", [f"/v1/Voice/{SID}/Events?Page=1", "http://[", 7])
async def test_pages_end(twilio: Twilio, time: Time, following: object) -> None:
    """Pages that lead in a circle end, and so does an odd address."""
    page = {"events": [{"n": 1}], "meta": {"next_page_url": following}}
    twilio.answer("Events", page)
    async with _client(twilio, time) as insights:
        assert await insights.events(SID) in ([page], [page, page])


async def test_a_call_without_metrics(twilio: Twilio, time: Time) -> None:
    """An empty page is waited on for a short while, and then is the answer."""
    empty = {"metrics": [], "meta": {"next_page_url": None}}
    twilio.answer("Metrics", empty)
    async with _client(twilio, time) as insights:
        assert await insights.metrics(SID) == [empty]
        assert sum(time.slept) == 180.0
        with pytest.raises(FetchError):
            await insights.events(SID, wait_s=0.0)


@pytest.mark.parametrize("sid", ["", "CA1", "+15005550006", SID + "/../x", "AC" + "1" * 32])
async def test_what_is_no_call_sid_is_not_asked_for(twilio: Twilio, time: Time, sid: str) -> None:
    """A wrong id is a wrong setting; it is not quoted, because it may be somebody's number."""
    async with _client(twilio, time) as insights:
        with pytest.raises(ConfigurationError, match="CallSid") as raised:
            await insights.summary(sid)
    assert "5005550006" not in str(raised.value)
    assert twilio.asked == []


class Given:
    """A transport of one's own."""

    def __init__(self) -> None:
        self.closed = False

    async def get(self, url: str, params: Mapping[str, str]) -> Answer:
        return Answer(200, json.dumps({"url": url, **params}))

    async def close(self) -> None:
        self.closed = True


async def test_any_transport_can_be_given(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a transport of one's own neither credentials nor Twilio's SDK are needed."""
    monkeypatch.delenv("TWILIO_ACCOUNT_SID", raising=False)
    monkeypatch.setattr(transport, "find_spec", lambda name: None)
    given = Given()
    async with VoiceInsights(transport=given) as insights:
        found = await insights.summary(SID)
    assert found["url"] == f"https://insights.twilio.com/v1/Voice/{SID}/Summary"
    assert given.closed


def test_without_the_sdk_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where Twilio's SDK is missing, the command that installs it is told."""
    monkeypatch.setattr(transport, "find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'trunktrace\[fetch\]'"):
        VoiceInsights(WHO)


@pytest.mark.parametrize(
    "environment, expected",
    [
        ({"TWILIO_API_KEY": "SK1", "TWILIO_API_SECRET": "x", "TWILIO_AUTH_TOKEN": "t"}, "SK1"),
        ({"TWILIO_API_KEY": "SK1", "TWILIO_API_KEY_SECRET": "x"}, "SK1"),
        ({"TWILIO_AUTH_TOKEN": "t"}, "AC1"),
    ],
)
def test_credentials_of_the_environment(environment: dict[str, str], expected: str) -> None:
    """A key comes before the account's token; the password is shown nowhere."""
    found = Credentials.from_environment({"TWILIO_ACCOUNT_SID": "AC1", **environment})
    assert (found.account_sid, found.username) == ("AC1", expected)
    assert found.password in environment.values()
    assert "password" not in repr(found)


@pytest.mark.parametrize(
    "environment, missing",
    [
        ({"TWILIO_AUTH_TOKEN": PASSWORD}, "TWILIO_ACCOUNT_SID"),
        ({"TWILIO_ACCOUNT_SID": "AC1", "TWILIO_API_KEY": "SK1"}, "TWILIO_API_SECRET"),
        ({"TWILIO_ACCOUNT_SID": "AC1", "TWILIO_AUTH_TOKEN": " "}, "TWILIO_AUTH_TOKEN"),
    ],
)
def test_credentials_that_are_missing(environment: dict[str, str], missing: str) -> None:
    """The message names the variable to set, and no secret that is there."""
    with pytest.raises(ConfigurationError, match=missing) as raised:
        Credentials.from_environment(environment)
    assert PASSWORD not in str(raised.value)


@pytest.mark.parametrize(
    "told, expected",
    [
        ("7", 7.0),
        ("999999999", 86400.0),
        ("Mon, 23 Nov 2026 00:20:30 GMT", 30.0),
        ("Mon, 23 Nov 2026 00:19:00 GMT", 0.0),
        ("soon", None),
        ("-1", None),
        ("", None),
    ],
)
def test_retry_after(told: str, expected: float | None) -> None:
    """Seconds, or a date; anything else asks for nothing."""
    assert retry_after_s({"retry-after": told}, now=1795393200.0) == expected


def _command(
    twilio: Twilio, *arguments: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    told = {k: v for k, v in os.environ.items() if not k.startswith("TWILIO_")}
    login = {"TWILIO_ACCOUNT_SID": WHO.account_sid, "TWILIO_AUTH_TOKEN": PASSWORD}
    return subprocess.run(
        [sys.executable, "-m", "trunktrace", "fetch", "twilio", SID, "--base-url", twilio.url,
         *arguments],
        env={**told, **login, **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )  # fmt: skip


def test_the_command_prints_what_parse_reads(twilio: Twilio, tmp_path: Path) -> None:
    """What is fetched goes through `trunktrace parse` as it is."""
    captures = Path(__file__).parent / "sources" / "captures" / "twilio"
    twilio.answer(
        "Summary", json.loads((captures / "call-summary-carrier-inbound.json").read_text())
    )
    done = _command(twilio)
    assert (done.returncode, done.stderr) == (0, "")
    (tmp_path / "summary.json").write_text(done.stdout)
    parsed = subprocess.run(
        [sys.executable, "-m", "trunktrace", "parse", "twilio-summary", "summary.json"],
        cwd=tmp_path, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    (told,) = json.loads(parsed.stdout)
    assert told["facts"]["rtp.codec"] == "pcmu"
    login = base64.b64encode(f"{WHO.account_sid}:{PASSWORD}".encode()).decode()
    assert twilio.authorizations == {f"Basic {login}"}


def test_the_command_says_that_a_summary_is_partial(twilio: Twilio) -> None:
    """When the time is over the partial one is printed, and standard error says so."""
    twilio.answer("Summary", NOT_YET)
    twilio.answer("Summary?partial", PARTIAL)
    done = _command(twilio, "--wait", "0")
    assert (done.returncode, json.loads(done.stdout)) == (0, PARTIAL)
    assert "partial" in done.stderr


def test_the_command_prints_a_page_a_line(twilio: Twilio) -> None:
    """Metrics and events come as bodies of their own, so that no body is too long to read."""
    pages = [_page("metrics", 0, f"/v1/Voice/{SID}/Metrics?Page=1"), _page("metrics", 1, None)]
    twilio.answer("Metrics", *pages)
    done = _command(twilio, "--what", "metrics", "--wait", "0")
    assert [json.loads(line) for line in done.stdout.splitlines()] == pages


@pytest.mark.parametrize(
    "environment, status, message",
    [
        ({"TWILIO_ACCOUNT_SID": ""}, 78, "TWILIO_ACCOUNT_SID"),
        ({}, 69, "check the CallSid and the account"),
    ],
)
def test_the_command_says_what_to_do(
    twilio: Twilio, environment: dict[str, str], status: int, message: str
) -> None:
    """A failure is one line that names the next step, and never a secret or a traceback."""
    done = _command(twilio, "--wait", "0", **environment)
    assert (done.returncode, done.stdout) == (status, "")
    assert message in done.stderr
    assert PASSWORD not in done.stderr
    assert "Traceback" not in done.stderr
