"""What the agent's own code says about its call: the methods of `current_call()`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Final

from trunktrace.belief import Check, Rank, believable_text, believed_by, country_code, name_of_ours
from trunktrace.clock import clock
from trunktrace.dropped import drop, drop_value
from trunktrace.guard import guarded
from trunktrace.timeline import Mark
from trunktrace.windows import (
    Leg,
    LossMethod,
    MediaDirection,
    MediaFields,
    MediaWindow,
    checked_window,
    unix_seconds,
)

if TYPE_CHECKING:
    from typing import Unpack

    from trunktrace.facts import FactFields

TASK_RESULTS: Final = frozenset({"completed", "failed", "abandoned"})

_EXPECTED: Final[dict[str, Check]] = {
    "caller": believable_text,
    "country": country_code,
    "region": name_of_ours,
}


class Statements:
    """Facts, media, tasks, recordings and expectations, stated by name.

    What cannot be true is dropped, logged once and counted; nothing is raised.
    """

    __slots__ = ()

    def become_phone_call(self) -> None:
        """Somebody is on the phone; see the live call."""
        raise NotImplementedError

    def observe(
        self, facts: Mapping[str, object], *, source: str, rank: Rank = Rank.OBSERVED
    ) -> None:
        """Take what `source` says; see the live call."""
        raise NotImplementedError

    def observe_media(self, window: MediaWindow) -> None:
        """Take a window; see the live call."""
        raise NotImplementedError

    def mark(self, mark: Mark) -> None:
        """Take a mark; see the live call."""
        raise NotImplementedError

    def expect_party(
        self, *, caller: str | None = None, country: str | None = None, region: str | None = None
    ) -> None:
        """Take what the customer record says; see the live call."""
        raise NotImplementedError

    def record(self, /, **facts: Unpack[FactFields]) -> None:
        """State facts about this call; they go on the root and on every open and later span.

        The names are the fields of `CallFacts`. `caller_number` and `callee_number` are given in
        clear and are masked here. None is skipped. A name that is not known or a value that cannot
        be true is dropped, logged once and counted; nothing is raised.
        """
        self.become_phone_call()
        self.observe(facts, source="api", rank=Rank.USER)

    def record_media(
        self,
        *,
        leg: Leg,
        direction: MediaDirection,
        start: float | datetime,
        end: float | datetime,
        loss_method: LossMethod = "counted",
        source: str = "api",
        **measures: Unpack[MediaFields],
    ) -> None:
        """State what one leg's media was like between two times.

        `leg` is `trunk`, `agent` or `pstn`; `direction` is `in` (towards the agent) or `out`.
        Times are unix seconds or aware datetimes. Ratios are 0..1. `loss_method` is `counted` (by
        a receiver on that leg), `derived` (from what a record holds instead of a count: whole
        percents, a mean interval) or `estimated`. A window of the trunk leg of at most 15 s marks
        the turns it covers; a longer one goes to the root only. `source` names who measured it, a
        handful of names for a call; told again with the same source and times, a window replaces
        what it was. Wrong values are dropped, logged once and counted; nothing is raised.
        """
        try:
            window = checked_window(
                leg=leg,
                direction=direction,
                start=start,
                end=end,
                source=source,
                loss_method=loss_method,
                measures=measures,
            )
        except Exception as error:
            why = str(error) if type(error) is ValueError else type(error).__name__
            drop("record_media", why)
            return
        believed = window.measures()
        for name, value in measures.items():
            if value is not None and name not in believed:
                drop_value(name, value)
        self.observe_media(window)

    @guarded
    def record_task(self, result: str) -> None:
        """State what became of the caller's task: `completed`, `failed` or `abandoned`.

        Call it once for each task of the call; each counts in `voice_agent.tasks`.
        """
        if result not in TASK_RESULTS:
            drop_value("record_task", result)
            return
        self.mark(Mark(kind="task", start=clock.now_s(), value=result))

    @guarded
    def record_recording(
        self, *, started: float | datetime | None = None, ended: float | datetime | None = None
    ) -> None:
        """State when the recording of this call began (now by default), and when it ended.

        Times are unix seconds or aware datetimes. Needed only where neither LiveKit egress nor the
        session's own recorder makes it.
        """
        start = clock.now_s() if started is None else unix_seconds(started)
        end = None if ended is None else unix_seconds(ended)
        if start is None or (ended is not None and end is None):
            drop("record_recording", "a time is neither unix seconds nor an aware datetime")
            return
        self.mark(Mark(kind="recording", start=start, end=end))

    @guarded
    def expect(
        self,
        *,
        caller: str | None = None,
        country: str | None = None,
        region: str | None = None,
    ) -> None:
        """State what the customer record says that this call should be.

        `caller` is the customer's number as it is in the record, in clear: it is compared (on an
        outbound call with the callee's) and leaves in nothing. `country` is his, ISO 3166 alpha-2,
        `region` a name of the trunk directory. What was stated before and is None now stays. What
        the call itself says otherwise is evidence for misrouting (`MIS-*`).
        """
        stated = {"caller": caller, "country": country, "region": region}
        believed: dict[str, str] = {}
        for name, check in _EXPECTED.items():
            value = believed_by(check, stated[name])
            if isinstance(value, str):
                believed[name] = value
            elif stated[name] is not None:
                drop_value("expect", stated[name])
        if believed:
            self.expect_party(**believed)
