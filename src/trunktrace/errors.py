"""Every error that trunktrace raises, and when.

```
TrunktraceError                  catch this to catch all of ours
├── ConfigurationError           a setting is wrong; raised where it is given, never in a call
│   └── DirectoryError           a directory file is wrong; names file and line
├── MissingDependencyError       an optional package is needed and is not installed
├── DialFailed                   `dial` got nobody on the line; has its attempts (livekit.dialled)
├── FetchError                   a carrier does not give its record of a call; says what to do
└── ParseError                   a record of a carrier, PBX or SBC cannot be read
```
"""

from __future__ import annotations

import functools
from typing import Any


class TrunktraceError(Exception):
    """Base of all errors of trunktrace."""


class ConfigurationError(TrunktraceError, ValueError):
    """A setting is wrong.

    `field` names the setting, `value` is what was given, `fix` says what to write instead.
    """

    def __init__(self, field: str, value: object, fix: str) -> None:
        self.field = field
        self.value = value
        self.fix = fix
        super().__init__(f"{field}={value!r}: {fix}")

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.field, self.value, self.fix)


class DirectoryError(ConfigurationError):
    """A directory file is wrong; `path` and `line` (1-based, None if unknown) say where."""

    def __init__(
        self, field: str, value: object, fix: str, *, path: str, line: int | None = None
    ) -> None:
        super().__init__(field, value, fix)
        self.path = path
        self.line = line

    def __reduce__(self) -> tuple[Any, ...]:
        make = functools.partial(type(self), path=self.path, line=self.line)
        return make, (self.field, self.value, self.fix)

    def __str__(self) -> str:
        where = self.path if self.line is None else f"{self.path}:{self.line}"
        return f"{where}: {self.field} = {self.value!r}: {self.fix}"


class MissingDependencyError(TrunktraceError, ImportError):
    """An optional package is needed and is not installed; the message says how to get it."""


class FetchError(TrunktraceError):
    """A carrier does not give its record of a call; the message says why, and what to do."""


class ParseError(TrunktraceError, ValueError):
    """A record cannot be read; `line` is 1-based (None if the record has no lines)."""

    def __init__(self, reason: str, *, line: int | None = None) -> None:
        self.reason = reason
        self.line = line
        super().__init__(reason if line is None else f"line {line}: {reason}")
