"""What a traced worker is configured with; read once, where the entrypoint is decorated."""

from __future__ import annotations

import os
import pickle
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, TypedDict

from trunktrace.call_baggage import baggage_keys
from trunktrace.diagnosis.thresholds import Thresholds
from trunktrace.directory import Directory
from trunktrace.errors import ConfigurationError
from trunktrace.propagation import SipPropagator
from trunktrace.redaction import Redaction
from trunktrace.voice.corrections import CorrectionRule

ENV_MUST_RECORD: Final = "TRUNKTRACE_MUST_RECORD"
ENV_SIP_HEADERS: Final = "TRUNKTRACE_SIP_HEADERS"
_SWITCH: Final = {"1": True, "true": True, "0": False, "false": False, "": None}


class SettingFields(TypedDict, total=False):
    """The keyword arguments of `traced_call` and `instrument`.

    `directory` names carriers (default: `TRUNKTRACE_DIRECTORY`, else `carriers.toml` in the working
    directory, else what is known of the large carriers). `redaction` says what becomes of phone
    numbers (default: masked; hashed with `TRUNKTRACE_HASH_KEY`). `learn_trunks` lets a job read
    LiveKit's trunk list for names that the directory does not have. `must_record` says that calls
    are recorded (default: `TRUNKTRACE_MUST_RECORD`, else unknown), so that a recording that is late
    or missing is a finding. `correction_rule` says what a caller's correction is (default: the
    phrases of `trunktrace.voice.corrections`). `tool_baggage` names the facts (`trunk.carrier`)
    that requests of function tools carry as W3C baggage (default: none).

    `sip_headers` is a `SipPropagator` that says what goes into the headers of outbound calls; False
    for none, and for no links to the traces of others (default: X-Traceparent). With
    `TRUNKTRACE_SIP_HEADERS=0` it is off whatever the code says. `mark_participant` writes our trace
    on the participant of an inbound call, so that its BYE can carry it (default: False).
    """

    directory: Directory | None
    redaction: Redaction | None
    learn_trunks: bool
    must_record: bool | None
    correction_rule: CorrectionRule | None
    tool_baggage: Iterable[str]
    sip_headers: SipPropagator | bool | None
    mark_participant: bool


@dataclass(frozen=True, slots=True)
class Settings:
    """What this worker is told; picklable, so that it can travel to a job.

    `must_record` is None where nobody says whether calls must be recorded, `sip_headers` where no
    trace context is written into SIP headers or read from them.
    """

    directory: Directory = field(default_factory=Directory.find)
    redaction: Redaction = field(default_factory=Redaction.from_environment)
    learn_trunks: bool = False
    must_record: bool | None = None
    correction_rule: CorrectionRule | None = None
    tool_baggage: tuple[str, ...] = ()
    sip_headers: SipPropagator | None = field(default_factory=SipPropagator)
    mark_participant: bool = False

    @classmethod
    def load(
        cls,
        directory: Directory | None = None,
        redaction: Redaction | None = None,
        *,
        learn_trunks: bool = False,
        must_record: bool | None = None,
        correction_rule: CorrectionRule | None = None,
        tool_baggage: Iterable[str] = (),
        sip_headers: SipPropagator | bool | None = None,
        mark_participant: bool = False,
    ) -> Settings:
        """The given settings, the rest from files and environment.

        Raises ConfigurationError naming the field and the fix.
        """
        _check("directory", directory, Directory, "give trunktrace.Directory.load(path)")
        _check("redaction", redaction, Redaction, "give a trunktrace.Redaction(...)")
        _check("learn_trunks", learn_trunks, bool, "give True or False")
        _check("must_record", must_record, bool, "give True or False")
        _check("mark_participant", mark_participant, bool, "give True or False")
        _check_rule(correction_rule)
        must_record = _switch(ENV_MUST_RECORD) if must_record is None else must_record
        Thresholds.find()  # a wrong file is told here: in a call it would only be logged
        directory = directory if directory is not None else Directory.find()
        if redaction is None:
            redaction = Redaction.from_environment(default_country=directory.default_country)
        return cls(
            directory,
            redaction,
            learn_trunks,
            must_record,
            correction_rule,
            baggage_keys("tool_baggage", tool_baggage),
            _propagator(sip_headers),
            mark_participant,
        )


def _switch(variable: str) -> bool | None:
    said = os.environ.get(variable, "").strip().lower()
    if said not in _SWITCH:
        raise ConfigurationError(variable, said, "write 1, true, 0 or false")
    return _SWITCH[said]


def _propagator(asked: object) -> SipPropagator | None:
    """Whoever runs the agent can switch it off, whatever its code says."""
    fix = "give True, False, or a trunktrace.SipPropagator(...)"
    is_allowed = _switch(ENV_SIP_HEADERS) is not False
    if asked is None or isinstance(asked, bool):
        return None if asked is False or not is_allowed else SipPropagator()
    if not isinstance(asked, SipPropagator):
        raise ConfigurationError("sip_headers", asked, fix)
    if asked.as_parent:
        fix = "leave as_parent out: the root of a job has begun before its call is known"
        raise ConfigurationError("sip_headers", "as_parent=True", fix)
    _check_travels("sip_headers", asked, "give a propagator whose class stands in a module")
    return asked if is_allowed else None


def _check_rule(rule: object) -> None:
    if rule is None:
        return
    fix = "give a function (text, previous_user_text, language) -> bool that stands in a module"
    if not callable(rule):
        raise ConfigurationError("correction_rule", rule, fix)
    _check_travels("correction_rule", rule, fix)


def _check_travels(field_name: str, value: object, fix: str) -> None:
    try:
        # A job process gets it by its name; there it would fail again and again.
        pickle.dumps(value)
    except Exception:
        raise ConfigurationError(field_name, value, fix) from None


def _check(field_name: str, value: object, kind: type, fix: str) -> None:
    if value is not None and not isinstance(value, kind):
        raise ConfigurationError(field_name, value, fix)
