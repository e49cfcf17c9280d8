"""Tests of the pipeline, from single functions up to whole runs."""
