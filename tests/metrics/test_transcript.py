"""Error rates of letters and words."""

import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from vctool.metrics import transcript
from vctool.metrics.unavailable import MetricUnavailable


def reference(said: str, heard: str) -> int:
    """Count edits by the definition."""
    if not said or not heard:
        return len(said) + len(heard)
    return min(
        reference(said[1:], heard) + 1,
        reference(said, heard[1:]) + 1,
        reference(said[1:], heard[1:]) + (said[0] != heard[0]),
    )


@settings(max_examples=60, deadline=None)
@given(st.text("abc", max_size=5), st.text("abc", max_size=5))
def test_edits_are_those_of_the_definition(said: str, heard: str) -> None:
    assert transcript.edits(said, heard) == reference(said, heard)


def test_known_texts_have_known_errors() -> None:
    found = transcript.pooled(["The cat sat.", "Two words"], ["the cat sat", "two extra words"])
    assert found["wer"].value == pytest.approx(1 / 5)
    assert found["cer"].value == pytest.approx(len("extra ") / (len("the cat sat") + 9))
    per_utterance = found["wer"].finish(found["wer"].sums)
    np.testing.assert_allclose(per_utterance, [0.0, 0.5])


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
