"""The quality model: G.107's equations, G.113's codecs, bursts, and the errors."""

from __future__ import annotations

import math
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import trunktrace
from trunktrace import quality
from trunktrace.quality.emodel import RANGES
from trunktrace.quality.score import Score, score

PAGE = Path(__file__).parents[1] / "docs" / "explanation" / "quality-model.md"

every_codec = st.sampled_from(sorted(quality.CODECS))
losses = st.floats(0, 1)
bursts = st.floats(1, 8)
delays = st.floats(0, 2000)


# --- the equations again, written for this test from the Recommendation's text


def _db_sum(*levels):
    return 10 * math.log10(sum(math.e ** (level * math.log(10) / 10) for level in levels))


def _norm(n, x):
    """The n-norm of (1, x), for an x that may be negative where n is odd."""
    return (1 + x**n) ** (1 / n)


def _rating_by_the_book(v):
    """R out of a dict of parameters, equation by equation (ITU-T G.107, clause 7)."""
    olr = v["slr"] + v["rlr"]  # 7-9
    lstr = v["stmr"] + v["dr"]
    n_os = v["ps"] - v["slr"] - v["ds"] - 100 + 0.004 * (v["ps"] - olr - v["ds"] - 14) ** 2
    p_re = v["pr"] + 10 * math.log10(1 + 10 ** ((10 - lstr) / 10))
    n_or = v["rlr"] - 121 + p_re + 0.008 * (p_re - 35) ** 2
    n_o = _db_sum(v["nc"], n_os, n_or, v["nfor"] + v["rlr"])
    r_o = 15 - 1.5 * (v["slr"] + n_o)

    x_olr = olr + 0.2 * (64 + n_o - v["rlr"])
    i_olr = 20 * (_norm(8, x_olr / 8) - x_olr / 8)
    echo = math.e ** (-v["t"] / 4) * 10 ** (-v["telr"] / 10)
    st_o = -10 * math.log10(10 ** (-v["stmr"] / 10) + echo)
    i_st = 29 + 12 * _norm(8, (st_o - 13) / 6)
    i_st -= 28 * _norm(35, (st_o + 1) / 19.4) + 13 * _norm(13, (st_o - 3) / 33)
    q = 37 - 15 * math.log10(v["qdu"])
    g = 1.07 + 0.258 * q + 0.0602 * q * q
    i_q = 15 * math.log10(
        1 + 10 ** ((r_o - 100) / 15 + 46 / 8.4 - g / 9) + 10 ** (46 / 30 - g / 40)
    )

    i_dte = 0.0
    if v["t"] >= 1:
        terv = v["telr"] + 6 * math.exp(-0.3 * v["t"] ** 2)
        terv -= 40 * (math.log10(1 + v["t"] / 10) - math.log10(1 + v["t"] / 150))
        terv += i_st / 2 if v["stmr"] < 9 else 0
        gap = -1.5 * (n_o - v["rlr"]) - (80 + 2.5 * (terv - 14))
        i_dte = (gap / 2 + math.sqrt(gap * gap / 4 + 100) - 1) * -math.expm1(-v["t"])
        if v["stmr"] > 20:
            i_dte = math.sqrt(i_dte**2 + i_st**2)
    gap = r_o - 10.5 * (v["wepl"] + 7) * (v["tr"] + 1) ** (-1 / 4)
    i_dle = gap / 2 + math.sqrt(gap * gap / 4 + 169)
    i_dd = 0.0
    if v["ta"] > v["m_t"]:
        x = math.log10(v["ta"] / v["m_t"]) / math.log10(2)
        i_dd = 25 * (_norm(6 * v["s_t"], x) - 3 * _norm(6 * v["s_t"], x / 3) + 2)

    i_e_eff = v["ie"]
    if v["ppl"]:
        i_e_eff += (95 - v["ie"]) / (1 / v["burst_r"] + v["bpl"] / v["ppl"])
    return r_o - (i_olr + i_st + i_q) - (i_dte + i_dle + i_dd) - i_e_eff + v["a"]


_DEFAULTS = {
    "slr": 8, "rlr": 2, "stmr": 15, "ds": 3, "dr": 3, "telr": 65, "wepl": 110, "t": 0, "tr": 0,
    "ta": 0, "qdu": 1, "ie": 0, "bpl": 4.3, "ppl": 0, "burst_r": 1, "nc": -70, "nfor": -64,
    "ps": 35, "pr": 35, "a": 0, "s_t": 1, "m_t": 100,
}  # fmt: skip

