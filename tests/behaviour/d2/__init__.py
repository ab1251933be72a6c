"""Outbound calls as somebody sees them who only has the issue: public names, a server, spans."""
