"""What rtpengine says: ng replies in JSON or bencode, the ng protocol as a log, its own log.

`reader` has the reader; `loss` decides on which leg packets were lost.
"""
