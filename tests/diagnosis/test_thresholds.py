"""Thresholds: data with defaults; a wrong file says where and how to set it right."""

from __future__ import annotations

import pytest

import trunktrace
from trunktrace.diagnosis.engine import diagnose
from trunktrace.diagnosis.thresholds import VARIABLE, Limits, Thresholds
from trunktrace.errors import ConfigurationError

from .stories import answered, diagnosed, loss, windows


def test_recognition_is_nowhere_laxer_than_ears():
    """A recogniser has no ear that fills the hole."""
    limits = Thresholds.default()
    names = Limits.__dataclass_fields__
    assert all(getattr(limits.recognition, n) <= getattr(limits.ears, n) for n in names)
    assert limits.recognition.loss_degraded < limits.ears.loss_degraded


def test_a_file_replaces_only_what_it_names(tmp_path):
    """Every other key keeps its default."""
    file = tmp_path / "mine.toml"
    file.write_text("[recognition]\nloss_degraded = 0.02\n")
    mine = Thresholds.load(file)
    assert mine.recognition.loss_degraded == 0.02
    assert mine.recognition.loss_bad == Thresholds.default().recognition.loss_bad
    assert mine.ears == Thresholds.default().ears


@pytest.mark.parametrize(
    "text,key,fix",
    [
        ("[ears]\nloss_degraded = 5", "ears.loss_degraded", "share from 0 to 1"),
        ("[ears]\nloss_degraded = 'a'", "ears.loss_degraded", "number"),
        ("[ears]\nloss_degraded = true", "ears.loss_degraded", "number"),
        ("[ears]\nloss_degraded = nan", "ears.loss_degraded", "share from 0 to 1"),
        ("[ears]\nloss_degraded = 0.5", "ears.loss_degraded", "at most"),
        ("[ears]\nlos = 1", "ears.los", "no such key"),
        ("[eyes]\n", "[eyes]", "no such table"),
        ("ears = 3", "ears", "table"),
        ("[windows]\nenter = 6", "windows.enter", "at most"),
        ("[windows]\nleave = 0", "windows.leave", "whole number from 1"),
        ("[windows]\nof = 2.5", "windows.of", "whole number from 1"),
        ("[windows]\nlength_s = 0", "windows.length_s", "more than 0"),
        ("[one_way]\nsilent_dbfs = 20", "one_way.silent_dbfs", "-200 to 10"),
        ("[ears", "TOML", "cannot be read"),
    ],
)
def test_a_wrong_value_names_file_key_and_fix(text, key, fix, tmp_path):
    """The error says in which file, which key, what was given and what to write instead."""
    file = tmp_path / "mine.toml"
    file.write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        Thresholds.load(file)
    assert "mine.toml" in str(caught.value)
    assert key in str(caught.value)
    assert fix in caught.value.fix


@pytest.mark.parametrize("content", [None, b"\xff\xfe"])
def test_a_file_that_cannot_be_read_is_a_configuration_error(content, tmp_path):
    """Missing or not text: never an OSError or a UnicodeDecodeError."""
    file = tmp_path / "mine.toml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"mine\.toml"):
        Thresholds.load(file)


def test_the_environment_names_the_file(tmp_path, monkeypatch):
    """TRUNKTRACE_THRESHOLDS is read by `find`, and by `diagnose` where none are given."""
    file = tmp_path / "mine.toml"
    file.write_text("[recognition]\nloss_degraded = 0.5\nloss_bad = 0.6\n")
    story = answered(windows=windows("trunk", "in", *[loss(10)] * 12))
    assert diagnosed(story).findings
    monkeypatch.setenv(VARIABLE, str(file))
    assert Thresholds.find().recognition.loss_degraded == 0.5
    assert diagnose(story).findings == ()


@pytest.mark.parametrize(
    "begin", [trunktrace.traced_call, trunktrace.instrument, trunktrace.start_call]
)
def test_a_wrong_file_of_the_environment_is_told_before_any_call(begin, monkeypatch):
    """In a live call it could only be logged, and no call would have a finding."""
    monkeypatch.setenv(VARIABLE, "there-is-none.toml")
    with pytest.raises(ConfigurationError, match=VARIABLE):
        begin()


def test_without_a_file_the_defaults_are_found(monkeypatch):
    """An empty variable is none."""
    monkeypatch.setenv(VARIABLE, "")
    assert Thresholds.find() == Thresholds.default()
