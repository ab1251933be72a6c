"""Captured signalling and RTCP in HEPv3, from whoever sends it.

`reader` has the reader; `packet` takes packets apart, `hop` and `legs` make legs of SIP messages,
`link` says which legs are of one call, `rtcp` and `media` what RTCP tells of them.
"""
