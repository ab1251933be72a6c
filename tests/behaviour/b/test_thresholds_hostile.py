"""Thresholds are data: another file changes the answer, a wrong one is loud."""

from __future__ import annotations

import pytest

from . import captured
from .console import modes, run
from .variants import LOSS


def judged(tmp_path, text, number="03"):
    """`diagnose --thresholds` with this file."""
    file = tmp_path / "thresholds.toml"
    file.write_text(text)
    folder = captured.path(number, "spans").parent
    return run("diagnose", folder, "--json", "--thresholds", file)


def test_a_threshold_that_is_raised_lets_the_loss_pass(tmp_path):
    """With 50 % allowed, 9.6 % is no finding; the loss itself stands."""
    ran = judged(tmp_path, "[recognition]\nloss_degraded = 0.5\nloss_bad = 0.6\n")
    assert ran.code == 0, ran.err
    assert modes(ran.json) == []
    assert ran.json["facts"]["rtp.in.loss_ratio"] == pytest.approx(0.0956, abs=1e-4)


def test_what_a_file_leaves_out_keeps_its_default(tmp_path):
    """An empty file, and one about something else: the usual answer."""
    for text in (
        "",
        "[recording]\nlatest_start_s = 9.0\n",
        "[ears]\nloss_degraded = 0.9\nloss_bad = 0.95\n",
    ):
        ran = judged(tmp_path, text)
        assert ran.code == 0, ran.err
        assert modes(ran.json) == [LOSS], text


def test_the_environment_names_the_file_too(tmp_path, monkeypatch):
    """TRUNKTRACE_THRESHOLDS does what the option does."""
    file = tmp_path / "t.toml"
    file.write_text("[recognition]\nloss_degraded = 0.5\nloss_bad = 0.6\n")
    monkeypatch.setenv("TRUNKTRACE_THRESHOLDS", str(file))
    ran = run("diagnose", captured.path("03", "spans").parent, "--json")
    assert ran.code == 0, ran.err
    assert modes(ran.json) == []


@pytest.mark.parametrize(
    "text,named",
    [
        ("[recognition]\nloss_degarded = 0.5\n", "loss_degarded"),
        ("[recogniser]\nloss_degraded = 0.5\n", "recogniser"),
        ('[recognition]\nloss_degraded = "much"\n', "loss_degraded"),
        ("[recognition]\nloss_degraded = true\n", "loss_degraded"),
        ("[recognition]\nloss_degraded = -0.1\n", "loss_degraded"),
        ("[recognition]\nloss_degraded = 5\n", "loss_degraded"),
        ("[recognition]\nloss_degraded = nan\n", "loss_degraded"),
        ("[recognition]\nloss_degraded = inf\n", "loss_degraded"),
        ("[windows]\nenter = 0\n", "enter"),
        ("[windows]\nenter = 2.5\n", "enter"),
        ("[windows]\nenter = 6\nof = 5\n", "enter"),
        ("[windows]\nlength_s = 0\n", "length_s"),
        ("[recognition\n", "toml"),
        ("recognition = 3\n", "recognition"),
    ],
)
def test_a_wrong_threshold_is_named(text, named, tmp_path):
    """No traceback, no answer, the field in the message: configuration is loud."""
    ran = judged(tmp_path, text)
    assert ran.code not in (0, 1, 65), ran.code
    assert "Traceback" not in ran.err
    assert named.lower() in ran.err.lower(), ran.err
    assert ran.out.strip() == ""


def test_a_thresholds_file_that_is_not_there_is_said(tmp_path):
    """A missing file is not the defaults."""
    ran = run(
        "diagnose", captured.path("03", "spans").parent, "--json", "--thresholds", tmp_path / "no"
    )
    assert ran.code not in (0, 65)
    assert "Traceback" not in ran.err
