"""The thresholds of the rules: data with defaults, each with its source in `thresholds.toml`."""

from __future__ import annotations

import functools
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from importlib.resources import files
from pathlib import Path
from typing import Any, Final, TypeVar, cast

from trunktrace.errors import ConfigurationError

VARIABLE: Final = "TRUNKTRACE_THRESHOLDS"
FILE_NAME: Final = "thresholds.toml"

Part = TypeVar("Part")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """From where on media are degraded, and bad; ratios are 0..1. Reaching a limit counts."""

    loss_degraded: float
    loss_bad: float
    jitter_degraded_ms: float
    jitter_bad_ms: float
    rtt_degraded_ms: float
    rtt_bad_ms: float
    concealment_degraded: float
    concealment_bad: float
    clipping_degraded: float
    clipping_bad: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Windowing:
    """How windows become a finding: `enter` bad ones `of` the last, until `leave` clean ones."""

    length_s: float
    enter: int
    of: int
    leave: int
    least_packets: int
    least_lost: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimation:
    """How far above a limit estimated loss must be, over a window and over a call."""

    window_margin: float
    call_margin: float
    least_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class OneWay:
    """The times and levels of the one-way-audio rules."""

    dead_at_start_s: float
    dead_mid_call_s: float
    silent_s: float
    silent_dbfs: float
    silent_ratio: float
    agent_turns: int
    agent_spoke_s: float
    asks: int
    shortest_call_s: float
    pause_s: float
    pauses: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Failover:
    """From how many attempts on a call is a loop."""

    most_attempts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """When a recording is late, and when it is missing."""

    latest_start_s: float
    missing_after_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """Every threshold of the rules. `ears` judges `out`, `recognition` judges `in`.

    Make one with `default`, `load` or `find`.
    """

    ears: Limits
    recognition: Limits
    windows: Windowing
    estimate: Estimation
    one_way: OneWay
    failover: Failover
    recording: Recording

    @classmethod
    def default(cls) -> Thresholds:
        """The thresholds that come with the package."""
        return _packaged()

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Thresholds:
        """The thresholds of a TOML file; what it leaves out stays as it is by default.

        Raises ConfigurationError with file, key and fix where the file cannot be read, or holds a
        table, key or value that cannot be.
        """
        name = os.fspath(path)
        try:
            text = Path(name).read_text("utf-8-sig")
        except OSError as error:
            fix = f"cannot be read ({error.strerror}); name a TOML file"
            raise ConfigurationError(VARIABLE, name, fix) from None
        except UnicodeDecodeError:
            raise ConfigurationError(VARIABLE, name, "not UTF-8; save it as UTF-8") from None
        return cls.parse(text, name=name)

    @classmethod
    def parse(cls, text: str, *, name: str = FILE_NAME) -> Thresholds:
        """The thresholds of a TOML text; `name` stands for it in errors. Raises as `load` does."""
        return _read(text, name, _defaults())

    @classmethod
    def find(cls) -> Thresholds:
        """The thresholds of this process: the file in TRUNKTRACE_THRESHOLDS, else the default.

        Read once for each name. Raises ConfigurationError as `load` does.
        """
        named = os.environ.get(VARIABLE)
        return _loaded(named) if named else cls.default()


_PARTS: Final[dict[str, type[Any]]] = {
    "ears": Limits,
    "recognition": Limits,
    "windows": Windowing,
    "estimate": Estimation,
    "one_way": OneWay,
    "failover": Failover,
    "recording": Recording,
}
_SIGNED: Final = frozenset({"silent_dbfs"})
_RATIOS: Final = frozenset({"silent_ratio", "window_margin", "call_margin"})
_RATIO_STEMS: Final = ("loss_", "concealment_", "clipping_")

Tables = Mapping[str, Mapping[str, object]]


def _defaults() -> Tables:
    text = files("trunktrace.diagnosis").joinpath(FILE_NAME).read_text("utf-8")
    return tomllib.loads(text)


@functools.cache
def _packaged() -> Thresholds:
    return _read("", FILE_NAME, _defaults())


@functools.lru_cache(maxsize=8)
def _loaded(name: str) -> Thresholds:
    return Thresholds.load(name)


def _read(text: str, name: str, default: Tables) -> Thresholds:
    try:
        given: dict[str, object] = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(name, "TOML", f"cannot be read: {error}") from None
    for table, value in given.items():
        if table not in _PARTS:
            fix = f"no such table; there are {', '.join(_PARTS)}"
            raise ConfigurationError(f"{name}: [{table}]", value, fix)
    parts: dict[str, Any] = {}
    for table, kind in _PARTS.items():
        over = given.get(table, {})
        if not isinstance(over, dict):
            raise ConfigurationError(f"{name}: {table}", over, f"a table: write [{table}]")
        values = {**default[table], **cast("dict[str, object]", over)}
        parts[table] = _part(kind, values, f"{name}: {table}")
    _check(parts, name)
    return Thresholds(**parts)


def _part(kind: type[Part], values: Mapping[str, object], where: str) -> Part:
    known = {item.name: str(item.type) for item in fields(kind)}  # type: ignore[arg-type]
    for key in values:
        if key not in known:
            fix = f"no such key; there are {', '.join(known)}"
            raise ConfigurationError(f"{where}.{key}", values[key], fix)
    return kind(**{key: _value(values[key], known[key], f"{where}.{key}", key) for key in known})


def _value(value: object, kind: str, where: str, key: str) -> float | int:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ConfigurationError(where, value, "a number")
    if kind == "int":
        if not isinstance(value, int) or not 1 <= value <= 1_000_000:
            raise ConfigurationError(where, value, "a whole number from 1")
        return value
    if key in _SIGNED:
        if not -200.0 <= value <= 10.0:
            raise ConfigurationError(where, value, "a level from -200 to 10 dBFS")
        return float(value)
    is_ratio = key in _RATIOS or key.startswith(_RATIO_STEMS)
    most = 1.0 if is_ratio else 1e6
    if not 0.0 <= value <= most:
        fix = "a share from 0 to 1 (0.05 is 5 %)" if is_ratio else "a number from 0"
        raise ConfigurationError(where, value, fix)
    return float(value)


def _check(parts: Mapping[str, Any], name: str) -> None:
    """What two keys must be to each other."""
    for table in ("ears", "recognition"):
        limits = parts[table]
        for item in fields(Limits):
            stem, _, level = item.name.partition("_")
            worse = item.name.replace("_degraded", "_bad")
            if level.startswith("degraded") and getattr(limits, item.name) > getattr(limits, worse):
                fix = f"at most {stem}'s bad limit, {worse} = {getattr(limits, worse)}"
                raise ConfigurationError(
                    f"{name}: {table}.{item.name}", getattr(limits, item.name), fix
                )
    windows = parts["windows"]
    if windows.enter > windows.of:
        fix = f"at most windows.of = {windows.of}"
        raise ConfigurationError(f"{name}: windows.enter", windows.enter, fix)
    if windows.length_s <= 0:
        raise ConfigurationError(f"{name}: windows.length_s", windows.length_s, "more than 0")
