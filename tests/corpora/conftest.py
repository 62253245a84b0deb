"""Fixtures of this folder."""

from tests.web import server

__all__ = ["server"]
