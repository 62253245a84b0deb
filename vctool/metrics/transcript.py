"""Word and character error rates, where the text is known.

pocketsphinx with the large-vocabulary English model that ships with it writes down what it hears;
the errors are insertions, deletions and substitutions over the length of the text (Levenshtein,
1966). It is a modest recogniser, the more so of singing: so what counts is by how much a system has
more errors than the very sources that it converted, taken utterance by utterance. Where a slot
grammar of the sentences is known, `words` recognises them by it, and this metric is not taken.
"""

import math
import re
import unicodedata
from collections.abc import Sequence
from functools import cache, partial

import numpy as np
from rapidfuzz.distance import Levenshtein

from vctool.metrics.base import Each, Group, Measure, Row, Stand, serially
from vctool.metrics.bootstrap import Pooled, difference_of_ratios, ratio
from vctool.metrics.recogniser import DITHER_DB, LEVEL_DB, Recogniser

SETTINGS = (
    f"pocketsphinx en-us, its own language model, active level {LEVEL_DB:g} dB, dither "
    f"{DITHER_DB:g} dB; lower case, no punctuation; errors over the length of the text"
)
"""What these values depend on, for the line under their table."""

TITLE = "CER, WER"
MEASURES = {
    "cer": Measure(
        "CER", "share", "lower", "characters misrecognised", gap=False, bounds=(0.0, math.inf)
    ),
    "wer": Measure(
        "WER", "share", "lower", "words misrecognised", gap=False, bounds=(0.0, math.inf)
    ),
    "wer_added": Measure(
        "WER added",
        "share",
        "lower",
        "words misrecognised, less those of the sources",
        gap=False,
        bounds=(-math.inf, math.inf),
    ),
}
BOARDS = {"singing": Stand(65), "voices": Stand(20), "vocoders": Stand(42)}
NEEDS = ("texts",)
PACKAGES = ("pocketsphinx",)


def measure(row: Row) -> dict[str, Pooled]:
    """Pool a system's errors of letters and words, and those of words less the sources' own."""
    assert row.texts is not None
    if row.grammar is not None:
        return {}

    def errors(group: Group) -> dict[str, Pooled]:
        heard = group.once("transcripts", lambda: transcribe_all(group.waves, group.rate, row.each))
        assert row.texts is not None
        return pooled(row.texts, heard)

    found = errors(row.outputs)
    if row.sources is None:
        return found
    own = errors(row.sources)["wer"]
    return found | {"wer_added": difference_of_ratios(found["wer"].sums, own.sums)}


class Transcriber(Recogniser):
    """Writes down English speech.

    Args:
        seed: of the dither.

    Raises:
        MetricUnavailable: pocketsphinx is not installed.
    """

    def __init__(self, seed: int = 0) -> None:
        super().__init__("transcript", seed)


@cache
def _transcriber() -> Transcriber:
    """Load the model once in every process."""
    return Transcriber()


def _transcribe(wave: np.ndarray, rate: int) -> str:
    return _transcriber().recognise(wave, rate)


def transcribe_all(waves: Sequence[np.ndarray], rate: int, each: Each = serially) -> list[str]:
    """Write down waves in order, on the processes of `each`; takes about half of their duration.

    Raises:
        MetricUnavailable: pocketsphinx is not installed.
    """
    _transcriber()  # says here, not in a worker, that it is not to be had
    return each(partial(_transcribe, rate=rate), waves)


def normalise(text: str) -> str:
    """Bring a text to what the recogniser writes: lower-case letters and apostrophes.

    >>> normalise("Don't - he said, CAFÉ!")
    "don't he said cafe"
    """
    plain = unicodedata.normalize("NFKD", text.replace("\N{RIGHT SINGLE QUOTATION MARK}", "'"))
    plain = "".join(letter for letter in plain if not unicodedata.combining(letter))
    words = (word.strip("'") for word in re.findall(r"(?:[^\W_]|')+", plain.lower()))
    return " ".join(word for word in words if word)


def pooled(texts: Sequence[str], heard: Sequence[str]) -> dict[str, Pooled]:
    """Pool a system's errors over all utterances.

    Args:
        texts: what was said, as it is written.
        heard: what was understood, as `transcribe_all` gives.

    Returns:
        `cer` and `wer`: errors over letters and over words of the texts; 0 is perfect, and 1 may be
        passed, because of insertions. Spaces count as letters.
    """
    letters, words = [], []
    for text, found in zip(texts, heard, strict=True):
        said, got = normalise(text), normalise(found)
        letters.append([Levenshtein.distance(said, got), len(said)])
        words.append([Levenshtein.distance(said.split(), got.split()), len(said.split())])
    return {
        name: ratio(*np.array(counts, dtype=float).reshape(-1, 2).T)
        for name, counts in (("cer", letters), ("wer", words))
    }
