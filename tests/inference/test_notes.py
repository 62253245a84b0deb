"""The notes that a model finds: the range of its target, and a MIDI file of them."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pretty_midi
import pytest
import soundfile
import torch
from typer.testing import CliRunner

import vctool
from tests.sounds import buzz
from vctool import audio
from vctool.cli import app
from vctool.engine import checkpoint
from vctool.errors import AudioError, ConfigError, DataError
from vctool.experiment import recipe as recipes
from vctool.inference import discover, notes
from vctool.inference.limits import transposition
from vctool.models.base import Context, Note, family
from vctool.models.timbre_vqvae.content import Content, Finder

RATE = 16000
SCALE = (60, 64, 67, 72)


@pytest.mark.parametrize("text", ["auto ", "octave", "", "12st"])
def test_what_is_no_transposition_is_named(text: str) -> None:
    with pytest.raises(ConfigError, match=rf"--transpose {text}: expected semitones, .* or auto"):
        transposition(text)


def test_a_transposition_is_a_number_in_range_or_auto() -> None:
    assert transposition("-12") == (-12.0, False) and transposition(3.5) == (3.5, False)
    assert transposition("auto") == (0.0, True)
    with pytest.raises(ConfigError, match="--transpose 99: must lie between -36 and 36"):
        transposition("99")


def test_a_midi_file_has_the_notes_that_were_written(tmp_path: Path) -> None:
    wanted = [Note(0.0, 0.5, 60, 100), Note(0.5, 0.75, 60, 20), Note(0.25, 130.0, 72, 127)]
    notes.write(tmp_path / "a.mid", wanted)
    found = pretty_midi.PrettyMIDI(str(tmp_path / "a.mid")).instruments[0].notes
    read = sorted((n.start, n.end, n.pitch, n.velocity) for n in found)
    np.testing.assert_allclose(read, sorted(wanted), atol=1 / 960)
    notes.write(tmp_path / "none.mid", [])
    assert not pretty_midi.PrettyMIDI(str(tmp_path / "none.mid")).instruments


def hears(self: Finder, logs: torch.Tensor, energy: torch.Tensor) -> Content:
    """Find pitches by how far their harmonics stand out: what training makes of the network."""
    heights = self.series(logs)[:, 1:6].mean(dim=1)
    peak = heights == heights.amax(dim=1, keepdim=True)
    active = (peak & (heights > 1.5) & (energy > -1.0)).float()
    return Content(active, torch.zeros_like(active), torch.ones_like(energy))


@pytest.fixture
def exp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder with a model that hears pitches and plays nothing but noise."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VCTOOL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(Finder, "forward", hears)
    one = recipes.load("tiny_timbre_vqvae", ["convert.block_seconds=5"])
    torch.manual_seed(0)
    context = Context(features=one.features, vocoder=one.vocoder, roles=())
    cls = family(one.family)
    system = cls(cls.Config(**one.model), context)
    tree = one.model_dump(mode="json", by_alias=True)
    folder = Path("exp/one/checkpoints")
    checkpoint.save(folder, system, family=one.family, step=1, recipe=tree)
    return Path("exp/one")


def play(path: str, pitches: tuple[int, ...], seconds: float = 0.5) -> np.ndarray:
    gap = np.zeros(round(0.1 * RATE))
    tones = (buzz(seconds, 440 * 2 ** ((pitch - 69) / 12), 10) for pitch in pitches)
    wave = np.concatenate([part for tone in tones for part in (tone, gap)]).astype(np.float32)
    soundfile.write(path, wave, RATE)
    return wave


def convert(*words: str) -> Any:
    given = ["convert", *words, "--model", "exp/one", "--device", "cpu"]
    return CliRunner().invoke(app, given, catch_exceptions=False)


def test_notes_are_written_beside_the_output_in_blocks_too(exp: Path) -> None:
    play("riff.wav", SCALE * 4)  # 9.6 s, two blocks of five
    play("sax.wav", SCALE)
    assert convert("riff.wav", "--to", "sax.wav", "--midi").exit_code == 0
    found = pretty_midi.PrettyMIDI("riff.sax.mid").instruments[0].notes
    assert tuple(note.pitch for note in sorted(found, key=lambda n: n.start)) == SCALE * 4
    begun = sorted(note.start for note in found)
    np.testing.assert_allclose(begun, 0.6 * np.arange(16), atol=0.07)  # two frames
    again = convert("riff.wav", "--to", "sax.wav", "--midi", "--out", "riff.sax.2.wav")
    assert again.exit_code == 0 and Path("riff.sax.2.mid").exists()
    Path("riff.sax.wav").unlink()
    with pytest.raises(AudioError, match=r"riff.sax.mid: exists already"):
        convert("riff.wav", "--to", "sax.wav", "--midi")


def test_whole_octaves_bring_a_recording_into_the_range_of_its_target(exp: Path) -> None:
    play("riff.wav", SCALE * 3)
    for name, octaves in (("cello", -1), ("flute", 1), ("twin", 0)):
        play(f"{name}.wav", tuple(12 * octaves + pitch + 2 for pitch in SCALE))
        words = ("riff.wav", "--to", f"{name}.wav", "--transpose", "auto", "--midi")
        assert convert(*words).exit_code == 0
        found = pretty_midi.PrettyMIDI(f"riff.{name}.mid").instruments[0].notes
        assert {note.pitch for note in found} == {12 * octaves + pitch for pitch in SCALE}


def test_what_has_no_pitch_has_no_octaves(exp: Path) -> None:
    play("sax.wav", SCALE)
    hiss = 0.1 * np.random.default_rng(0).standard_normal(RATE).astype(np.float32)
    audio.write(Path("hiss.wav"), hiss, RATE)
    told = "--transpose auto: hiss.wav: no pitch in it; give the semitones"
    with pytest.raises(AudioError, match=told):
        convert("hiss.wav", "--to", "sax.wav", "--transpose", "auto")
    converter = vctool.load(exp, "cpu")
    with pytest.raises(AudioError, match="--transpose auto: the input: no pitch"):
        converter.convert(hiss, RATE, to="sax.wav", transpose="auto")


def test_a_model_that_finds_no_notes_says_so(exp: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("riff.wav", "sax.wav"):
        play(name, SCALE)
    monkeypatch.setattr("vctool.models.timbre_vqvae.system.System.finds_notes", False)
    for words in (("--midi",), ("--transpose", "auto")):
        with pytest.raises(ConfigError, match=f"{' '.join(words)}: exp/one finds no notes"):
            convert("riff.wav", "--to", "sax.wav", *words)


def test_it_is_taken_where_it_is_named_or_nothing_else_takes_the_target(
    exp: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or recordings of a voice would be played as an instrument once there is such a model."""
    play("sax.wav", SCALE)
    asked = discover.Asked(["sax.wav"], False)
    assert discover.fitting(Path("exp"), asked).fitting[0].family == "knn_vc"
    assert discover.named(exp).fitting[0].family == "timbre_vqvae"
    monkeypatch.setattr(discover.untrained, "names", list)
    assert discover.fitting(Path("exp"), asked).fitting[0].family == "timbre_vqvae"


def test_a_target_without_pitch_and_one_that_is_the_source_are_told(
    exp: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    play("riff.wav", SCALE)
    hiss = 0.1 * np.random.default_rng(0).standard_normal(RATE).astype(np.float32)
    audio.write(Path("drums.wav"), hiss, RATE)
    with pytest.raises(DataError, match=r"drums.wav: no pitch in it; give a recording of an inst"):
        convert("riff.wav", "--to", "drums.wav")
    assert "its own target" not in caplog.text
    convert("riff.wav", "--to", "riff.wav")
    assert "--to riff: a recording is its own target, and stays much as it is" in caplog.text
