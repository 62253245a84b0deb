"""Check that a corpus has the speakers or domains that a recipe names, before hours of work."""

import difflib
from collections.abc import Iterable
from pathlib import Path

from vctool.data.tables import read_table
from vctool.errors import ConfigError, DataError
from vctool.experiment.recipe import Recipe

NEEDED = ("train", "dev", "test")
"""Splits in which a role must have recordings; splits that the corpus lacks are skipped."""

MOST_LISTED = 20
"""Maximum number of speakers that a message lists; of more, only the most similar names."""

SPEECH = "speech"
"""The domain of a data dir without domain labels."""

TABLES = {"speaker": "utt2spk", "domain": "utt2domain"}
"""The table of a data dir that determines roles."""


def check(recipe: Recipe) -> None:
    """Check that all speakers or domains can be used for training, validation and scoring.

    Raises:
        ConfigError: the corpus has no such speaker or domain; the message lists those it has.
        DataError: a split has no recording of one of them.
    """
    if recipe.corpus.name is not None and recipe.corpus.by != "corpus":
        for corpus in recipe.corpus.names:
            wanted = [role for role, own in recipe.roles.items() if own == corpus]
            require(corpus, wanted, recipe.corpus.by)


def require(corpus: str, wanted: Iterable[str], what: str = "speaker") -> None:
    """Check that a prepared corpus has speakers, or domains, in every split; see `check`."""
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
    """List the known names: codes such as TM3 are too similar to suggest only the nearest."""
    listed = sorted(known)
    if len(listed) > MOST_LISTED:
        near = difflib.get_close_matches(name, listed, n=MOST_LISTED, cutoff=0.0)
        return f"; of its {len(listed)} {what}s the nearest are: {', '.join(near)}"
    return f"; there are: {', '.join(listed)}"
