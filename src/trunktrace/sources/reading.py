"""What a reader of records must be told, because the records do not say it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from typing import Final

from trunktrace.sources.ends import Bridge


@dataclass(frozen=True, slots=True)
class Reading:
    """How records are to be read.

    `bridge` says which end faces the LiveKit SIP bridge. `zone` is the time zone of times that are
    written without one. `columns` maps columns of an SBC's CSV to facts (`sbc.columns`), empty
    where its header line is to be used.
    """

    bridge: Bridge = field(default_factory=Bridge)
    zone: tzinfo = UTC
    columns: Mapping[str, object] = field(default_factory=dict[str, object])


AS_IT_IS: Final = Reading()
"""Nothing was told: the defaults."""
