"""`trunktrace diagnose`: what was wrong with a call, and whose fault it was, out of its files."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Final, NoReturn

import typer

from trunktrace.cli.advice import show
from trunktrace.cli.material import Material, gather, stories_of
from trunktrace.cli.reading import BRIDGE, BRIDGE_END, COLUMNS, TIMEZONE, reading_of
from trunktrace.diagnosis.engine import diagnose
from trunktrace.diagnosis.findings import Diagnosis
from trunktrace.diagnosis.report import root_facts
from trunktrace.diagnosis.story import Story
from trunktrace.diagnosis.thresholds import Thresholds
from trunktrace.directory import Directory
from trunktrace.sources.reading import Reading

EX_DATAERR: Final = 65
EX_NOINPUT: Final = 66


MATERIAL: Final = typer.Argument(
    metavar="DIR|FILE...",
    help="A folder with a call's files, or the files: LiveKit's, and what a PBX, SBC or carrier "
    "wrote of the same call (trunktrace parse --list).",
)
THRESHOLDS: Final = typer.Option(help="Thresholds of the rules, a TOML file.")
DIRECTORY: Final = typer.Option(help="Trunk directory that names carriers (carriers.toml).")


def run_diagnose(
    material: Annotated[list[Path], MATERIAL],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")] = False,
    thresholds: Annotated[Path | None, THRESHOLDS] = None,
    directory: Annotated[Path | None, DIRECTORY] = None,
    bridge: Annotated[list[str] | None, BRIDGE] = None,
    bridge_end: Annotated[str | None, BRIDGE_END] = None,
    timezone: Annotated[str, TIMEZONE] = "UTC",
    columns: Annotated[Path | None, COLUMNS] = None,
) -> None:
    """Say what was wrong with a call, from which evidence, and whose fault it was.

    Exit status 0; 65 if a record was broken (FILE:LINE: reason on standard error; the diagnosis is
    still printed) or no file tells of a call; 66 if a path cannot be read; 78 for a wrong
    setting.
    """
    limits = Thresholds.load(thresholds) if thresholds is not None else Thresholds.find()
    names = Directory.load(directory) if directory is not None else Directory.find()
    found = _gather(material, reading_of(bridge, bridge_end, timezone, columns))
    stories = stories_of(found, names)
    for file, record in found.broken:
        print(f"{file}:{record.line}: {record.reason}", file=sys.stderr)
    if not stories:
        _stop_without_call(found)
    _tell_of_others(found.left_out)
    diagnosed = [(story, diagnose(story, limits)) for story in stories]
    if as_json:
        print(json.dumps(_as_json(diagnosed), indent=2))
    else:
        show(diagnosed)
    if found.broken:
        raise typer.Exit(EX_DATAERR)


def _tell_of_others(count: int) -> None:
    if count:
        print(
            f"trunktrace diagnose: {count} calls of the same logs are of other rooms and were left "
            "out; give the logs alone to see them",
            file=sys.stderr,
        )


def _gather(paths: list[Path], reading: Reading) -> Material:
    try:
        return gather(paths, reading)
    except OSError as error:
        why = error.strerror or type(error).__name__
        _stop(EX_NOINPUT, f"{error.filename}: {why}. Give a folder with a call's files, or files.")


def _stop_without_call(found: Material) -> NoReturn:
    if not found.read:
        passed = ", ".join(path.name for path in found.passed_over) or "none"
        _stop(
            EX_NOINPUT,
            f"no file of a kind that is known (files passed over: {passed}). Give a LiveKit SIP "
            "bridge's log, webhooks, participant events, RTC statistics or spans, or the "
            "records of a PBX, SBC or carrier: trunktrace parse --list names them.",
        )
    _stop(
        EX_DATAERR,
        "the files tell of no call. The bridge's log, the webhooks, the participant events or the "
        "records of a PBX or carrier are needed: they say when a call began and how it ended.",
    )


def call_as_json(story: Story, diagnosis: Diagnosis) -> dict[str, object]:
    """One call: `findings`, `fault`, `outcome`, `facts`; times are unix seconds."""
    return {
        "findings": [
            {
                "mode": finding.mode,
                "evidence": list(finding.evidence),
                "leg": finding.leg,
                "direction": finding.direction,
                "start": finding.start,
                "end": finding.end,
            }
            for finding in diagnosis.findings
        ],
        "fault": diagnosis.fault,
        "outcome": diagnosis.outcome,
        "facts": root_facts(story, diagnosis),
    }


def _as_json(diagnosed: list[tuple[Story, Diagnosis]]) -> dict[str, object]:
    """One call as the contract has it; several as a list under `calls`."""
    told = [call_as_json(story, diagnosis) for story, diagnosis in diagnosed]
    return told[0] if len(told) == 1 else {"calls": told}


def _stop(status: int, message: str) -> NoReturn:
    print(f"trunktrace diagnose: {message}", file=sys.stderr)
    raise typer.Exit(status)
