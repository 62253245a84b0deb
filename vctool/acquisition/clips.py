"""Steps that preparers share: from the files of a corpus to their splits."""

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

from vctool.acquisition import activity, splits
from vctool.acquisition.info import CorpusInfo
from vctool.acquisition.report import SPLITS, Rejected
from vctool.acquisition.survey import LONGEST, seconds, survey
from vctool.data.datadir import Utterance
from vctool.errors import DataError


def clip(
    file: Path,
    speaker: str,
    name: str,
    *,
    domain: str = "speech",
    text: str | None = None,
    sentence: str | None = None,
) -> Utterance:
    """Describe a file that is one utterance, `<speaker>-<name>`; `measured` adds its length."""
    return Utterance(
        id=f"{speaker}-{name}",
        speaker=speaker,
        domain=domain,
        wav=file,
        duration=math.nan,
        text=text or None,
        sentence=sentence,
    )


def measured(
    clips: Iterable[Utterance],
    info: CorpusInfo,
    *,
    longest: float | None = LONGEST,
    nj: int = 1,
) -> tuple[list[Utterance], list[Rejected]]:
    """Decode the files of clips: add their lengths, leave out what is unusable.

    Args:
        clips: what `clip` described.
        info: the corpus, whose rate they have.
        longest: see `survey`; None for recordings that are cut into utterances.
        nj: number of threads.

    Returns:
        The usable clips in their order, and the files that `survey` rejects.
    """
    drafts = {one.wav: one for one in clips}
    usable, rejected = survey(list(drafts), nj=nj, longest=longest, rate=info.rate)
    found = [replace(drafts[file], duration=seconds(one)) for file, one in usable.items()]
    return found, rejected


def phrases(
    recordings: Sequence[Utterance], *, nj: int = 1
) -> tuple[list[Utterance], list[Rejected]]:
    """Cut recordings into segments where the voice sounds; see `activity.segments`.

    Returns:
        The segments, named by their recording and where they begin [ms], and the recordings
        without any.
    """
    cuts = activity.segments_of([one.wav for one in recordings], nj=nj)
    found = [segment(one, start, end) for one in recordings for start, end in cuts[one.wav]]
    silent = [one.wav for one in recordings if not cuts[one.wav]]
    return found, [Rejected(file, "no phrase of the voice found") for file in silent]


def segment(recording: Utterance, start: float, end: float, text: str | None = None) -> Utterance:
    """Describe a stretch of a recording, from `start` to `end` [s]; its id sorts in time."""
    return replace(
        recording,
        id=f"{recording.id}_{round(1000 * start):07d}",
        duration=round(end - start, 6),
        start=start,
        end=end,
        text=text,
        recording=recording.id,
    )


def by_speaker(
    utterances: Sequence[Utterance],
    seed: int,
    purpose: str,
    *,
    sexes: Mapping[str, str] | None = None,
    others: Iterable[str] = (),
) -> tuple[dict[str, str], str]:
    """Hold out whole speakers where there are enough of them, else a block in time of each.

    Args:
        utterances: all utterances, those of a speaker in their order in time.
        seed: of the draw.
        purpose: name of the corpus.
        sexes: of the speakers, where known; held-out speakers alternate between them.
        others: speakers who are drawn among although nothing of theirs is here, so that another
            version of the corpus that has something gets the same splits.

    Returns:
        The split of every utterance by its id, and what the splits are disjoint by.
    """
    speakers = sorted({one.speaker for one in utterances} | set(others))
    if len(speakers) >= splits.ENOUGH:
        strata = {speaker: (sexes or {}).get(speaker, "?") for speaker in speakers}
        chosen = splits.by_group(strata, seed, purpose)
        return {one.id: chosen[one.speaker] for one in utterances}, "speaker"
    assigned: dict[str, str] = {}
    for speaker in speakers:
        own = [one for one in utterances if one.speaker == speaker]
        blocks = splits.by_block([one.duration for one in own], seed, f"{purpose}/{speaker}")
        assigned |= {one.id: split for one, split in zip(own, blocks, strict=True)}
    return assigned, f"block of reading time (only {len(speakers)} speakers, in all splits)"


def by_singer(
    songs: Mapping[str, tuple[str, str]], seed: int, purpose: str
) -> tuple[dict[str, str], str]:
    """Hold out whole singers where there are enough of them, else a song of each.

    Args:
        songs: the singer and the song of every utterance, by its id.
        seed: of the draw.
        purpose: name of the corpus.

    Returns:
        The split of every utterance by its id, and what the splits are disjoint by.
    """
    singers = {singer for singer, _ in songs.values()}
    if len(singers) >= splits.ENOUGH:
        chosen = splits.by_group(dict.fromkeys(singers, ""), seed, purpose)
        return {key: chosen[singer] for key, (singer, _) in songs.items()}, "singer"
    # songs of all singers are one list, so their names carry the singer's
    own: dict[str, set[str]] = {singer: set() for singer in singers}
    for singer, song in songs.values():
        own[singer].add(f"{singer}-{song}")
    drawn = splits.by_song(own, seed, purpose)
    assigned = {key: drawn[f"{singer}-{song}"] for key, (singer, song) in songs.items()}
    return assigned, f"song (only {len(singers)} singers)"


def into_splits(
    utterances: Iterable[Utterance], split: Callable[[Utterance], str]
) -> dict[str, list[Utterance]]:
    """List the utterances of train, dev and test."""
    found: dict[str, list[Utterance]] = {name: [] for name in SPLITS}
    for one in utterances:
        found[split(one)].append(one)
    return found


def spoken(text: str) -> str | None:
    """Name a sentence after its words, whatever the case and the punctuation.

    >>> spoken("Please call Stella. "), spoken("I don't."), spoken("...")
    ('please_call_stella', "i_don't", None)
    """
    return "_".join(re.findall(r"[^\W_]+(?:'[^\W_]+)*", text.lower())) or None


def read_text(file: Path) -> str:
    """Read a corpus's table or transcript; bytes that are no UTF-8 are replaced, as some hold."""
    return file.read_text("utf-8-sig", errors="replace")


def first_found(source: Path, folders: Iterable[str], pattern: str) -> list[Path]:
    """List the files of the first folder below `source` that has any of a pattern, sorted."""
    found = (sorted((source / folder).glob(pattern)) for folder in folders)
    return next(filter(None, found), [])


def absent(source: Path, info: CorpusInfo) -> NoReturn:
    """Raise the error for a folder that does not hold a corpus.

    Raises:
        DataError: always.
    """
    raise DataError(f"{source}: no {info.title} there; expected {info.layout}")
