"""Quality reports of phones and SBCs (RFC 6035), as vendors write them."""
