"""What Twilio sends: status callbacks, and Voice Insights' summaries, metrics and events."""
