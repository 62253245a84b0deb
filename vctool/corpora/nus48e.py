"""NUS-48E (Duan et al. 2013): twelve people who sing and read the lyrics of four songs each.

44.1 kHz WAV, `<singer>/{sing,read}/<song>.wav`, without accompaniment, 20 songs in all. Recordings
are cut into segments where the voice sounds; the phones that the corpus gives are not words, so
there is no text. Singers are held out whole where there are eight or more, else a song of each,
sung and read; a held-out singer's songs may be sung by others in train.
"""

import re
from pathlib import Path

from vctool.acquisition.clips import absent, by_singer, clip, into_splits, measured, phrases
from vctool.acquisition.info import CorpusInfo, locate
from vctool.acquisition.report import Report, finish
from vctool.data.datadir import Utterance

INFO = CorpusInfo(
    name="nus48e",
    title="NUS-48E Sung and Spoken Lyrics Corpus",
    hours=2.8,
    licence="for research only",
    homepage="https://www.smcnus.org/nus-48e-sung-and-spoken-lyrics-corpus/",
    rate=44100,
    layout="nus-smc-corpus_48/<singer>/{sing,read}/<song>.wav",
    non_commercial=True,
    consent=(
        "it is shared on the agreement that it is used for research only; open "
        "https://www.smcnus.org/nus-48e-sung-and-spoken-lyrics-corpus/, agree, and take the folder "
        "nus-smc-corpus_48 that it links to"
    ),
)

DOMAINS = {"sing": "singing", "read": "speech"}
"""What a singer's two folders hold."""

_SINGER = re.compile(r"[A-Z]{4}")


def find(downloads: Path) -> Path:
    """Return the folder that holds the singers' folders.

    Raises:
        DataError: there is none.
    """
    return locate(downloads, INFO, ("[A-Z][A-Z][A-Z][A-Z]/sing/*.wav",))


def prepare(source: Path, out: Path, *, seed: int, nj: int = 1) -> Report:
    """Write the data dirs of both domains.

    Raises:
        DataError: there is no usable recording, or too few for three splits.
    """
    clips = [
        clip(file, singer, f"{kind}_{file.stem}", domain=DOMAINS[kind])
        for kind in DOMAINS
        for file in sorted(source.glob(f"*/{kind}/[!.]*.wav"))
        if _SINGER.fullmatch(singer := file.parent.parent.name)
    ]
    if not clips:
        absent(source, INFO)
    recordings, rejected = measured(clips, INFO, longest=None, nj=nj)
    utterances, silent = phrases(recordings, nj=nj)
    assigned, disjoint_by = by_singer({one.id: song(one) for one in utterances}, seed, INFO.name)
    found = into_splits(utterances, lambda one: assigned[one.id])
    return finish(INFO.name, out, found, disjoint_by=disjoint_by, rejected=[*rejected, *silent])


def song(utterance: Utterance) -> tuple[str, str]:
    """Return the singer and the song of an utterance, sung or read."""
    return utterance.speaker, utterance.wav.stem
