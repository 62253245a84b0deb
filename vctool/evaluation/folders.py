"""Folders of recordings that any system made, for `vctool evaluate FOLDER`."""

import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypedDict

import numpy as np

from vctool import audio
from vctool.errors import DataError
from vctool.evaluation.board import JUDGED, markdown
from vctool.evaluation.matching import match
from vctool.evaluation.outputs import digest
from vctool.evaluation.parallel import workers
from vctool.evaluation.scoring import Scoring, score
from vctool.metrics.pitch import RATE

logger = logging.getLogger(__name__)

MIX = ".mix"
LEAST = 2
"""Minimum number of recordings to score."""
NAMED = 5
"""Maximum number of recordings without a partner that are named."""
SEED, RESAMPLES = 0, 1000
"""Seed of the intervals and of random draws."""


def recordings(folder: Path, what: str, others: Sequence[Path]) -> dict[str, Path]:
    """Find the audio files below a folder, by their paths without extension.

    A mix (`x.mix`) beside what it was made of (`x`, or `x1` and `x2`) is none of them.

    Args:
        folder: the folder.
        what: what it should hold, for errors, such as `sources`.
        others: folders to skip if they lie below this one.

    Raises:
        DataError: no such folder, no audio in it, or two files that differ only in their extension.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; it should hold the {what}")
    own = folder.resolve()
    inside = [one.resolve() for one in others if own in one.resolve().parents]
    found: dict[str, Path] = {}
    for path in audio.list_audio(folder):
        if any(one in path.resolve().parents for one in inside):
            continue
        name = path.relative_to(folder).with_suffix("").as_posix()
        if name in found:
            raise DataError(f"{path}: differs from {found[name]} by its ending alone; keep one")
        found[name] = path
    if not found:
        raise DataError(f"{folder}: holds no audio; it should hold the {what}")
    mixes = [name for name in found if _is_mix(name, found)]
    if mixes:
        logger.info("%s: %s of the %s left out: mixes", folder, len(mixes), what)
    return {name: path for name, path in found.items() if name not in mixes}


def _is_mix(name: str, names: Iterable[str]) -> bool:
    """Tell whether a recording is the mix that `--mix` wrote beside others, by its name."""
    stem = name.removesuffix(MIX)
    return stem != name and any(
        one.startswith(stem) and one.removeprefix(stem).strip("0123456789") == "" for one in names
    )


def owners(
    converted: Path,
    outputs: Sequence[str],
    place: Path,
    sources: Sequence[str],
    what: str,
    notes: list[str],
) -> dict[str, str]:
    """Find the source of every recording of a system.

    Args:
        converted: folder of the system's recordings.
        outputs: their names.
        place: folder of what they were made from.
        sources: the names of these.
        what: what they are, such as `source`.
        notes: gets a line where recordings are left out.

    Returns:
        Names of sources by names of outputs.

    Raises:
        DataError: fewer than `LEAST` outputs have a source, or a name may belong to several.
    """
    found = match(outputs, sources, what)
    if lost := [name for name in outputs if name not in found]:
        notes.append(f"{len(lost)} conversion(s) without a {what} are left out: {few(lost)}")
    if len(found) < LEAST:
        raise DataError(
            f"{converted}: {len(found)} of {len(outputs)} recordings have a {what} in {place} "
            f"(such as '{outputs[0]}' and '{sources[0]}'); at least {LEAST} are needed, so give "
            f"them their {what}s' names"
        )
    return found


def partners(
    names: Sequence[str], place: Path, found: Mapping[str, Path], what: str, remedy: str
) -> list[Path]:
    """Return the recording that belongs to every name.

    Args:
        names: of the recordings that are scored.
        place: folder of what belongs to them.
        found: what it holds, by name.
        what: what that is, such as `style`.
        remedy: what to do where some have none, for the error.

    Raises:
        DataError: some have none, or a name may belong to several.
    """
    named = match(names, list(found), what)
    if lost := [name for name in names if name not in named]:
        raise DataError(
            f"{place}: no {what} of '{lost[0]}' ({len(lost)} of {len(names)} lack one); {remedy}"
        )
    return [found[named[name]] for name in names]


def plain_names(sources: Sequence[str]) -> list[str]:
    """Make names that tables and file names can hold.

    Raises:
        DataError: two would be the same.
    """
    names = {re.sub(r"[\s/]+", "_", source): source for source in sources}
    if len(names) < len(sources):
        (first, *_) = sorted(set(sources) - set(names.values()))
        raise DataError(f"'{first}': another source has the same name but for '/' and '_'")
    return list(names)


def few(names: Sequence[str]) -> str:
    """List the first few recordings, and count the others."""
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


class About(TypedDict):
    """What every report on folders says of itself; see `Scoring`."""

    folder: Path
    name: str
    utterances: list[str]
    config_hash: str
    data_hash: str
    seed: int
    resamples: int
    notes: list[str]
    cache: Path


def about(
    converted: Path,
    out: Path,
    names: Sequence[str],
    scored: object,
    heard: Iterable[np.ndarray],
    notes: list[str],
) -> About:
    """Describe what is scored.

    Args:
        converted: folder of a system's recordings.
        out: folder that gets the results.
        names: of what the recordings belong to.
        scored: names of all recordings that outputs are compared with, as JSON can hold them.
        heard: these recordings; their hash tells which scores can be compared.
        notes: what the reader must know.
    """
    return About(
        folder=out,
        name=str(converted),
        utterances=plain_names(names),
        config_hash=digest([RATE, SEED, RESAMPLES], ()),
        data_hash=digest(scored, heard),
        seed=SEED,
        resamples=RESAMPLES,
        notes=notes,
        cache=out / JUDGED,
    )


def table(job: Scoring, nj: int) -> str:
    """Score on some processes, write the report, and return its table with its notes."""
    with workers(nj) as each:
        told = score(job, each).findings
    return "\n".join([markdown(told.scores), *told.notes, *told.cautions])


def read(paths: Sequence[Path], rate: int = RATE) -> list[np.ndarray]:
    """Read recordings, each (T,) at a rate [Hz]."""
    return [audio.read(path, rate)[0] for path in paths]
