"""The families: one folder each, found by their place in the tree."""
