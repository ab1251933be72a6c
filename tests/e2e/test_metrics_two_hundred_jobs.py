"""200 short calls, each a forkserver job of its own, counted by a real Prometheus.

The path is the example stack's: delta metrics of processes that are gone at once, its collector's
own file, its Prometheus' own scrape interval.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.compat.fleet import Fleet
from tests.compat.platform_stub import PlatformStub

from .jaeger_api import JaegerApi, root
from .metric_servers import CollectorServer, PrometheusServer
from .polling import until
from .servers import JaegerServer

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

JOBS = 200
AT_ONCE = 4
SERVICE = "two-hundred-jobs"
INVITES = f'sip_invites_total{{job="{SERVICE}"}}'
ARRIVES_S = 120.0
"""Hold of the collector's stations, a scrape, and a busy machine."""


@dataclass(frozen=True, slots=True)
class Counted:
    """Prometheus after all jobs; `began` is the time of the first, `scraped` of the last scrape."""

    prometheus: PrometheusServer
    began: float
    scraped: float
    log: str

    def increase(self, series: str) -> float | None:
        """What PromQL's increase() says since the first job, asked at the time of a scrape.

        At any other time Prometheus extrapolates to the end of the range; that is its business.
        """
        seconds = int(self.scraped - self.began) + 60
        return self.prometheus.number(f"sum(increase({series}[{seconds}s]))", at=self.scraped)


@pytest.fixture(scope="module")
def collector(tmp_path_factory, jaeger: JaegerServer, logs) -> Iterator[CollectorServer]:
    with CollectorServer(tmp_path_factory.mktemp("otelcol"), jaeger) as server:
        logs[server.name] = server.log
        yield server


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory, collector, logs) -> Iterator[PrometheusServer]:
    with PrometheusServer(tmp_path_factory.mktemp("prometheus"), collector) as server:
        logs[server.name] = server.log
        yield server


@pytest.fixture(scope="module")
def counted(
    tmp_path_factory, collector: CollectorServer, prometheus: PrometheusServer, measured
) -> Counted:
    """All jobs have run, one of them a refused call, and Prometheus has scraped what is left."""
    settings = {
        "COMPAT_PROVIDER": "none",  # nobody makes a provider in the program
        "COMPAT_REGISTER": "server",
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.otlp_http,
        "OTEL_SERVICE_NAME": SERVICE,
    }
    began = time.time()
    log = _run_jobs(tmp_path_factory.mktemp("fleet"), settings)
    measured("200 forkserver jobs, s", round(time.time() - began, 1))
    until(
        lambda: (prometheus.number(f"sum({INVITES})") or 0) >= JOBS,
        deadline_s=ARRIVES_S,
        what="all jobs are in Prometheus",
    )
    scraped = prometheus.number(f"max(timestamp({INVITES}))")
    assert scraped is not None
    return Counted(prometheus, began, scraped, log)


def _run_jobs(folder: Path, settings: dict[str, str]) -> str:
    jobs: list[str] = []
    with PlatformStub() as platform, Fleet(folder, platform, settings) as fleet:
        for number in range(JOBS):
            if number >= AT_ONCE:
                platform.wait(jobs[number - AT_ONCE])
            jobs.append(fleet.give("busy" if number == JOBS // 2 else "answered", steps=1))
        platform.wait(*jobs)
        return fleet.log


def test_every_call_is_counted(counted, measured):
    """increase() of the invites is the number of calls, though each process was gone at once."""
    found = counted.increase(INVITES)
    measured("increase() of the invites after 200 calls", found)
    assert found == pytest.approx(JOBS, abs=1)


def test_the_first_failure_of_its_kind_is_seen(counted):
    """One call of 200 was refused: its series begins at 0, so increase() finds it."""
    refused = INVITES.replace("}", ', sip_response_status_code="486"}')
    assert counted.increase(refused) == pytest.approx(1, abs=0.05)


def test_durations_are_counted_from_the_first(counted):
    """The histogram of durations has every answered call, so its mean is the ACD."""
    durations = f'sip_call_duration_seconds_count{{job="{SERVICE}"}}'
    assert counted.increase(durations) == pytest.approx(JOBS - 1, abs=1)


def test_labels_are_the_bounded_ones(counted):
    """No process, no call and no number is a label; all jobs write to the same few series."""
    found = [labels for labels, _, _ in counted.prometheus.ask(INVITES)]
    assert len(found) == 2
    ours = {name for labels in found for name in labels if not name.startswith("otel_scope_")}
    assert ours == {
        "__name__",
        "instance",
        "job",
        "sip_call_direction",
        "sip_call_outcome",
        "sip_response_status_code",
        "trunk_carrier",
        "trunk_region",
    }
    assert len({labels["instance"] for labels in found}) == 1


def test_an_exemplar_leads_to_the_trace(counted, jaeger):
    """An exemplar of the invites names a trace, and Jaeger has it, with the call's carrier."""
    found = counted.prometheus.exemplars(INVITES, since=counted.began, until=time.time())
    assert found
    traced = next(each for each in found if "trace_id" in each)
    trace = JaegerApi(jaeger.query).wait_for_trace(traced["trace_id"])
    top = root(trace)
    assert top.attributes["sip.response.status_code"] in (200, 486)
    assert top.attributes["sip.call.direction"] in ("inbound", "outbound")


def test_no_call_is_open_after_all(counted):
    """Nobody is on the phone any more, and the processes that are gone left no call behind."""
    assert not counted.prometheus.number(f'sum(sip_calls_active{{job="{SERVICE}"}})')


def test_nothing_was_logged_about_exports(counted):
    """No job had trouble to send."""
    assert "Failed to export" not in counted.log
    assert "Overriding of current" not in counted.log
