"""Quality of speech over a telephone line: the E-model, loss, bursts, clipping, levels."""
