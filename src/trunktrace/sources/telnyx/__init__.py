"""What Telnyx sends: Call Control events and TeXML callbacks."""
