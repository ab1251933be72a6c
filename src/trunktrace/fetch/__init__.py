"""Asking carriers for their records of a call, which come after it."""