all_parameters = st.fixed_dictionaries({name: st.floats(*RANGES[name]) for name in _DEFAULTS})


@settings(max_examples=500)
@given(all_parameters)
@example(_DEFAULTS)
@example(_DEFAULTS | {"t": 1.0, "stmr": 8.999})
@example(_DEFAULTS | {"t": 1.5, "tr": 3, "telr": 20})
@example(_DEFAULTS | {"t": 30, "tr": 60, "stmr": 20.2, "telr": 30})
@example(_DEFAULTS | {"t": 250, "ta": 250, "tr": 500, "stmr": 20.001, "telr": 45})
@example(_DEFAULTS | {"ta": 300, "s_t": 0.4, "m_t": 150})
@example(_DEFAULTS | {"ppl": 100, "burst_r": 8})
def test_rating_is_the_recommendation_s(values):
    """R is within 0.01 of a second writing of the equations, for any parameters in range."""
    found = quality.transmission_rating(quality.Parameters(**values))
    assert found == pytest.approx(_rating_by_the_book(values), abs=0.01)


@given(every_codec, losses, bursts, delays)
def test_r_factor_is_the_model_with_the_codec_s_numbers(codec, loss, burst, delay):
    """`r_factor` is the E-model at its defaults, with Ie, Bpl, loss in percent, bursts and Ta."""
    row = quality.CODECS[codec]
    given_ = {"ie": row.ie, "bpl": row.bpl, "ppl": 100 * loss, "burst_r": burst, "ta": delay}
    found = quality.r_factor(
        codec=codec, loss_ratio=loss, burst_ratio=burst, one_way_delay_ms=delay
    )
    assert found == pytest.approx(_rating_by_the_book(_DEFAULTS | given_), abs=0.01)


@given(st.sampled_from(sorted(RANGES)), st.data())
def test_each_parameter_matters_to_the_copy_and_to_us_alike(name, data):
    """Moving one parameter alone moves R as the equations say, so none is mixed up."""
    values = _DEFAULTS | {"ppl": 3.0, "ta": 180.0, "t": 30.0, "tr": 60.0, "telr": 40.0}
    values[name] = data.draw(st.floats(*RANGES[name]))
    found = quality.transmission_rating(quality.Parameters(**values))
    assert found == pytest.approx(_rating_by_the_book(values), abs=1e-6)


# --- published points


def test_published_ratings():
    """R is 93.206 with all defaults, and 90.162 for G.711 with 200 ms of delay and no echo."""
    assert quality.transmission_rating(quality.Parameters()) == pytest.approx(93.206, abs=5e-4)
    assert quality.r_factor(codec="pcmu", loss_ratio=0.0) == pytest.approx(93.206, abs=5e-4)
    far = quality.r_factor(codec="pcmu", loss_ratio=0, one_way_delay_ms=200)
    assert far == pytest.approx(90.162, abs=5e-4)


def test_published_components():
    """The terms of R are the published ones: Ro 94.77, Is 1.41, Id 0.15, nothing else."""
    parts = quality.components(quality.Parameters())
    assert parts == pytest.approx((94.77, 1.41, 0.15, 0, 0), abs=0.005)
    assert parts.r == quality.transmission_rating(quality.Parameters())


def test_published_example_with_echo():
    """G.729A with VAD, 2 % loss, 150 ms each way with a TELR of 65 dB is rated 70.5."""
    example_ = quality.Parameters(ie=11, bpl=19, ppl=2, t=150, ta=150, tr=300)
    assert quality.components(example_).i_d == pytest.approx(3.8, abs=0.05)
    assert quality.transmission_rating(example_) == pytest.approx(70.5, abs=0.05)


@pytest.mark.parametrize(
    "codec, loss_percent, impairment",
    [
        ("pcmu", 0, 0), ("pcmu", 1, 5), ("pcmu", 5, 15), ("pcmu", 10, 25), ("pcmu", 20, 45),
        ("g729ab", 0, 11), ("g729ab", 2, 19), ("g729ab", 8, 36), ("g729ab", 16, 49),
        ("gsm-efr", 0, 5), ("gsm-efr", 5, 33), ("g723.1", 0, 15), ("g723.1", 16, 55),
    ],
)  # fmt: skip
def test_impairment_by_loss_is_near_the_tabulated_one(codec, loss_percent, impairment):
    """What codec and random loss take from R is within 3 of the tables of G.113 App. I (1999)."""
    best = quality.r_factor(codec="pcmu", loss_ratio=0)
    lossy = quality.r_factor(codec=codec, loss_ratio=loss_percent / 100)
    assert best - lossy == pytest.approx(impairment, abs=3)


