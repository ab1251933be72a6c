"""One call at its end, and a point that it adds to a metric: what all metrics are made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from trunktrace import conventions as c
from trunktrace.belief import Value
from trunktrace.diagnosis.findings import Diagnosis
from trunktrace.diagnosis.story import Story

Facts = Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Point:
    """`value` is added to a counter, or recorded by a histogram, of that name."""

    name: str
    value: float
    labels: Facts


@dataclass(frozen=True, slots=True, kw_only=True)
class EndedCall:
    """One call as it was at its end.

    `facts` are by attribute key, as on the root call span; `former` those of each leg that was the
    call before, oldest first.
    """

    facts: Facts
    former: tuple[Facts, ...] = ()
    story: Story = field(default_factory=Story)
    diagnosis: Diagnosis = field(default_factory=Diagnosis)

    @property
    def answered(self) -> bool:
        """Whether a 2xx came, as far as anybody says."""
        return is_answered(self.facts)


def is_answered(facts: Facts) -> bool:
    """Whether the final answer was a 2xx."""
    code = facts.get(c.SIP_RESPONSE_STATUS_CODE)
    if isinstance(code, int):
        return 200 <= code < 300
    return facts.get(c.SIP_CALL_OUTCOME) == "answered"


def call_labels(facts: Facts, *, ended: bool = True) -> dict[str, Value]:
    """Carrier, route, region and direction; what is not known is left out.

    A call that ended without a carrier that anybody could name has `unknown`, as on its root.
    """
    labels = {key: facts[key] for key in c.CALL_LABELS if key in facts}
    if ended:
        labels.setdefault(c.TRUNK_CARRIER, c.UNKNOWN_CARRIER)
    return labels
