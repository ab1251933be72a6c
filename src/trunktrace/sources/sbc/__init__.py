"""Call records of SBCs in CSV, by a map of their columns.

`reader` has the reader, `columns` checks the map, `words` are shared with RADIUS.
"""
