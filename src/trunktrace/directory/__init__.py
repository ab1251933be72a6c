"""Trunk ids, SIP hosts and trusted headers -> carrier, route, region.

`directory.py` has the lookup, `reader.py` the TOML file, `builtin.py` the well-known carriers.
"""

from trunktrace.belief import Rank
from trunktrace.directory.directory import FILE_NAME, VARIABLE, Directory
from trunktrace.directory.model import Claim, Field, Identity, Names, TrunkRow

__all__ = [
    "FILE_NAME",
    "VARIABLE",
    "Claim",
    "Directory",
    "Field",
    "Identity",
    "Names",
    "Rank",
    "TrunkRow",
]
