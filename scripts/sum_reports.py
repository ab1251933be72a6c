"""Adds up what several pytest runs wrote to JUnit XML files, as one closing line.

Exit code 1 if a test failed or was skipped, or if none passed: CI leaves no test out.
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree as ET


def outcome(case: ET.Element) -> str:
    """`passed`, `failed` (an error in a fixture too), `skipped` or `xfailed`."""
    if case.find("failure") is not None or case.find("error") is not None:
        return "failed"
    skipped = case.find("skipped")
    if skipped is None:
        return "passed"
    return "xfailed" if skipped.get("type") == "pytest.xfail" else "skipped"


def main(paths: list[str]) -> int:
    """Print the counts of each report, then their sum; the exit code."""
    total: Counter[str] = Counter()
    for path in map(Path, paths):
        count = Counter(map(outcome, ET.parse(path).iter("testcase")))
        print(f"{path.stem}: {', '.join(f'{n} {what}' for what, n in sorted(count.items()))}")
        total += count
    skipped = f", {total['skipped']} skipped" if total["skipped"] else ""
    print(f"{total['passed']} passed, {total['failed']} failed{skipped}")
    return 1 if total["failed"] or total["skipped"] or not total["passed"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
