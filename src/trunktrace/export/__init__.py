"""Exporters that wrap the user's: late facts, redaction; and a provider from the environment."""
