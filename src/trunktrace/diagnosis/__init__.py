"""The failure modes and the verdict: pure functions of what is known about a call."""
