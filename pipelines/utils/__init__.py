"""Mechanism: each module does one thing to one outside system when told to."""
