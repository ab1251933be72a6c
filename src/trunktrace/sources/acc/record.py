"""One record of the `acc` modules of Kamailio and OpenSIPS: a line of syslog, or an object of JSON.

An acc line is `ACC: TEXT: timestamp=...;method=...;from_tag=...;to_tag=...;call_id=...;code=...;
reason=...` and then the operator's own fields. Nothing in it is quoted: a value may hold `;` and
`=`. Its fixed fields stand first and in this order, so of two fields of one name the first counts.
A CDR line has `; ` between its fields. See Kamailio's and OpenSIPS's pages of the module `acc`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, tzinfo
from typing import Final, Literal

from trunktrace.belief import believable_text
from trunktrace.sources.acc import names
from trunktrace.sources.shapes.values import decimal, integer, iso_time, unix_time

Kind = Literal["transaction", "missed", "failure", "cdr"]
"""What went back to the caller, an attempt that failed, either of them (JSON does not tell), or a
CDR."""

Fields = dict[str, str]

_MAX_FIELDS: Final = 256
_MAX_VALUE_CHARACTERS: Final = 4096
_MAX_ATTRIBUTES: Final = 24
_LONGEST_PREFIX: Final = 2048
_FIELD: Final = re.compile(r"\s*([A-Za-z_][\w.-]{0,63})=", re.ASCII)
_WORDS: Final = frozenset({"call_id", "from_tag", "to_tag", "method", "code"})
"""Fields without a blank or a semicolon: what follows one belongs to a field that was cut off."""

_METHOD: Final = re.compile(r"[A-Z]{2,16}")
_REASON: Final = re.compile(r"(?:Q\.850|SIP)\b", re.IGNORECASE)
_TEXT: Final = re.compile(r"\bACC: ?([^=;]{0,128}?)\b(?=(?:timestamp|created|method)=)")
_CDR: Final = re.compile(r"\blog_write_cdr\(\): ?(?=\S)")
_NAMES: Final = {"callid": "call_id", "sip_code": "code", "sip_reason": "reason"}
"""What the database and JSON call the fields of the syslog."""

_AGENTS: Final = frozenset({"ua", "user_agent", "useragent"})
"""Anyone writes into these; no attribute list is looked for in them."""

NO_GATEWAY: Final = "no gateway"
"""No field of a record has a blank in its name."""

_SIGNS: Final = ("ACC: ", "acc_log_request", "log_write_cdr", ";call_id=", "; call_id=", ";method=")
_OF_A_CDR: Final = frozenset({"start_time", "end_time", "duration"})
_CORE: Final = frozenset({"method", "call_id", "code", "start_time", "end_time"})


@dataclass(frozen=True, slots=True)
class AccRecord:
    """A transaction or a CDR; `fields` holds none that is empty.

    `at` is unix seconds; `exact` tells whether it has a fraction. Of a CDR they are its end's.
    """

    kind: Kind
    fields: Mapping[str, str] = field(default_factory=dict[str, str])
    at: float = 0.0
    exact: bool = False
    code: int = 0
    method: str = ""

    @property
    def is_own(self) -> bool:
        """Whether the proxy itself answered: no gateway had been chosen."""
        return NO_GATEWAY in self.fields

    @property
    def call_id(self) -> str:
        """The Call-ID, empty where the record does not say it."""
        return self.fields.get("call_id", "")

    def first(self, *names: str) -> str | None:
        """The first of these fields that says something."""
        return next((self.fields[name] for name in names if name in self.fields), None)


def speaks_of_accounting(line: str) -> bool:
    """Whether a line of a log is one of the module's, whole or not."""
    return any(sign in line for sign in _SIGNS) and "<script>" not in line


def record_of_line(line: str, zone: tzinfo = UTC) -> AccRecord | str:
    """The record on a line that `speaks_of_accounting`, or why it cannot be read."""
    beginning = line[:_LONGEST_PREFIX]
    if found := _CDR.search(beginning):
        fields = _fields_of(line[found.end() :], "; ")
        return "too many fields" if fields is None else _cdr_of(fields, zone)
    found = _TEXT.search(beginning)
    if found is None:
        return "an accounting line without its fields"
    fields = _fields_of(line[found.end() :], ";")
    if fields is None:
        return "too many fields"
    return transaction_of(fields, zone, missed="missed" in found[1])


def _fields_of(text: str, separator: str) -> Fields | None:
    """The fields of a line; None if there are too many.

    What has no name belongs to the value before it. A value that is a list of attributes itself
    (`gw_attrs=carrier=acme;trunk=gw-east`) gives its attributes as well.
    """
    parts = text.split(separator, _MAX_FIELDS + 1)
    if len(parts) > _MAX_FIELDS:
        return None
    fields: Fields = {}
    name = ""
    for part in parts:
        found = _FIELD.match(part)
        if found is not None and not _is_of_reason(name, found[1], fields):
            name = _name(found[1])
            fields.setdefault(name, part[found.end() :][:_MAX_VALUE_CHARACTERS].strip())
        elif name and name not in _WORDS:
            fields[name] = (fields[name] + separator + part)[:_MAX_VALUE_CHARACTERS]
    return with_attributes(fields)


