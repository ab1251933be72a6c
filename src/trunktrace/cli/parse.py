"""`trunktrace parse`: what a file of some system says about calls, as JSON."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Final, NoReturn

import typer

from trunktrace.cli.reading import BRIDGE, BRIDGE_END, COLUMNS, TIMEZONE, reading_of
from trunktrace.cli.sources import show_sources
from trunktrace.sources.output import as_json
from trunktrace.sources.parsed import Broken
from trunktrace.sources.reading import Reading
from trunktrace.sources.table import SOURCES, Source, closest

EX_USAGE: Final = 64
EX_DATAERR: Final = 65
EX_NOINPUT: Final = 66

STDIN: Final = "-"
_FOLLOWED: Final = "livekit-sip"


LIST: Final = typer.Option("--list", help="Name every source and the file that it takes.")
FOLLOW: Final = typer.Option(
    "--follow",
    help="livekit-sip only: stay with a log that grows, and print each call as one line of JSON "
    "when it is over.",
)


def run_parse(
    source: Annotated[
        str | None, typer.Argument(help="Name of the source; --list names them all.")
    ] = None,
    file: Annotated[
        str | None, typer.Argument(help="The file to read; - is standard input.")
    ] = None,
    list_sources: Annotated[bool, LIST] = False,
    follow: Annotated[bool, FOLLOW] = False,
    bridge: Annotated[list[str] | None, BRIDGE] = None,
    bridge_end: Annotated[str | None, BRIDGE_END] = None,
    timezone: Annotated[str, TIMEZONE] = "UTC",
    columns: Annotated[Path | None, COLUMNS] = None,
) -> None:
    """Print what a file says about calls: a JSON list, one object for each leg that it tells of.

    Exit status 0; 65 if a record was broken (FILE:LINE: reason on standard error; the good ones
    are still printed); 64 for a source that is not known; 66 for a file that cannot be read; 78 for
    a wrong setting.
    """
    if list_sources:
        show_sources()
        return
    if source is None or file is None:
        _stop(EX_USAGE, "give a source and a file: trunktrace parse SOURCE FILE (- is stdin)")
    found = _source(source)
    if follow:
        _follow(found, file)
        return
    _print(found, file, reading_of(bridge, bridge_end, timezone, columns))


def _print(source: Source, file: str, reading: Reading) -> None:
    parsed = source.parse(_read(source, file), reading)
    print(json.dumps([as_json(item) for item in parsed.observations], indent=2))
    _complain(file, parsed.broken)
    if parsed.broken:
        raise typer.Exit(EX_DATAERR)


def _source(name: str) -> Source:
    found = SOURCES.get(name)
    if found is None:
        near = closest(name)
        hint = f" Did you mean {near}?" if near else ""
        names = "\n".join(f"  {known}" for known in SOURCES)
        _stop(EX_USAGE, f"there is no source of that name.{hint} The sources are:\n{names}")
    return found


def _read(source: Source, file: str) -> bytes:
    if file == STDIN:
        return sys.stdin.buffer.read()
    try:
        return Path(file).read_bytes()
    except OSError as error:
        _stop(EX_NOINPUT, _unreadable(source, file, error))


def _unreadable(source: Source, file: str, error: OSError) -> str:
    why = error.strerror or type(error).__name__
    return f"{file}: {why}. Give the path of {source.takes}, or - for standard input."


def _follow(source: Source, file: str) -> None:
    if source.name != _FOLLOWED:
        _stop(EX_USAGE, f"--follow is for {_FOLLOWED}; read {source.name} without it")
    from trunktrace.sources.livekit.follow import follow

    broken = False
    try:
        for told in follow(None if file == STDIN else Path(file)):
            if isinstance(told, Broken):
                broken = True
                _complain(file, (told,))
            else:
                print(json.dumps(as_json(told)), flush=True)
    except OSError as error:
        _stop(EX_NOINPUT, _unreadable(source, file, error))
    except KeyboardInterrupt:
        pass
    if broken:
        raise typer.Exit(EX_DATAERR)


def _complain(file: str, broken: tuple[Broken, ...]) -> None:
    for record in broken:
        print(f"{file}:{record.line}: {record.reason}", file=sys.stderr)


def _stop(status: int, message: str) -> NoReturn:
    print(f"trunktrace parse: {message}", file=sys.stderr)
    raise typer.Exit(status)
