"""Fixtures of this folder."""

from tests.toy import features, files, note, save_toy, speech, sung_pairs, toy_family

__all__ = ["features", "files", "note", "save_toy", "speech", "sung_pairs", "toy_family"]
