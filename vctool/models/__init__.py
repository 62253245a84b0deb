"""The model families: one folder each, found by its name."""
