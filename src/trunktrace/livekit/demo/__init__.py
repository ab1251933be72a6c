"""Small fakes that let the real AgentSession hold a call with nobody there."""
