"""Imports pyworld; the only place that does, so that its import warning is silenced once."""

import warnings

with warnings.catch_warnings():
    # pyworld 0.3 reads its own version through pkg_resources, which setuptools calls deprecated.
    warnings.filterwarnings("ignore", message="pkg_resources is deprecated", category=UserWarning)
    import pyworld

__all__ = ["pyworld"]
