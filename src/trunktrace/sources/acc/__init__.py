"""What the acc modules of Kamailio and OpenSIPS write.

`kamailio` (syslog and acc_json) and `opensips` have the readers; `record` takes a line apart,
`call` makes a call's two legs of its records.
"""
