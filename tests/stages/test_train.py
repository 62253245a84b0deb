"""Stage 3 from recordings on disk, through real features, at the smallest size."""

import logging
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from vctool.config import PROJECT_ROOT, read_yaml
from vctool.data.datadir import DataDir
from vctool.data.utterance import Utterance
from vctool.engine import checkpoint, manifest
from vctool.engine.distributed import Processes
from vctool.errors import CheckpointError, ConfigError, DataError
from vctool.experiment.recipe import Recipe, resolve
from vctool.stages import features, train
from vctool.training import setup

RATE = 16000


def tone(f0: float, seconds: float, rng: np.random.Generator) -> np.ndarray:
    """A buzzing voice whose pitch and colour wander."""
    time = np.arange(int(seconds * RATE)) / RATE
    glide = f0 * 2 ** (0.2 * np.sin(2 * np.pi * rng.uniform(0.5, 1) * time))
    phase = 2 * np.pi * np.cumsum(glide) / RATE
    wave = sum(np.sin(k * phase + k) / k ** rng.uniform(0.8, 1.6) for k in range(1, 12))
    return np.asarray(0.1 * wave + 1e-3 * rng.standard_normal(len(time)))


def write_corpus(data: Path) -> None:
    for number, split in enumerate(("train", "dev")):
        folder = data / "tiny" / split
        folder.mkdir(parents=True)
        rng = np.random.default_rng(number)
        tables: dict[str, list[str]] = {"wav.scp": [], "utt2spk": [], "utt2domain": []}
        tables |= {"accomp.scp": [], "utt2dur": [], "spk2utt": []}
        for speaker, domain, f0 in (("ann", "speech", 180), ("bob", "singing", 130)):
            names = [f"{speaker}-{split}-{n}" for n in range(2)]
            for name in names:
                soundfile.write(folder / f"{name}.wav", tone(f0, 1.5, rng), RATE)
                tables["wav.scp"].append(f"{name} {name}.wav")
                tables["utt2spk"].append(f"{name} {speaker}")
                tables["utt2domain"].append(f"{name} {domain}")
                tables["utt2dur"].append(f"{name} 1.5")
                if domain == "singing":
                    soundfile.write(folder / f"{name}-band.wav", tone(65, 1.5, rng), RATE)
                    tables["accomp.scp"].append(f"{name} {name}-band.wav")
            tables["spk2utt"].append(f"{speaker} {' '.join(names)}")
        for table, lines in tables.items():
            (folder / table).write_text("".join(f"{line}\n" for line in sorted(lines)))


