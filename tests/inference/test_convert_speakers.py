"""`vctool convert` where the roles are two speakers: which model, which way, which names."""

import logging
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from vctool.engine import checkpoint
from vctool.errors import AudioError, ConfigError
from vctool.features import world
from vctool.features.base import Features
from vctool.features.settings import FeatureConfig
from vctool.inference import discover
from vctool.inference.converter import Converter
from vctool.inference.files import convert_files
from vctool.inference.outputs import outputs
from vctool.models import base
from vctool.models.base import Condition, Context

Make = Callable[..., np.ndarray]
Save = Callable[..., Path]

UP = 1.5
"""What the pair's model multiplies F0 by towards its source; towards its target it divides."""


@pytest.fixture
def save_pair(tmp_path: Path, features: FeatureConfig, monkeypatch: pytest.MonkeyPatch) -> Save:
    """Save an experiment that turns one speaker into another, as old as is asked."""
    toys = base.family("toy")

    class Pair(toys):  # type: ignore[misc, valid-type]
        @classmethod
        def reads(cls, config: object) -> tuple[str, ...]:
            return ("world",)

        def convert(self, source: Features, condition: Condition, to: str) -> Features:
            assert condition.accompaniment is None
            moved = source["world"].copy()
            moved[:, 0] *= UP if to == self.context.roles[0] else 1 / UP
            return {"world": moved}

    found = base.family
    monkeypatch.setattr(base, "family", lambda name: Pair if name == "pair" else found(name))
    monkeypatch.chdir(tmp_path)

    def save(source: str, target: str, hours_old: float = 0.0) -> Path:
        context = Context(features=features, vocoder="world", roles=(source, target))
        path = Path("exp") / f"pair_{source}_{target}"
        system = Pair(Pair.Config(), context)
        checkpoint.save(path / "checkpoints", system, family="pair", step=5, recipe={})
        for file in path.rglob("state.json"):
            then = file.stat().st_mtime - 3600 * hours_old
            os.utime(file, (then, then))
        return path

    return save


def pitch(path: str, features: FeatureConfig) -> float:
    wave, rate = soundfile.read(path, dtype="float32")
    assert rate == features.rate
    f0 = world.estimate_f0(wave, features)
    return float(np.median(f0[f0 > 0]))


def test_the_target_is_the_default_and_to_names_either_way(
    files: Path, save_pair: Save, features: FeatureConfig, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    pair = save_pair("SF1", "TM3")
    before = pitch("in.wav", features)
    convert_files(["in.wav"], device="cpu")
    assert "model: exp/pair_SF1_TM3, step 5, to TM3" in caplog.text
    assert pitch("in.TM3.wav", features) == pytest.approx(before / UP, rel=0.05)
    convert_files(["in.wav"], model=pair, to="SF1", device="cpu")
    assert pitch("in.SF1.wav", features) == pytest.approx(before * UP, rel=0.05)
    assert soundfile.info("in.TM3.wav").frames == soundfile.info("in.wav").frames
    names = ["in.SF1.wav", "in.TM3.wav", "in.wav"]
    assert sorted(path.name for path in files.glob("in.*")) == names


def test_a_speaker_that_the_model_lacks_is_one_line(files: Path, save_pair: Save) -> None:
    pair = save_pair("SF1", "TM3")
    with pytest.raises(ConfigError, match=r"--to TM4: exp/pair_SF1_TM3 has no such role; did you"):
        convert_files(["in.wav"], model=pair, to="TM4", device="cpu")
    assert Converter(pair, "cpu").roles == ("SF1", "TM3")


def test_the_newest_experiment_with_that_speaker_is_taken(
    files: Path, save_pair: Save, save_toy: Save
) -> None:
    def newest(to: str | None, accompanied: bool = False) -> str:
        asked = discover.Asked([to], accompanied)
        return discover.load(discover.fitting(Path("exp"), asked), "cpu").path.name

    save_pair("SF1", "TM3", hours_old=3)
    save_pair("SM1", "TM3", hours_old=2)
    save_pair("SM1", "TF2", hours_old=1)
    assert newest(None) == newest("TF2") == newest("SM1") == "pair_SM1_TF2"
    assert newest("TM3") == "pair_SM1_TM3"
    assert newest("SF1") == "pair_SF1_TM3"
    told = (
        r"--to TM9: none of the 3 models in exp/ converts to it; did you mean 'TM3'\?; "
        "they convert to SF1, SM1, TF2, TM3$"
    )
    with pytest.raises(ConfigError, match=told):
        newest("TM9")
    # A newer singing model needs an accompaniment, and is the one that listens to it.
    save_toy()
    assert newest(None) == "pair_SM1_TF2"
    assert newest(None, accompanied=True) == "toy"
    mixed = convert_files(["in.wav"], accomp=Path("inst.wav"), to="TM3", mix=True, device="cpu")
    assert [job.mix for job in mixed.done if job.mix.is_file()] == [Path("in.TM3.mix.wav")]


def test_folders_pass_over_what_was_converted_to_that_speaker(
    files: Path, save_pair: Save, speech: Make
) -> None:
    save_pair("SF1", "Zoë.b")  # speakers may have dots in their names
    for name in ("talks/a.wav", "talks/b/c.wav"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(name, speech(0.2), 16000)
    summary = convert_files(["talks"], device="cpu")
    targets = ["talks/a.Zoë.b.wav", "talks/b/c.Zoë.b.wav"]
    assert sorted(str(job.path) for job in summary.done) == targets
    again = outputs(["talks"], None, ["Zoë.b"])
    assert sorted(str(one.path) for (one,) in again) == targets
    with pytest.raises(AudioError, match=r"talks/\*\.b\.wav: .* earlier conversions to Zoë\.b"):
        convert_files(["talks/*.b.wav"], device="cpu")
