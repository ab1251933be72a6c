"""Observations as JSON: what `trunktrace parse` prints."""

from __future__ import annotations

from trunktrace import conventions as c
from trunktrace.facts import Observation
from trunktrace.windows import MediaWindow

Json = dict[str, object]


def as_json(observation: Observation) -> Json:
    """`source`, `leg`, `ids`, `facts` by attribute key, and `windows`.

    A window without any measure that has an attribute key is left out. One of the whole call whose
    times the record does not know has None for `start` and `end`.
    """
    windows = [window_as_json(window) for window in observation.windows]
    windows += [
        {**window_as_json(window), "start": None, "end": None} for window in observation.untimed
    ]
    return {
        "source": observation.source,
        "leg": observation.leg,
        "ids": dict(observation.ids),
        "facts": dict(observation.facts),
        "windows": [window for window in windows if window["facts"]],
    }


def window_as_json(window: MediaWindow) -> Json:
    """`leg`, `direction`, `start` and `end` (unix seconds), `source`, `facts` by attribute key."""
    facts: Json = {}
    for name, value in window.measures().items():
        key = c.media_key(window.leg, window.direction, name)
        if key is not None:
            facts[key] = value
    method_key = {"trunk": c.RTP_LOSS_METHOD, "pstn": c.PSTN_LOSS_METHOD}.get(window.leg)
    if method_key is not None and window.loss_ratio is not None:
        facts[method_key] = window.loss_method
    return {
        "leg": window.leg,
        "direction": window.direction,
        "start": window.start,
        "end": window.end,
        "source": window.source,
        "facts": facts,
    }
