"""The E-model: what people would say of a telephone connection, computed from its parameters.

ITU-T G.107 (06/2015), narrowband. Names are the Recommendation's, in lower case; equation numbers
are those of its clause 7. `transmission_rating` is the whole model, `components` its parts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Final, NamedTuple

from trunktrace.quality.bounds import within

RANGES: Final[dict[str, tuple[float, float]]] = {
    "slr": (0.0, 18.0),
    "rlr": (-5.0, 14.0),
    "stmr": (0.0, 40.0),
    "ds": (-3.0, 3.0),
    "dr": (-3.0, 3.0),
    "telr": (5.0, 65.0),
    "wepl": (5.0, 110.0),
    "t": (0.0, 2000.0),
    "tr": (0.0, 4000.0),
    "ta": (0.0, 2000.0),
    "qdu": (1.0, 14.0),
    "ie": (0.0, 60.0),
    "bpl": (4.3, 40.0),
    "ppl": (0.0, 100.0),
    "burst_r": (1.0, 8.0),
    "nc": (-80.0, -40.0),
    "nfor": (-80.0, -40.0),
    "ps": (35.0, 85.0),
    "pr": (35.0, 85.0),
    "a": (0.0, 20.0),
    "s_t": (0.4, 1.0),
    "m_t": (20.0, 150.0),
}
"""The range of each parameter: that of G.107 clause 7.7, wider for seven of them.

