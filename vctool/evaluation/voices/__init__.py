"""Scores of one speaker's recordings that were turned into another's."""
