"""A user's own recordings: `<speaker>/**/*.{wav,flac,mp3,ogg}`, with accompaniments by name.

Files that lie in the folder itself belong to a speaker of the folder's name. Recordings above half
a minute are cut into segments where the voice sounds. Whole speakers are held out where there are
eight or more and not all of them are to be trained on, otherwise whole recordings of each where a
speaker has ten or more, and otherwise the end or the beginning of what a speaker recorded.
"""

import hashlib
import unicodedata
from collections import Counter
from pathlib import Path

from vctool import audio
from vctool.acquisition import activity, splits
from vctool.acquisition.report import COPY, SPLITS, Rejected, Report, finish
from vctool.acquisition.survey import seconds, survey, word
from vctool.cache import over
from vctool.data import content
from vctool.data.datadir import Utterance, unstorable
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
        DataError: no such folder, no audio in it, or too little for three splits.
    """
    found = _audio_in(folder)
    files = [file for file in found if not unstorable(file)]
    usable, rejected = survey(files, nj=nj)
    rejected += [Rejected(file, reason) for file in found if (reason := unstorable(file))]
    usable, copies = _without_copies(folder, usable, nj)
    rejected += copies
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


def _without_copies(
    folder: Path, usable: dict[Path, audio.AudioInfo], nj: int
) -> tuple[dict[Path, audio.AudioInfo], list[Rejected]]:
    """Leave out copies of a speaker's recording: one could be trained on, the other scored.

    A folder that is a copy of another speaker's stays a speaker.

    Returns:
        Of every content the speaker's first file, and the others.
    """
    of_size: dict[int, list[Path]] = {}
    for file in usable:
        of_size.setdefault(file.stat().st_size, []).append(file)
    alike = [file for files in of_size.values() if len(files) > 1 for file in files]
    first: dict[tuple[str, str], Path] = {}
    copies = []
    digests = over(alike, content.digest, content.PURPOSE, nj)
    for file, known in zip(alike, digests, strict=True):
        *speaker, _ = file.relative_to(folder).parts
        original = first.setdefault((speaker[0] if speaker else "", known), file)
        if original != file:
            copies.append(Rejected(file, f"{COPY}: of {original}"))
    left_out = {one.file for one in copies}
    return {file: info for file, info in usable.items() if file not in left_out}, copies


def speakers(folder: Path) -> list[str]:
    """Name the speakers of a folder as `prepare` would, sorted.

    Raises:
        DataError: there is no such folder, or no audio in it.
    """
    files = [file for file in _audio_in(folder) if not unstorable(file)]
    return sorted({speaker for speaker, _ in _names(folder, files).values()})


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

    Of names that come out the same, those that had to be changed get a part of their own, which
    depends on nothing but the name: `take-1` beside `take_1` becomes `take_1.4f2a`.
    """
    parts = {file: file.relative_to(folder).parts for file in files}
    home = folder.resolve().name
    speakers = _apart({(one[0] if len(one) > 1 else home,) for one in parts.values()})
    recordings = _apart({(*one[1:-1], Path(one[-1]).stem) for one in parts.values()})
    found = {}
    for file, one in parts.items():
        speaker = speakers[(one[0] if len(one) > 1 else home,)]
        found[file] = (speaker, f"{speaker}-{recordings[(*one[1:-1], Path(one[-1]).stem)]}")
    return _told_apart_by_ending(found)


def _apart(names: set[tuple[str, ...]]) -> dict[tuple[str, ...], str]:
    """Turn names of parts into words with hyphens between them, no two alike."""
    words = {name: "-".join(word(part) for part in name) for name in names}
    count = Counter(words.values())
    return {
        name: made if count[made] == 1 or made == "-".join(name) else f"{made}.{_mark(name)}"
        for name, made in words.items()
    }


def _told_apart_by_ending(found: dict[Path, tuple[str, str]]) -> dict[Path, tuple[str, str]]:
    """Add the ending where files differ in nothing else: `a.wav` and `a.flac`."""
    count = Counter(recording for _, recording in found.values())
    return {
        file: (speaker, made if count[made] == 1 else f"{made}.{file.suffix[1:].lower()}")
        for file, (speaker, made) in found.items()
    }


def _mark(name: tuple[str, ...]) -> str:
    return hashlib.sha256("/".join(name).encode("utf-8", "surrogateescape")).hexdigest()[:4]


def _match(
    folder: Path, accomp_dir: Path, files: list[Path], nj: int
) -> tuple[dict[Path, Path], list[Rejected]]:
    """Find the accompaniment of every recording, and see that it can be read."""
    there: dict[Path, Path] = {}
    for path in _audio_in(accomp_dir):
        if not unstorable(path):
            there.setdefault(_composed(path.relative_to(accomp_dir).with_suffix("")), path)
    matched: dict[Path, Path] = {}
    rejected: list[Rejected] = []
    for file in files:
        place = _composed(file.relative_to(folder).with_suffix(""))
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


def _composed(path: Path) -> Path:
    """Write a name in one of the two ways (NFC) that look the same; Macs write the other (NFD)."""
    return Path(unicodedata.normalize("NFC", str(path)))


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
