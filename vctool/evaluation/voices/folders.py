"""`vctool evaluate CONVERTED --reference TARGET --source SOURCE`: any system's recordings.

They get the table that stage 6 writes for our own: the same measures, and the same anchors, fitted
on recordings of the two folders that are not scored, where there are enough.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vctool import audio
from vctool.errors import ConfigError, DataError
from vctool.evaluation import outputs as scored
from vctool.evaluation.board import markdown
from vctool.evaluation.voices import report
from vctool.evaluation.voices.board import VoiceTask
from vctool.evaluation.voices.matching import match
from vctool.metrics.pitch import RATE

FOLDER = "evaluation"
"""Where results go, below the recordings, unless `--out` says otherwise."""
LEAST = 2
"""Fewest recordings that are scored."""
ENOUGH = report.FEW_RECORDINGS
"""Recordings of a speaker that are enough to fit the anchors on without those that are scored."""
MOST = 100
"""Recordings that the anchors are fitted on at most; more would not change them."""
NAMED = 5
"""Recordings that are named where more have no partner."""
SEED, RESAMPLES = 0, 1000
"""Of the intervals."""


@dataclass(frozen=True)
class Gathered:
    """Which files are scored, against which, and what the anchors are fitted on."""

    names: list[str]
    """The N utterances: the sources' names."""
    outputs: list[Path]
    """(N,) recordings of the system."""
    sources: list[Path]
    """(N,) what they were converted from."""
    targets: list[Path] | None
    """(N,) the target's recordings of the same sentences; None: not parallel."""
    target_recordings: list[Path]
    """Of the target, any sentences; the same where parallel."""
    source_training: list[Path]
    """Of the source, for its voice."""
    target_training: list[Path]
    """Of the target, for its voice and for the anchors."""
    notes: list[str]
    """Recordings that are left out."""
    cautions: list[str]
    """Speakers whose anchors are fitted on what is scored."""


def run(
    converted: Path,
    reference: Path,
    source: Path,
    out: Path | None = None,
    *,
    unpaired: bool = False,
    nj: int = 1,
) -> str:
    """Score recordings and write RESULTS.md, results.json, utterances.tsv and report.html.

    Args:
        converted: recordings of a system.
        reference: recordings of the target.
        source: recordings that were converted.
        out: folder that gets the results; `converted/evaluation` where not given.
        unpaired: the reference holds other sentences, whatever its files are called.
        nj: processes; the scores do not depend on it.

    Returns:
        The table, with what must be known of it.

    Raises:
        DataError: see `gather`.
        AudioError: a recording cannot be used.
    """
    out = converted / FOLDER if out is None else out
    found = gather(converted, reference, source, out, unpaired=unpaired)
    targets = None if found.targets is None else _read(found.targets)
    task = VoiceTask(
        RATE,
        _read(found.sources),
        targets,
        _read(found.target_recordings) if targets is None else targets,
        _read(found.target_training),
        _read(found.source_training),
    )
    groups = (found.sources, found.target_recordings, found.source_training, found.target_training)
    ids = [[path.stem for path in group] for group in groups]
    found_scores = report.score(
        report.VoiceJob(
            folder=out,
            name=str(converted),
            utterances=found.names,
            task=task,
            outputs=_read(found.outputs),
            model=f"the recordings in {converted}",
            config_hash=scored.digest([RATE, SEED, RESAMPLES, unpaired], ()),
            data_hash=scored.digest(ids, [*task.sources, *task.target_recordings]),
            seed=SEED,
            resamples=RESAMPLES,
            cautions=found.cautions,
            notes=found.notes,
        ),
        nj,
    )
    return "\n".join([markdown(found_scores.scores), *found.notes, *found.cautions])


def incomplete(folder: Path | None, reference: Path | None, source: Path | None) -> ConfigError:
    """Say which of the three folders is not named."""
    named = {"FOLDER": folder, "--reference": reference, "--source": source}
    lacking = " and ".join(name for name, path in named.items() if path is None)
    return ConfigError(
        f"{lacking}: not given; vctool evaluate FOLDER --reference DIR --source DIR scores "
        "recordings, vctool evaluate --recipe NAME an experiment"
    )


