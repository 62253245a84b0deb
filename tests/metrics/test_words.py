import builtins
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vctool.corpora import mini
from vctool.data.datadir import DataDir
from vctool.errors import DataError
from vctool.metrics import words
from vctool.metrics.unavailable import MetricUnavailable

GRAMMAR = (("bring", "take"), ("the",), ("red", "blue", "green"))


@pytest.fixture(scope="module")
def test_data(tmp_path_factory: pytest.TempPathFactory) -> DataDir:
    root = tmp_path_factory.mktemp("words")
    source = mini.download(root, seed=5, nj=1, sizes=mini.Sizes(train=1, dev=1, test=6))
    mini.prepare(source, root / "data")
    return DataDir.read(root / "data" / "test")


@pytest.fixture(scope="module")
def recogniser(test_data: DataDir) -> words.WordRecogniser:
    return words.WordRecogniser(words.read_grammar(test_data.path))


def test_spoken_and_sung_sentences_are_understood_and_other_texts_are_not(
    test_data: DataDir, recogniser: words.WordRecogniser
) -> None:
    texts = [one.text or "" for one in test_data]
    right: dict[str, list[float]] = {"speech": [], "singing": []}
    wrong = []
    for one in test_data:
        heard = recogniser.recognise(one.load(22050), 22050)
        right[one.domain].append(words.accuracy(recogniser.grammar, one.text or "", heard))
        wrong += [words.accuracy(recogniser.grammar, t, heard) for t in texts if t != one.text]
    assert np.mean(right["speech"]) >= 0.9
    assert np.mean(right["singing"]) >= 0.85
    # Six sentences use every word once, so that a wrong text agrees in fewer slots than one in 6.
    assert np.mean(wrong) <= words.chance(recogniser.grammar)


def test_what_was_heard_before_changes_nothing(
    test_data: DataDir, recogniser: words.WordRecogniser
) -> None:
    first, *others = test_data
    fresh = words.WordRecogniser(recogniser.grammar)
    alone = fresh.recognise(first.load(22050), 22050)
    loud_noise = np.random.default_rng(0).standard_normal(44100).astype(np.float32)
    fresh.recognise(loud_noise, 22050)
    means = fresh._decoder.get_cmn(False)
    assert fresh.recognise(first.load(22050), 22050) == alone
    for one in others:
        fresh.recognise(one.load(22050), 22050)
    assert fresh.recognise(first.load(22050), 22050) == alone
    assert means  # the decoder does keep running means, which is why they are reset


def test_scores_are_the_same_alone_and_in_any_order(
    test_data: DataDir, recogniser: words.WordRecogniser
) -> None:
    waves = {one.id: one.load(22050) for one in test_data.by_domain("speech")}
    waves["noise"] = np.random.default_rng(0).standard_normal(22050).astype(np.float32)

    def score(who: words.WordRecogniser, name: str) -> tuple[str, int]:
        text = who.recognise(waves[name], 22050)
        best = who._decoder.hyp()
        return text, 0 if best is None else best.best_score

    def scores(order: Iterable[str]) -> dict[str, tuple[str, int]]:
        return {name: score(recogniser, name) for name in order}

    forward = scores(waves)
    assert scores(reversed(waves)) == forward
    for name in list(waves)[:2]:
        assert score(words.WordRecogniser(recogniser.grammar), name) == forward[name]


def test_level_and_rate_of_the_wave_do_not_matter(
    test_data: DataDir, recogniser: words.WordRecogniser
) -> None:
    one = test_data.utterances[0]
    wave = one.load(22050)
    text = recogniser.recognise(wave, 22050)
    assert recogniser.recognise(0.01 * wave, 22050) == text
    assert (
        words.accuracy(recogniser.grammar, text, recogniser.recognise(one.load(44100), 44100)) > 0.8
    )


@pytest.mark.parametrize("samples", [0, 1, 100, 16000])
def test_silence_of_any_length_is_not_a_word_and_no_error(
    recogniser: words.WordRecogniser, samples: int
) -> None:
    text = " ".join(choices[0] for choices in recogniser.grammar)
    assert recogniser.accuracy(np.zeros(samples, np.float32), 16000, text) <= 0.5


def test_accuracy_counts_slots_only() -> None:
    assert words.accuracy(GRAMMAR, "take the red", "take the red") == 1
    assert words.accuracy(GRAMMAR, "take the red", "bring the red") == 0.5
    assert words.accuracy(GRAMMAR, "take the red", "") == 0
    with pytest.raises(DataError, match="take a red"):
        words.accuracy(GRAMMAR, "take a red", "take the red")


def test_chance_is_that_of_a_blind_guess() -> None:
    rng = np.random.default_rng(0)

    def guess() -> str:
        return " ".join(str(rng.choice(choices)) for choices in GRAMMAR)

    guessed = np.mean([words.accuracy(GRAMMAR, guess(), guess()) for _ in range(3000)])
    assert words.chance(GRAMMAR) == pytest.approx((1 / 2 + 1 / 3) / 2)
    assert guessed == pytest.approx(words.chance(GRAMMAR), abs=0.03)


def test_retention_is_one_for_the_truly_sung_and_zero_at_chance() -> None:
    assert words.retention(0.9, 0.9, 0.2) == 1
    assert words.retention(0.2, 0.9, 0.2) == 0
    assert words.retention(0.55, 0.9, 0.2) == pytest.approx(0.5)
    assert np.isnan(words.retention(0.5, 0.2, 0.2))


@pytest.mark.parametrize(
    "content", ["[", "[]", "{}", '{"positions": []}', '{"positions": [["a b"], ["c", "d"]]}']
)
def test_a_malformed_grammar_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "grammar.json").write_text(content)
    with pytest.raises(DataError, match=r"grammar\.json: not a grammar"):
        words.read_grammar(tmp_path)


def test_a_word_that_the_recogniser_does_not_know_is_named() -> None:
    with pytest.raises(DataError, match="'xyzzy'"):
        words.WordRecogniser((("bring", "xyzzy"),))


def test_without_pocketsphinx_the_measure_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def refuse(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "pocketsphinx":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(MetricUnavailable, match="pip install pocketsphinx") as caught:
        words.WordRecogniser(GRAMMAR)
    assert isinstance(caught.value, ImportError) and caught.value.metric == "words"
