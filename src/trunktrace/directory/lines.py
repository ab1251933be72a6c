"""On which line of a TOML text a key stands; `tomllib` does not say."""

from __future__ import annotations

import tomllib
from typing import Any, cast


def line_of(text: str, path: tuple[str, ...]) -> int | None:
    """The 1-based line where the key at `path` begins, None if it is not in the text.

    It asks the TOML parser itself: the key stands between the longest beginning of the text that
    does not have it and the shortest that has. So every way to write a key is understood (dotted,
    quoted, inline tables). It costs some dozen parses, and is used for error messages only.
    """
    lines = text.split("\n")
    if not path or not _has(_parse(lines, len(lines)), path):
        return None
    without, having = 0, len(lines)
    while having - without > 1:
        middle = (without + having) // 2
        # The text up to a line inside a multi-line value is no TOML: go on to where it is again.
        for count in range(middle, having):
            if (document := _parse(lines, count)) is not None:
                if _has(document, path):
                    having = middle
                else:
                    without = count
                break
        else:
            having = middle
    return without + 1


def _parse(lines: list[str], count: int) -> dict[str, Any] | None:
    try:
        return tomllib.loads("\n".join(lines[:count]))
    except tomllib.TOMLDecodeError:
        return None


def _has(document: dict[str, Any] | None, path: tuple[str, ...]) -> bool:
    node: Any = document
    for key in path:
        if not isinstance(node, dict) or key not in node:
            return False
        node = cast("dict[str, Any]", node)[key]
    return True
