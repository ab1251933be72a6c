"""What Asterisk writes: manager events, call detail records, REST bodies, RTP statistics strings.

`ami`, `cdr`, `ari` and `qos` have the readers. `quality` reads the RTPAUDIOQOS string and knows its
traps, `events` frames the manager's stream, `names` tells channels from numbers.
"""
