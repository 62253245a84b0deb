"""What is said of a conversion: what the recipe decided, and what came out."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from tests.sounds import buzz, make_note, speak
from tests.toy import FEATURES
from vctool import audio
from vctool.audio.tracks import ArrayTrack
from vctool.inference import account
from vctool.inference.files import convert_files

Make = Callable[..., np.ndarray]
Save = Callable[..., Path]


@pytest.fixture
def said(
    files: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> Callable[..., list[str]]:
    """Converts `in.wav` (1 s), and returns what was logged."""
    monkeypatch.chdir(files)
    caplog.set_level(logging.INFO)

    def convert(source: str = "in.wav", **options: Any) -> list[str]:
        caplog.clear()
        convert_files([source], force=True, device="cpu", **options)
        return caplog.messages

    return convert


def test_a_stretch_that_the_recipe_decides_is_said(
    said: Callable[..., list[str]], save_toy: Save
) -> None:
    save_toy(stretch=1.5)
    backed = {"accomp": Path("inst.wav")}
    told = (
        "to singing, outputs are 1.5 times as long as inputs (convert.stretch of the model's "
        "recipe); --stretch 1 keeps the length"
    )
    assert told in said(**backed)
    # neither what the user says himself, nor what changes nothing
    for options in ({**backed, "stretch": 1.5}, {**backed, "stretch": 1.0}, {"to": "speech"}):
        assert not [one for one in said(**options) if "convert.stretch" in one]


def test_what_came_out_is_said_with_length_level_and_notes_in_key(
    said: Callable[..., list[str]], save_toy: Save, speech: Make, note: Make
) -> None:
    save_toy(stretch=1.5)
    soundfile.write("slow.wav", speech(2.0), 16000)
    chord = sum(note(2.0, 57 + step) for step in (0, 3, 7)) / 3
    soundfile.write("minor.wav", chord, 16000)
    level = audio.level_db(speech(2.0), 16000)
    lines = said("slow.wav", accomp=Path("minor.wav"))
    (line,) = [one for one in lines if one.startswith("slow.singing.wav: ")]
    # the toy sings the strongest note of the accompaniment
    assert line == (
        f"slow.singing.wav: 3.00 s, 1.5 times the input's, 16000 Hz, {level:.1f} dB, "
        "100% of its notes in the accompaniment's key, A minor (58% by chance)"
    )
    assert f"slow.speech.wav: 2.00 s, 16000 Hz, {level:.1f} dB" in said("slow.wav", to="speech")
    soundfile.write("still.wav", np.zeros(16000), 16000)
    assert "still.speech.wav: 1.00 s, 16000 Hz" in said("still.wav", to="speech")


@pytest.mark.parametrize(("seconds", "heard"), [(4.0, True), (1.0, True), (0.2, False)])
def test_where_few_notes_are_held_they_are_not_spoken_of(seconds: float, heard: bool) -> None:
    """Of a voice beyond the tracker's range it holds some tenths of a second, and those wrongly."""
    noise = 1e-3 * np.random.default_rng(0).standard_normal(4 * 16000)
    sung = buzz(seconds, 440, 8)
    voice = ArrayTrack(noise + np.pad(sung, (0, len(noise) - len(sung))))
    backing = ArrayTrack(sum(make_note(4.0, 57 + step) for step in (0, 4, 7)) / 3)
    told = account.in_key(voice, backing, FEATURES, 16000 * 4)
    wanted = "100% of its notes in the accompaniment's key, A major (58% by chance)"
    assert told == (wanted if heard else "")


def test_transposing_out_of_the_accompaniment_s_key_is_said(
    said: Callable[..., list[str]], save_toy: Save
) -> None:
    save_toy()
    backed = {"accomp": Path("inst.wav")}
    told = "--transpose 3: moves the voice alone, out of the key of the accompaniment"
    assert [one for one in said(transpose=3, **backed) if one.startswith(told)]
    for options in ({**backed, "transpose": -12}, {"transpose": 3, "to": "speech"}, backed):
        assert not [one for one in said(**options) if one.startswith("--transpose")]


@pytest.mark.parametrize(
    ("hz", "told"),
    [
        (1200.0, "high.wav: F0 goes up to 1299 Hz, above"),
        (52.0, "high.wav: F0 goes down to 4"),
        (220.0, None),
        (900.0, None),  # the toy's range is 65 to 1000 Hz, and this is no more than 990
    ],
)
def test_a_recording_beyond_the_model_s_range_is_named(
    said: Callable[..., list[str]], save_toy: Save, hz: float, told: str | None
) -> None:
    save_toy()
    wave = speak(3, hz)
    soundfile.write("high.wav", wave, 16000)
    lines = [one for one in said("high.wav", to="speech") if "F0 goes" in one]
    if told is None:
        assert not lines
    else:
        (line,) = lines
        assert line.startswith(told) and "the model's features.f0_" in line


@pytest.mark.parametrize(("to", "source"), [("TM3", "SF1"), ("SF1", "TM3")])
def test_a_model_of_one_pair_says_whom_it_expects(
    caplog: pytest.LogCaptureFixture, to: str, source: str
) -> None:
    caplog.set_level(logging.INFO)
    pair = {"corpus": {"name": "vcc2016", "source": "SF1", "target": "TM3"}}
    account.tell_source(Path("exp/pair"), pair, to)
    assert f"exp/pair was trained to turn {source} into {to}" in caplog.text
    caplog.clear()
    many = {"corpus": {"name": "vcc2016", "speakers": ["SF1", "TM3"], "source": None}}
    for recipe in (many, {"corpus": {"speech": "a", "singing": "b"}}, {}):
        account.tell_source(Path("exp/many"), recipe, to)
    assert not caplog.text


def burst(wave: np.ndarray, gain_db: float) -> audio.LevelMeter:
    """Measure a wave whose 40 ms from 1 s on are louder."""
    loud = wave.copy()
    loud[16000:16640] = np.random.default_rng(0).standard_normal(640) * 0.05
    loud[16000:16640] *= 10 ** (gain_db / 20)
    meter = audio.LevelMeter(16000)
    meter.add(loud)
    return meter


def test_a_sound_that_stands_out_of_the_output_is_named(
    caplog: pytest.LogCaptureFixture, speech: Make
) -> None:
    wave = speech(3.0)
    source = burst(wave, 0)
    account.tell_loudest(Path("a.wav"), burst(wave, 20), source)
    (told,) = caplog.messages
    assert told.startswith("a.wav: at 1.00 s a sound is ")
    caplog.clear()
    # as loud as in the input, at any level
    account.tell_loudest(Path("a.wav"), source, source)
    account.tell_loudest(Path("a.wav"), burst(wave, 20), burst(wave, 20))
    account.tell_loudest(Path("a.wav"), burst(0.1 * wave, -20), source)
    assert not caplog.messages
