"""`vctool convert --to all`: every voice of a model from one pass over the recording."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from vctool.engine import checkpoint
from vctool.errors import AudioError, ConfigError
from vctool.experiment.recipe import ConvertConfig
from vctool.features.base import Features
from vctool.features.settings import FeatureConfig
from vctool.inference import converter
from vctool.inference.files import convert_files
from vctool.models import base
from vctool.models.base import Condition, Context

Make = Callable[..., np.ndarray]
FACTORS = {"ann": 0.8, "ben": 1.0, "all": 1.25, "cid": 1.5}
"""What the toy model multiplies F0 by towards every voice."""


@pytest.fixture
def save(tmp_path: Path, features: FeatureConfig, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Save an experiment of a model of these voices, which works in place on what it is given."""
    toys = base.family("toy")

    class Choir(toys):  # type: ignore[misc, valid-type]
        @classmethod
        def reads(cls, config: object) -> tuple[str, ...]:
            return ("world",)

        def convert(self, source: Features, condition: Condition, to: str) -> Features:
            source["world"][:, 0] *= FACTORS[to]
            return source

    found = base.family
    monkeypatch.setattr(base, "family", lambda name: Choir if name == "choir" else found(name))
    monkeypatch.chdir(tmp_path)

    def made(*roles: str) -> Path:
        context = Context(features=features, vocoder="world", roles=roles)
        path = Path("exp") / "_".join(roles)
        settings = ConvertConfig(block_seconds=5.0).model_dump()
        system = Choir(Choir.Config(), context)
        recipe = {"convert": settings}
        checkpoint.save(path / "checkpoints", system, family="choir", step=5, recipe=recipe)
        return path

    return made  # type: ignore[return-value]


def test_every_voice_is_what_it_would_be_alone_and_is_analysed_once(
    save: Callable[..., Path], speech: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    save("ann", "ben", "cid")
    soundfile.write("in.wav", speech(11.0), 16000)  # three blocks
    analysed = []
    real = converter.voice_features

    def counted(wave: np.ndarray, *rest: object) -> Features:
        analysed.append(len(wave))
        return real(wave, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(converter, "voice_features", counted)
    summary = convert_files(["in.wav"], to="all", device="cpu")
    assert [str(job.path) for job in summary.done] == ["in.ann.wav", "in.ben.wav", "in.cid.wav"]
    assert summary.lines()[-1].startswith("3 of 3 converted")
    blocks = len(analysed)
    assert 1 < blocks <= 3
    together = {who: Path(f"in.{who}.wav").read_bytes() for who in ("ann", "ben", "cid")}
    assert len(set(together.values())) == 3
    for who, kept in together.items():
        convert_files(["in.wav"], to=who, force=True, device="cpu")
        assert Path(f"in.{who}.wav").read_bytes() == kept
    assert len(analysed) == 4 * blocks


def test_folders_pass_over_the_outputs_of_every_voice(
    save: Callable[..., Path], speech: Make
) -> None:
    save("ann", "ben", "cid")
    Path("talks").mkdir()
    for name in ("a", "b"):
        soundfile.write(f"talks/{name}.wav", speech(0.3), 16000)
    for _ in range(2):
        summary = convert_files(["talks"], to="all", out=Path("out"), force=True, device="cpu")
        assert len(summary.done) == 6
    convert_files(["talks"], to="all", device="cpu")
    convert_files(["talks"], to="all", force=True, device="cpu")
    assert len(list(Path("talks").iterdir())) == 2 + 6
    with pytest.raises(ConfigError, match=r"--out x\.wav: 3 targets need a folder, not a file"):
        convert_files(["talks/a.wav"], to="all", out=Path("x.wav"), device="cpu")


def test_one_output_that_exists_keeps_all_of_a_recording_from_being_written(
    save: Callable[..., Path], speech: Make
) -> None:
    save("ann", "ben", "cid")
    soundfile.write("in.wav", speech(0.3), 16000)
    soundfile.write("other.wav", speech(0.3), 16000)
    Path("in.cid.wav").write_bytes(b"mine")
    with pytest.raises(AudioError, match=r"in\.cid\.wav: exists already; pass --force"):
        convert_files(["in.wav"], to="all", device="cpu")
    assert not Path("in.ann.wav").exists() and Path("in.cid.wav").read_bytes() == b"mine"
    summary = convert_files(["in.wav", "other.wav"], to="all", device="cpu")
    assert summary.exit_code == 1 and len(summary.done) == len(summary.failed) == 3
    told = summary.lines()
    assert len(told) == 2 and told[-1].startswith("3 of 6 converted")


def test_a_voice_that_is_called_all_is_that_voice(save: Callable[..., Path], speech: Make) -> None:
    model = save("ann", "all")
    soundfile.write("in.wav", speech(0.3), 16000)
    summary = convert_files(["in.wav"], model=model, to="all", device="cpu")
    assert [str(job.path) for job in summary.done] == ["in.all.wav"]
