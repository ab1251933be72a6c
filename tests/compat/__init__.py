"""What must hold beside the oldest livekit-agents as beside the newest: run with both.

Nothing of livekit-agents is replaced and nothing private of it is used: a worker's program runs as
it would in production, registers with a server, is given jobs and runs them in processes or
threads. Only the server is ours, and the rooms are never connected: the programs emit a room's
events themselves.

platform_stub.py  the part of a LiveKit server that a worker talks to
sink.py           an OTLP/HTTP collector that keeps what it gets
jobs_app.py       the worker's program
agent_app.py      an agent of few words, for a real call (tests/e2e/test_compat_call.py)
fleet.py          starts and stops it
waiting.py        waits for a condition, with a deadline
"""
