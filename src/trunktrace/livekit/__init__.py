"""LiveKit: the only folder that imports it. What users call is in `trunktrace` itself."""
