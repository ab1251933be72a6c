"""Parts of the benchmarks: one small file each.

`facts` what is stamped; `calls` the only place that drives trunktrace; `scenarios` the loops that
are measured; `counting` and `counted_worker` instruction counts under callgrind; `timing` the same
by time; `memory` bar G; `imports` bar H; `bars` the gates.
"""
