"""Scores of speech that was turned into singing."""
