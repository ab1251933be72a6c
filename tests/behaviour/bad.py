"""Values that no source should send, and good ones to put them beside."""

from __future__ import annotations

import time
from typing import Any

import hypothesis.strategies as st

HUGE = 10**400


TEN_KB = "x" * 10_240


class Evil:
    """An object that hurts whoever looks at it."""

    def __repr__(self) -> str:
        raise RuntimeError("do not print me")

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("do not compare me")

    def __hash__(self) -> int:
        raise RuntimeError("do not hash me")

    def __bool__(self) -> bool:
        raise RuntimeError("do not test me")


class EvilText(str):
    """Text that raises when it is worked with."""

    __slots__ = ()

    def strip(self, *args: Any) -> str:
        raise RuntimeError("do not strip me")

    def lower(self) -> str:
        raise RuntimeError("do not lower me")

    def __repr__(self) -> str:
        raise RuntimeError("do not print me")


HOSTILE = [Evil(), EvilText("telnyx")]


NOW = time.time()


GOOD_MEDIA: dict[str, Any] = {
    "leg": "trunk",
    "direction": "in",
    "start": NOW - 5,
    "end": NOW,
    "loss_ratio": 0.1,
}


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.binary()
    | st.datetimes()
    | st.just(HUGE),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=4,
)
