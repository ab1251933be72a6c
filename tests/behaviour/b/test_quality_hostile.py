"""The quality model: the published numbers, the range it refuses, and its shape between."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import trunktrace
from trunktrace.quality import mos, r_factor

NAMES = (
    "pcmu", "pcma", "pcmu-noplc", "g729a", "g723.1", "gsm-efr", "amr", "ilbc", "g722", "opus",
    "amr-wb",
)  # fmt: skip
NARROW = NAMES[:8]
KNOWN = {"pcmu": (0, 25.1), "pcma": (0, 25.1), "pcmu-noplc": (0, 4.3), "g729a": (10, 19.0),
         "g723.1": (15, 16.1), "gsm-efr": (5, 10.0), "amr": (5, 10.0)}  # fmt: skip


def g107(ie: float, bpl: float, loss: float, burst: float = 1.0, ta: float = 0.0) -> float:
    """R of G.107 (2015) with its defaults, T = Tr = 0; written from the equations of clause 7."""
    slr, rlr, ds, dr, ps, pr, nc, nfor, stmr, telr, wepl, qdu = (
        8,
        2,
        3,
        3,
        35,
        35,
        -70,
        -64,
        15,
        65,
        110,
        1,
    )
    olr, lstr = slr + rlr, stmr + dr
    nos = ps - slr - ds - 100 + 0.004 * (ps - olr - ds - 14) ** 2
    pre = pr + 10 * math.log10(1 + 10 ** ((10 - lstr) / 10))
    nor = rlr - 121 + pre + 0.008 * (pre - 35) ** 2
    nfo = nfor + rlr
    no = 10 * math.log10(sum(10 ** (n / 10) for n in (nc, nos, nor, nfo)))
    ro = 15 - 1.5 * (slr + no)
    xolr = olr + 0.2 * (64 + no - rlr)
    iolr = 20 * ((1 + (xolr / 8) ** 8) ** (1 / 8) - xolr / 8)
    stmro = -10 * math.log10(10 ** (-stmr / 10) + 10 ** (-telr / 10))
    ist = (
        12 * (1 + ((stmro - 13) / 6) ** 8) ** (1 / 8)
        - 28 * (1 + ((stmro + 1) / 19.4) ** 35) ** (1 / 35)
        - 13 * (1 + ((stmro - 3) / 33) ** 13) ** (1 / 13)
        + 29
    )
    q = 37 - 15 * math.log10(qdu)
    g = 1.07 + 0.258 * q + 0.0602 * q * q
    iq = 15 * math.log10(1 + 10 ** ((ro - 100) / 15 + 46 / 8.4 - g / 9) + 10 ** (46 / 30 - g / 40))
    rle = 10.5 * (wepl + 7)
    idle = (ro - rle) / 2 + math.sqrt((ro - rle) ** 2 / 4 + 169)
    idd = 0.0
    if ta > 100:
        x = math.log10(ta / 100) / math.log10(2)
        idd = 25 * ((1 + x**6) ** (1 / 6) - 3 * (1 + (x / 3) ** 6) ** (1 / 6) + 2)
    ppl = loss * 100
    ieeff = ie + (95 - ie) * ppl / (ppl / burst + bpl)
    return ro - (iolr + ist + iq) - (idle + idd) - ieeff


def test_the_two_numbers_of_the_contract():
    """Defaults 93.206, and 90.162 at 200 ms with T = Tr = 0."""
    assert r_factor(codec="pcmu", loss_ratio=0.0) == pytest.approx(93.206, abs=0.001)
    got = r_factor(codec="pcmu", loss_ratio=0.0, one_way_delay_ms=200)
    assert got == pytest.approx(90.162, abs=0.001)


@pytest.mark.parametrize("codec", KNOWN)
def test_every_table_codec_follows_the_equations(codec):
    """Within 0.01 of G.107's own equations over loss, bursts and delay."""
    ie, bpl = KNOWN[codec]
    for loss in (0, 0.0001, 0.005, 0.01, 0.03, 0.1, 0.5, 1.0):
        for burst in (1, 1.5, 2, 4, 8):
            for delay in (0, 50, 99, 100, 101, 150, 200, 400, 1000, 2000):
                got = r_factor(
                    codec=codec, loss_ratio=loss, burst_ratio=burst, one_way_delay_ms=delay
                )
                want = g107(ie, bpl, loss, burst, delay)
                assert got == pytest.approx(want, abs=0.01), (loss, burst, delay)


def test_all_names_of_the_contract_are_known():
    """Each codec name of the contract answers."""
    for name in NAMES:
        assert 0 < r_factor(codec=name, loss_ratio=0.0) <= 129, name


BAD = [
    math.nan, math.inf, -math.inf, -0.0001, -1, None, "0.1", b"0", [], {}, 1j, True, False,
    np.float64("nan"), 10**400,
]  # fmt: skip


