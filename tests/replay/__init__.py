"""Ten real calls, played through the library again with a clock of the tests' own.

`captures/` has what a real LiveKit stack said in each call: `facts.json` (how the call was set up
and what the far end measured), `participant.jsonl` (what the agent saw in its room) and
`spans.jsonl` (every span that livekit-agents 1.8.9 made); `rooms.json` has when each room was made
(unix milliseconds, from its webhook). All numbers and names in them are invented.
"""
