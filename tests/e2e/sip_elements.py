"""Kamailio as a session border controller, and sipp as a carrier, both on loopback."""

from __future__ import annotations

import re
import shutil
import socket
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sipmessage import Message, Request, Response

from .polling import until_async
from .servers import HOST, Child, _Server, free_udp_port
from .sip_bridge import Place, unfolded

_FILES: Final = Path(__file__).resolve().parent
_SIPP_S: Final = 60.0
_ACCOUNT_S: Final = 30.0
_HEADING: Final = re.compile(
    rb"^UDP message (sent|received) [([](\d+)]? bytes\)? ?:\n\n", re.MULTILINE
)


class MissingElement(RuntimeError):
    """A SIP program is not there; the message says which package has it."""


class Kamailio(_Server):
    """A Kamailio with tests/e2e/kamailio/sbc.cfg; `defines` are what its first lines explain."""

    name = "kamailio"
    stop_s = 5.0

    def __init__(self, directory: Path, defines: Sequence[str] = ()) -> None:
        self._defines = defines
        super().__init__(directory)

    @property
    def place(self) -> Place:
        """Where it listens for SIP over UDP."""
        return HOST, self._port

    def _choose_ports(self) -> None:
        self._port = free_udp_port()

    def _argv(self) -> list[str]:
        configuration = _FILES / "kamailio" / "sbc.cfg"
        argv = [_program("kamailio", "kamailio"), "-f", str(configuration)]
        argv += ["-DD", "-E", "-m", "16", "-M", "4", "-Y", str(self._directory)]
        argv += ["-P", str(self._directory / "pid"), "-l", f"udp:{HOST}:{self._port}"]
        return [*argv, *(part for one in self._defines for part in ("-A", one))]

    def _is_ready(self) -> bool:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
            asker.settimeout(0.2)
            asker.connect(self.place)
            here = "{}:{}".format(*asker.getsockname())
            try:
                asker.send(_OPTIONS.format(here=here).encode())
                return asker.recv(4096).startswith(b"SIP/2.0 200")
            except OSError:  # nobody listens yet, or nobody answers
                return False

    async def accounts(self, call_id: str) -> list[dict[str, str]]:
        """The accounting lines of a Call-ID, by field: of its INVITE and of its BYE."""

        def both() -> list[dict[str, str]]:
            found = self.accounted(call_id)
            return found if len(found) > 1 else []

        # Kamailio may write the line after the message that it is about.
        what = f"{self.name} accounts for {call_id}"
        return await until_async(both, deadline_s=_ACCOUNT_S, what=what)

    def accounted(self, call_id: str) -> list[dict[str, str]]:
        """The accounting lines of a Call-ID so far."""
        lines = self.log.read_text("utf-8", "replace").splitlines()
        told = [line.partition("ACC: ")[2] for line in lines if "ACC: " in line]
        fields = [dict(part.partition("=")[::2] for part in line.split(";")) for line in told]
        return [one for one in fields if one.get("call_id") == call_id]


@dataclass(frozen=True, slots=True)
class Seen:
    """A message in sipp's trace, and whether sipp sent it."""

    sent: bool
    raw: bytes
    message: Request | Response


class Sipp:
    """One run of sipp: one call by a scenario of tests/e2e/sipp, with `keys` put into it."""

    def __init__(
        self, directory: Path, scenario: str, proxy: Place, keys: Mapping[str, str]
    ) -> None:
        self.port = free_udp_port()
        self.log = directory / f"{scenario}.log"
        self.errors = directory / f"{scenario}.errors"
        self._trace = directory / f"{scenario}.messages"
        argv = [_program("sipp", "sip-tester"), "{}:{}".format(*proxy), "-m", "1", "-nostdin"]
        argv += ["-sf", str(_FILES / "sipp" / f"{scenario}.xml"), "-i", HOST, "-p", str(self.port)]
        argv += ["-timeout", f"{_SIPP_S:.0f}s", "-timeout_error", "-nd"]
        argv += ["-trace_err", "-error_file", str(self.errors)]
        argv += ["-trace_msg", "-message_file", str(self._trace)]
        argv += [part for key, value in keys.items() for part in ("-key", key, value)]
        self._child = Child("sipp", argv, self.log, cwd=directory)

    async def listens(self) -> None:
        """Wait until its port is bound; nothing is sent to it, sipp would count that as a call."""
        wanted = f":{self.port:04X} "
        table = Path("/proc/net/udp")
        await until_async(
            lambda: self._ended() or wanted in table.read_text(),
            deadline_s=_SIPP_S,
            what=f"sipp listens on {self.port}",
        )

    async def done(self) -> list[Seen]:
        """Wait until the call is over as the scenario has it; what was sent and received."""
        await until_async(self._ended, deadline_s=_SIPP_S + 5.0, what="sipp ends")
        assert self._child.stop() == 0, f"the call went not as its scenario has it: {self.log}"
        return list(_seen(self._trace.read_bytes()))

    def _ended(self) -> bool:
        return not self._child.running

    def stop(self) -> None:
        """End it, if it still runs."""
        self._child.stop()


def _seen(trace: bytes) -> Iterator[Seen]:
    for found in _HEADING.finditer(trace):
        raw = trace[found.end() : found.end() + int(found[2])]
        yield Seen(found[1] == b"sent", raw, Message.parse(unfolded(raw)))


def _program(name: str, package: str) -> str:
    # Debian keeps Kamailio where only root's PATH looks.
    program = shutil.which(name) or shutil.which(name, path="/usr/sbin")
    if program is None:
        raise MissingElement(f"no `{name}` on the PATH (Debian, Ubuntu: apt-get install {package})")
    return program


_OPTIONS = """\
OPTIONS sip:proxy@{here} SIP/2.0\r
Via: SIP/2.0/UDP {here};branch=z9hG4bKready\r
From: <sip:test@{here}>;tag=ready\r
To: <sip:proxy@{here}>\r
Call-ID: ready@{here}\r
CSeq: 1 OPTIONS\r
Max-Forwards: 1\r
Content-Length: 0\r
\r
"""
