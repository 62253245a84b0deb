"""Fixtures of this folder."""

from tests.toy import features, files, note, save_toy, speech, sung_pairs, toy_family
from tests.toys.fixtures import mimic, save_echo, save_mimic, save_shade, toys

__all__ = [
    "features",
    "files",
    "mimic",
    "note",
    "save_echo",
    "save_mimic",
    "save_shade",
    "save_toy",
    "speech",
    "sung_pairs",
    "toy_family",
    "toys",
]
