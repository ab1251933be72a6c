"""Who asks the rules when: also where a call's root ends and nobody has concluded the call."""

from __future__ import annotations

from opentelemetry.trace import get_current_span

from trunktrace import LateFactsExporter

from .behaviour.kit import FACTS, Pipeline, fake_time


def test_a_root_that_just_ends_has_its_verdict_all_the_same():
    """A framework may end the root before anybody says that the call is over."""
    pipe = Pipeline(wrap=LateFactsExporter)
    with fake_time() as time, pipe.call(**FACTS) as call:
        for at in range(0, 60, 5):
            time.now = at + 5
            call.record_media(
                leg="trunk", direction="in", start=time.unix(at), end=time.unix(at + 5),
                packet_count=225, lost_count=25, loss_ratio=0.1,
            )  # fmt: skip
        get_current_span().end()
        assert call.finished
    root = pipe.attributes("sip.call")
    assert root["trunktrace.failure.mode"] == "media_degradation"
    assert root["trunk.fault"] == "network"
