"""What the library promises, told from outside: written from the texts, not from the code."""