@pytest.mark.parametrize(
    "codec, ie, bpl",
    [
        ("pcmu", 0, 25.1), ("pcma", 0, 25.1), ("pcmu-noplc", 0, 4.3), ("g729a", 10, 19.0),
        ("g729ab", 11, 19.0), ("g723.1", 15, 16.1), ("g723", 15, 16.1), ("gsm-efr", 5, 10.0),
    ],
)  # fmt: skip
def test_codecs_of_g113_table_i4(codec, ie, bpl):
    """Codecs that ITU-T publishes both numbers for have them, and are not experimental."""
    row = quality.CODECS[codec]
    assert (row.ie, row.bpl) == (ie, bpl)
    assert not quality.is_experimental(codec)


def test_experimental_codecs():
    """A codec is marked where its numbers are not ITU-T's own for narrowband telephony."""
    marked = {name for name in quality.CODECS if quality.is_experimental(name)}
    assert marked == {
        "amr", "amr-wb", "g722", "g726-16", "g726-24", "g726-32", "g726-40", "g728", "gsm", "ilbc",
        "opus",
    }  # fmt: skip


def test_no_codec_is_better_than_g711_without_loss():
    """On the scale of narrowband telephony nothing beats `pcmu` on a clean line."""
    best = quality.r_factor(codec="pcmu", loss_ratio=0)
    for codec in quality.CODECS:
        assert quality.r_factor(codec=codec, loss_ratio=0) <= best


def test_codec_names_are_taken_in_any_case():
    """`PCMU`, as SDP writes it, is `pcmu`."""
    assert quality.r_factor(codec="PCMU", loss_ratio=0.1) == quality.r_factor(
        codec="pcmu", loss_ratio=0.1
    )


# --- what must hold for any call


def _pair(strategy):
    return st.tuples(strategy, strategy).map(sorted)


@given(every_codec, _pair(losses), bursts, delays)
def test_more_loss_is_never_better(codec, loss, burst, delay):
    """R and MOS do not rise with loss."""
    less, more = (
        quality.r_factor(codec=codec, loss_ratio=x, burst_ratio=burst, one_way_delay_ms=delay)
        for x in loss
    )
    assert more <= less + 1e-9
    assert quality.mos(more) <= quality.mos(less) + 1e-9


@given(every_codec, losses, _pair(bursts), _pair(delays))
def test_longer_bursts_and_more_delay_are_never_better(codec, loss, burst, delay):
    """R does not rise with the burst ratio, nor with the delay."""

    def rated(b, d):
        return quality.r_factor(codec=codec, loss_ratio=loss, burst_ratio=b, one_way_delay_ms=d)

    assert rated(burst[1], delay[0]) <= rated(burst[0], delay[0]) + 1e-9
    assert rated(burst[0], delay[1]) <= rated(burst[0], delay[0]) + 1e-9


@given(every_codec, losses, bursts, delays)
def test_rating_is_bounded(codec, loss, burst, delay):
    """R is at most the model's best, may be negative, and its MOS is from 1 to 4.41."""
    r = quality.r_factor(codec=codec, loss_ratio=loss, burst_ratio=burst, one_way_delay_ms=delay)
    assert -600 < r <= 93.2063
    assert 1 <= quality.mos(r) <= 4.41


def test_heavy_loss_is_below_zero():
    """All packets lost in bursts gives a negative R, as the equations do, and a MOS of 1."""
    r = quality.r_factor(codec="pcmu", loss_ratio=1, burst_ratio=8)
    assert r < 0
    assert quality.mos(r) == 1.0


# --- MOS


@pytest.mark.parametrize(
    "r, expected",
    [(-10, 1), (0, 1), (50, 2.58), (60, 3.10), (70, 3.60), (80, 4.03), (90, 4.34), (93.206, 4.41),
     (100, 4.5), (129, 4.5)],
)  # fmt: skip
def test_published_mos(r, expected):
    """MOS is that of G.107 Table B.1 at its limits, and 1 and 4.5 beyond the ends."""
    assert quality.mos(r) == pytest.approx(expected, abs=0.01)


@given(_pair(st.floats(-300, 300)))
def test_better_rating_is_never_a_worse_score(ratings):
    """MOS does not fall while R rises, from end to end of the scale, and stays in 1 to 4.5."""
    low, high = map(quality.mos, ratings)
    assert 1 <= low <= high + 1e-12
    assert high <= 4.5


