"""`python -m trunktrace` is the command `trunktrace`."""

from __future__ import annotations

from trunktrace.cli import main

main()
