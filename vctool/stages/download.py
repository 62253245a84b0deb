"""Stage 1: fetch, find or build each corpus of a recipe, and prepare its data dirs.

Prepared corpora belong to all recipes: `data/<corpus>/prepared.json` says what they were made from,
and a corpus is prepared again only where that differs from what is asked for.
"""

import json
import logging
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from vctool import cache, corpora
from vctool.acquisition.obtain import fetched
from vctool.acquisition.report import STAMP
from vctool.config import suggest
from vctool.data.atomic import commit_text
from vctool.errors import ConfigError, DataError
from vctool.experiment import roles
from vctool.experiment.recipe import Recipe

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
    """Summary of the corpus, in one line."""
    parts: str = ""
    """The fetched files that the recordings are from, with commas between them."""


def run(recipe: Recipe, *, downloads: Path | None = None, nj: int = 1, fresh: bool = False) -> None:
    """Prepare the data dirs of every corpus that a recipe names.

    Args:
        recipe: the experiment.
        downloads: folder with existing copies of corpora; nothing is fetched then.
        nj: number of processes.
        fresh: prepare again even if done; unchanged recordings are not decoded again.

    Raises:
        ConfigError: no corpus has this name, or it lacks the speakers that the recipe names.
        DataError: a corpus is not in `downloads`, cannot be fetched, or is unusable.
    """
    require(recipe.corpus.names, downloads, fresh)
    for corpus in recipe.corpus.names:
        prepare(corpus, downloads=downloads, nj=nj, fresh=fresh)
    roles.check(recipe)


def require(names: Iterable[str], downloads: Path | None, fresh: bool) -> None:
    """Check that every corpus can be had, before the first byte of any is fetched.

    Args:
        names: the corpora.
        downloads: folder with existing copies of corpora; nothing is fetched then.
        fresh: whether corpora are prepared again that are prepared.

    Raises:
        ConfigError: no corpus has one of the names.
        DataError: one is not in `downloads`, must be asked for, or they do not fit on the disk.
    """
    to_fetch = []
    for corpus in names:
        before = read_stamp(Path("data") / corpus)
        if corpus not in corpora.names():
            if before is None:
                raise _unknown(corpus)
        elif downloads is not None and hasattr(module := corpora.get(corpus), "find"):
            module.find(downloads)
        elif before is None or fresh or downloads is not None:
            to_fetch.append(corpus)
    corpora.require(to_fetch, DOWNLOADS)


def _unknown(corpus: str) -> ConfigError:
    return ConfigError(
        f"corpus {corpus}: neither built in nor prepared{suggest(corpus, corpora.names())}"
        f" (for your own: vctool prepare from-wavs DIR --name {corpus})"
    )


def prepare(
    corpus: str,
    *,
    downloads: Path | None = None,
    nj: int = 1,
    fresh: bool = False,
    subset: str | None = None,
    limit_hours: float | None = None,
) -> Prepared:
    """Prepare `data/<corpus>/` unless it is prepared from the same recordings; always if `fresh`.

    Args:
        corpus: its name.
        downloads: folder with existing copies of corpora; nothing is fetched then.
        nj: number of processes.
        fresh: prepare again even if done.
        subset: parts to fetch besides what is there; see `vctool.acquisition.obtain.obtain`.
        limit_hours: fetch parts that stay within this together [h].

    Raises:
        ConfigError: no corpus has this name, or it has no such part.
        DataError: it is not in `downloads`, cannot be fetched, or is unusable.
    """
    wanted = subset is not None or limit_hours is not None
    if wanted and downloads is not None:
        raise ConfigError("--subset, --limit-hours: are for fetching; leave out --downloads")
    folder = Path("data") / corpus
    before = read_stamp(folder)
    if corpus not in corpora.names():
        if before is None:
            raise _unknown(corpus)
        return before
    module = corpora.get(corpus)
    if downloads is None and before is not None and not fresh and not wanted:
        logger.info("%s: prepared already from %s", folder, before.source)
        return before
    # A corpus that is built here has no copies to find.
    if downloads is not None and hasattr(module, "find"):
        source, parts = module.find(downloads), ""
    else:
        source = corpora.download(corpus, DOWNLOADS, subset, limit_hours)
        built = hasattr(module, "download")
        parts = "" if built else ", ".join(fetched(DOWNLOADS / module.INFO.folder))
    made_from = (str(source.resolve()), SEED, parts)
    if not fresh and before is not None and (before.source, before.seed, before.parts) == made_from:
        logger.info("%s: prepared already from %s", folder, before.source)
        return before
    # Without its stamp the corpus counts as unfinished if this process is killed.
    stamp_path(folder).unlink(missing_ok=True)
    with cache.use(cache.MEASURED):
        report = module.prepare(source, folder, seed=SEED, nj=nj)
    return write_stamp(folder, source, str(report), parts)


def stamp_path(folder: Path) -> Path:
    """Return the path of the record of what the data dirs below a folder were made from."""
    return folder / STAMP


def read_stamp(folder: Path) -> Prepared | None:
    """Return what a corpus was prepared from; None if it is missing or incomplete."""
    path = stamp_path(folder)
    if not path.exists() or not (folder / "train" / "wav.scp").exists():
        return None
    try:
        return Prepared(**json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise DataError(f"{path}: not readable ({error}); delete it to prepare again") from None


def write_stamp(folder: Path, source: Path, summary: str, parts: str = "") -> Prepared:
    """Record that the data dirs below a folder are complete."""
    prepared = Prepared(folder.name, str(source.resolve()), SEED, summary, parts)
    commit_text(stamp_path(folder), json.dumps(asdict(prepared), indent=1) + "\n")
    logger.info("%s: %s", folder, summary)
    return prepared
