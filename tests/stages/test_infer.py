"""Stages 4 and 5: which utterances are converted under what, resume, and the sound of it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from vctool.audio.tracks import ArrayTrack
from vctool.data.datadir import DataDir, Utterance
from vctool.data.store import FeatureStore, StoreWriter
from vctool.engine.settings import TrainConfig
from vctool.errors import CheckpointError, DataError
from vctool.experiment.recipe import ConvertConfig, CorpusConfig, EvaluateConfig, Recipe
from vctool.features import world
from vctool.features.analysis import scan, voice_features
from vctool.features.settings import FeatureConfig
from vctool.inference.converter import Converter
from vctool.stages import infer, synthesize

Make = Callable[..., np.ndarray]
NOTES = {"0": 57, "1": 52, "2": 60, "3": 55}  # MIDI note of each song's accompaniment


def read_tsv(path: Path) -> list[list[str]]:
    return [line.split("\t") for line in path.read_text().splitlines()[1:]]


@pytest.fixture
def recipe(
    tmp_path: Path,
    save_toy: Callable[..., Path],
    features: FeatureConfig,
    speech: Make,
    note: Make,
    monkeypatch: pytest.MonkeyPatch,
) -> Recipe:
    """A paired corpus of four spoken and four sung utterances, its features, and a model."""
    monkeypatch.chdir(tmp_path)
    save_toy()
    folder = tmp_path / "data" / "toy" / "test"
    utterances = []
    for name, midi in NOTES.items():
        for domain, seconds in (("speech", 0.9), ("singing", 1.3)):
            path = tmp_path / "wavs" / f"{domain}{name}.wav"
            path.parent.mkdir(exist_ok=True)
            gain = 0.3 if name == "1" else 1.0
            wave = gain * speech(seconds + 0.01 * midi, seed=int(name))
            soundfile.write(path, wave, 16000)
            accomp: tuple[Path, ...] = ()
            if domain == "singing":
                accomp = (tmp_path / "wavs" / f"song{name}.wav",)
                soundfile.write(accomp[0], note(seconds, midi), 16000)
            utterances.append(
                Utterance(f"s-{domain}{name}", "s", domain, path, len(wave) / 16000, accomp=accomp)
            )
    pairs = tuple((f"s-speech{name}", f"s-singing{name}") for name in NOTES)
    DataDir(folder, tuple(utterances), pairs).write()
    made = Recipe(
        name="toy",
        family="toy",
        corpus=CorpusConfig(speech="toy", singing="toy"),
        features=features,
        train=TrainConfig(),
        vocoder="world",
        convert=ConvertConfig(stretch=1.4),
    )
    for kind in ("mel", "world"):
        path = made.dump("toy", "test", kind)
        with StoreWriter(path, kind, features.of_kind(kind)) as writer:
            for one in DataDir.read(folder):
                wave = one.load(16000)
                known = scan(ArrayTrack(wave), features, (kind,), len(wave))
                writer.write(one.id, voice_features(wave, (kind,), features, known)[kind])
    return made


def note_of(path: Path, features: FeatureConfig) -> float:
    f0 = world.estimate_f0(soundfile.read(path)[0], features)
    return float(np.median(69 + 12 * np.log2(f0[f0 > 0] / 440)))


def test_pairs_are_sung_to_their_own_accompaniment_and_shuffled_to_another(
    recipe: Recipe, features: FeatureConfig
) -> None:
    infer.run(recipe, "cpu")
    synthesize.run(recipe)
    pairs = read_tsv(recipe.exp / "infer" / "pairs.tsv")
    assert pairs == [[f"s-speech{name}", f"s-singing{name}"] for name in NOTES]
    shuffled = dict(read_tsv(recipe.exp / "infer" / "pairs_shuffled.tsv"))
    for source, target in pairs:
        assert shuffled[source] not in (target, "")
        for folder, sung_to in (("wav", target), ("wav_shuffled", shuffled[source])):
            away = note_of(recipe.exp / folder / f"{source}.wav", features)
            away -= NOTES[sung_to[-1]]
            assert abs((away + 6) % 12 - 6) < 0.4, (source, folder)
    # The other direction is there to be listened to.
    assert len(list((recipe.exp / "wav_to_speech").glob("s-singing*.wav"))) == len(NOTES)


def test_the_sound_is_what_convert_gives(recipe: Recipe) -> None:
    infer.run(recipe, "cpu")
    synthesize.run(recipe)
    converter = Converter(recipe.exp, "cpu")
    for one in DataDir.read(recipe.data("toy", "test")).by_domain("speech"):
        song = soundfile.read(f"wavs/song{one.id[-1]}.wav", dtype="float32")[0]
        expected, _ = converter.convert(one.load(16000), 16000, song, stretch=1.4)
        written, _ = soundfile.read(recipe.exp / "wav" / f"{one.id}.wav", dtype="float32")
        np.testing.assert_allclose(written, expected, atol=1e-4)


def test_time_maps_tell_where_time_went(recipe: Recipe) -> None:
    infer.run(recipe, "cpu")
    rows = read_tsv(recipe.exp / "infer" / "time_map" / "s-speech0.tsv")
    knots = np.array(rows, dtype=float)
    outputs = read_tsv(recipe.exp / "infer" / "matched" / "outputs.tsv")
    samples = {name: int(count) for name, count, _ in outputs}
    assert np.all(np.diff(knots, axis=0) > 0) and np.all(knots[0] == 0)
    assert knots[-1, 0] * 1.4 == pytest.approx(knots[-1, 1], abs=1e-4)
    assert knots[-1, 1] == pytest.approx(samples["s-speech0"] / 16000, abs=1e-4)
    # Voiced frames lengthen more than others, so it is not the straight line.
    assert np.abs(knots[:, 1] - 1.4 * knots[:, 0]).max() > 0.02


def wavs(recipe: Recipe) -> dict[str, bytes]:
    found = sorted(recipe.exp.glob("wav*/*.wav"))
    return {f"{path.parent.name}/{path.name}": path.read_bytes() for path in found}


def test_a_stopped_run_continues_to_the_same_end(
    recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    infer.run(recipe, "cpu")
    synthesize.run(recipe)
    undisturbed = wavs(recipe)
    ark = recipe.exp / "infer" / "matched" / "world" / "feats-000.ark"
    converted = ark.read_bytes()
    for path in [*recipe.exp.glob("infer/**/*"), *recipe.exp.glob("wav*/*")]:
        if path.is_file():
            path.unlink()

    real, calls = Converter.convert_features, []

    def stopped(self: Converter, *args: object) -> object:
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(self, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(Converter, "convert_features", stopped)
    with pytest.raises(KeyboardInterrupt):
        infer.run(recipe, "cpu")
    assert not (recipe.exp / "infer" / "pairs.tsv").exists()
    with pytest.raises(DataError, match=r"nothing converted yet; run stage 4"):
        synthesize.run(recipe)
    infer.run(recipe, "cpu", nj=2)
    assert ark.read_bytes() == converted
    # Two utterances were there, of the first four.
    assert len(calls) == 3 + 2 + 4 + 4
    synthesize.run(recipe)
    assert wavs(recipe) == undisturbed
    victim = recipe.exp / "wav" / "s-speech2.wav"
    kept = (recipe.exp / "wav" / "s-speech1.wav").stat().st_mtime_ns
    victim.unlink()
    synthesize.run(recipe)
    assert wavs(recipe) == undisturbed
    assert (recipe.exp / "wav" / "s-speech1.wav").stat().st_mtime_ns == kept


def test_the_sound_does_not_depend_on_the_number_of_processes(recipe: Recipe) -> None:
    infer.run(recipe, "cpu")
    synthesize.run(recipe, nj=1)
    one = wavs(recipe)
    for path in recipe.exp.glob("wav*/*.wav"):
        path.unlink()
    synthesize.run(recipe, nj=2)
    assert wavs(recipe) == one and len(one) == 3 * len(NOTES)


def test_stores_are_opened_once_whatever_the_number_of_utterances(
    recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    infer.run(recipe, "cpu")
    opened: list[Path] = []
    real = FeatureStore.__init__

    def counted(self: FeatureStore, path: Path, *given: Any) -> None:
        opened.append(path)
        real(self, path, *given)

    monkeypatch.setattr(FeatureStore, "__init__", counted)
    synthesize.run(recipe)
    assert len(opened) == len(set(opened)) == 3  # matched, shuffled, to_speech
    opened.clear()
    synthesize.run(recipe)
    assert opened == []  # all is there


def test_unpaired_corpora_draw_their_accompaniments(recipe: Recipe) -> None:
    (recipe.data("toy", "test") / "pairs").unlink()
    few = recipe.model_copy(update={"evaluate": EvaluateConfig(max_utterances=3)})
    drawn = infer.choose(few, "speech", "singing", True)
    assert len(drawn) == 3 and len({pair.source.id for pair in drawn}) == 3
    targets = [pair.target.id for pair in drawn if pair.target is not None]
    assert len(set(targets)) == 3 and all(name.startswith("s-singing") for name in targets)
    assert infer.choose(few, "speech", "singing", True) == drawn
    other = few.model_copy(update={"train": TrainConfig(seed=1)})
    assert infer.choose(other, "speech", "singing", True) != drawn


def test_roles_of_one_corpus_are_its_speakers(recipe: Recipe) -> None:
    folder = recipe.data("toy", "test")
    table = (folder / "utt2spk").read_text().splitlines()
    split = [line.removesuffix("s") + ("a" if "speech" in line else "b") for line in table]
    (folder / "utt2spk").write_text("\n".join(split) + "\n")
    (folder / "spk2utt").unlink()
    speakers = recipe.model_copy(
        update={"corpus": CorpusConfig(name="toy", source="a", target="b")}
    )
    data = DataDir.read(folder, check=False)
    assert set(infer.role_utterances(speakers, "a").ids) == set(data.by_domain("speech").ids)


def test_missing_accompaniments_are_told(recipe: Recipe) -> None:
    (recipe.data("toy", "test") / "accomp.scp").unlink()
    with pytest.raises(DataError, match=r"no utterance has an accompaniment, which converting"):
        infer.run(recipe, "cpu")


def test_one_song_cannot_be_shuffled(recipe: Recipe) -> None:
    one = recipe.model_copy(update={"evaluate": EvaluateConfig.model_construct(max_utterances=1)})
    with pytest.raises(DataError, match="no second accompaniment"):
        infer.shuffle(infer.choose(one, "speech", "singing", True))


def test_other_feature_settings_are_refused(recipe: Recipe, features: FeatureConfig) -> None:
    changed = recipe.model_copy(
        update={"features": features.model_copy(update={"hop_length": 160})}
    )
    with pytest.raises(CheckpointError, match="trained with other feature settings"):
        infer.run(changed, "cpu")


def test_a_changed_recording_is_told(recipe: Recipe, speech: Make) -> None:
    soundfile.write("wavs/speech0.wav", speech(0.5), 16000)
    with pytest.raises(DataError, match=r"s-speech0: .* frames of mel for .*run stage 2"):
        infer.run(recipe, "cpu")


def test_another_stretch_starts_the_features_over(
    recipe: Recipe, save_toy: Callable[..., Path]
) -> None:
    infer.run(recipe, "cpu")
    store = recipe.exp / "infer" / "matched" / "world"
    source = FeatureStore(store).config["source"]
    shorter = recipe.model_copy(update={"convert": ConvertConfig(stretch=1.2)})
    infer.run(shorter, "cpu")
    again = FeatureStore(store)
    assert again.config["source"] != source and len(again) == len(NOTES)


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
    monkeypatch.setattr(infer, "_stores", lambda recipe, role: {})  # all have features
    named = {"ann-1": "hello", "ann-2": "goodbye", "ann-3": "yes", "ann-4": None}
    named |= {"ben-7": "goodbye", "ben-8": "hello", "ben-9": "hello", "cat-3": "yes", "ben-5": None}
    chosen = between_speakers(named, tmp_path)
    pairs = infer.choose(chosen, "ann", "ben", needed=False)
    ids = [(pair.source.id, pair.target.id if pair.target else None) for pair in pairs]
    assert ids == [("ann-1", "ben-8"), ("ann-2", "ben-7")]  # cat is not asked


def test_speakers_without_common_sentences_have_no_pairs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(infer, "_stores", lambda recipe, role: {})
    chosen = between_speakers({"ann-1": "a", "ann-2": None, "ben-1": "b", "ben-2": None}, tmp_path)
    pairs = infer.choose(chosen, "ann", "ben", needed=False)
    assert [(pair.source.id, pair.target) for pair in pairs] == [("ann-1", None), ("ann-2", None)]
