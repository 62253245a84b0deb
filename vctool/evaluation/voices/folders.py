"""`vctool evaluate CONVERTED --reference TARGET --source SOURCE`: any system's recordings.

They get the table that stage 6 writes for our own: the same measures, and the same baselines,
fitted on recordings of the two folders that are not scored, where there are enough.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vctool.evaluation.board import markdown
from vctool.evaluation.folders import (
    LEAST,
    RESAMPLES,
    SEED,
    few,
    owners,
    plain_names,
    read,
    recordings,
)
from vctool.evaluation.matching import match
from vctool.evaluation.outputs import digest
from vctool.evaluation.parallel import workers
from vctool.evaluation.scoring import FEW_RECORDINGS, score
from vctool.evaluation.voices.board import VoiceTask
from vctool.evaluation.voices.report import VoiceScoring
from vctool.metrics.pitch import RATE

ENOUGH = FEW_RECORDINGS
"""Recordings of a speaker that are enough to fit the baselines on without those that are scored."""
MOST = 100
"""Recordings that the baselines are fitted on at most; more would not change them."""


@dataclass(frozen=True)
class Gathered:
    """Which files are scored, against which, and what the baselines are fitted on."""

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
    """Of the target, for its voice and for the baselines."""
    notes: list[str]
    """Recordings that are left out."""
    cautions: list[str]
    """Speakers whose baselines are fitted on what is scored."""


def run_folder(
    converted: Path,
    out: Path,
    nj: int = 1,
    *,
    reference: Path,
    source: Path,
    unpaired: bool = False,
) -> str:
    """Score recordings of any system.

    Args:
        converted: the recordings.
        out: folder that gets the results.
        nj: processes; the scores do not depend on it.
        reference: recordings of the target.
        source: recordings that were converted.
        unpaired: the reference holds other sentences, whatever its files are called.

    Returns:
        The table, with what must be known of it.

    Raises:
        DataError: see `gather`.
        AudioError: a recording cannot be used.
    """
    found = gather(converted, reference, source, out, unpaired=unpaired)
    targets = None if found.targets is None else read(found.targets)
    task = VoiceTask(
        RATE,
        read(found.sources),
        targets,
        read(found.target_recordings) if targets is None else targets,
        read(found.target_training),
        read(found.source_training),
    )
    groups = (found.sources, found.target_recordings, found.source_training, found.target_training)
    ids = [[path.stem for path in group] for group in groups]
    job = VoiceScoring(
        folder=out,
        name=str(converted),
        utterances=found.names,
        task=task,
        outputs=read(found.outputs),
        model=f"the recordings in {converted}",
        config_hash=digest([RATE, SEED, RESAMPLES, unpaired], ()),
        data_hash=digest(ids, [*task.sources, *task.target_recordings]),
        seed=SEED,
        resamples=RESAMPLES,
        cautions=found.cautions,
        notes=found.notes,
    )
    with workers(nj) as each:
        scored = score(job, each)
    return "\n".join([markdown(scored.findings.scores), *found.notes, *found.cautions])


def gather(
    converted: Path, reference: Path, source: Path, out: Path, *, unpaired: bool = False
) -> Gathered:
    """Find which recordings belong together.

    Args:
        converted: recordings of a system.
        reference: recordings of the target.
        source: recordings that were converted.
        out: results from before, below any of these folders, are skipped.
        unpaired: the reference holds other sentences, whatever its files are called.

    Raises:
        DataError: a folder is missing or empty; fewer than `LEAST` conversions have a source; a
            name may belong to several.
    """
    outputs = recordings(converted, "conversions", (out, reference, source))
    sources = recordings(source, "sources", (out, converted, reference))
    references = recordings(reference, "references", (out, converted, source))
    notes: list[str] = []
    cautions: list[str] = []
    owner = owners(converted, list(outputs), source, list(sources), "source", notes)
    partners = {} if unpaired else match(list(owner.values()), list(references), "reference")
    if len(partners) >= LEAST:
        if lost := [name for name in owner.values() if name not in partners]:
            notes.append(f"{len(lost)} source(s) without a reference are left out: {few(lost)}")
        owner = {name: one for name, one in owner.items() if one in partners}
    else:
        partners = {}
    own = list(owner.values())
    source_training = _training(sources, own, f"the source in {source}", cautions)
    held = list(partners.values()) if partners else list(references)[1::2] or list(references)
    target_training = _training(references, held, f"the target in {reference}", cautions)
    return Gathered(
        plain_names(own),
        [outputs[name] for name in owner],
        [sources[name] for name in own],
        [references[partners[name]] for name in own] if partners else None,
        [references[name] for name in held],
        source_training,
        target_training,
        notes,
        cautions,
    )


def _training(
    recordings: dict[str, Path], scored: Sequence[str], whose: str, cautions: list[str]
) -> list[Path]:
    """Choose what a speaker's baselines are fitted on: what is not scored, or else everything."""
    taken = set(scored)
    spare = [path for name, path in recordings.items() if name not in taken]
    if len(spare) < ENOUGH:
        cautions.append(
            f"{len(spare)} recording(s) of {whose} are not scored, {ENOUGH} would be enough: its "
            "voice and the baselines are fitted on those that are scored too, which flatters them"
        )
        spare = list(recordings.values())
    step = -(-len(spare) // MOST)
    return spare[::step]