def tiny_recipe(**train_changes: object) -> Recipe:
    tree = read_yaml(PROJECT_ROOT / "conf/vocal_cyclegan/tiny.yaml")
    sizes = {"n_mels": 40, "envelope_dim": 24, "chroma_n_fft": 2048, "n_fft": 1024}
    pace = {"steps": 4, "save_every": 2, "validate_every": 2, "log_every": 1, "validate_batches": 1}
    return resolve(
        {
            **tree,
            "name": "tiny",
            "corpus": {"speech": "tiny", "singing": "tiny"},
            "features": {"rate": RATE, "hop_length": 192, **sizes},
            "train": {**tree["train"], **pace, **train_changes},
        },
        "the test's recipe",
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data, features and a trained experiment."""
    folder = tmp_path_factory.mktemp("train")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        torch.set_num_threads(1)
        write_corpus(Path("data"))
        recipe = tiny_recipe()
        features.run(recipe, splits=("train", "dev"))
        train.run(recipe, device="cpu")
    return folder


@pytest.fixture
def here(trained: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(trained)
    return trained


def test_a_trained_experiment_loads_without_its_recipe(here: Path) -> None:
    system, state = checkpoint.load(Path("exp/tiny"))
    assert state["step"] == 4
    assert state["recipe"]["convert"]["stretch"] == tiny_recipe().convert.stretch
    assert system.context.roles == ("speech", "singing")
    assert sorted(system.context.speakers) == ["ann", "bob"]
    assert np.exp(system.context.domains["speech"].log_f0_mean) == pytest.approx(180, rel=0.1)
    assert np.exp(system.context.domains["singing"].log_f0_mean) == pytest.approx(130, rel=0.1)


def test_each_validation_writes_a_sample_and_its_picture_per_direction(here: Path) -> None:
    names = sorted(path.name for path in Path("exp/tiny/samples").iterdir())
    assert names == [
        f"step-{step:08d}-{direction}.{suffix}"
        for step in (2, 4)
        for direction in ("singing-to-speech", "speech-to-singing")
        for suffix in ("png", "wav")
    ]
    sample = Path("exp/tiny/samples/step-00000004-speech-to-singing.wav")
    wave, rate = soundfile.read(sample)
    assert rate == RATE
    assert len(wave) / rate == pytest.approx(1.5, abs=0.02)
    assert wave.std() > 1e-4
    assert sample.with_suffix(".png").read_bytes().startswith(b"\x89PNG")


def test_more_steps_go_on_and_a_changed_model_is_refused(here: Path) -> None:
    train.run(tiny_recipe(steps=5), device="cpu")
    assert checkpoint.read_state(manifest.find(Path("exp/tiny")))["step"] == 5
    recipe = tiny_recipe(steps=6)
    changed = recipe.model_copy(update={"model": {**recipe.model, "melody_width": 5}})
    with pytest.raises(CheckpointError, match=r"config\.melody_width: 4 -> 5.*--fresh"):
        train.run(changed, device="cpu")


@pytest.mark.parametrize("writable", [True, False])
def test_preparations_are_kept_beside_the_features_where_that_may_be(
    here: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, writable: bool
) -> None:
    caplog.set_level(logging.INFO)
    kept = here / "dump" / "tiny" / train.PREPARED
    kept.unlink(missing_ok=True)
    if not writable:  # as features of others on a shared disk are
        monkeypatch.setattr(train.os, "access", lambda path, mode: False)
    train.run(tiny_recipe(steps=1).model_copy(update={"name": f"kept-{writable}"}), device="cpu")
    assert kept.is_file() is writable
    assert ("dump/tiny: cannot be written to" in caplog.text) is not writable


def test_an_unknown_hyper_parameter_is_refused_with_a_suggestion(here: Path) -> None:
    recipe = tiny_recipe()
    wrong = recipe.model_copy(update={"model": {**recipe.model, "melody_widht": 5}})
    with pytest.raises(ConfigError, match=r"no field 'model.melody_widht'; did you mean 'melody_w"):
        train.run(wrong, device="cpu")


def test_missing_features_name_the_stage_that_makes_them(
    here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_corpus(Path("data"))
    with pytest.raises(DataError, match=r"dump/tiny/train/.*run stage 2"):
        train.run(tiny_recipe(), device="cpu")


def test_a_role_without_utterances_is_named(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = tiny_recipe()
    roles = {"speech": "tiny", "humming": "tiny"}
    monkeypatch.setattr(Recipe, "roles", property(lambda self: roles))
    with pytest.raises(DataError, match="no utterance of role 'humming'"):
        train.run(recipe, device="cpu")


def test_samples_that_are_odd_are_shouted_about(
    here: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = setup.prepare(tiny_recipe(), Processes())
    assert trainer.sample is not None
    monkeypatch.setattr(type(trainer.system), "convert", lambda self, source, under, to: source)
    with caplog.at_level(logging.WARNING):
        trainer.sample(trainer.system, 9)
    assert "step 9, speech to singing" in caplog.text
    assert "equal to its input" in caplog.text


@pytest.mark.parametrize("change", ["added", "edited"])
def test_changed_recordings_are_told_with_what_to_do(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    shutil.copytree(trained, tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")
    folder, recipe = Path("data/tiny/train"), tiny_recipe()
    data = DataDir.read(folder)
    wave = tone(240, 1.5, np.random.default_rng(9))
    if change == "added":
        soundfile.write("ann-new.wav", wave, RATE)
        new = Utterance("ann-train-new", "ann", "speech", Path("ann-new.wav").absolute(), 1.5)
        replace(data, utterances=(*data.utterances, new)).write()
    else:
        soundfile.write(folder / "ann-train-0.wav", wave, RATE)
    features.run(recipe, splits=("train", "dev"))
    with pytest.raises(CheckpointError) as caught:
        train.run(recipe, device="cpu")
    told = {"added": "speech: 2 utterances -> 3", "edited": "speech: other recordings"}[change]
    assert "the training data have changed since step" in str(caught.value)
    assert f"({told})" in str(caught.value)
    train.run(recipe, device="cpu", fresh=True)