`stmr` is wider because the equations have branches below 9 and above 20; `t`, `tr`, `ta` and `ppl`
because calls are that bad; `ie` because G.113 itself has 50; `nfor` because the clause gives
only its default."""

_MOS_MIN: Final = 1.0
_MOS_MAX: Final = 4.5
_R_BOUND: Final = 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters:
    """All inputs of the E-model; each default is that of G.107 clause 7.7.

    LSTR is `stmr + dr` and OLR is `slr + rlr`, as that clause relates them.

    Raises ValueError naming parameter and range, where one is outside of `RANGES`.
    """

    slr: float = 8.0
    """Send loudness rating, dB."""
    rlr: float = 2.0
    """Receive loudness rating, dB."""
    stmr: float = 15.0
    """Sidetone masking rating, dB."""
    ds: float = 3.0
    """D-value of the telephone, send side."""
    dr: float = 3.0
    """D-value of the telephone, receive side."""
    telr: float = 65.0
    """Talker echo loudness rating, dB."""
    wepl: float = 110.0
    """Weighted echo path loss, dB."""
    t: float = 0.0
    """Mean one-way delay of the echo path, ms."""
    tr: float = 0.0
    """Round-trip delay in a 4-wire loop, ms."""
    ta: float = 0.0
    """Absolute one-way delay in echo-free connections, ms."""
    qdu: float = 1.0
    """Number of quantization distortion units."""
    ie: float = 0.0
    """Equipment impairment factor of the codec (G.113)."""
    bpl: float = 4.3
    """Packet-loss robustness factor of the codec (G.113)."""
    ppl: float = 0.0
    """Packet-loss probability, percent."""
    burst_r: float = 1.0
    """Burst ratio; 1 is loss at random."""
    nc: float = -70.0
    """Circuit noise referred to the 0 dBr point, dBm0p."""
    nfor: float = -64.0
    """Noise floor at the receive side, dBmp."""
    ps: float = 35.0
    """Room noise at the send side, dB(A)."""
    pr: float = 35.0
    """Room noise at the receive side, dB(A)."""
    a: float = 0.0
    """Advantage factor."""
    s_t: float = 1.0
    """Delay sensitivity."""
    m_t: float = 100.0
    """Minimum perceivable delay, ms."""

    def __post_init__(self) -> None:
        for field in fields(self):
            within(field.name, getattr(self, field.name), *RANGES[field.name])

    @property
    def olr(self) -> float:
        """Overall loudness rating, dB."""
        return self.slr + self.rlr

    @property
    def lstr(self) -> float:
        """Listener sidetone rating, dB."""
        return self.stmr + self.dr


class Components(NamedTuple):
    """The terms of `R = Ro - Is - Id - Ie_eff + A` (7-1), all on the scale of R."""

    ro: float
    """Basic signal-to-noise ratio."""
    i_s: float
    """Impairments that come with the voice: loudness, sidetone, quantizing."""
    i_d: float
    """Impairments that come later than the voice: echo and delay."""
    ie_eff: float
    """Impairment by codec and packet loss."""
    a: float
    """Advantage factor."""

    @property
    def r(self) -> float:
        """The transmission rating."""
        return self.ro - self.i_s - self.i_d - self.ie_eff + self.a


def transmission_rating(parameters: Parameters) -> float:
    """The transmission rating R of a connection: 93.206 with all defaults, higher is better.

    R has no lower bound in the Recommendation: with heavy loss it is negative. ITU-T G.107 (7-1).
    """
    return components(parameters).r


def components(parameters: Parameters) -> Components:
    """The terms that make up R, for who wants to know what a connection suffers from."""
    p = parameters
    no = _noise(p)
    ro = 15 - 1.5 * (p.slr + no)
    ist = _sidetone(p)
    i_s = _loudness(p, no) + ist + _quantizing(p, ro)
    i_d = _talker_echo(p, no, ist) + _listener_echo(p, ro) + _delay(p)
    return Components(ro, i_s, i_d, _equipment(p), p.a)


def mos(r: float) -> float:
    """The mean opinion score for a rating R: 1 (bad) to 4.5, the best of narrowband telephony.

    ITU-T G.107 Annex B (B-4). Its cubic dips to 0.989 for R from 0 to 6.5; here it stops at 1, so
    that a better R is never a worse score.

    Raises ValueError where `r` is not a number (NaN, infinite, a bool).
    """
    r = within("r", r, -_R_BOUND, _R_BOUND)
    if r <= 0:
        return _MOS_MIN
    if r >= 100:
        return _MOS_MAX
    return max(_MOS_MIN, 1 + 0.035 * r + r * (r - 60) * (100 - r) * 7e-6)


def _noise(p: Parameters) -> float:
    """No: all noise, referred to the 0 dBr point (7-3 to 7-7)."""
    nos = p.ps - p.slr - p.ds - 100 + 0.004 * (p.ps - p.olr - p.ds - 14) ** 2
    pre = p.pr + 10 * math.log10(1 + _power(10 - p.lstr))
    nor = p.rlr - 121 + pre + 0.008 * (pre - 35) ** 2
    nfo = p.nfor + p.rlr
    return 10 * math.log10(_power(p.nc) + _power(nos) + _power(nor) + _power(nfo))


def _loudness(p: Parameters, no: float) -> float:
    """Iolr: too loud or too quiet (7-9, 7-10)."""
    x = (p.olr + 0.2 * (64 + no - p.rlr)) / 8
    return 20 * (_root(1 + x**8, 8) - x)


def _sidetone(p: Parameters) -> float:
    """Ist: sidetone that is not the best (7-11, 7-12)."""
    stmr_o = -10 * math.log10(_power(-p.stmr) + math.exp(-p.t / 4) * _power(-p.telr))
    return (
        12 * _root(1 + ((stmr_o - 13) / 6) ** 8, 8)
        - 28 * _root(1 + ((stmr_o + 1) / 19.4) ** 35, 35)
        - 13 * _root(1 + ((stmr_o - 3) / 33) ** 13, 13)
        + 29
    )


def _quantizing(p: Parameters, ro: float) -> float:
    """Iq: quantizing distortion (7-13 to 7-17)."""
    q = 37 - 15 * math.log10(p.qdu)
    g = 1.07 + 0.258 * q + 0.0602 * q**2
    y = (ro - 100) / 15 + 46 / 8.4 - g / 9
    z = 46 / 30 - g / 40
    return 15 * math.log10(1 + math.pow(10, y) + math.pow(10, z))


def _talker_echo(p: Parameters, no: float, ist: float) -> float:
    """Idte: hearing oneself again (7-19 to 7-24); below 1 ms that is sidetone, not echo."""
    if p.t < 1:
        return 0.0
    terv = p.telr - 40 * math.log10((1 + p.t / 10) / (1 + p.t / 150)) + 6 * math.exp(-0.3 * p.t**2)
    if p.stmr < 9:
        terv += ist / 2
    half = (-1.5 * (no - p.rlr) - (80 + 2.5 * (terv - 14))) / 2
    idte = (half + math.sqrt(half**2 + 100) - 1) * (1 - math.exp(-p.t))
    return math.hypot(idte, ist) if p.stmr > 20 else idte


def _listener_echo(p: Parameters, ro: float) -> float:
    """Idle: hearing the other twice (7-25, 7-26)."""
    rle = 10.5 * (p.wepl + 7) / _root(p.tr + 1, 4)
    half = (ro - rle) / 2
    return half + math.sqrt(half**2 + 169)


def _delay(p: Parameters) -> float:
    """Idd: too long a delay, even without echo (7-27, 7-28)."""
    if p.ta <= p.m_t:
        return 0.0
    x = math.log2(p.ta / p.m_t)
    n = 6 * p.s_t
    return 25 * (_root(1 + math.pow(x, n), n) - 3 * _root(1 + math.pow(x / 3, n), n) + 2)


def _equipment(p: Parameters) -> float:
    """Ie,eff: the codec, and what losing packets does to it (7-29)."""
    return p.ie + (95 - p.ie) * p.ppl / (p.ppl / p.burst_r + p.bpl)


def _root(value: float, degree: float) -> float:
    return math.pow(value, 1 / degree)


def _power(decibels: float) -> float:
    return math.pow(10, decibels / 10)
