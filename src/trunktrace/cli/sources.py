"""The list of sources: grouped for a person, one a line for a program."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from trunktrace.sources.table import SOURCES, Source

_GROUPS: Final = (
    ("LiveKit", ("livekit",)),
    ("PBXs", ("asterisk", "freeswitch")),
    ("Carriers", ("twilio", "telnyx", "plivo", "vonage", "signalwire")),
    ("Proxies and media proxies", ("kamailio", "opensips", "rtpengine")),
    ("Taps, phones and SBCs", ()),
)
"""Group, and the systems of it; the last one has all others."""


def show_sources() -> None:
    """Print each source: what it says, and the file that it takes.

    On a terminal under the name of its group; else one line each, the name first.
    """
    console = Console()
    if not console.is_terminal:
        width = max(map(len, SOURCES))
        for source in SOURCES.values():
            print(f"{source.name:{width}}  {source.takes}: {source.brief}")
        return
    for title, sources in _grouped():
        console.print(Text(title, style="bold"))
        console.print(_table(sources))


def _grouped() -> Iterator[tuple[str, list[Source]]]:
    left = dict(SOURCES)
    for title, systems in _GROUPS:
        names = [name for name in left if not systems or name.partition("-")[0] in systems]
        yield title, [left.pop(name) for name in names]


def _table(sources: list[Source]) -> Table:
    table = Table.grid(padding=(0, 2, 0, 2))
    table.add_column("source", min_width=max(map(len, SOURCES)), no_wrap=True)
    table.add_column("what", overflow="fold")
    for source in sources:
        table.add_row(source.name, Text.assemble(source.brief, (f" ({source.takes})", "dim")))
    return table
