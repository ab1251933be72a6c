"""End-to-end tests: a real worker on a real LiveKit server, seen in a real Jaeger.

build.py       builds the two servers once, from the manifests in servers/
servers.py     starts and stops them on loopback
network.py     network namespaces: a wire that loses packets, and counts them
jaeger_api.py  reads spans back
calls.py       carriers, the conversation, and what is true of one call
speech.py      real speech, made by espeak-ng
caller.py      a SIP-kind participant: it talks, listens, barges in, hangs up
ailments.py    calls that suffer, each from one thing
bridge.py      answers CreateSIPParticipant as livekit-sip does, for outbound calls
consultation.py  asks a colleague in a second room
fakes.py       VAD, STT, LLM, TTS without a network
agent_app.py   the worker's program
witness.py     what that program sees for itself, to compare with
worker.py      starts and stops that program
recorder.py    keeps every OTLP request between the workers and Jaeger
harness.py     one call from end to end
checks.py      which spans had to carry a fact, by bounds that are not trunktrace's
draw.py        draws one call into the README's picture
"""
