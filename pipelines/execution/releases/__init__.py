"""Releases: which versions of a stage's tables readers see, kept beside the tables."""
