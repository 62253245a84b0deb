"""A vocoder that takes the source's own sound beside what the model writes, on every way to sound.

It comes from a folder laid beside the tree's, as does the model.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.sounds import speak
from tests.toy import FEATURES, RATE
from vctool import audio, vocoders
from vctool.data.datadir import DataDir
from vctool.data.feature_set import FeatureSet
from vctool.data.utterance import Utterance
from vctool.errors import ConfigError, DataError
from vctool.experiment import plan
from vctool.experiment.recipe import ConvertConfig, CorpusConfig, EvaluateConfig, Recipe
from vctool.features import framing, world
from vctool.features.mel import log_mel
from vctool.inference.converter import Converter
from vctool.inference.files import convert_files
from vctool.stages import features, infer, synthesize
from vctool.training.samples import Samples

Save = Callable[..., Path]


def like(one: np.ndarray, other: np.ndarray) -> float:
    """Return the correlation of two waves of equal length."""
    assert one.shape == other.shape
    return float(np.corrcoef(one, other)[0, 1])


def pitch(wave: np.ndarray) -> np.ndarray:
    f0 = world.estimate_f0(np.asarray(wave, np.float32), FEATURES)
    return f0[f0 > 0]


def test_the_sources_sound_is_carried_through(save_echo: Save) -> None:
    wave = speak(1, 120, 1.0).astype(np.float32)
    converter = Converter(save_echo(), "cpu")
    assert converter.borrowed == ("wave",)
    out, _ = converter.convert(wave, RATE)
    assert like(out, wave) > 0.99  # its loudness is the source's, and so is every harmonic
    longer, _ = converter.convert(wave, RATE, stretch=1.5)
    assert len(longer) == 1.5 * RATE
    assert np.median(pitch(longer)) == pytest.approx(np.median(pitch(wave)), rel=0.02)
    assert audio.level_db(longer, RATE) == pytest.approx(audio.level_db(wave, RATE), abs=0.5)


@pytest.mark.parametrize("stretch", [1.0, 1.5])
def test_blocks_agree_with_one_whole_pass(save_echo: Save, stretch: float) -> None:
    wave = speak(2, 120, 13.0).astype(np.float32)
    whole, _ = Converter(save_echo("whole"), "cpu").convert(wave, RATE, stretch=stretch)
    path = save_echo("blocks", block_seconds=5.0)
    blocks, _ = Converter(path, "cpu").convert(wave, RATE, stretch=stretch)
    assert len(blocks) == len(whole) == round(13 * RATE * stretch)
    if stretch == 1:
        assert like(blocks, whole) > 0.999
    assert np.median(pitch(blocks)) == pytest.approx(np.median(pitch(whole)), rel=0.01)
    first, second = log_mel(whole, FEATURES), log_mel(blocks, FEATURES)
    difference = np.abs(first - second).mean(axis=1)
    # No frame sticks out: the worst 0.2 s, at a seam or anywhere, differ by little.
    window = np.convolve(difference, np.ones(25) / 25, mode="valid")
    assert difference.mean() < 2 and window.max() < 6


@pytest.fixture
def recipe(workdir: Path, save_echo: Save) -> Recipe:
    """Two speakers with two recordings in each split, and the model that echoes them."""
    save_echo()
    for place, split in enumerate(("train", "dev", "test")):
        utterances = []
        for who, f0 in (("ann", 120.0), ("ben", 180.0)):
            for take in range(2):
                path = workdir / "wavs" / f"{who}-{split}-{take}.wav"
                path.parent.mkdir(exist_ok=True)
                soundfile.write(path, speak(10 * place + take, f0, 0.8), RATE)
                utterances.append(Utterance(path.stem, who, "speech", path, 0.8))
        DataDir(workdir / "data" / "tiny" / split, tuple(utterances)).write()
    return Recipe(
        name="echo",
        family="echo",
        corpus=CorpusConfig(name="tiny", source="ann", target="ben"),
        features=FEATURES,
        train={},  # type: ignore[arg-type]
        vocoder="loudness",
        convert=ConvertConfig(stretch=1.5),
        evaluate=EvaluateConfig(max_utterances=2),
    )


def test_stages_4_and_5_give_what_convert_gives(recipe: Recipe) -> None:
    assert plan.kinds(recipe, "train") == ("mel",)
    assert plan.kinds(recipe, "test") == ("mel", "wave")
    assert plan.stage("infer").inputs(recipe)["of the source"] == ["wave"]
    features.run(recipe)
    infer.run(recipe, "cpu")
    synthesize.run(recipe)
    stored = (recipe.exp / "infer" / "matched").glob("*/feats.scp")
    assert sorted(path.parent.name for path in stored) == ["mel", "wave"]
    assert "infer/matched/wave" in (recipe.exp / "stages" / "infer.files").read_text()
    names = sorted(path.stem for path in (recipe.exp / "wav").glob("*.wav"))
    assert names == ["ann-test-0", "ann-test-1"]
    for name in names:
        written, _ = soundfile.read(recipe.exp / "wav" / f"{name}.wav", dtype="float32")
        source = f"wavs/{name}.wav"
        convert_files([source], to="ben", stretch=1.5, model=recipe.exp, device="cpu")
        made, _ = soundfile.read(f"wavs/{name}.ben.wav", dtype="float32")
        np.testing.assert_allclose(written, made, atol=2 / 32768)
        assert len(written) == round(0.8 * RATE * 1.5)
    # The other direction is not stretched, and sounds as the recording did.
    back, _ = soundfile.read(recipe.exp / "wav_to_ann" / "ben-test-0.wav", dtype="float32")
    assert like(back, soundfile.read("wavs/ben-test-0.wav", dtype="float32")[0]) > 0.99


def test_another_vocoder_after_stage_4_is_told_what_to_do(recipe: Recipe) -> None:
    features.run(recipe)
    plain = recipe.model_copy(update={"vocoder": "griffin_lim"})
    assert "of the source" not in plan.stage("infer").inputs(plain)
    infer.run(plain, "cpu")
    with pytest.raises(DataError, match=r"no wave of the sources, which loudness takes; run"):
        synthesize.run(recipe)


def test_samples_of_training_go_the_same_way(recipe: Recipe, tmp_path: Path) -> None:
    system = Converter(recipe.exp, "cpu").system
    wave = speak(3, 120, 0.8).astype(np.float32)
    arrays = {"mel": {"a": log_mel(wave, FEATURES)}, "wave": {"a": framing.frame(wave, FEATURES)}}
    held = FeatureSet.from_arrays(arrays, {"a": "ann"}, {"a": "speech"})
    Samples(tmp_path / "samples", {"ann": held, "ben": held}, system)(system, 3)
    made = sorted(path.name for path in (tmp_path / "samples").glob("*.wav"))
    assert made == ["step-00000003-ann-to-ben.wav", "step-00000003-ben-to-ann.wav"]
    sample, _ = soundfile.read(tmp_path / "samples" / made[0], dtype="float32")
    assert like(sample, wave[: len(sample)]) > 0.99


def test_what_it_makes_sound_of_must_be_written(save_toy: Save, toys: None) -> None:
    with pytest.raises(ConfigError, match="loudness needs 'mel' features, this model writes world"):
        Converter(save_toy(), "cpu", "loudness")
    assert vocoders.reads("loudness") == ("mel", "wave")
    assert vocoders.reads("world") == ("world",)
