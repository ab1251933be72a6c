"""Quality of speech over a telephone line: the E-model, loss, bursts, clipping, levels.

`r_factor` and `mos` are the contract; `CODECS` is the table behind them, `transmission_rating` the
whole E-model. What works on samples stands in modules of its own, which load numpy; this package
alone does not.
"""

from __future__ import annotations

from trunktrace.quality.burst import burst_ratio, burst_ratio_of_runs, loss_runs
from trunktrace.quality.codecs import CODECS, Codec, is_experimental
from trunktrace.quality.emodel import (
    Components,
    Parameters,
    components,
    mos,
    transmission_rating,
)
from trunktrace.quality.score import Score, r_factor

__all__ = [
    "CODECS",
    "Codec",
    "Components",
    "Parameters",
    "Score",
    "burst_ratio",
    "burst_ratio_of_runs",
    "components",
    "is_experimental",
    "loss_runs",
    "mos",
    "r_factor",
    "transmission_rating",
]
