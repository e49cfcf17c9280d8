"""How and when steps run: sessions, retries, checkpoints, locks."""
