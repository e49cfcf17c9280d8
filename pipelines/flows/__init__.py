"""Drawing flows."""
