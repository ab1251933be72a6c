"""The agent leg's statistics: windows of it, and what they let one estimate of the trunk."""
