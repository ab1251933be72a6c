"""What must hold beside every livekit-agents that is supported, the oldest above all."""
