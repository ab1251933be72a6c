"""`trunktrace demo`: several calls over three carriers, with nobody there."""

from __future__ import annotations

import json
import logging
import os
import re
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from trunktrace.errors import MissingDependencyError

if TYPE_CHECKING:
    from trunktrace.demo.run import Outcome
    from trunktrace.demo.summary import Summary

_WIDTH: Final = 100
"""Of the picture, and of what is printed into a file or a pipe; in characters."""

_OLDEST: Final = (1, 6)
"""The oldest livekit-agents whose AgentSession takes the options of the demo's."""

_INSTALL: Final = "Install it with:  pip install 'trunktrace[demo]'"

_ROOTS: Final = {
    "job_entrypoint": "LiveKit's own (a simulated job of a real worker, under @traced_call)",
    "sip.call": "trunktrace's own (under trunktrace.start_call)",
}


def run_demo(
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the counts as JSON, and nothing else.")
    ] = False,
    svg: Annotated[
        Path | None, typer.Option(help="Write the picture of one call to this SVG file.")
    ] = None,
    jobs: Annotated[
        bool,
        typer.Option(help="Run each call as a simulated LiveKit job; else under start_call()."),
    ] = True,
) -> None:
    """Hold a few calls with fake speech models, and show what their traces say about the trunk.

    Three carriers, one of them bad; no account, no server, no network. The calls run through the
    real livekit-agents AgentSession. With OTEL_EXPORTER_OTLP_ENDPOINT set, they go there as well.
    """
    if svg is not None and not svg.parent.is_dir():
        raise typer.BadParameter(f"there is no folder {svg.parent}", param_hint="--svg")
    _require_livekit_agents()
    notes = Console(stderr=True)
    outcome = _hold_calls(notes, simulate_jobs=jobs)

    from trunktrace.demo.summary import summarize

    summary = summarize(outcome.spans)
    if as_json:
        print(json.dumps(summary.as_json()))
    else:
        _show(outcome, summary)
    if svg is not None:
        _write_picture(outcome, svg)
        notes.print(f"Wrote {svg}", highlight=False)
    if outcome.refused:
        notes.print(f"{outcome.endpoint} did not take {outcome.refused} spans", style="red")
        raise typer.Exit(1)


def _require_livekit_agents() -> None:
    if find_spec("livekit") is None or find_spec("livekit.agents") is None:
        raise MissingDependencyError(
            f"the demo runs on livekit-agents, which is not installed here.\n{_INSTALL}"
        )
    found = version("livekit-agents")
    if tuple(map(int, re.findall(r"\d+", found)[:2])) < _OLDEST:
        oldest = ".".join(map(str, _OLDEST))
        raise MissingDependencyError(
            f"the demo runs on livekit-agents {oldest} or later, and this is {found}.\n{_INSTALL}"
        )


def _hold_calls(notes: Console, *, simulate_jobs: bool) -> Outcome:
    """Run the calls with a progress bar on the error stream."""
    # The worker would load the weights of its turn detector for its jobs: 240 MB unused here.
    os.environ.setdefault("LIVEKIT_AGENTS_PRELOAD_LOCAL_INFERENCE", "0")
    # A refused call ends its job with an exception, which the worker logs at length.
    logging.getLogger("livekit.agents").setLevel(logging.CRITICAL)
    if not notes.is_terminal:
        notes.print("holding the calls, this takes about ten seconds")
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(
        *columns, console=notes, transient=True, disable=not notes.is_terminal
    ) as progress:
        bar = progress.add_task("loading livekit-agents", total=None)

        from trunktrace.demo.plans import PLANS
        from trunktrace.demo.run import run

        total = sum(plan.stretches for plan in PLANS)
        progress.update(bar, description=f"holding {len(PLANS)} calls", total=total)
        return run(PLANS, lambda: progress.advance(bar), simulate_jobs=simulate_jobs)


def _show(outcome: Outcome, summary: Summary) -> None:
    from trunktrace.demo.picture import carrier_table, trace_tree
    from trunktrace.demo.summary import DEGRADED_LOSS_RATIO, most_telling

    console = Console()
    if not console.is_terminal:
        console.width = _WIDTH
    console.print(trace_tree(most_telling(outcome.spans)))
    console.print()
    console.print(carrier_table(summary))
    lines = [
        f"A degraded turn lost more than {DEGRADED_LOSS_RATIO:.0%} of its packets on the trunk.",
        *(
            f"Found on {name}: {', '.join(f'{mode} x{n}' for mode, n in entry.found.items())}."
            for name, entry in summary.by_carrier.items()
            if entry.found
        ),
        *(f"Root of a call: {name}, {_ROOTS.get(name, 'unknown')}." for name in summary.roots),
        f"{summary.spans_with_carrier} of {summary.spans} exported spans name their carrier.",
    ]
    if outcome.endpoint is not None:
        lines.append(f"The same spans went to {outcome.endpoint}.")
    console.print("\n".join(lines), highlight=False)


def _write_picture(outcome: Outcome, path: Path) -> None:
    from trunktrace.demo.picture import trace_tree, write_svg
    from trunktrace.demo.summary import most_telling

    write_svg(trace_tree(most_telling(outcome.spans)), path, width=_WIDTH, title="trunktrace demo")
