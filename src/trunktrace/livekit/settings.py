"""What a traced worker is configured with; read once, where the entrypoint is decorated."""

from __future__ import annotations

import os
import pickle
from dataclasses import dataclass, field
from typing import Final, TypedDict

from trunktrace.diagnosis.thresholds import Thresholds
from trunktrace.directory import Directory
from trunktrace.errors import ConfigurationError
from trunktrace.redaction import Redaction
from trunktrace.voice.corrections import CorrectionRule

ENV_MUST_RECORD: Final = "TRUNKTRACE_MUST_RECORD"
_SWITCH: Final = {"1": True, "true": True, "0": False, "false": False, "": None}


class SettingFields(TypedDict, total=False):
    """The keyword arguments of `traced_call` and `instrument`, as `traced_call` explains them."""

    directory: Directory | None
    redaction: Redaction | None
    learn_trunks: bool
    must_record: bool | None
    correction_rule: CorrectionRule | None


@dataclass(frozen=True, slots=True)
class Settings:
    """What this worker is told; picklable, so that it can travel to a job.

    `must_record` is None where nobody says whether calls must be recorded.
    """

    directory: Directory = field(default_factory=Directory.find)
    redaction: Redaction = field(default_factory=Redaction.from_environment)
    learn_trunks: bool = False
    must_record: bool | None = None
    correction_rule: CorrectionRule | None = None

    @classmethod
    def load(
        cls,
        directory: Directory | None = None,
        redaction: Redaction | None = None,
        *,
        learn_trunks: bool = False,
        must_record: bool | None = None,
        correction_rule: CorrectionRule | None = None,
    ) -> Settings:
        """The given settings, the rest from files and environment.

        Raises ConfigurationError naming the field and the fix.
        """
        _check("directory", directory, Directory, "give trunktrace.Directory.load(path)")
        _check("redaction", redaction, Redaction, "give a trunktrace.Redaction(...)")
        _check("learn_trunks", learn_trunks, bool, "give True or False")
        _check("must_record", must_record, bool, "give True or False")
        _check_rule(correction_rule)
        must_record = _must_record() if must_record is None else must_record
        Thresholds.find()  # a wrong file is told here: in a call it would only be logged
        directory = directory if directory is not None else Directory.find()
        if redaction is None:
            redaction = Redaction.from_environment(default_country=directory.default_country)
        return cls(directory, redaction, learn_trunks, must_record, correction_rule)


def _must_record() -> bool | None:
    said = os.environ.get(ENV_MUST_RECORD, "").strip().lower()
    if said not in _SWITCH:
        raise ConfigurationError(ENV_MUST_RECORD, said, "write 1, true, 0 or false")
    return _SWITCH[said]


def _check_rule(rule: object) -> None:
    if rule is None:
        return
    fix = "give a function (text, previous_user_text, language) -> bool that stands in a module"
    if not callable(rule):
        raise ConfigurationError("correction_rule", rule, fix)
    try:
        # A job process gets it by its name; there it would fail again and again.
        pickle.dumps(rule)
    except Exception:
        raise ConfigurationError("correction_rule", rule, fix) from None


def _check(field_name: str, value: object, kind: type, fix: str) -> None:
    if value is not None and not isinstance(value, kind):
        raise ConfigurationError(field_name, value, fix)
