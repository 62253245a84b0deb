"""Kinds of features, one per file; their base class is in `vctool.features.base`."""