def mixed(folder: Path) -> ConfigError:
    """Say that a folder of recordings has no recipe."""
    return ConfigError(
        f"{folder}: --recipe, --set, --fresh and --dry-run are for experiments; leave them out, "
        "or leave out the folder"
    )


def _read(paths: Sequence[Path]) -> list[np.ndarray]:
    return [audio.read(path, RATE)[0] for path in paths]


def gather(
    converted: Path, reference: Path, source: Path, out: Path, *, unpaired: bool = False
) -> Gathered:
    """Find which recordings belong together.

    Args:
        converted: recordings of a system.
        reference: recordings of the target.
        source: recordings that were converted.
        out: results from before, below any of these folders, are passed over.
        unpaired: the reference holds other sentences, whatever its files are called.

    Raises:
        DataError: a folder is missing or empty; fewer than `LEAST` conversions have a source; a
            name may belong to several.
    """
    outputs = _recordings(converted, "conversions", (out, reference, source))
    sources = _recordings(source, "sources", (out, converted, reference))
    references = _recordings(reference, "references", (out, converted, source))
    notes: list[str] = []
    cautions: list[str] = []
    owners = match(list(outputs), list(sources), "source")
    if lost := [name for name in outputs if name not in owners]:
        notes.append(f"{len(lost)} conversion(s) without a source are left out: {_few(lost)}")
    if len(owners) < LEAST:
        raise DataError(
            f"{converted}: {len(owners)} of {len(outputs)} recordings have a source in {source} "
            f"(such as '{next(iter(outputs))}' and '{next(iter(sources))}'); at least {LEAST} are "
            "needed, so give them their sources' names"
        )
    partners = {} if unpaired else match(list(owners.values()), list(references), "reference")
    if len(partners) >= LEAST:
        if lost := [name for name in owners.values() if name not in partners]:
            notes.append(f"{len(lost)} source(s) without a reference are left out: {_few(lost)}")
        owners = {name: one for name, one in owners.items() if one in partners}
    else:
        partners = {}
    own = list(owners.values())
    source_training = _training(sources, own, f"the source in {source}", cautions)
    held = list(partners.values()) if partners else list(references)[1::2] or list(references)
    target_training = _training(references, held, f"the target in {reference}", cautions)
    return Gathered(
        _names(own),
        [outputs[name] for name in owners],
        [sources[name] for name in own],
        [references[partners[name]] for name in own] if partners else None,
        [references[name] for name in held],
        source_training,
        target_training,
        notes,
        cautions,
    )


def _recordings(folder: Path, what: str, others: Sequence[Path]) -> dict[str, Path]:
    """Find the audio files below a folder by their paths without endings, but for other folders.

    Raises:
        DataError: no such folder, no audio in it, or two files that differ by their ending alone.
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
    return found


def _training(
    recordings: dict[str, Path], scored: Sequence[str], whose: str, cautions: list[str]
) -> list[Path]:
    """Choose what a speaker's anchors are fitted on: what is not scored, or else everything."""
    taken = set(scored)
    spare = [path for name, path in recordings.items() if name not in taken]
    if len(spare) < ENOUGH:
        cautions.append(
            f"{len(spare)} recording(s) of {whose} are not scored, {ENOUGH} would be enough: its "
            "voice and the anchors are fitted on those that are scored too, which flatters them"
        )
        spare = list(recordings.values())
    step = -(-len(spare) // MOST)
    return spare[::step]


def _names(sources: Sequence[str]) -> list[str]:
    """Make names that tables and file names can hold.

    Raises:
        DataError: two would be the same.
    """
    names = {re.sub(r"[\s/]+", "_", source): source for source in sources}
    if len(names) < len(sources):
        (first, *_) = sorted(set(sources) - set(names.values()))
        raise DataError(f"'{first}': another source has the same name but for '/' and '_'")
    return list(names)


def _few(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
