"""`vctool convert --demo`: what comes with vctool makes its sound in an empty folder."""

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from vctool.audio import level_db
from vctool.cli import app
from vctool.errors import CheckpointError, ConfigError
from vctool.experiment import places
from vctool.inference.demo import convert_demo
from vctool.inference.files import convert_files
from vctool.metrics.notes import stability
from vctool.metrics.pitch import at_scoring_rate, track
from vctool.tools import models

SENTENCE = places.SHIPPED / "sentence.flac"


def f0(path: Path) -> np.ndarray:
    """Return F0 (F,) [Hz], 0 where unvoiced."""
    wave, rate = soundfile.read(path, dtype="float64")
    return track(at_scoring_rate(wave, rate).astype(np.float64))


def test_the_demo_sings_and_speaks_in_any_folder(
    workdir: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    done = CliRunner().invoke(app, ["convert", "--demo", "--device", "cpu", "--json"])
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert [one["output"] for each in told for one in each["done"]] == [
        "sentence.singing.wav",
        "sentence.TF2.wav",
    ]
    assert told[0]["done"][0]["mix"] == "sentence.singing.mix.wav" and not told[0]["failed"]
    names = ["sentence.TF2.wav", "sentence.singing.mix.wav", "sentence.singing.wav"]
    assert sorted(path.name for path in workdir.iterdir()) == names
    source, rate = soundfile.read(SENTENCE)
    for name in names:
        wave, own = soundfile.read(name)
        mono = wave if wave.ndim == 1 else wave.mean(axis=1)
        assert np.isfinite(mono).all() and 0.1 < np.abs(mono).max() < 1
        assert level_db(mono.astype("f4"), own) == pytest.approx(
            level_db(source.astype("f4"), rate), abs=3
        )
    # notes are held where speech glides, and the voice of a woman is higher than a man's
    assert stability(f0(Path("sentence.singing.wav"))) > stability(f0(SENTENCE)) + 0.3
    own, made = (np.median(one[one > 0]) for one in map(f0, (SENTENCE, Path("sentence.TF2.wav"))))
    assert made > 1.5 * own
    assert "VCC2016 (Voice Conversion Challenge 2016), CC BY 4.0" in caplog.text


def test_what_comes_with_vctool_is_small_and_its_terms_are_told(root: Path) -> None:
    sizes = {path.name: path.stat().st_size for path in places.SHIPPED.iterdir()}
    assert sizes.keys() == {
        *("README.md", "TF2.vctool", "backing.flac", "mini.vctool", "sentence.flac")
    }
    assert sum(sizes.values()) < 4_500_000
    for name, licence in (("TF2", "CC BY 4.0"), ("mini", "CC0 1.0")):
        one = models.named(name)
        assert one.loads and one.licence.startswith(licence), one
    assert "TF2" in (root / "README.md").read_text().partition("## Licences")[2]


def test_a_voice_is_named_as_a_target_and_the_singer_only_as_a_model(
    workdir: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    convert_files([str(SENTENCE)], to="TF2", out=Path("anna.flac"), device="cpu")
    assert soundfile.info("anna.flac").format == "FLAC"
    assert "TF2.vctool is made of: VCC2016" in caplog.text
    # made of synthetic voices, it would be a bad surprise for a voice of one's own
    with pytest.raises(CheckpointError, match="no trained model"):
        convert_files([str(SENTENCE)], accomp=places.SHIPPED / "backing.flac", device="cpu")


@pytest.mark.parametrize("words", [["in.wav"], ["--model", "mini"], ["--to", "singing"]])
def test_the_demo_takes_nothing_else(workdir: Path, words: list[str]) -> None:
    done: Any = CliRunner().invoke(app, ["convert", "--demo", *words])
    assert isinstance(done.exception, ConfigError) and "--demo" in str(done.exception)
    with pytest.raises(ConfigError, match="name a folder"):
        convert_demo(Path("one.wav"))
