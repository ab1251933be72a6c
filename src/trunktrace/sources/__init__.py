"""What systems write about calls: one module a system, pure: bytes in, observations out."""
