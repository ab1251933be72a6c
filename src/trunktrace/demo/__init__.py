"""Calls without a server, through the same instrumentation: what `trunktrace demo` shows."""
