"""What becomes of facts that cannot be taken: one log line each kind, and a count."""

from __future__ import annotations

from difflib import get_close_matches

from trunktrace.facts import KNOWN_NAMES
from trunktrace.guard import guard, warn_once


def drop(name: str, why: str) -> None:
    """Count a fact that was refused, and log it the first time.

    The log says the names that we know and never a value: what a program gives may hold a number.
    """
    guard.dropped_facts += 1
    if name in KNOWN_NAMES:
        warn_once(f"fact:{name}", "trunktrace dropped the fact %s: %s", name, why)
        return
    meant = get_close_matches(name[:64], KNOWN_NAMES, n=1)
    hint = f"; did you mean {meant[0]}?" if meant else ""
    warn_once(f"fact?{hint}", "trunktrace dropped a fact whose name it does not know%s", hint)


def drop_value(name: str, value: object) -> None:
    """Count a fact whose value cannot be true."""
    drop(name, f"{type(value).__name__} that cannot be its value")


def drop_late(what: str) -> None:
    """Count a fact or window that came after its call had ended."""
    guard.dropped_facts += 1
    warn_once(f"late:{what}", "trunktrace dropped a %s that came after the call", what)
