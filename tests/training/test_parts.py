"""A system that builds on a trained one: the built-in instruments, a coder and a flow."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import vctool
from vctool.corpora import tones
from vctool.engine import checkpoint
from vctool.errors import CheckpointError, ConfigError
from vctool.experiment import plan, recipe
from vctool.experiment.recipe import Recipe
from vctool.models.base import Context, family
from vctool.stages import features, train
from vctool.training import parts

PACE = [f"train.{one}" for one in ("steps=2", "save_every=2", "validate_every=2", "log_every=1")]


def load(name: str, *settings: str) -> Recipe:
    return recipe.load(name, (*PACE, "train.validate_batches=1", *settings))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A trained coder, and a flow that was trained on it."""
    made = tmp_path_factory.mktemp("parts")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(made)
        torch.set_num_threads(1)
        source = tones.download(made, sizes=tones.Sizes(train=4, dev=4, test=4), nj=1)
        tones.prepare(source, made / "data" / "tones")
        features.run(load("tiny_timbre_vqvae"), nj=1)
        train.run(load("tiny_timbre_vqvae"), device="cpu")
        train.run(load("tiny_timbre_glow"), device="cpu")
        yield made


@pytest.fixture
def here(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(folder)
    return folder


def tensors(name: str) -> dict[str, torch.Tensor]:
    return dict(checkpoint.load(Path("exp") / name)[0].state_dict())


def test_the_part_has_the_weights_and_keeps_them(here: Path) -> None:
    coder, flow = tensors("tiny_timbre_vqvae"), tensors("tiny_timbre_glow")
    assert coder and all(torch.equal(flow[f"coder.{name}"], one) for name, one in coder.items())
    assert any(name.startswith("flow.") for name in flow)


def test_a_checkpoint_converts_without_what_it_was_built_on(here: Path, tmp_path: Path) -> None:
    alone = tmp_path / "alone"
    shutil.copytree(here / "exp" / "tiny_timbre_glow", alone)
    wave = next(here.rglob("*.wav"))
    sound, rate = vctool.audio.read(wave)
    one, other = (
        vctool.load(path).convert(sound, rate, to=wave)[0]
        for path in (here / "exp" / "tiny_timbre_glow", alone)
    )
    np.testing.assert_array_equal(one, other)


def test_other_weights_are_an_input_that_changed(here: Path) -> None:
    one = load("tiny_timbre_glow")
    told = plan.stage("train").inputs(one)["weights of coder"]
    assert told.startswith("sha256:")
    elsewhere = load("tiny_timbre_glow", "model.codes=exp/nowhere")
    assert plan.stage("train").inputs(elsewhere)["weights of coder"] == "missing"


@pytest.mark.parametrize(
    ("settings", "error", "said"),
    [
        (["model.codes=exp/nowhere"], CheckpointError, "builds on exp/nowhere: no such exp.*train"),
        (["model.codes=exp/tiny_timbre_glow"], ConfigError, "coder: exp/tiny_timbre_glow is of an"),
        (["model.coder.channels=5"], ConfigError, r"\(model.coder.channels: 5 -> 4\); set model"),
        (["features.n_fft=4096"], ConfigError, r"features.n_fft: 4096 -> 2048"),
    ],
)
def test_what_does_not_fit_is_named_in_a_line(
    here: Path, settings: Any, error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said) as told:
        one = load("tiny_timbre_glow", "name=other", *settings)
        context = Context(features=one.features, vocoder=one.vocoder, roles=())
        parts.take_over(family(one.family)(plan.model_config(one), context), one)
    assert "\n" not in str(told.value) and "other" in str(told.value)


def test_training_goes_on_with_the_same_weights_alone(here: Path, tmp_path: Path) -> None:
    train.run(load("tiny_timbre_glow"), device="cpu")
    system, _ = checkpoint.load(Path("exp/tiny_timbre_vqvae"))
    with torch.no_grad():
        next(system.parameters()).add_(0.1)
    checkpoint.save(tmp_path / "checkpoints", system, family="timbre_vqvae", step=3)
    with pytest.raises(CheckpointError, match=r"was trained with other weights than .*--fresh"):
        train.run(load("tiny_timbre_glow", f"model.codes={tmp_path}"), device="cpu")


def test_the_best_checkpoint_wants_held_out_recordings(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without any there is no best, and the latest would convert in silence."""
    monkeypatch.setattr("vctool.training.setup.has_split", lambda recipe, split: split == "train")
    with pytest.raises(ConfigError, match=r"train\.converts: best, and there is no dev split"):
        train.run(load("tiny_timbre_vqvae", "name=best", "train.converts=best"), device="cpu")
