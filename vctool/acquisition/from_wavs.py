"""A user's own recordings: `<speaker>/**/*.{wav,flac,mp3,ogg}`, with accompaniments by name.

Files that lie in the folder itself belong to a speaker of the folder's name. Recordings above half
a minute are cut into segments where the voice sounds. Whole speakers are held out where there are
eight or more and not all of them are to be trained on, otherwise whole recordings of each where a
speaker has ten or more, and otherwise the end or the beginning of what a speaker recorded.
"""

from pathlib import Path

from vctool import audio
from vctool.acquisition import activity, splits
from vctool.acquisition.report import SPLITS, Rejected, Report, finish
from vctool.acquisition.survey import seconds, survey, word
from vctool.data.datadir import Utterance
from vctool.errors import DataError

LONG = 30.0
"""Recordings above this are cut into segments [s]."""

MANY_RECORDINGS = 10
"""From this many on, a speaker's held-out recordings are drawn over all that he or she made."""


def prepare(
    folder: Path,
    out: Path,
    *,
    domain: str,
    accomp_dir: Path | None = None,
    every_speaker: bool = False,
    seed: int = 0,
    nj: int = 1,
) -> Report:
    """Write the data dirs of a folder of recordings.

    Args:
        folder: the recordings.
        out: folder that gets `train`, `dev` and `test`.
        domain: `speech`, `singing`, or an instrument.
        accomp_dir: accompaniments, each at the same place below it as its recording, or directly
            in it, and named like it but for the ending. Recordings without one are rejected.
        every_speaker: keep every speaker in all splits, which conversion from one of them to
            another needs, however many there are.
        seed: of the splits.
        nj: number of threads.

    Raises:
        DataError: no such folder, no audio in it, or too little for three splits; two speakers or
            recordings whose names come out the same as ids.
    """
    files = _audio_in(folder)
    usable, rejected = survey(files, nj=nj)
    rejected += [
        Rejected(file, "a format that is not read: convert it to WAV or FLAC, as with ffmpeg")
        for file in audio.list_audio(folder, suffixes=audio.UNREAD)
    ]
    accomps: dict[Path, Path] = {}
    if accomp_dir is not None:
        accomps, unmatched = _match(folder, accomp_dir, list(usable), nj)
        rejected += unmatched
        usable = {file: one for file, one in usable.items() if file in accomps}
    long = [file for file in usable if usable[file].seconds > LONG]
    cuts = activity.segments_of(long, nj=nj)
    segmented = any(cuts.values())
    names = _names(folder, list(usable))
    recordings: dict[str, dict[str, list[Utterance]]] = {}
    for file, measured in usable.items():
        speaker, recording = names[file]
        whole = [(0.0, seconds(measured))]
        made = recordings.setdefault(speaker, {}).setdefault(recording, [])
        for start, end in cuts.get(file) or whole:
            cut = bool(cuts.get(file))
            made.append(
                Utterance(
                    id=f"{recording}_{round(1000 * start):07d}" if cut else recording,
                    speaker=speaker,
                    domain=domain,
                    wav=file,
                    duration=round(end - start, 6),
                    start=start if segmented else None,
                    end=end if segmented else None,
                    accomp=(accomps[file],) if file in accomps else (),
                    recording=recording if segmented else None,
                )
            )
    assigned, disjoint_by = _assign(recordings, seed, folder.name, every_speaker)
    notes = [f"{len(long)} long recordings cut into phrases"] if long else []
    return finish(
        out.name,
        out,
        {split: [one for one, where in assigned if where == split] for split in SPLITS},
        disjoint_by=disjoint_by,
        rejected=rejected,
        notes=notes,
    )


def speakers(folder: Path) -> list[str]:
    """Name the speakers of a folder as `prepare` would, sorted.

    Raises:
        DataError: there is no such folder, no audio in it, or two names come out the same.
    """
    return sorted({speaker for speaker, _ in _names(folder, _audio_in(folder)).values()})