def test_mos_has_no_jumps():
    """A hundredth of a point of R never moves MOS by a thousandth: no seam at either end."""
    scores = [quality.mos(step / 100) for step in range(-500, 10_500)]
    assert max(b - a for a, b in pairwise(scores)) < 1e-3


# --- errors

NOT_NUMBERS = [math.nan, math.inf, -math.inf, True, None, "0.1", 10**400, 1j]


@pytest.mark.parametrize(
    "field, bounds, wrong",
    [
        ("loss_ratio", "0 to 1", [*NOT_NUMBERS, -1e-9, 1.0000001, 5]),
        ("burst_ratio", "1 to 8", [*NOT_NUMBERS, 0.999, 0, 8.001]),
        ("one_way_delay_ms", "0 to 2000", [*NOT_NUMBERS, -1, 2000.5]),
    ],
)
def test_number_out_of_range(field, bounds, wrong):
    """A number that cannot be is a ValueError that says field and range."""
    for value in wrong:
        arguments = {"codec": "pcmu", "loss_ratio": 0.0, field: value}
        with pytest.raises(ValueError, match=f"^{field} must be a number from {bounds}$"):
            quality.r_factor(**arguments)


def test_ends_of_the_ranges_are_in_range():
    """The bounds themselves are accepted, as ints and as floats."""
    for end in (0, 0.0, 1, 1.0):
        quality.r_factor(codec="pcmu", loss_ratio=end)
    for burst, delay in ((1, 0), (8, 2000), (8.0, 2000.0)):
        quality.r_factor(codec="pcmu", loss_ratio=0, burst_ratio=burst, one_way_delay_ms=delay)


@pytest.mark.parametrize("codec", ["", "evs", "pcmu ", "PCMU/8000", None, 0, b"pcmu", ["pcmu"]])
def test_unknown_codec(codec):
    """An unknown codec is a ValueError that lists the known ones, for each who asks by name."""
    with pytest.raises(ValueError, match=r"^codec must be one of amr, amr-wb, .*, pcmu-noplc$"):
        quality.r_factor(codec=codec, loss_ratio=0)
    with pytest.raises(ValueError, match=r"^codec must be one of "):
        quality.is_experimental(codec)


@pytest.mark.parametrize("r", [math.nan, math.inf, -math.inf, True, None, "93"])
def test_mos_of_no_rating(r):
    """MOS of what is no rating is a ValueError."""
    with pytest.raises(ValueError, match=r"^r must be a number from "):
        quality.mos(r)


@pytest.mark.parametrize("name", sorted(RANGES))
def test_parameter_out_of_range(name):
    """Each parameter of the E-model is checked when it is given, and named with its range."""
    low, high = RANGES[name]
    for value in (math.nan, True, low - 0.1, high + 0.1, "1"):
        with pytest.raises(ValueError, match=f"^{name} must be a number from {low:g} to {high:g}$"):
            quality.Parameters(**{name: value})


def test_parameters_cannot_be_changed():
    """Parameters are a value: checked once, then fixed."""
    parameters = quality.Parameters()
    with pytest.raises(AttributeError):
        parameters.ppl = 500


# --- bursts


def test_loss_runs():
    """Runs of lost packets are counted out of what arrived, at the ends too."""
    arrived = [flag == "1" for flag in "0110001011100"]
    assert quality.loss_runs(arrived) == [1, 3, 1, 2]
    assert quality.loss_runs([]) == []
    assert quality.loss_runs([True, True]) == []


@pytest.mark.parametrize(
    "lost, runs, expected, ratio",
    [(10, 10, 1000, 1.0), (40, 10, 1000, 3.84), (50, 10, 100, 2.5), (100, 1, 100, 1.0)],
)
def test_burst_ratio(lost, runs, expected, ratio):
    """It is the mean burst over the mean burst of as much random loss, and at least 1."""
    found = quality.burst_ratio(lost=lost, bursts=runs, expected=expected)
    assert found == pytest.approx(ratio)


@given(st.lists(st.booleans(), min_size=1))
def test_burst_ratio_of_runs_is_that_of_counts(arrived):
    """Runs and counts give one ratio; without loss there is none."""
    runs = quality.loss_runs(arrived)
    found = quality.burst_ratio_of_runs(runs, expected=len(arrived))
    lost = arrived.count(False)
    assert found == quality.burst_ratio(lost=lost, bursts=len(runs), expected=len(arrived))
    assert (found is None) == (lost == 0)
    assert found is None or found >= 1


