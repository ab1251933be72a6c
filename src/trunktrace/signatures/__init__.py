"""Whether a webhook was sent by whom it says: `twilio`, `telnyx` and `livekit`, a module each.

Pure functions of a request's body and headers, and of your key. False is what was not signed,
whatever is wrong with it; a key that cannot be one raises ConfigurationError. How to use them:
docs/how-to/verify-webhooks.md.
"""