def _audio_in(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; expected <speaker>/**/*.wav in it")
    files = audio.list_audio(folder)
    if not files:
        endings = " ".join(f"*{suffix}" for suffix in audio.SUFFIXES)
        if others := audio.list_audio(folder, suffixes=audio.UNREAD):
            raise DataError(
                f"{folder}: holds {len(others)} recordings such as {others[0].name} in formats "
                f"that are not read; convert them to WAV or FLAC, as with ffmpeg"
            )
        raise DataError(f"{folder}: holds no audio; expected <speaker>/**/ with {endings}")
    return files


def _names(folder: Path, files: list[Path]) -> dict[Path, tuple[str, str]]:
    """Make ids: the speaker, and the recording, which begins with the speaker.

    Raises:
        DataError: two speakers or two recordings would get the same id.
    """
    found: dict[Path, tuple[str, str]] = {}
    speakers: dict[str, str] = {}
    taken: dict[str, Path] = {}
    for file in files:
        *folders, _ = file.relative_to(folder).parts
        origin = folders[0] if folders else folder.resolve().name
        speaker = word(origin)
        if speakers.setdefault(speaker, origin) != origin:
            raise DataError(
                f"{folder}: speakers '{speakers[speaker]}' and '{origin}' would both be called "
                f"'{speaker}'; rename one folder"
            )
        recording = "-".join([speaker, *(word(part) for part in (*folders[1:], file.stem))])
        if recording in taken:
            raise DataError(
                f"{file}: would be called '{recording}' like {taken[recording]}; rename or "
                f"remove one"
            )
        taken[recording] = file
        found[file] = (speaker, recording)
    return found


def _match(
    folder: Path, accomp_dir: Path, files: list[Path], nj: int
) -> tuple[dict[Path, Path], list[Rejected]]:
    """Find the accompaniment of every recording, and see that it can be read."""
    there: dict[Path, Path] = {}
    for path in _audio_in(accomp_dir):
        there.setdefault(path.relative_to(accomp_dir).with_suffix(""), path)
    matched: dict[Path, Path] = {}
    rejected: list[Rejected] = []
    for file in files:
        place = file.relative_to(folder).with_suffix("")
        accomp = there.get(place) or there.get(Path(place.name))
        if accomp is None:
            rejected.append(
                Rejected(file, f"no accompaniment called '{place.name}' in {accomp_dir}")
            )
        else:
            matched[file] = accomp
    _, unusable = survey(sorted(set(matched.values())), nj=nj)
    reasons = {one.file: one.reason for one in unusable}
    for file in [file for file in matched if matched[file] in reasons]:
        accomp = matched.pop(file)
        rejected.append(Rejected(file, f"its accompaniment {accomp}: {reasons[accomp]}"))
    return matched, rejected


def _assign(
    recordings: dict[str, dict[str, list[Utterance]]],
    seed: int,
    purpose: str,
    every_speaker: bool,
) -> tuple[list[tuple[Utterance, str]], str]:
    """Return every utterance with its split, and what the splits are disjoint by."""
    everything = [
        (speaker, made) for speaker in sorted(recordings) for made in recordings[speaker].values()
    ]
    if len(recordings) >= splits.ENOUGH and not every_speaker:
        chosen = splits.by_group(dict.fromkeys(recordings, ""), seed, purpose)
        return [(one, chosen[speaker]) for speaker, made in everything for one in made], "speaker"
    assigned: list[tuple[Utterance, str]] = []
    by_time = False
    for speaker, own in sorted(recordings.items()):
        salt = f"{purpose}/{speaker}"
        groups = [own[name] for name in sorted(own)]
        if len(groups) >= MANY_RECORDINGS:
            groups = [own[name] for name in splits.shuffled(own, seed, salt)]
        elif len(groups) < len(SPLITS):
            groups = [[one] for group in groups for one in group]
            by_time = True
        lengths = [sum(one.duration for one in group) for group in groups]
        blocks = splits.by_block(lengths, seed, salt)
        assigned += [
            (one, split) for group, split in zip(groups, blocks, strict=True) for one in group
        ]
    if {split for _, split in assigned} != set(SPLITS) and not every_speaker:
        # too little of every speaker for three splits each: one sequence of all
        pool = [one for _, made in everything for one in made]
        blocks = splits.by_block([one.duration for one in pool], seed, purpose)
        assigned = list(zip(pool, blocks, strict=True))
    return assigned, "time in long recordings" if by_time else "recording"
