"""Kinds of features, a file each; what all have in common is in `vctool.features.base`."""
