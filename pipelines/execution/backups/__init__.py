"""Copies of a lakehouse on this machine's file system: what belongs to it, copied and checked."""
