"""What FreeSWITCH writes: documents of mod_json_cdr and the event socket's stream.

`cdr` and `esl` have the readers; `leg` reads the channel variables that both share, `media` the
statistics, `causes` the hang-up causes (Plivo speaks them too).
"""
