"""A number within bounds, or an error that says which field and which bounds."""

from __future__ import annotations

from numbers import Real


def within(field: str, value: object, low: float, high: float) -> float:
    """The value as a float, if it is a number from `low` to `high`, both included.

    Raises ValueError naming field and bounds for anything else: NaN, a bool, a string, None.
    """
    if isinstance(value, bool) or not isinstance(value, Real) or not low <= value <= high:
        raise ValueError(f"{field} must be a number from {low:g} to {high:g}")
    return float(value)
