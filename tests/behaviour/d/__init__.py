"""Hostile tests of outbound calls, from the words of the requirement alone."""
