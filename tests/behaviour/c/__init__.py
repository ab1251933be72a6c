"""Hostile tests of what carriers, PBXs and SBCs say: truth, variations, damage, joining."""
