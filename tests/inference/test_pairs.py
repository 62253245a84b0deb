"""Which held-out utterances are converted, and under what."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from vctool.data.datadir import DataDir
from vctool.data.utterance import Utterance
from vctool.engine.settings import TrainConfig
from vctool.errors import DataError
from vctool.experiment.recipe import CorpusConfig, EvaluateConfig, Recipe
from vctool.features.settings import FeatureConfig
from vctool.inference.pairs import HeldOut, Pair, choose, opposite, shuffle


def test_unpaired_corpora_draw_their_accompaniments(sung_pairs: Recipe) -> None:
    (sung_pairs.data("toy", "test") / "pairs").unlink()
    few = sung_pairs.model_copy(update={"evaluate": EvaluateConfig(max_utterances=3)})
    drawn = choose(few, HeldOut(few), "speech", "singing", True)
    assert len(drawn) == 3 and len({pair.source.id for pair in drawn}) == 3
    targets = [pair.target.id for pair in drawn if pair.target is not None]
    assert len(set(targets)) == 3 and all(name.startswith("s-singing") for name in targets)
    assert choose(few, HeldOut(few), "speech", "singing", True) == drawn
    other = few.model_copy(update={"train": TrainConfig(seed=1)})
    assert choose(other, HeldOut(other), "speech", "singing", True) != drawn


@pytest.mark.parametrize(("most", "count"), [(2, 2), (3, 3), (60, 4)])
def test_no_more_are_converted_the_other_way_than_are_asked_for(
    sung_pairs: Recipe, most: int, count: int
) -> None:
    few = sung_pairs.model_copy(update={"evaluate": EvaluateConfig(max_utterances=most)})
    drawn = opposite(few, HeldOut(few), "singing", False)
    assert len(drawn) == count and len({pair.source.id for pair in drawn}) == count
    assert all(pair.source.id.startswith("s-singing") and not pair.target for pair in drawn)


def test_roles_of_one_corpus_are_its_speakers(sung_pairs: Recipe) -> None:
    folder = sung_pairs.data("toy", "test")
    table = (folder / "utt2spk").read_text().splitlines()
    split = [line.removesuffix("s") + ("a" if "speech" in line else "b") for line in table]
    (folder / "utt2spk").write_text("\n".join(split) + "\n")
    (folder / "spk2utt").unlink()
    speakers = sung_pairs.model_copy(
        update={"corpus": CorpusConfig(name="toy", source="a", target="b")}
    )
    data = DataDir.read(folder, check=False)
    assert set(HeldOut(speakers).of("a").ids) == set(data.by_domain("speech").ids)


def test_one_song_cannot_be_shuffled(sung_pairs: Recipe) -> None:
    one = sung_pairs.model_copy(
        update={"evaluate": EvaluateConfig.model_construct(max_utterances=1)}
    )
    with pytest.raises(DataError, match="no second accompaniment"):
        shuffle(choose(one, HeldOut(one), "speech", "singing", True))


def between_speakers(sentences: dict[str, str | None], folder: Path) -> Recipe:
    """A recipe from ann to ben, with a corpus of these utterances."""
    wav = folder / "any.wav"
    soundfile.write(wav, np.zeros(16000), 16000)
    utterances = tuple(
        Utterance(name, name.split("-")[0], "speech", wav, 1.0, sentence=sentence)
        for name, sentence in sentences.items()
    )
    DataDir(folder / "data" / "toy" / "test", utterances).write()
    return Recipe(
        name="toy",
        family="toy",
        corpus=CorpusConfig(name="toy", source="ann", target="ben"),
        features=FeatureConfig(),
        train=TrainConfig(),
        vocoder="world",
    )


def test_speakers_are_paired_by_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(HeldOut, "stores", lambda self, role: {})  # all have features
    named = {"ann-1": "hello", "ann-2": "goodbye", "ann-3": "yes", "ann-4": None}
    named |= {"ben-7": "goodbye", "ben-8": "hello", "ben-9": "hello", "cat-3": "yes", "ben-5": None}
    chosen = between_speakers(named, tmp_path)
    pairs = choose(chosen, HeldOut(chosen), "ann", "ben", needed=False)
    ids = [(pair.source.id, pair.target.id if pair.target else None) for pair in pairs]
    assert ids == [("ann-1", "ben-8"), ("ann-2", "ben-7")]  # cat is not asked


def test_speakers_without_common_sentences_have_no_pairs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(HeldOut, "stores", lambda self, role: {})
    chosen = between_speakers({"ann-1": "a", "ann-2": None, "ben-1": "b", "ben-2": None}, tmp_path)
    pairs = choose(chosen, HeldOut(chosen), "ann", "ben", needed=False)
    assert [(pair.source.id, pair.target) for pair in pairs] == [("ann-1", None), ("ann-2", None)]


def test_shuffling_goes_half_way_round_and_on_to_another_accompaniment() -> None:
    random = np.random.default_rng(0)
    for _ in range(200):
        songs = random.integers(0, 3, size=random.integers(1, 9)).tolist()
        pairs = [
            Pair(one, one)
            for place, song in enumerate(songs)
            for one in [
                Utterance(f"a-{place}", "a", "singing", Path(), 1.0, accomp=(Path(f"{song}.wav"),))
            ]
        ]
        if len(set(songs)) == 1:
            with pytest.raises(DataError, match="no second accompaniment"):
                shuffle(pairs)
            continue
        count = len(songs)
        for place, (source, other, *_) in enumerate(shuffle(pairs)):
            turns = [(place + count // 2 + step) % count for step in range(count)]
            nearest = next(turn for turn in turns if songs[turn] != songs[place])
            assert (source, other) == (pairs[place].source, pairs[nearest].target)
