"""A wire that loses packets: LiveKit in a network namespace of its own, behind a router in another.

this machine -- (veth) -- the wire: forwards, counts, drops -- (veth) -- the server's namespace

nftables drops packets where they are forwarded, so neither end is told, and counts them. Each call
has UDP ports of its own, so each has a loss of its own. Needs root, iproute2 and nftables.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import secrets
import shutil
import signal
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Literal, Self

from livekit import rtc

from .polling import NotInTime

_PREFIX: Final = "tte2e"
_TABLE: Final = "inet wire"
# RTP and no RTCP: version 2, and not one of the payload types that RTCP's would read as (RFC 5761).
_RTP: Final = "@th,64,2 2 @th,73,7 != 64-79"
_SUBNETS: Final = 256
_PORT_S: Final = 30.0
_INTERVAL_S: Final = 0.02


class NoNetwork(RuntimeError):
    """Namespaces cannot be made here; the message says what is missing."""


async def port_of(room: rtc.Room) -> int:
    """The local UDP port that all media of `room` goes through, as soon as ICE has chosen it."""
    end = time.monotonic() + _PORT_S
    while time.monotonic() < end:
        stats = await room.get_rtc_stats()
        every = [*stats.publisher_stats, *stats.subscriber_stats]
        ports = {
            one.local_candidate.rtc.id: one.local_candidate.candidate.port
            for one in every
            if one.HasField("local_candidate")
        }
        pairs = [one.candidate_pair.candidate_pair for one in every if _is_pair(one)]
        chosen = {ports[pair.local_candidate_id] for pair in pairs if pair.nominated}
        assert len(chosen) <= 1, f"one connection for both directions expected, not {chosen}"
        if chosen:
            return chosen.pop()
        await asyncio.sleep(_INTERVAL_S)
    raise NotInTime(f"ICE chose no port within {_PORT_S} s")


def _is_pair(entry: Any) -> bool:
    return bool(entry.HasField("candidate_pair"))


class Loss:
    """What one rule on the wire does to the packets of one port in one direction."""

    def __init__(self, wire: Network, number: int) -> None:
        self._wire = wire
        self._number = number

    @property
    def put_out(self) -> int:
        """RTP packets that came to this place of the wire."""
        return self._wire.packets(f"put_{self._number}")

    @property
    def lost(self) -> int:
        """RTP packets that went no further."""
        return self._wire.packets(f"lost_{self._number}")

    @property
    def ratio(self) -> float:
        """The share that was lost; ZeroDivisionError when nothing came."""
        return self.lost / self.put_out

    def stop(self) -> None:
        """Lose nothing from now on, but count on."""
        self._wire.nft(
            f"flush chain {_TABLE} loss_{self._number}\n"
            f"add rule {_TABLE} loss_{self._number} {_RTP} counter name put_{self._number}\n"
        )


class Network:
    """Two namespaces and the wires between, as a context manager; gone when left."""

    def __init__(self) -> None:
        tag = secrets.token_hex(2)
        self.server_namespace = f"{_PREFIX}-{os.getpid()}-{tag}-server"
        self._wire = f"{_PREFIX}-{os.getpid()}-{tag}-wire"
        self._near = f"tt{tag}near"
        self._subnet = ""
        self._losses = itertools.count(1)

    @property
    def server_address(self) -> str:
        """Where the server in its namespace is reached."""
        return f"{self._subnet}.6"

    @property
    def server_interface(self) -> str:
        """The server's interface in its namespace."""
        return "eth0"

    def within(self, argv: list[str]) -> list[str]:
        """The command that runs `argv` in the server's namespace, in the same process."""
        return ["ip", "netns", "exec", self.server_namespace, *argv]

    def lose(
        self, port: int, towards: Literal["server", "client"], ratio: float | None = None
    ) -> Loss:
        """Lose a share of what goes between the server and the UDP `port` of a client.

        All packets alike, as a network does: media, its reports, and ICE. Without a ratio all media
        is lost and nothing else: the connection stays up and carries no sound.
        """
        number = next(self._losses)
        here = "ip daddr" if towards == "server" else "ip saddr"
        side = "sport" if towards == "server" else "dport"
        drops = (
            f"{_RTP} goto drop_{number}"
            if ratio is None
            else f"numgen random mod 1000 < {round(ratio * 1000)} goto drop_{number}"
        )
        self.nft(
            f"add counter {_TABLE} put_{number}\n"
            f"add counter {_TABLE} lost_{number}\n"
            f"add chain {_TABLE} drop_{number}\n"
            f"add rule {_TABLE} drop_{number} {_RTP} counter name lost_{number}\n"
            f"add rule {_TABLE} drop_{number} drop\n"
            f"add chain {_TABLE} loss_{number}\n"
            f"add rule {_TABLE} loss_{number} {_RTP} counter name put_{number}\n"
            f"add rule {_TABLE} loss_{number} {drops}\n"
            f"add rule {_TABLE} forward {here} {self.server_address} udp {side} {port}"
            f" jump loss_{number}\n"
        )
        return Loss(self, number)

    def nft(self, script: str) -> None:
        """Run an nftables script on the wire."""
        _run(["ip", "netns", "exec", self._wire, "nft", "-f", "-"], script)

    def packets(self, counter: str) -> int:
        """How many packets a counter of the wire has seen."""
        asked = ["nft", "-j", "list", "counter", *_TABLE.split(), counter]
        answer = json.loads(_run(["ip", "netns", "exec", self._wire, *asked]))
        (found,) = [one["counter"] for one in answer["nftables"] if "counter" in one]
        return int(found["packets"])

    def __enter__(self) -> Self:
        for program in ("ip", "nft"):
            if shutil.which(program) is None:
                raise NoNetwork(
                    f"`{program}` is needed for calls over a wire that loses packets "
                    "(Debian, Ubuntu: apt-get install iproute2 nftables)"
                )
        if os.geteuid() != 0:
            raise NoNetwork("only root may make network namespaces; run these tests as root")
        _sweep()
        try:
            self._make()
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._remove()

    def _make(self) -> None:
        self._subnet = _free_subnet()
        wire, server, near, net = self._wire, self.server_namespace, self._near, self._subnet
        commands = (
            f"netns add {wire}",
            f"netns add {server}",
            f"link add {near} type veth peer name near netns {wire}",
            f"-n {wire} link add far type veth peer name {self.server_interface} netns {server}",
            f"addr add {net}.1/30 dev {near}",
            f"-n {wire} addr add {net}.2/30 dev near",
            f"-n {wire} addr add {net}.5/30 dev far",
            f"-n {server} addr add {net}.6/30 dev {self.server_interface}",
            f"link set {near} up",
            f"-n {wire} link set near up",
            f"-n {wire} link set far up",
            f"-n {server} link set {self.server_interface} up",
            f"-n {server} link set lo up",
            f"-n {server} route add default via {net}.5",
            f"route add {net}.4/30 via {net}.2",
        )
        for command in commands:
            _run(["ip", *command.split()])
        forwards = "echo 1 > /proc/sys/net/ipv4/ip_forward"
        _run(["ip", "netns", "exec", wire, "sh", "-c", forwards])
        self.nft(
            f"add table {_TABLE}\n"
            f"add chain {_TABLE} forward "
            "{ type filter hook forward priority 0; policy accept; }\n"
        )

    def _remove(self) -> None:
        existing = _namespaces()
        if Path("/sys/class/net", self._near).exists():
            _run(["ip", "link", "del", self._near])
        for namespace in (self._wire, self.server_namespace):
            if namespace in existing:
                _run(["ip", "netns", "del", namespace])


