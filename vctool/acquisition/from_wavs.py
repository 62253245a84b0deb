"""A user's own recordings: `<speaker>/**/*.{wav,flac,mp3,ogg}`, with accompaniments by name.

Files that lie in the folder itself belong to a speaker of the folder's name. Recordings above half
a minute are cut into segments where the voice sounds. Whole speakers are held out where there are
eight or more and not all of them are to be trained on, otherwise whole recordings of each where a
speaker has ten or more, and otherwise the end or the beginning of what a speaker recorded. Files of
several speakers that have one name are one sentence, and on one side, as are copies
(`acquisition.own_splits`).
"""

import hashlib
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from vctool import audio
from vctool.acquisition import activity
from vctool.acquisition.own_splits import Recording, assign
from vctool.acquisition.report import COPY, SPLITS, Rejected, Report, finish
from vctool.acquisition.survey import seconds, survey, word
from vctool.cache import over
from vctool.data import content
from vctool.data.datadir import Utterance
from vctool.data.layout import unstorable
from vctool.errors import DataError

LONG = 30.0
"""Recordings above this are cut into segments [s]."""

NAMED = 4
"""Most speakers that a note lists; it counts the rest."""


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
    usable, copies, contents = _without_copies(folder, usable, nj)
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
    names, sentences = _names(folder, list(usable)), _sentences(folder, list(usable))
    recordings = []
    for file, measured in usable.items():
        speaker, recording = names[file]
        whole = [(0.0, seconds(measured))]
        cut = bool(cuts.get(file))
        made = tuple(
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
            for start, end in cuts.get(file) or whole
        )
        same = contents.get(file, recording)
        recordings.append(Recording(speaker, recording, sentences[file], same, made))
    recordings.sort(key=lambda one: one.name)
    recordings, notes = _with_sentences(recordings)
    assigned, disjoint_by = assign(recordings, seed, folder.name, every_speaker)
    if long:
        notes.insert(0, f"{len(long)} long recordings cut into phrases")
    return finish(
        out.name,
        out,
        {split: [one for one, where in assigned if where == split] for split in SPLITS},
        disjoint_by=disjoint_by,
        rejected=rejected,
        notes=notes,
    )


def _with_sentences(recordings: Sequence[Recording]) -> tuple[list[Recording], list[str]]:
    """Name the sentence of recordings that several speakers made; also return notes on them."""
    readers: dict[str, set[str]] = defaultdict(set)
    owners: dict[str, set[str]] = defaultdict(set)
    for one in recordings:
        readers[one.said].add(one.speaker)
        owners[one.content].add(one.speaker)
    shared = {said for said, who in readers.items() if len(who) > 1}
    copied = sum(len(owners[one.content]) > 1 for one in recordings)
    notes = []
    if shared:
        who = sorted(set.union(*(readers[said] for said in shared)))
        told = ", ".join(who[:NAMED]) + (f" and {len(who) - NAMED} more" if who[NAMED:] else "")
        notes.append(
            f"{len(shared)} file names are shared by {told}: each counts as one sentence, which "
            "is in one split; rename the files if they hold different ones"
        )
    if copied:
        notes.append(f"{copied} recordings are copies of another speaker's, in the same split")
    return [_named(one) if one.said in shared else one for one in recordings], notes


def _named(one: Recording) -> Recording:
    """Say which sentence a recording is, where it is one utterance."""
    if len(one.utterances) > 1:
        return one
    return one._replace(utterances=(replace(one.utterances[0], sentence=one.said),))


def _without_copies(
    folder: Path, usable: dict[Path, audio.AudioInfo], nj: int
) -> tuple[dict[Path, audio.AudioInfo], list[Rejected], dict[Path, str]]:
    """Leave out copies of a speaker's recording: one could be trained on, the other scored.

    A folder that is a copy of another speaker's stays a speaker.

    Returns:
        Of every content the speaker's first file; the others; and the content of files that may
        be alike.
    """
    of_size: dict[int, list[Path]] = {}
    for file in usable:
        of_size.setdefault(file.stat().st_size, []).append(file)
    alike = [file for files in of_size.values() if len(files) > 1 for file in files]
    first: dict[tuple[str, str], Path] = {}
    copies = []
    contents = dict(zip(alike, over(alike, content.digest, content.PURPOSE, nj), strict=True))
    for file, known in contents.items():
        *speaker, _ = file.relative_to(folder).parts
        original = first.setdefault((speaker[0] if speaker else "", known), file)
        if original != file:
            copies.append(Rejected(file, f"{COPY}: of {original}"))
    left_out = {one.file for one in copies}
    kept = {file: info for file, info in usable.items() if file not in left_out}
    return kept, copies, contents


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


def _sentences(folder: Path, files: list[Path]) -> dict[Path, str]:
    """Name what is said in each file: its name without the speaker's, composed."""
    said = {file: _said(file.relative_to(folder)) for file in files}
    words = _apart(set(said.values()))
    return {file: words[name] for file, name in said.items()}


def _said(file: Path) -> tuple[str, ...]:
    """Return the parts of a name below the speaker's: `ann/a/ann_01.wav` is `a`, `01`."""
    *above, leaf = _composed(file.with_suffix("")).parts
    speaker = re.escape(above[0]) if above else ""
    bare = re.sub(rf"^{speaker}[\s._-]+|[\s._-]+{speaker}$", "", leaf) if speaker else leaf
    return (*above[1:], bare or leaf)


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