@pytest.mark.parametrize("value", [*BAD, 1.0001, 2, 100], ids=repr)
def test_a_loss_outside_its_range_is_refused_with_the_range(value):
    """ValueError that says the range; a bool is no ratio."""
    if value in (True, False) and isinstance(value, bool):
        with pytest.raises((ValueError, TypeError)):
            r_factor(codec="pcmu", loss_ratio=value)
        return
    with pytest.raises(ValueError, match=r"0.*1") as caught:
        r_factor(codec="pcmu", loss_ratio=value)
    assert "loss" in str(caught.value)


@pytest.mark.parametrize("value", [*BAD, 0, 0.999, 8.001, 9], ids=repr)
def test_a_burst_ratio_outside_its_range_is_refused_with_the_range(value):
    """1..8."""
    if isinstance(value, bool):
        with pytest.raises((ValueError, TypeError)):
            r_factor(codec="pcmu", loss_ratio=0.1, burst_ratio=value)
        return
    with pytest.raises(ValueError, match=r"1.*8") as caught:
        r_factor(codec="pcmu", loss_ratio=0.1, burst_ratio=value)
    assert "burst" in str(caught.value)


@pytest.mark.parametrize("value", [*BAD, 2000.001, 1e9], ids=repr)
def test_a_delay_outside_its_range_is_refused_with_the_range(value):
    """0..2000 ms."""
    if isinstance(value, bool):
        with pytest.raises((ValueError, TypeError)):
            r_factor(codec="pcmu", loss_ratio=0.1, one_way_delay_ms=value)
        return
    with pytest.raises(ValueError, match=r"0.*2000") as caught:
        r_factor(codec="pcmu", loss_ratio=0.1, one_way_delay_ms=value)
    assert "delay" in str(caught.value)


@pytest.mark.parametrize(
    "codec", ["", "g711", "PCMU/8000", "mp3", None, 0, "pcmu ", "unknown", ["pcmu"]]
)
def test_an_unknown_codec_is_refused_with_those_that_are_known(codec):
    """ValueError that names what can be had."""
    with pytest.raises(ValueError, match="pcmu"):
        r_factor(codec=codec, loss_ratio=0.0)


def test_the_edges_of_the_ranges_are_inside():
    """0 and 1, 1 and 8, 0 and 2000 are accepted, as ints and as numpy numbers."""
    for loss in (0, 1, 0.0, 1.0, np.float32(0.5), np.float64(1.0), np.int64(0)):
        for burst in (1, 8, np.float64(8)):
            for delay in (0, 2000, np.float32(2000)):
                got = r_factor(
                    codec="pcma", loss_ratio=loss, burst_ratio=burst, one_way_delay_ms=delay
                )
                assert isinstance(got, float)
                assert math.isfinite(got)


def test_the_arguments_are_by_name_only():
    """A contract of keywords."""
    with pytest.raises(TypeError):
        r_factor("pcmu", 0.0)


@given(
    st.sampled_from(NARROW), st.floats(0, 1), st.floats(0, 1), st.floats(1, 8), st.floats(0, 2000)
)
def test_more_loss_and_more_delay_are_never_better(codec, one, other, burst, delay):
    """R falls with loss and with delay."""
    low, high = sorted((one, other))
    better = r_factor(codec=codec, loss_ratio=low, burst_ratio=burst, one_way_delay_ms=delay)
    worse = r_factor(codec=codec, loss_ratio=high, burst_ratio=burst, one_way_delay_ms=delay)
    assert worse <= better + 1e-9
    assert worse <= r_factor(codec=codec, loss_ratio=high, burst_ratio=burst) + 1e-9


@given(st.floats(0, 1), st.floats(1, 8), st.floats(1, 8))
def test_bursts_are_never_better_than_random_loss(loss, one, other):
    """R falls with the burst ratio."""
    low, high = sorted((one, other))
    assert r_factor(codec="pcmu", loss_ratio=loss, burst_ratio=high) <= (
        r_factor(codec="pcmu", loss_ratio=loss, burst_ratio=low) + 1e-9
    )


@pytest.mark.parametrize(
    "r,want",
    [
        (93.206, 4.41),
        (0, 1.0),
        (-50, 1.0),
        (100, 4.5),
        (120, 4.5),
        (50, 2.575),
        (6.5, 1.0),
        (3.0, 1.0),
    ],
)
def test_mos_of_annex_b(r, want):
    """1..4.5; the dip of the cubic below R = 6.5 is 1."""
    assert mos(r) == pytest.approx(want, abs=0.005)


@given(st.floats(-1e5, 1e5))
def test_mos_stays_in_its_range_and_rises(r):
    """Between 1 and 4.5, never falling."""
    assert 1.0 <= mos(r) <= 4.5
    assert mos(r) <= mos(r + 0.5) + 1e-9


@pytest.mark.parametrize("value", [math.nan, None, "90", [], True, 1j], ids=repr)
def test_mos_of_no_number_is_refused(value):
    """NaN and what is no number: ValueError (or TypeError), not a MOS."""
    with pytest.raises((ValueError, TypeError)):
        mos(value)


def test_the_module_is_had_by_its_contracts_name():
    """`trunktrace.quality.r_factor` without an import of its own."""
    assert trunktrace.quality.r_factor is r_factor
    assert trunktrace.quality.mos is mos
