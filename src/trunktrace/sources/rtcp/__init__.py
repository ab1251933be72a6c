"""RTCP itself: sender and receiver reports (RFC 3550), VoIP metrics blocks (RFC 3611).

`xr` has the reader; `flow` makes windows of running totals, for HEP too.
"""
