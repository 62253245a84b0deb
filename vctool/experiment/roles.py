"""Whether those whom a recipe names are in its corpus, asked before hours of work."""

import difflib
from collections.abc import Iterable
from pathlib import Path

from vctool.data.tables import read_table
from vctool.errors import ConfigError, DataError
from vctool.experiment.recipe import Recipe

NEEDED = ("train", "dev", "test")
"""Splits that recordings of a role must be in; those that a corpus lacks are passed over."""

MOST_LISTED = 20
"""Speakers that a message lists; of more, those of the nearest names."""

SPEECH = "speech"
"""The domain of a data dir that names none."""

TABLES = {"speaker": "utt2spk", "domain": "utt2domain"}
"""Where a data dir says who plays which role."""


def check(recipe: Recipe) -> None:
    """See that all speakers, or domains, can be trained on, validated and scored.

    Raises:
        ConfigError: the corpus has no such speaker or domain; it is named with those that it has.
        DataError: a split lacks one of them.
    """
    if recipe.corpus.name is not None and recipe.corpus.by != "corpus":
        for corpus in recipe.corpus.names:
            wanted = [role for role, own in recipe.roles.items() if own == corpus]
            require(corpus, wanted, recipe.corpus.by)


def require(corpus: str, wanted: Iterable[str], what: str = "speaker") -> None:
    """See that a prepared corpus has speakers, or domains, in every split; see `check`."""
    wanted = tuple(wanted)
    found = {
        split: _present(folder, what)
        for split in NEEDED
        if (folder := Path("data") / corpus / split).is_dir()
    }
    known = set().union(*found.values())
    for name in wanted:
        if name not in known:
            raise ConfigError(
                f"corpus {corpus}: has no {what} '{name}'{_others(name, known, what)}"
            )
        lacking = [split for split, there in found.items() if name not in there]
        if lacking:
            raise DataError(
                f"corpus {corpus}: {what} '{name}' has nothing in {' and '.join(lacking)} "
                f"({Path('data') / corpus}); choose another, or prepare recordings of this one "
                "with vctool prepare from-wavs"
            )


def _present(folder: Path, what: str) -> set[str]:
    found = set(read_table(folder, TABLES[what]).rows.values())
    return found or ({SPEECH} if what == "domain" else found)


def _others(name: str, known: set[str], what: str) -> str:
    """Say which there are: codes such as TM3 are too alike to suggest only the nearest."""
    listed = sorted(known)
    if len(listed) > MOST_LISTED:
        near = difflib.get_close_matches(name, listed, n=MOST_LISTED, cutoff=0.0)
        return f"; of its {len(listed)} {what}s the nearest are: {', '.join(near)}"
    return f"; there are: {', '.join(listed)}"
