"""Fixtures of this folder."""

from tests.stages.dumps import corpus
from tests.toy import features, files, note, save_toy, speech, sung_pairs, toy_family
from tests.toys.fixtures import mimic, toys

__all__ = [
    "corpus",
    "features",
    "files",
    "mimic",
    "note",
    "save_toy",
    "speech",
    "sung_pairs",
    "toy_family",
    "toys",
]
