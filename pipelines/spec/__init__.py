"""What the YAML says: the frozen model of a flow and of its config."""
