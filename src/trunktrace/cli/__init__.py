"""The command `trunktrace`: one file a command."""

from __future__ import annotations

import sys
from importlib.metadata import version
from typing import Annotated, Final

import typer

from trunktrace.cli.demo import run_demo
from trunktrace.cli.diagnose import run_diagnose
from trunktrace.cli.fetch import fetch_app
from trunktrace.cli.parse import run_parse
from trunktrace.errors import ConfigurationError, FetchError, MissingDependencyError

EX_UNAVAILABLE: Final = 69
EX_CONFIG: Final = 78

app = typer.Typer(
    name="trunktrace",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("demo")(run_demo)
app.command("diagnose")(run_diagnose)
app.command("parse")(run_parse)
app.add_typer(fetch_app, name="fetch")


def _print_version(asked: bool) -> None:
    if asked:
        print(f"trunktrace {version('trunktrace')}")
        raise typer.Exit


@app.callback()
def _trunktrace(  # pyright: ignore[reportUnusedFunction]  # typer calls it
    show_version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """The SIP trunk's facts on every span of a voice agent's call."""


def main() -> None:
    """Run the command line; a wrong setting or a missing package is a message, not a traceback."""
    try:
        app()
    except (FetchError, MissingDependencyError) as error:
        print(f"trunktrace: {error}", file=sys.stderr)
        sys.exit(EX_UNAVAILABLE)
    except ConfigurationError as error:
        print(f"trunktrace: {error}", file=sys.stderr)
        sys.exit(EX_CONFIG)
