"""Which vocoder makes the sound: the recipe's, or another by name or path; in every stage."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import vctool
from vctool import audio, vocoders
from vctool.audio.loudness import match_level
from vctool.config import Config, build, read_yaml
from vctool.engine import checkpoint
from vctool.errors import CheckpointError, ConfigError
from vctool.experiment import hashes, plan, recipe
from vctool.features.base import Features
from vctool.features.mel import log_mel
from vctool.features.settings import FeatureConfig
from vctool.inference.converter import Converter
from vctool.inference.files import convert_files
from vctool.models import base
from vctool.models.base import Condition, Context
from vctool.models.istft.system import System

RATE = 16000
MEL = FeatureConfig(rate=RATE, hop_length=128, n_fft=512, n_mels=40)
Make = Callable[..., np.ndarray]


class Echo(base.System):
    """Converts nothing: mel in, the same mel out."""

    class Config(Config):
        pass

    def __init__(self, config: Any, context: Context) -> None:
        super().__init__(config, context)
        self.weight = nn.Parameter(torch.zeros(1))

    @classmethod
    def reads(cls, config: Any) -> tuple[str, ...]:
        return ("mel",)

    @classmethod
    def writes(cls, config: Any) -> tuple[str, ...]:
        return ("mel",)

    def convert(self, source: Features, condition: Condition, to: str) -> Features:
        return {"mel": source["mel"]}


@pytest.fixture
def exp(workdir: Path, monkeypatch: pytest.MonkeyPatch, speech: Make) -> Path:
    """An experiment that echoes through Griffin-Lim, two vocoders, and `in.wav`."""
    found = base.family
    monkeypatch.setattr(base, "family", lambda name: Echo if name == "echo" else found(name))
    context = Context(features=MEL, vocoder="griffin_lim", roles=("ann", "ben"))
    echo = Path("exp/echo")
    checkpoint.save(echo / "checkpoints", Echo(Echo.Config(), context), family="echo", step=3)
    save_istft(Path("exp/fits"), MEL)
    save_istft(Path("exp/other"), MEL.model_copy(update={"hop_length": 160, "n_mels": 64}))
    audio.write(Path("in.wav"), speech(1.0), RATE)
    return echo


def save_istft(path: Path, features: FeatureConfig, seed: int = 0) -> None:
    torch.manual_seed(seed)
    conf = read_yaml(Path(__file__).parents[2] / "conf/istft/tiny.yaml")["model"]
    context = Context(features=features, vocoder="wave", roles=("voices",))
    system = System(build(System.Config, conf, "tiny"), context)
    with torch.no_grad():
        system.generator.head.weight.normal_(0.0, 0.1)
    checkpoint.save(path / "checkpoints", system, family="istft", step=1)


def direct(vocoder: str, wave: np.ndarray) -> np.ndarray:
    made = vocoders.get(vocoder).synthesise({"mel": log_mel(wave, MEL)}, MEL, len(wave))
    return match_level(made, RATE, audio.level_db(wave, RATE))


def test_the_vocoder_that_is_named_makes_the_sound(exp: Path) -> None:
    wave, _ = audio.read(Path("in.wav"), RATE)
    for name in ("griffin_lim", "exp/fits", "exp/fits/checkpoints/step-00000001"):
        found, rate = vctool.load(exp, "cpu", vocoder=name).convert(wave, RATE)
        assert rate == RATE
        np.testing.assert_allclose(found, direct(name, wave), atol=2e-3)
    own, _ = vctool.load(exp, "cpu").convert(wave, RATE)
    np.testing.assert_allclose(own, direct("griffin_lim", wave), atol=2e-3)
    assert np.abs(own - direct("exp/fits", wave)).max() > 0.05
    convert_files(["in.wav"], model=exp, vocoder="exp/fits", device="cpu")
    written, _ = audio.read(Path("in.ben.wav"), RATE)
    np.testing.assert_allclose(written, direct("exp/fits", wave), atol=2e-3)


def test_a_vocoder_of_other_features_is_refused_in_one_line(exp: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        convert_files(["in.wav"], model=exp, vocoder="exp/other", device="cpu")
    said = str(caught.value)
    assert "hop_length = 160 (here 128)" in said and "n_mels = 64 (here 40)" in said
    assert "\n" not in said and not Path("in.ben.wav").exists()
    with pytest.raises(ConfigError, match="world needs 'world' features, this model writes mel"):
        Converter(exp, "cpu", "world")
    with pytest.raises(CheckpointError, match=r"exp/none: no such file or folder"):
        Converter(exp, "cpu", "exp/none")
    with pytest.raises(ConfigError, match="did you mean 'griffin_lim'"):
        Converter(exp, "cpu", "grifin_lim")


def test_the_newest_experiment_is_one_that_the_vocoder_can_take(
    exp: Path, save_toy: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    save_toy()  # newer, and of features of its own kind
    summary = convert_files(["in.wav"], to="ben", vocoder="exp/fits", device="cpu")
    assert summary.model == exp


def test_a_vocoder_is_never_the_newest_experiment(exp: Path) -> None:
    """It would hand the recording back, as if that had been converted."""
    save_istft(Path("exp/latest"), MEL)
    assert convert_files(["in.wav"], device="cpu").model == exp
    with pytest.raises(CheckpointError, match="exp/latest is a vocoder, for --vocoder"):
        convert_files(["in.wav"], to="voices", device="cpu")


def test_a_model_that_does_not_write_what_it_reads_is_told_apart(
    workdir: Path, save_toy: Callable[..., Path]
) -> None:
    # The toy family reads mel and world, and writes world alone.
    with pytest.raises(ConfigError, match="griffin_lim needs 'mel' features, this model writes wo"):
        Converter(save_toy(), "cpu", "griffin_lim")


def test_other_weights_make_the_sounds_of_a_recipe_stale(exp: Path) -> None:
    def inputs(vocoder: str) -> dict[str, Any]:
        return plan.stage("synthesize").inputs(
            recipe.load("vcc2016_cyclegan_vc", [f"vocoder={vocoder}", *SPEAKERS])
        )

    before = inputs("exp/fits")
    assert before == inputs("exp/fits")
    save_istft(Path("exp/fits"), MEL, seed=1)
    after = inputs("exp/fits")
    changed = {name for name in after if after[name] != before[name]}
    assert changed == {"vocoder weights", "vocoder settings"}  # which hold the weights' digest
    assert inputs("exp/none")["vocoder weights"] == hashes.MISSING
    assert "vocoder weights" not in inputs("world")


SPEAKERS = ("corpus.source=SF1", "corpus.target=TM3")
