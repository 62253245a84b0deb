"""Whether the speakers that a recipe names are in its corpus, asked before hours of work."""

from collections.abc import Iterable
from pathlib import Path

from vctool.config import suggest
from vctool.data.tables import read_table
from vctool.errors import ConfigError, DataError
from vctool.recipe import Recipe

NEEDED = ("train", "dev", "test")
"""Splits that a speaker's recordings must be in; those that a corpus lacks are passed over."""


def check(recipe: Recipe) -> None:
    """See that source and target can be trained on, validated and scored, where roles are speakers.

    Raises:
        ConfigError: the corpus has no such speaker; it is named with those that it has.
        DataError: a split lacks one of them.
    """
    if recipe.corpus.name is not None:
        require_speakers(recipe.corpus.name, recipe.roles)


def require_speakers(corpus: str, wanted: Iterable[str]) -> None:
    """See that a prepared corpus has speakers in every split; see `check`."""
    wanted = tuple(wanted)
    found = {
        split: _speakers(folder)
        for split in NEEDED
        if (folder := Path("data") / corpus / split).is_dir()
    }
    known = set().union(*found.values())
    for speaker in wanted:
        if speaker not in known:
            near = suggest(speaker, known)
            raise ConfigError(f"corpus {corpus}: has no speaker '{speaker}'{near}")
        lacking = [split for split, there in found.items() if speaker not in there]
        if lacking:
            raise DataError(
                f"corpus {corpus}: speaker '{speaker}' has nothing in {' and '.join(lacking)} "
                f"({Path('data') / corpus}); choose another, or prepare recordings of this one "
                "with vctool prepare from-wavs"
            )


def _speakers(folder: Path) -> set[str]:
    return set(read_table(folder, "utt2spk").rows.values())
