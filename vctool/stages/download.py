"""Stage 1: fetch, find or build each corpus of a recipe, and prepare its data dirs.

Prepared corpora belong to all recipes: `data/<corpus>/prepared.json` says what they were made from,
and a corpus is prepared again only where that differs from what is asked for.
"""

import json
import logging
from dataclasses import asdict, dataclass
from pathlib import Path

from vctool import corpora
from vctool.config import suggest
from vctool.data.atomic import write_text
from vctool.errors import ConfigError, DataError
from vctool.recipe import Recipe
from vctool.stages import speakers

SEED = 0
"""Seed of every split: fixed, so that experiments with other seeds are scored on the same data."""

DOWNLOADS = Path("data/corpora")
"""Where fetched and built corpora go."""

SPLITS = ("train", "dev", "test")

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Prepared:
    """What the data dirs of a corpus were made from."""

    corpus: str
    source: str
    """Folder of the recordings."""
    seed: int
    summary: str
    """What was found, in one line."""


def run(recipe: Recipe, *, downloads: Path | None = None, nj: int = 1) -> None:
    """Prepare the data dirs of every corpus that a recipe names.

    Args:
        recipe: the experiment.
        downloads: folder with existing copies of corpora; nothing is fetched then.
        nj: number of processes.

    Raises:
        ConfigError: no corpus has this name, or it lacks the speakers that the recipe names.
        DataError: a corpus is not in `downloads`, cannot be fetched, or is unusable.
    """
    for corpus in recipe.corpus.names:
        prepare(corpus, downloads=downloads, nj=nj)
    speakers.check(recipe)


def prepare(corpus: str, *, downloads: Path | None = None, nj: int = 1) -> Prepared:
    """Prepare `data/<corpus>/` unless that has been done from the same recordings.

    Raises:
        ConfigError: no corpus has this name.
        DataError: it is not in `downloads`, cannot be fetched, or is unusable.
    """
    folder = Path("data") / corpus
    before = read_stamp(folder)
    if corpus not in corpora.names():
        if before is None:
            raise ConfigError(
                f"corpus {corpus}: neither built in nor prepared{suggest(corpus, corpora.names())}"
                f" (for your own: vctool prepare from-wavs DIR --name {corpus})"
            )
        return before
    module = corpora.get(corpus)
    if downloads is None and before is not None:
        logger.info("%s: prepared already from %s", folder, before.source)
        return before
    # A corpus that is built here has no copies to find.
    if downloads is not None and hasattr(module, "find"):
        source = module.find(downloads)
    else:
        source = corpora.download(corpus, DOWNLOADS)
    if before is not None and (before.source, before.seed) == (str(source.resolve()), SEED):
        logger.info("%s: prepared already from %s", folder, before.source)
        return before
    # Without its stamp the corpus counts as half done, should this process be killed.
    stamp_path(folder).unlink(missing_ok=True)
    report = module.prepare(source, folder, seed=SEED, nj=nj)
    return write_stamp(folder, source, str(report))


def stamp_path(folder: Path) -> Path:
    """Return the file that says what the data dirs below a folder were made from."""
    return folder / "prepared.json"


def read_stamp(folder: Path) -> Prepared | None:
    """Return what a corpus was prepared from, or None where it is not there in full."""
    path = stamp_path(folder)
    if not path.exists() or not (folder / "train" / "wav.scp").exists():
        return None
    try:
        return Prepared(**json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise DataError(f"{path}: not readable ({error}); delete it to prepare again") from None


def write_stamp(folder: Path, source: Path, summary: str) -> Prepared:
    """Record that the data dirs below a folder are complete."""
    prepared = Prepared(folder.name, str(source.resolve()), SEED, summary)
    write_text(stamp_path(folder), json.dumps(asdict(prepared), indent=1) + "\n")
    logger.info("%s: %s", folder, summary)
    return prepared
