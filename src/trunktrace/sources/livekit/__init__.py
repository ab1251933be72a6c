"""What LiveKit writes: the SIP bridge's log, webhooks, participants, RTC statistics, spans.

Nothing here imports livekit: these are records in files.
"""
