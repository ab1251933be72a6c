"""Captured calls, and copies of them with changes, as the same rig would have written them."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from trunktrace.cli import app

CAPTURES = Path(__file__).parents[1] / "replay" / "captures"
NAMES = sorted(path.name for path in CAPTURES.iterdir() if path.is_dir())
BRIDGE, RTC, ROOM, SPANS, HOOKS = (
    f"{name}.jsonl" for name in ("livekit-sip", "rtc_stats", "participant", "spans", "webhooks")
)
Record = dict[str, Any]


def folder(number: str) -> Path:
    """The capture whose name begins with these digits."""
    return next(CAPTURES / name for name in NAMES if name.startswith(number))


def truth(name: str) -> Record:
    """What was set up and what the far end counted; never given to the program."""
    return json.loads((CAPTURES / name / "facts.json").read_text())


class Call:
    """A captured call's files in memory: change them, then write them somewhere."""

    def __init__(self, number: str) -> None:
        self.files: dict[str, list[Record]] = {}
        for file in folder(number).glob("*.jsonl"):
            self.files[file.name] = [json.loads(line) for line in file.read_text().splitlines()]

    @property
    def bridge(self) -> list[Record]:
        return self.files[BRIDGE]

    def only(self, *names: str) -> Call:
        """Keep these files and no other."""
        self.files = {name: self.files[name] for name in names}
        return self

    def without(self, *names: str) -> Call:
        """Leave these files out."""
        for name in names:
            del self.files[name]
        return self

    def replaced(self, old: str, new: str) -> Call:
        """The same with one text for another, everywhere."""
        for name, records in self.files.items():
            self.files[name] = json.loads(json.dumps(records).replace(old, new))
        return self

    def each(self, file: str, change: Callable[[Record], None]) -> Call:
        """Change each record of a file in place."""
        for record in self.files.get(file, []):
            change(record)
        return self

    def statistics(self, part: str = "port", **counters: int) -> Call:
        """Set counters in each statistics line of the bridge."""

        def change(record: Record) -> None:
            if record.get("msg") == "call statistics":
                record["stats"][part].update(counters)

        return self.each(BRIDGE, change)

    def lost(self, lost: int, received: int) -> Call:
        """The bridge counted so many lost packets, and so many that came."""
        return self.statistics(
            jitter_buffer_packets_lost=lost,
            packets=received,
            packets_input=received,
            mux_packets=received,
            audio_packets=received,
            audio_in_frames=received,
        )

    def closed(self, **fields: Any) -> Call:
        """Set fields of the lines that are written at the end."""

        def change(record: Record) -> None:
            if "result" in record or str(record.get("msg")).startswith(
                ("Closing", "SIP call ended")
            ):
                record.update(fields)

        return self.each(BRIDGE, change)

    def dropping(self, *messages: str) -> Call:
        """Leave out the bridge's lines with these messages."""
        self.files[BRIDGE] = [one for one in self.bridge if one.get("msg") not in messages]
        return self

    def refused(self, code: int, phrase: str, reason: str, result: str = "client_error") -> Call:
        """A call that ended with 486 ends with another code instead."""
        self.replaced("486: Busy Here", f"{code}: {phrase}")
        self.replaced('"sip_status_code": "486"', f'"sip_status_code": "{code}"')
        self.replaced('"sip_status_code": 486', f'"sip_status_code": {code}')
        self.replaced('"sip_status": "Busy Here"', f'"sip_status": "{phrase}"')
        return self.closed(result=result, reason=reason)

    def received(self, packets_of: Callable[[int], int]) -> Call:
        """The agent's statistics say so many packets in each second after the first sample.

        `packets_of` is given the second since the first packets, and says how many came in it.
        """
        total, first, last = 0, None, 0

        def change(record: Record) -> None:
            nonlocal total, first, last
            for entry in record.get("publisher", []):
                if entry["kind"] != "inbound_rtp":
                    continue
                if first is None:
                    first, total = record["t"], entry["received"]["packets_received"]
                while record["t"] - first >= last + 1:
                    total += packets_of(last)
                    last += 1
                entry["received"]["packets_received"] = total

        return self.each(RTC, change)

    def write(self, home: Path) -> Path:
        """All files in one folder."""
        home.mkdir(parents=True, exist_ok=True)
        for name, records in self.files.items():
            text = "".join(json.dumps(record) + "\n" for record in records)
            (home / name).write_text(text)
        return home

    def copy(self) -> Call:
        made = Call.__new__(Call)
        made.files = copy.deepcopy(self.files)
        return made


def shifted(records: list[Record], seconds: float) -> list[Record]:
    """The bridge's lines so much later."""
    moved = copy.deepcopy(records)
    for record in moved:
        record["ts"] += seconds
    return moved


def run(*arguments: str | Path) -> Any:
    """The command line in this process: a result with exit_code, stdout and stderr."""
    return CliRunner().invoke(app, ["diagnose", *map(str, arguments)])


def diagnosis(*paths: str | Path) -> Record:
    """The JSON of a call that could be read without a word on standard error."""
    ran = run(*paths, "--json")
    assert ran.exit_code == 0, ran.stderr
    assert ran.stderr == ""
    return json.loads(ran.stdout)


def modes(told: Record) -> set[str]:
    return {finding["mode"] for finding in told["findings"]}


def places(told: Record) -> list[tuple[str, str | None, str | None]]:
    return [(f["mode"], f["leg"], f["direction"]) for f in told["findings"]]


def rules(told: Record) -> set[str]:
    return {rule for finding in told["findings"] for rule in finding["evidence"]}
