"""A call on a fake clock, spoken in LiveKit's span names: for the tests of loss."""

from __future__ import annotations

from typing import Any, Self

import trunktrace

from .kit import Pipeline, Time, fake_time, under


class Call:
    """A call on a fake clock, spoken in LiveKit's span names, times in seconds of the call."""

    def __init__(self, late: bool = False) -> None:
        self.pipe = Pipeline(wrap=trunktrace.LateFactsExporter if late else None)
        self.spans: dict[str, Any] = {}

    def __enter__(self) -> Self:
        self._time = fake_time()
        self.time: Time = self._time.__enter__()
        self._scope = self.pipe.call(direction="inbound")
        self.call = self._scope.__enter__()
        self.start("agent_session", 0.0, key="session", parent=None)
        return self

    def __exit__(self, *exc: object) -> None:
        for span in reversed(list(self.spans.values())):
            if span.is_recording():
                span.end(self.time.source())
        self._scope.__exit__(None, None, None)
        self.pipe.provider.force_flush()
        self.pipe.provider.shutdown()
        self._time.__exit__(None, None, None)

    def start(
        self, name: str, at: float, *, key: str | None = None, parent: str | None = "session"
    ):
        self.time.now = max(self.time.now, at)
        context = None if parent is None else under(self.spans[parent])
        span = self.pipe.tracer.start_span(
            name, context=context, start_time=self.time.ns(at), attributes={"key": key or name}
        )
        self.spans[key or name] = span
        return span

    def end(self, key: str, at: float) -> None:
        self.time.now = max(self.time.now, at)
        self.spans[key].end(self.time.ns(at))

    def loss(
        self,
        start: float,
        end: float,
        ratio: float,
        *,
        known: float | None = None,
        direction: str = "in",
        method: str = "counted",
        leg: str = "trunk",
    ) -> None:
        self.time.now = max(self.time.now, end if known is None else known)
        self.call.record_media(
            leg=leg,
            direction=direction,
            loss_ratio=ratio,
            loss_method=method,
            start=self.time.unix(start),
            end=self.time.unix(end),
        )

    def exported(self, key: str) -> dict[str, Any]:
        found = [s for s in self.pipe.finished() if (s.attributes or {}).get("key") == key]
        assert len(found) == 1, f"{len(found)} spans with key {key}"
        return dict(found[0].attributes or {})

    def root(self) -> dict[str, Any]:
        return self.pipe.attributes("sip.call")

    def now(self, key: str) -> dict[str, Any]:
        """What stands on an open span now."""
        return dict(self.spans[key].attributes)

    def user_turn(self, n: int, at: float, until: float) -> None:
        """The caller speaks from `at` to `until`; the turn itself stays open."""
        self.start("user_turn", at, key=f"user{n}")
        self.start("user_speaking", at, key=f"speaking{n}", parent=f"user{n}")
        self.end(f"speaking{n}", until)

    def agent_turn(self, n: int, at: float) -> None:
        self.start("agent_turn", at, key=f"agent{n}")
