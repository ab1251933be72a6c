"""Options of the commands that read records: what the records do not say themselves."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import typer

from trunktrace.errors import ConfigurationError
from trunktrace.facts import End
from trunktrace.sources.ends import Bridge
from trunktrace.sources.reading import Reading

BRIDGE: Final = typer.Option(
    help="How a PBX, SBC or proxy names the LiveKit SIP bridge: endpoint, gateway, host or "
    "address. May be given more than once."
)
BRIDGE_END: Final = typer.Option(
    metavar="caller|callee",
    help="The end that faces the LiveKit SIP bridge in all these records; by default what --bridge "
    "finds, what a record tells, or the callee.",
)
TIMEZONE: Final = typer.Option(
    help="Time zone of times that are written without one, as Europe/Berlin."
)
COLUMNS: Final = typer.Option(help="sbc-csv: a map of the columns, a TOML file.")

_ENDS: Final[dict[str, End]] = {"caller": "caller", "callee": "callee"}


def reading_of(
    bridge: list[str] | None, bridge_end: str | None, timezone: str, columns: Path | None
) -> Reading:
    """What the options say. Raises ConfigurationError naming the option and the fix."""
    return Reading(
        bridge=Bridge(frozenset(bridge or ()), _end(bridge_end)),
        zone=_zone(timezone),
        columns=_columns(columns),
    )


def _end(name: str | None) -> End | None:
    if name is not None and name not in _ENDS:
        raise ConfigurationError("--bridge-end", name, "write caller or callee")
    return None if name is None else _ENDS[name]


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, KeyError):
        raise ConfigurationError(
            "--timezone", name, "write a name of the IANA database, as UTC or Europe/Berlin"
        ) from None


def _columns(path: Path | None) -> dict[str, object]:
    if path is None:
        return {}
    try:
        return tomllib.loads(path.read_text())
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise ConfigurationError("--columns", str(path), f"{why}; give a TOML file") from None
    except (ValueError, UnicodeDecodeError) as error:
        raise ConfigurationError("--columns", str(path), f"no TOML: {error}") from None
