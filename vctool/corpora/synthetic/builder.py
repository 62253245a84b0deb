"""Builds the synthetic corpus: plans it, has it spoken, and sings and accompanies it in parallel.

Everything that is drawn is drawn from (seed, utterance), so the number of processes changes
nothing, and the same seed and sizes give the same bytes.
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from vctool import audio
from vctool.corpora.synthetic import espeak, music, sentences, singing
from vctool.corpora.synthetic.espeak import RATE, Phone, Speech, Spoken
from vctool.workers import Workers

LEVEL_DB = -23.0
"""Active level of every recording, spoken, sung or played, so that no domain is the louder one."""

_PAUSE = 0.1  # silence before and after every sentence [s]
_DRAWS = 50  # songs tried for a sentence until its melody is one that is new


@dataclass(frozen=True)
class Voice:
    """A speaker of the corpus, who also sings."""

    espeak: str
    """espeak-ng's name for it."""
    register: music.Register
    """Where it sings; below note 64, above which recognisers fail."""


VOICES = {
    "alto": Voice("en-us+f4", music.Register(50, 57, 63)),
    "baritone": Voice("en-us+m3", music.Register(43, 50, 57)),
}


@dataclass(frozen=True)
class Sizes:
    """How many sentences each split has."""

    train: int = 110
    """Sentences spoken, and as many others sung."""
    dev: int = 10
    """Sentences spoken, and as many others sung."""
    test: int = 30
    """Sentences both spoken and sung."""


@dataclass(frozen=True)
class Item:
    """One utterance of the corpus, as `corpus.json` lists it."""

    id: str
    split: str
    speaker: str
    domain: str
    text: str
    pair: str | None
    """The utterance of the other domain with the same sentence; test only."""


@dataclass(frozen=True)
class Sung:
    """What a worker needs to sing a sentence."""

    id: str
    map_id: str | None
    """Spoken utterance for which the time map is written."""
    voice: str
    song: music.Song
    timing: singing.Timing
    notes: tuple[int, ...]
    wave: np.ndarray
    """(T,) the sentence spoken."""
    seed: tuple[int, ...]


def plan(seed: int, sizes: Sizes) -> tuple[list[Item], list[Speech]]:
    """Draw every sentence and who says or sings it.

    Returns:
        The utterances, and one job for the synthesiser per sentence: the spoken utterance's id, or
        the sung one's where the sentence is sung only.
    """
    rng = np.random.default_rng([seed, 0])
    taken: set[str] = set()
    items, jobs = [], []
    parts = [(s, d, getattr(sizes, s)) for s in ("train", "dev") for d in ("speech", "singing")]
    for split, domain, count in [*parts, ("test", "speech", sizes.test)]:
        for index, text in enumerate(sentences.draw(count, taken, rng)):
            speaker = sorted(VOICES)[index % len(VOICES)]
            name = f"{speaker}-{split}-{{}}-{index:03d}"
            here, other = name.format(domain), name.format("singing")
            pair = other if split == "test" else None
            items.append(Item(here, split, speaker, domain, text, pair))
            if pair is not None:
                items.append(Item(pair, split, speaker, "singing", text, here))
            rate, pitch = int(rng.integers(145, 171)), int(rng.integers(44, 57))
            # By itself espeak-ng speaks so monotonously that half of it counts as held notes.
            liveliness = int(rng.integers(80, 100))
            jobs.append(Speech(here, text, VOICES[speaker].espeak, rate, pitch, liveliness))
    return items, jobs


def build(folder: Path, seed: int, sizes: Sizes, nj: int) -> list[Item]:
    """Write `wav/`, `accomp/` and `time_map/` below a folder; return what was made."""
    items, jobs = plan(seed, sizes)
    spoken = {key: _padded(speech) for key, speech in espeak.speak(jobs).items()}
    tasks, melodies = [], set[tuple[int, ...]]()
    for number, item in enumerate(items):
        if item.domain == "speech":
            wave = audio.match_level(spoken[item.id].wave, RATE, LEVEL_DB)
            audio.write(folder / "wav" / f"{item.id}.wav", wave, RATE)
        else:
            source = spoken[item.pair or item.id]
            tasks.append(_task(item, source, (seed, 1, number), melodies))
    with Workers(nj, here=True) as workers:
        for _ in workers.map(partial(_perform, folder), tasks):
            pass
    return items


def _padded(speech: Spoken) -> Spoken:
    """Add a pause before and after; drop espeak-ng's own silence at the end."""
    sounding = np.flatnonzero(np.abs(speech.wave) > 1e-3)
    wave = np.pad(speech.wave[: sounding[-1] + 1], round(_PAUSE * RATE))
    offset = round(_PAUSE * RATE) / RATE
    phones = (Phone(phone.symbol, phone.start + offset) for phone in speech.phones)
    return Spoken(wave, tuple(phones))


def _task(
    item: Item, spoken: Spoken, seed: tuple[int, ...], melodies: set[tuple[int, ...]]
) -> Sung:
    """Draw a song whose melody no other sentence has."""
    rng = np.random.default_rng(seed)
    register = VOICES[item.speaker].register
    for _ in range(_DRAWS):
        song = music.compose(rng)
        timing = singing.place(spoken.phones, len(spoken.wave) / RATE, song.step)
        notes = tuple(music.melody(song, timing.positions, register, rng))
        if notes not in melodies:
            melodies.add(notes)
            return Sung(
                item.id, item.pair, item.speaker, song, timing, notes, spoken.wave, (*seed, 1)
            )
    raise AssertionError(f"{item.id}: no new melody in {_DRAWS} songs")


def _perform(folder: Path, task: Sung) -> None:
    """Write the singing, the accompaniment, and for a pair the time map, of one sentence."""
    rng = np.random.default_rng(task.seed)
    voice = singing.sing(task.wave, task.timing, task.notes, rng)
    band = music.accompany(task.song, task.timing.onsets[0], len(voice), RATE, rng)
    for kind, wave in (("wav", voice), ("accomp", band)):
        audio.write(folder / kind / f"{task.id}.wav", audio.match_level(wave, RATE, LEVEL_DB), RATE)
    if task.map_id is not None:
        rows = (f"{spoken:.6f}\t{sung:.6f}\n" for spoken, sung in task.timing.knots)
        path = folder / "time_map" / f"{task.map_id}.tsv"
        path.parent.mkdir(exist_ok=True)
        path.write_text("speech_seconds\tsung_seconds\n" + "".join(rows))
