"""Checks the licence of every distribution installed beside trunktrace in this environment.

Allowed are permissive licences and MPL-2.0 (file-level copyleft: our files are our own). GPL, LGPL
and AGPL are not, and neither is a distribution that does not say. What trunktrace itself depends on
has no exceptions; what only the extras bring may have one, with its reason. Exit code 1 lists the
offenders.
"""

from __future__ import annotations

import re
import sys
from importlib.metadata import Distribution, distributions

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ALLOWED = (
    r"0BSD",
    r"Apache([- ]2\.0| License,? (Version )?2\.0| Software License)?",
    r"((2|3|new|modified)[- ]clause )?BSD([- ][0-9][- ]clause)?( License)?",
    r"BSL-1\.0",
    r"CC0-1\.0",
    r"CNRI-Python",
    r"HPND",
    r"ISC( License)?( \(ISCL\))?",
    r"MIT(-0|-CMU)?( License)?",
    r"Mozilla Public License 2\.0 \(MPL 2\.0\)",
    r"MPL[- ]2\.0",
    r"PSF(-2\.0)?( License)?",
    r"Python Software Foundation License",
    r"Python-2\.0(\.1)?",
    r"(The )?Unlicense( \(Unlicense\))?",
    r"Zlib",
)
EXCEPTIONS = {
    "livekit-local-inference": "model weights of LiveKit, for use with livekit-agents only; they "
    "come with livekit-agents 1.7 and later, and trunktrace neither needs nor loads them",
}
NOT_A_NAME = 60
"""A `License` field longer than this holds the licence's text, not its name."""
NOT_A_LICENCE = frozenset({"OSI Approved", "DFSG approved"})


def stated(distribution: Distribution) -> list[str]:
    """What the metadata says: the SPDX expression, else classifiers, else the licence field."""
    metadata = distribution.metadata
    if expression := metadata.get_all("License-Expression"):
        return expression
    said = [
        line.rpartition(" :: ")[2]
        for line in metadata.get_all("Classifier") or []
        if line.startswith("License :: ")
    ]
    if classifiers := [name for name in said if name not in NOT_A_LICENCE]:
        return classifiers
    fields = [field.strip() for field in metadata.get_all("License") or []]
    return [field for field in fields if field and len(field) <= NOT_A_NAME]


def is_allowed(licence: str) -> bool:
    """True if each AND part of `licence` has an allowed OR part."""
    return all(
        any(_is_allowed_name(name) for name in re.split(r"\bOR\b", part))
        for part in re.split(r"\bAND\b", licence)
    )


def _is_allowed_name(name: str) -> bool:
    plain = re.sub(r"\bWITH [\w.-]+", "", name).strip()
    candidates = (plain, plain.strip("() "))
    return any(re.fullmatch(rule, text, re.IGNORECASE) for rule in ALLOWED for text in candidates)


def core(found: dict[str, Distribution], root: str = "trunktrace") -> set[str]:
    """The names of all that `root` needs without any extra, itself included."""
    reached: set[str] = set()
    todo = [root]
    while todo:
        name = todo.pop()
        if name in reached or name not in found:
            continue
        reached.add(name)
        for line in found[name].requires or []:
            requirement = Requirement(line)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                todo.append(canonicalize_name(requirement.name))
    return reached


def main() -> int:
    """Check this interpreter's environment; the exit code."""
    found: dict[str, Distribution] = {
        canonicalize_name(item.metadata["Name"]): item for item in distributions()
    }
    ours = core(found)
    offenders = 0
    for name, distribution in sorted(found.items()):
        licences = stated(distribution)
        if licences and all(is_allowed(licence) for licence in licences):
            continue
        said = "; ".join(licences) or "does not say"
        if name in EXCEPTIONS and name not in ours:
            print(f"exception: {name} ({said}): {EXCEPTIONS[name]}")
        else:
            offenders += 1
            print(f"not allowed: {name} ({said})", file=sys.stderr)
    print(
        f"{len(found)} distributions ({len(ours)} needed by trunktrace itself): {offenders} wrong"
    )
    return 1 if offenders else 0


if __name__ == "__main__":
    sys.exit(main())
