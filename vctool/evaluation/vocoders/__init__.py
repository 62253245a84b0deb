"""Scores of vocoders on recordings' own features (copy-synthesis)."""
