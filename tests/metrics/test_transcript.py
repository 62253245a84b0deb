"""Error rates of letters and words."""

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from vctool.metrics import transcript
from vctool.metrics.base import Group, Row
from vctool.metrics.unavailable import MetricUnavailable


def edits(said: Sequence[str], heard: Sequence[str]) -> int:
    """Count insertions, deletions and substitutions by dynamic programming (Wagner, 1974)."""
    row = list(range(len(heard) + 1))
    for place, one in enumerate(said, start=1):
        diagonal, row[0] = row[0], place
        for column, other in enumerate(heard, start=1):
            least = min(row[column] + 1, row[column - 1] + 1, diagonal + (one != other))
            diagonal, row[column] = row[column], least
    return row[-1]


TEXTS = st.one_of(
    st.lists(st.sampled_from(["a", "b", "ab", "ba", "don't"]), max_size=12).map(" ".join),
    st.text(max_size=20),
)


@settings(max_examples=200, deadline=None)
@given(TEXTS, TEXTS)
def test_errors_are_counted_as_the_definition_counts_them(text: str, found: str) -> None:
    said, heard = transcript.normalise(text), transcript.normalise(found)
    sums = {name: one.sums for name, one in transcript.pooled([text], [found]).items()}
    np.testing.assert_array_equal(sums["cer"], [[edits(said, heard), len(said)]])
    words = said.split(), heard.split()
    np.testing.assert_array_equal(sums["wer"], [[edits(*words), len(words[0])]])


def test_known_texts_have_known_errors() -> None:
    found = transcript.pooled(["The cat sat.", "Two words"], ["the cat sat", "two extra words"])
    assert found["wer"].value == pytest.approx(1 / 5)
    assert found["cer"].value == pytest.approx(len("extra ") / (len("the cat sat") + 9))
    per_utterance = found["wer"].finish(found["wer"].sums)
    np.testing.assert_allclose(per_utterance, [0.0, 0.5])


def test_errors_beyond_the_source_s_own_are_paired(monkeypatch: pytest.MonkeyPatch) -> None:
    heard = {"source": ["one too three", "four"], "output": ["one too tree", "four five"]}
    asked: list[str] = []

    def transcribe(waves: Sequence[str], rate: int, each: object) -> list[str]:
        asked.append(waves[0])
        return heard[waves[0].split()[0]]

    monkeypatch.setattr(transcript, "transcribe_all", transcribe)
    source: Any = Group(["source 0", "source 1"], 16000, lambda waves, rate: [])  # type: ignore[list-item]
    row = Row(source, sources=source, texts=["one two three", "four"])
    assert transcript.measure(row)["wer_added"].value == 0.0
    assert asked == ["source 0"]  # once for both
    row = replace(row, outputs=source.like(["output 0", "output 1"]))
    found = transcript.measure(row)
    assert found["wer"].value == pytest.approx(3 / 4)
    assert found["wer_added"].value == pytest.approx(2 / 4)
    np.testing.assert_allclose(found["wer_added"].finish(found["wer_added"].sums), [1 / 3, 1.0])
    assert asked == ["source 0", "output 0"]
    assert "wer_added" not in transcript.measure(replace(row, sources=None))
    assert not transcript.measure(replace(row, grammar=(("one", "two"),)))


def test_nothing_heard_is_all_wrong_and_too_much_is_worse() -> None:
    assert transcript.pooled(["one two"], [""])["wer"].value == 1.0
    assert transcript.pooled(["one"], ["a one and a two"])["wer"].value == 4.0
    assert np.isnan(transcript.pooled(["..."], ["noise"])["wer"].value)


def test_writing_does_not_count() -> None:
    said = "'Don\N{RIGHT SINGLE QUOTATION MARK}t,' he SAID \N{EM DASH} na\u00efve_one."
    assert transcript.normalise(said) == "don't he said naive one"


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pocketsphinx", None)
    with pytest.raises(MetricUnavailable, match="transcript: pocketsphinx is not installed"):
        transcript.Transcriber()


def test_real_speech_is_understood_and_only_its_own_text(shared_data: Path) -> None:
    folder = shared_data / "LibriSpeech" / "train-clean-100" / "19" / "198"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there")
    lines = (folder / "19-198.trans.txt").read_text("utf-8").splitlines()[1:3]
    texts = dict(line.split(" ", 1) for line in lines)
    waves = [soundfile.read(folder / f"{name}.flac", stop=6 * 16000)[0] for name in texts]
    heard = transcript.transcribe_all(waves, 16000)
    # The first six seconds of either sentence.
    said = [
        " ".join(text.split()[: len(one.split())])
        for text, one in zip(texts.values(), heard, strict=True)
    ]
    assert min(len(text.split()) for text in said) >= 8
    assert transcript.pooled(said, heard)["wer"].value < 0.5
    assert transcript.pooled(said[::-1], heard)["wer"].value > 0.8
    assert transcript.pooled(said[::-1], heard)["cer"].value > 0.5
    # What was heard before changes nothing.
    assert transcript.transcribe_all(waves[:1], 16000) == heard[:1]
