"""Unpaired conversion of voice, singing and timbre, from recordings to a scored result."""

__version__ = "0.1.0"
