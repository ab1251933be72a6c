"""Lines of logs: which lines are any, and the time of one that says its year."""

from __future__ import annotations

import re
from datetime import UTC, tzinfo
from typing import Final

from trunktrace.sources.shapes.values import iso_time

_BEGINNING: Final = re.compile(
    r"""
      (?:<\d{1,3}>\d?\s?)?                                        # RFC 3164, RFC 5424: priority
      (?:  [A-Z][a-z]{2}\s[\s\d]\d\s(?:\d{4}\s)?\d\d:\d\d:\d\d    # Nov 23 01:09:06
         | \d{4}-\d\d-\d\d[T\s]\d\d:\d\d                          # ISO 8601
         | \s{0,3}\d{1,4}\(\d{1,10}\)\s                           # a proxy's own: 3(7463)
         | \[\d                                                   # [1795396146.859406]
         | .{0,48}\b(?:kamailio|opensips|rtpengine)\b            # with a container's name before it
         | (?:EMERG|ALERT|CRIT|CRITICAL|ERR|ERROR|WARN|WARNING|NOTICE|INFO|DEBUG):\s
      )
    """,
    re.VERBOSE,
)
_ISO: Final = re.compile(r"(?:<\d{1,3}>\d?\s?)?(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d[0-9.:+Z-]{0,20})")


def is_log_line(line: str) -> bool:
    """Whether a line begins as those of syslog, journald and the proxies' own logs do."""
    return _BEGINNING.match(line) is not None


def time_of(line: str, zone: tzinfo = UTC) -> float | None:
    """Unix seconds at which a line was written; None for `Nov 23 01:09:06`, which has no year."""
    found = _ISO.match(line)
    return iso_time(found[1], zone) if found else None