def _run(argv: list[str], stdin: str = "") -> str:
    done = subprocess.run(argv, input=stdin, capture_output=True, text=True, timeout=10.0)
    if done.returncode != 0:
        raise NoNetwork(f"{' '.join(argv)}: {done.stderr.strip()}\n{stdin}".strip())
    return done.stdout


def _namespaces() -> list[str]:
    return [line.split()[0] for line in _run(["ip", "netns", "list"]).splitlines() if line.strip()]


def _free_subnet() -> str:
    """A /29's first three numbers from the range for tests of networks (RFC 2544), free here."""
    taken = _run(["ip", "-4", "route", "show", "table", "all"])
    for _ in range(_SUBNETS):
        net = f"198.18.{secrets.randbelow(_SUBNETS)}"
        if f"{net}." not in taken:
            return net
    raise NoNetwork("no free network in 198.18.0.0/16")


def _sweep() -> None:
    """Remove what a run that was killed left behind, its server too; its pid is in the name."""
    for name in _namespaces():
        prefix, _, rest = name.partition("-")
        pid = rest.partition("-")[0]
        if prefix == _PREFIX and pid.isdigit() and not Path("/proc", pid).exists():
            for left in _run(["ip", "netns", "pids", name]).split():
                os.kill(int(left), signal.SIGKILL)
            _run(["ip", "netns", "del", name])
