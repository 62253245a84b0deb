"""A family that learns nothing, from recordings on disk to sound, and then to a target unheard."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

import vctool
from tests.sounds import speak
from tests.toy import FEATURES, RATE
from vctool.data.datadir import DataDir
from vctool.data.utterance import Utterance
from vctool.engine import checkpoint
from vctool.experiment import plan, state
from vctool.experiment.recipe import CorpusConfig, EvaluateConfig, Recipe
from vctool.features import world
from vctool.stages import features, infer, synthesize, train

PITCH = {"ann": 200.0, "bob": 120.0}


@pytest.fixture
def recipe(workdir: Path, mimic: Any) -> Recipe:
    """Two speakers with two recordings in each split."""
    for place, split in enumerate(("train", "dev", "test")):
        utterances = []
        for who, f0 in PITCH.items():
            for take in range(2):
                path = workdir / "wavs" / f"{who}-{split}-{take}.wav"
                path.parent.mkdir(exist_ok=True)
                soundfile.write(path, speak(10 * place + take, f0, 0.8), RATE)
                utterances.append(Utterance(path.stem, who, "speech", path, 0.8))
        DataDir(workdir / "data" / "tiny" / split, tuple(utterances)).write()
    return Recipe(
        name="still",
        family="mimic",
        corpus=CorpusConfig(name="tiny", source="ann", target="bob"),
        features=FEATURES,
        train={},  # type: ignore[arg-type]
        vocoder="world",
        evaluate=EvaluateConfig(max_utterances=2),
    )


def pitch(wave: np.ndarray) -> float:
    f0 = world.estimate_f0(np.asarray(wave, np.float32), FEATURES)
    return float(np.median(f0[f0 > 0]))


def test_it_goes_through_the_stages_and_takes_a_reference(
    recipe: Recipe, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    assert plan.kinds(recipe) == ("world",)
    for stage, work in (
        ("features", lambda: features.run(recipe)),
        ("train", lambda: train.run(recipe, "cpu")),
        ("infer", lambda: infer.run(recipe, "cpu")),
        ("synthesize", lambda: synthesize.run(recipe)),
    ):
        assert state.run(recipe, stage, work)
    assert "mimic: learns nothing; it is set up and saved" in caplog.text
    assert [path.name for path in (recipe.exp / "checkpoints").glob("step-*")] == ["step-00000000"]
    system, _ = checkpoint.load(recipe.exp)
    assert system.envelopes.abs().sum() > 0, "nothing was measured"
    assert state.judge(recipe, plan.stage("train")).state == "done"
    made = sorted((recipe.exp / "wav").glob("*.wav"))
    assert [path.name for path in made] == ["ann-test-0.wav", "ann-test-1.wav"]
    for path in made:
        assert pitch(soundfile.read(path)[0]) == pytest.approx(PITCH["bob"], rel=0.1)
    soundfile.write("sax.wav", speak(7, 300.0, 0.8), RATE)
    converter = vctool.load(recipe.exp, "cpu")
    source, _ = soundfile.read("wavs/ann-test-0.wav", dtype="float32")
    out, _ = converter.convert(source, RATE, to="sax.wav")
    assert pitch(out) == pytest.approx(300.0, rel=0.12)
    # A role is converted to as stages 4 and 5 did it.
    out, _ = converter.convert(source, RATE, to="bob")
    np.testing.assert_allclose(soundfile.read(made[0])[0], out, atol=1e-4)
