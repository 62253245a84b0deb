"""Fixtures of this folder."""

from tests.sounds import voice

__all__ = ["voice"]
