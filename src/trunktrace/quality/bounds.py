"""A number within bounds, or an error that says which field and which bounds."""

from __future__ import annotations

from numbers import Real
from typing import cast


def within(field: str, value: object, low: float, high: float) -> float:
    """The value as a float, if it is a number from `low` to `high`, both included.

    Raises ValueError naming field and bounds for anything else: NaN, a bool, a string, None.
    """
    is_number = not isinstance(value, bool) and isinstance(value, Real)
    # Compared before it is made a float: that raises for an int of any size.
    if not is_number or not low <= cast("float", value) <= high:
        raise ValueError(f"{field} must be a number from {low:g} to {high:g}")
    return float(cast("float", value))
