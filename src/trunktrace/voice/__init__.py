"""What a voice agent's conversation was like: pure functions of marks, and rules about words."""
