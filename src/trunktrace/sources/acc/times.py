"""When a call was invited, answered and ended, as far as accounting says it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC
from typing import Final

from trunktrace.sources.acc.record import AccRecord, moment
from trunktrace.sources.shapes.values import decimal, milliseconds_between

_SAME_S: Final = 0.05
"""A CDR's start and the line of the 2xx this close are one moment."""

_LONGEST_SETUP_S: Final = 600.0
_CUT_S: Final = 2.0
"""A duration of whole seconds may be this far from its own times: each is cut or rounded."""


@dataclass(frozen=True, slots=True)
class Times:
    """Unix seconds; None is what nobody said. `duration_ms` is from the answer to the BYE."""

    invited: float | None = None
    answered: float | None = None
    ended: float | None = None
    duration_ms: float | None = None
    setup_ms: float | None = None


def times_of(
    answer: AccRecord | None,
    final: AccRecord | None,
    bye: AccRecord | None,
    cdr: AccRecord | None,
) -> Times:
    """The times by the 2xx (or the final failure), the BYE and the CDR; each may be absent."""
    if cdr is not None:
        return _with_cdr(answer, final, cdr)
    invited = _created(final)
    if answer is None:
        over = final or bye
        return Times(invited=invited, ended=over.at if over is not None else None)
    ended = bye.at if bye is not None else None
    return Times(
        invited=invited,
        answered=answer.at,
        ended=ended,
        duration_ms=milliseconds_between(answer.at, ended),
        setup_ms=_setup_ms(answer, invited, answer.at),
    )


def _with_cdr(answer: AccRecord | None, final: AccRecord | None, cdr: AccRecord) -> Times:
    fields = cdr.fields
    start = moment(fields.get("start_time"), UTC) or cdr.at
    duration = decimal(fields.get("duration"))
    created = _created(cdr)
    if answer is None and (final is not None or not duration):
        # Written for a failed call too: it began and ended with the INVITE.
        invited = created or start
        # The time of the failure may be cut to its second.
        ended = max(final.at, invited) if final is not None else None
        return Times(invited=invited, ended=ended)
    if answer is not None and answer.at - start > _SAME_S and created is None:
        # Without `cdr_start_on_confirmed` a CDR begins with the INVITE.
        return Times(
            invited=start,
            answered=answer.at,
            ended=cdr.at,
            duration_ms=milliseconds_between(answer.at, cdr.at),
            setup_ms=milliseconds_between(start, answer.at) if answer.exact else None,
        )
    # Kamailio 4.3 was seen to write 301148.4 for 301 s: its own times are believed then.
    span = cdr.at - start
    is_near = duration is not None and duration >= 0 and abs(duration - span) <= _CUT_S
    counted = round(duration * 1000.0, 3) if duration is not None and is_near else None
    return Times(
        invited=created,
        answered=start,
        ended=cdr.at,
        duration_ms=milliseconds_between(start, cdr.at) if counted is None else counted,
        setup_ms=_setup_ms(cdr, created, start),
    )


def _created(record: AccRecord | None) -> float | None:
    """When the call was created, as OpenSIPS says it."""
    return moment(record.fields.get("created"), UTC) if record is not None else None


def _setup_ms(record: AccRecord, invited: float | None, answered: float) -> float | None:
    """From the INVITE to the 2xx, as OpenSIPS says it: seconds, milliseconds in some versions."""
    told = decimal(record.fields.get("setuptime"))
    if told is None or told < 0:
        return None
    if invited is not None and abs(told / 1000.0 - (answered - invited)) <= 1.0 < told:
        return told
    return told * 1000.0 if told <= _LONGEST_SETUP_S else None