def test_burst_ratio_of_random_loss_is_near_one():
    """Loss at random, long enough, has a burst ratio of 1; loss in a Gilbert model its 1/(p+q)."""
    import random

    dice = random.Random(7)
    at_random = [dice.random() >= 0.1 for _ in range(100_000)]
    runs = quality.loss_runs(at_random)
    assert quality.burst_ratio_of_runs(runs, expected=100_000) == pytest.approx(1, abs=0.03)

    arrived, p, q = [True], 0.02, 0.3
    for _ in range(200_000):
        arrived.append(dice.random() >= p if arrived[-1] else dice.random() < q)
    ratio = quality.burst_ratio_of_runs(quality.loss_runs(arrived), expected=len(arrived))
    assert ratio == pytest.approx(1 / (p + q), rel=0.05)


@pytest.mark.parametrize(
    "lost, runs, expected",
    [(5, 0, 10), (0, 1, 10), (5, 6, 10), (11, 1, 10), (-1, 0, 10), (True, 1, 10), (1.0, 1, 10)],
)
def test_counts_that_cannot_be(lost, runs, expected):
    """Counts that contradict each other are a ValueError."""
    with pytest.raises(ValueError, match=r"bursts must|lost, bursts and expected must"):
        quality.burst_ratio(lost=lost, bursts=runs, expected=expected)


@pytest.mark.parametrize("runs", [[0], [-1, 2], [1.5], [True]])
def test_runs_that_cannot_be(runs):
    """A run of no packet, or of half a one, is a ValueError."""
    with pytest.raises(ValueError, match="each run must be"):
        quality.burst_ratio_of_runs(runs, expected=10)


# --- the score of a call's window


def test_score_is_rating_and_mos():
    """A known codec and loss give R and the MOS of that R."""
    r = quality.r_factor(codec="pcma", loss_ratio=0.03, burst_ratio=2, one_way_delay_ms=180)
    assert score("pcma", 0.03, 2.0, 180.0) == Score(r, quality.mos(r), False)


def test_score_takes_unknown_bursts_and_delay_as_none():
    """Bursts and delay that nobody measured change nothing."""
    assert score("pcmu", 0.03, None, None) == score("pcmu", 0.03)


def test_score_of_what_is_unknown_is_none():
    """No codec, no loss, a codec that is not in the table, values that cannot be: no score."""
    for arguments in (
        (None, 0.1), ("pcmu", None), ("evs", 0.1), ("pcmu", 1.1), ("pcmu", math.nan),
        ("pcmu", 0.1, "2"), ("pcmu", 0.1, 1.0, -5.0),
    ):  # fmt: skip
        assert score(*arguments) is None


def test_score_of_an_experimental_codec_is_asked_for():
    """An experimental score is only given to who asks, and says what it is."""
    assert score("opus", 0.0) is None
    found = score("opus", 0.0, experimental=True)
    assert found is not None
    assert found.experimental


def test_score_stays_on_the_scale():
    """Measured bursts longer than the model knows, and total loss, end at 0 and 1."""
    assert score("pcmu", 1.0, 50.0, 9000.0) == Score(0.0, 1.0, False)
    assert score("pcmu", 0.1, 0.2) == score("pcmu", 0.1, 1.0)


# --- the package and the page


def test_quality_loads_no_numpy():
    """The model is had without numpy, also as an attribute of the bare package."""
    code = (
        "import sys, trunktrace\n"
        "assert 'trunktrace.quality' not in sys.modules\n"
        "r = trunktrace.quality.r_factor(codec='pcmu', loss_ratio=0.0)\n"
        "assert 93.2 < r < 93.21 and trunktrace.quality.mos(r) > 4.4\n"
        "import trunktrace.quality\n"
        "assert 'numpy' not in sys.modules and 'opentelemetry.sdk' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_names_of_the_package_exist():
    """Each public name of `trunktrace.quality` can be had, and the package is the one of ours."""
    assert trunktrace.quality is quality
    assert all(hasattr(quality, name) for name in quality.__all__)
    assert list(quality.__all__) == sorted(quality.__all__)


def test_page_has_every_codec():
    """The table in the docs says of each codec what the code says."""
    rows = re.findall(
        r"^\| `([^`]+)` \| ([\d.]+) \| ([\d.]+) \| (yes|) *\|",
        PAGE.read_text("utf-8"),
        re.MULTILINE,
    )
    told = {name: (float(ie), float(bpl), mark == "yes") for name, ie, bpl, mark in rows}
    assert told == {
        name: (row.ie, row.bpl, row.experimental) for name, row in quality.CODECS.items()
    }
