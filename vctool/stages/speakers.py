"""Whether the speakers that a recipe names are in its corpus, asked before hours of work."""

import difflib
from collections.abc import Iterable
from pathlib import Path

from vctool.data.tables import read_table
from vctool.errors import ConfigError, DataError
from vctool.recipe import Recipe

NEEDED = ("train", "dev", "test")
"""Splits that a speaker's recordings must be in; those that a corpus lacks are passed over."""

MOST_LISTED = 20
"""Speakers that a message lists; of more, those of the nearest names."""


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
            raise ConfigError(
                f"corpus {corpus}: has no speaker '{speaker}'{_others(speaker, known)}"
            )
        lacking = [split for split, there in found.items() if speaker not in there]
        if lacking:
            raise DataError(
                f"corpus {corpus}: speaker '{speaker}' has nothing in {' and '.join(lacking)} "
                f"({Path('data') / corpus}); choose another, or prepare recordings of this one "
                "with vctool prepare from-wavs"
            )


def _others(speaker: str, known: set[str]) -> str:
    """Say which speakers there are: codes such as TM3 are too alike to suggest only the nearest."""
    listed = sorted(known)
    if len(listed) > MOST_LISTED:
        near = difflib.get_close_matches(speaker, listed, n=MOST_LISTED, cutoff=0.0)
        return f"; of its {len(listed)} speakers the nearest are: {', '.join(near)}"
    return f"; there are: {', '.join(listed)}"


def _speakers(folder: Path) -> set[str]:
    return set(read_table(folder, "utt2spk").rows.values())
