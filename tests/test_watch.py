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


def test_a_live_look_sees_what_was_told_late():
    """Windows of the last minutes are seen in whatever order they were told; older ones are not."""
    with fake_time() as time, Pipeline().call(**FACTS) as call:
        time.now = 1000.0

        def say(start: float) -> None:
            call.record_media(
                leg="trunk", direction="in", start=time.unix(start), end=time.unix(start + 5),
                loss_ratio=0.0,
            )  # fmt: skip

        recent, old = list(range(700, 1000, 5)), list(range(0, 690, 5))
        for start in (*old[:-20], *recent, *old[-20:]):
            say(start)
        told = [window.start - time.unix(0.0) for window in call.story().windows]
        assert told == recent
        assert len(call.story(final=True).windows) == len(old) + len(recent)
