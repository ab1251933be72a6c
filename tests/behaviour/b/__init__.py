"""Hostile tests of what the caller heard: sources, rules, windows, quality, metrics, privacy."""
