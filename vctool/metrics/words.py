"""Word accuracy: a recogniser that only chooses among the words of a slot grammar.

pocketsphinx with its own en-us model decodes every wave under the grammar that lies beside the
utterances (`grammar.json`); what counts is the share of slots in which it chooses the word that was
said.
"""

import json
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from vctool.errors import DataError
from vctool.metrics.base import Derived, Measure, Row, Stand
from vctool.metrics.bootstrap import Pooled, ratio
from vctool.metrics.recogniser import DITHER_DB, LEVEL_DB, Recogniser

Positions = tuple[tuple[str, ...], ...]
"""The words that may stand at each position of a sentence."""

TITLE = "words"
MEASURES = {
    "words": Measure("words", "share", "higher", "slots of the grammar that are recognised"),
    "retention": Measure(
        "word retention",
        "share",
        "higher",
        "(words - chance) / (words truly sung - chance)",
        bounds=(-math.inf, math.inf),
    ),
}
BOARDS = {"singing": Stand(60)}
NEEDS = ("grammar", "texts")
PACKAGES = ("pocketsphinx",)


def settings(row: Row) -> str:
    """Say how it is taken."""
    assert row.grammar is not None
    return (
        "pocketsphinx chooses among the words of the slot grammar; noise of "
        f"{DITHER_DB:g} dB added; by chance {chance(row.grammar):.3f}"
    )


def measure(row: Row) -> dict[str, Pooled]:
    """Pool the share of slots that are recognised; word retention follows from it."""
    grammar, texts = row.grammar, row.texts
    assert grammar is not None and texts is not None
    recogniser = row.once("word recogniser", lambda: WordRecogniser(grammar, row.seed))
    rate = row.outputs.rate
    right = [
        recogniser.accuracy(wave, rate, text)
        for wave, text in zip(row.outputs.waves, texts, strict=True)
    ]
    return {"words": ratio(np.array(right), np.ones(len(right)))}


def derived(row: Row) -> tuple[Derived, ...]:
    """Relate words to those of true singing; NaN where these are recognised by chance alone."""
    if row.grammar is None:
        return ()
    guessed = chance(row.grammar)
    kept = Derived("retention", "words", lambda own, real: (own - guessed) / (real - guessed))
    return (kept,)


def read_grammar(path: Path) -> Positions:
    """Read the slot grammar of a data dir.

    Args:
        path: a data dir that holds `grammar.json`, or that file itself.

    Raises:
        DataError: there is none, or it is not `{"positions": [[word, ...], ...]}`.
    """
    path = Path(path) / "grammar.json" if Path(path).is_dir() else Path(path)
    try:
        content = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: not a grammar: {error}") from None
    positions = content.get("positions") if isinstance(content, dict) else None
    well_formed = (
        isinstance(positions, list)
        and all(isinstance(words, list) and words for words in positions)
        and all(isinstance(word, str) and word.isalpha() for words in positions for word in words)
    )
    if not well_formed or not positions or max(map(len, positions)) < 2:
        raise DataError(f'{path}: not a grammar; it must hold {{"positions": [[word, ...], ...]}}')
    return tuple(tuple(words) for words in positions)


def chance(grammar: Positions) -> float:
    """Return the accuracy of guessing blindly: the mean over slots of one over its words."""
    return float(np.mean([1 / len(words) for words in grammar if len(words) > 1]))


def accuracy(grammar: Positions, truth: str, heard: str) -> float:
    """Return the share of slots, 0 to 1, that were heard as said; 0 where nothing was heard.

    Raises:
        DataError: the truth is not a sentence of the grammar.
    """
    said, got = truth.split(), heard.split()
    if len(said) != len(grammar) or any(
        word not in words for word, words in zip(said, grammar, strict=False)
    ):
        raise DataError(f"'{truth}': not a sentence of the grammar; see grammar.json")
    if len(got) != len(said):
        return 0.0
    slots = [index for index, words in enumerate(grammar) if len(words) > 1]
    return sum(said[index] == got[index] for index in slots) / len(slots)


def retention(accuracy: float, accuracy_real: float, chance: float) -> float:
    """Return (accuracy - chance) / (accuracy of the truly sung - chance): 1 is all words kept.

    NaN where the truly sung is not understood better than by chance, so that nothing can be said.
    """
    kept = accuracy_real - chance
    return (accuracy - chance) / kept if kept > 0 else float("nan")


class WordRecogniser(Recogniser):
    """Recognises sentences of a slot grammar.

    Raises:
        MetricUnavailable: pocketsphinx is not installed.
        DataError: a word of the grammar is not in the recogniser's dictionary.
    """

    def __init__(self, grammar: Positions, seed: int = 0) -> None:
        super().__init__("words", seed, lm=None)
        self.grammar = grammar
        for word in sorted({word for words in grammar for word in words}):
            if self._decoder.lookup_word(word) is None:
                raise DataError(f"grammar: the recogniser's dictionary has no word '{word}'")
        self._decoder.add_jsgf_string("slots", jsgf(grammar))
        self._decoder.activate_search("slots")

    def accuracy(self, wave: np.ndarray, rate: int, text: str) -> float:
        """Return the share of slots, 0 to 1, in which a wave is heard to say a text."""
        return accuracy(self.grammar, text, self.recognise(wave, rate))

    @property
    def settings(self) -> dict[str, object]:
        """What the values depend on, for the table."""
        return {
            "recogniser": "pocketsphinx en-us, slot grammar",
            "dither_db": DITHER_DB,
            "level_db": LEVEL_DB,
            "chance": chance(self.grammar),
        }


def jsgf(grammar: Sequence[Sequence[str]]) -> str:
    """Write a slot grammar in the Java Speech Grammar Format.

    >>> jsgf([["put", "take"], ["the"]])
    '#JSGF V1.0; grammar slots; public <sentence> = (put | take) (the);'
    """
    body = " ".join(f"({' | '.join(words)})" for words in grammar)
    return f"#JSGF V1.0; grammar slots; public <sentence> = {body};"
