"""Whether a webhook was sent by whom it says: `twilio`, `telnyx`, `livekit`, each `is_signed(...)`.

Pure functions of a request's body and headers. False is what was not signed, whatever is wrong
with it; a key that cannot be one raises ConfigurationError. How to use them: docs/how-to/
verify-webhooks.md.
"""
