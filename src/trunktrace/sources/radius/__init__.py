"""RADIUS accounting of SBCs, gateways and proxies (RFC 2866), with dictionaries of our own.

`reader` has the reader; `detail` and `packets` take records apart, `dictionary` names attributes,
`oracle`, `gateway` and `proxy` say what those of a vendor mean.
"""
