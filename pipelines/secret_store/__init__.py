"""Secrets: looked up at the last moment, and kept out of everything that is shown."""
