"""Pure helpers for SIP: URIs and hosts (`uris`), header names (`headers`)."""
