"""The commands: words of the command line to one call, and what it gives to a terminal."""