def _is_of_reason(before: str, name: str, fields: Fields) -> bool:
    """Whether a field goes on with the one before it: a Reason header (`reason_from_hf`)."""
    of_header = before == "reason" and name.lower() in ("cause", "text")
    return of_header and _REASON.match(fields[before]) is not None


def fields_of_object(record: Mapping[str, object]) -> Fields | None:
    """The fields of a JSON object, whatever its values' types; None if there are too many."""
    if len(record) > _MAX_FIELDS:
        return None
    fields: Fields = {}
    for key, value in record.items():
        if isinstance(value, str):
            fields.setdefault(_name(key), value[:_MAX_VALUE_CHARACTERS].strip())
        elif isinstance(value, int | float) and not isinstance(value, bool):
            number = decimal(value)
            fields.setdefault(_name(key), "" if number is None else str(value))
        elif value is None:
            fields.setdefault(_name(key), "")  # `acc_extra_nullable`
    return with_attributes(fields)


def with_attributes(fields: Fields) -> Fields:
    """The fields, without those that are empty, and the attributes in their values.

    Where the operator has a field for the gateway and it is empty, `NO_GATEWAY` is among them.
    """
    gateways = [fields[name] for name in names.GATEWAYS if name in fields]
    if gateways and not any(gateways):
        fields[NO_GATEWAY] = "yes"
    for name, value in list(fields.items()):
        if name not in _AGENTS and name != "reason" and _FIELD.match(value):
            for inner, text in _attributes(value):
                fields.setdefault(inner, text)
    return {name: value for name, value in fields.items() if value}


def _attributes(value: str) -> Iterator[tuple[str, str]]:
    for part in value.split(";", _MAX_ATTRIBUTES)[:_MAX_ATTRIBUTES]:
        if found := _FIELD.match(part):
            yield found[1].lower(), part[found.end() :].strip()


def _name(name: str) -> str:
    lowered = name[:64].lower()
    return _NAMES.get(lowered, lowered)


def record_of_object(record: Mapping[str, object], zone: tzinfo = UTC) -> AccRecord | str | None:
    """The record that an object of JSON is; why it cannot be read; None if it is of another kind.

    `acc_json` writes the same for an attempt that failed as for the caller's final answer.
    """
    fields = fields_of_object(record)
    if fields is None:
        return "too many fields"
    if not _CORE & {_name(key) for key in record}:
        return None
    if _OF_A_CDR & {_name(key) for key in record}:
        return _cdr_of(fields, zone)
    told = transaction_of(fields, zone)
    if isinstance(told, AccRecord) and told.method == "INVITE" and told.code >= 300:
        return replace(told, kind="failure")
    return told


def transaction_of(fields: Fields, zone: tzinfo, *, missed: bool = False) -> AccRecord | str:
    """A transaction out of its fields, or which of those that it needs is missing."""
    method = fields.get("method", "")
    if not _METHOD.fullmatch(method):
        return "no method"
    if believable_text(fields.get("call_id")) is None:
        return "no Call-ID"
    code = integer(fields.get("code"))
    if code is None or not 100 <= code <= 699:
        return "no SIP code"
    at = _time_of(fields, zone)
    if at is None:
        return "no time"
    return AccRecord("missed" if missed else "transaction", fields, *at, code, method)


def _cdr_of(fields: Fields, zone: tzinfo) -> AccRecord | str:
    """A CDR out of its fields, or which of those that it needs is missing.

    The names of its first three are the operator's (`cdr_start_id`, ...); their order is fixed.
    """
    if not _OF_A_CDR & fields.keys():
        for name, value in zip(("start_time", "end_time", "duration"), [*fields.values()][:3],
                               strict=False):  # fmt: skip
            fields.setdefault(name, value)
    start = moment(fields.get("start_time"), zone)
    end = moment(fields.get("end_time"), zone, after=start)
    if start is None or end is None:
        return "no time at which the call began and ended"
    if end < start:
        return "a call that ended before it began"
    fields["start_time"] = repr(start)
    code = integer(fields.get("code")) or 0
    return AccRecord("cdr", fields, end, not end.is_integer(), code if 200 <= code <= 699 else 0)


def moment(value: str | None, zone: tzinfo, *, after: float | None = None) -> float | None:
    """Unix seconds of a time in either way of writing; `after` as in `values.local_seconds`."""
    return unix_time(value) or iso_time(value, zone, after=after)


def _time_of(fields: Fields, zone: tzinfo) -> tuple[float, bool] | None:
    """The time, and whether it has a fraction: `timestamp` is followed by what `time_mode` adds."""
    times = (fields.get(name) for name in ("timestamp", "time", "call_start_time"))
    at = moment(next(filter(None, times), None), zone)
    if at is None:
        return None
    names = list(fields)
    after = names[names.index("timestamp") + 1 :][:1] if "timestamp" in fields else []
    for name in (*after, "time_exten", "time_attr", "utime"):
        fraction = _fraction(fields.get(name), at)
        if fraction is not None:
            return fraction, True
    return at, not at.is_integer()


def _fraction(value: str | None, at: float) -> float | None:
    """The time made exact by microseconds, or by a time that has a fraction itself."""
    microseconds = integer(value)
    if microseconds is not None:
        whole = value is not None and value.isdigit() and len(value) <= 6
        return round(at + microseconds / 1e6, 6) if whole else None
    exact = decimal(value)
    return exact if exact is not None and abs(exact - at) < 1.5 else None
