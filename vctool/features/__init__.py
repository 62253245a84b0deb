"""Acoustic features: mel, WORLD, chroma. Knows nothing of files and speakers."""
