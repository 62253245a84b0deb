"""Data dirs of stretches that instruments play."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from vctool.acquisition.info import CorpusInfo
from vctool.acquisition.report import Rejected, Report, finish
from vctool.corpora.timbre.casting import Cast, Take
from vctool.data.atomic import write_text
from vctool.data.attached import NOTES_HEADER
from vctool.data.datadir import DataDir
from vctool.data.utterance import Utterance

NOTES = "notes"
"""Folder of the stretches' notes, beside the data dirs."""

Notes = Sequence[tuple[float, float, int]]
"""Onset [s], offset [s] and MIDI pitch of every note."""


def write(
    info: CorpusInfo,
    out: Path,
    cast: Cast,
    wavs: Mapping[str, Path],
    seconds: float,
    notes: Callable[[str], Notes],
    *,
    disjoint_by: str,
    rejected: Sequence[Rejected] = (),
    told: Sequence[str] = (),
) -> Report:
    """Write the data dirs of what is played, with stretches, notes and triplets.

    Args:
        info: the corpus.
        out: folder of the data dirs.
        cast: who plays what.
        wavs: the recordings by the ids of takes; takes without one are left out, and triplets with
            them.
        seconds: length of every recording [s].
        notes: returns the notes of a stretch by its name.
        disjoint_by: what no two splits share.
        rejected: files that are left out.
        told: what a user should know.

    Raises:
        DataError: a split is empty, or too large a share was rejected.
    """
    files: dict[str, Path] = {}

    def file_of(take: Take) -> Path:
        name = take.stretch.name
        if name not in files:
            files[name] = out / NOTES / f"{name}.tsv"
            rows = (f"{on:.6f}\t{off:.6f}\t{pitch}\n" for on, off, pitch in sorted(notes(name)))
            write_text(files[name], f"{NOTES_HEADER}\n" + "".join(rows))
        return files[name]

    def utterance(take: Take) -> Utterance:
        return Utterance(
            id=take.id,
            speaker=take.instrument,
            domain=take.instrument,
            wav=wavs[take.id],
            duration=seconds,
            stretch=take.stretch.name,
        )

    played = {split: [take for take in own if take.id in wavs] for split, own in cast.takes.items()}

    def completed(data: DataDir) -> DataDir:
        split = data.path.name
        return replace(
            data,
            notes={take.id: file_of(take) for take in played[split]},
            triplets=tuple(
                one for one in cast.triplets[split] if all(name in data for name in one[1:4])
            ),
        )

    return finish(
        info.name,
        out,
        {split: [utterance(take) for take in own] for split, own in played.items()},
        disjoint_by=disjoint_by,
        rejected=rejected,
        notes=told,
        complete=completed,
    )
