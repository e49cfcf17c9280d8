"""A YAML-driven PySpark pipeline: stages, groups and steps from source to Delta lakehouse."""

__version__ = "0.1.0"
