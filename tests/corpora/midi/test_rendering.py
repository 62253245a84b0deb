from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from vctool import audio
from vctool.corpora.midi import rendering, soundfonts
from vctool.corpora.midi.rendering import Rendering
from vctool.corpora.midi.score import Control, Note, Track
from vctool.errors import DataError

RATE = 16000
FLUTE = 73


def note(pitch: int, *, start: float = 0.5, program: int = FLUTE) -> Track:
    return Track("", program, False, (Note(start, start + 1.0, pitch, 100),))


def strongest(wave: np.ndarray, start: float, end: float) -> float:
    """The frequency [Hz] of the strongest partial within a stretch of time [s]."""
    part = wave[round(start * RATE) : round(end * RATE)]
    spectrum = np.abs(np.fft.rfft(part * np.hanning(len(part)), 1 << 17))
    return float(np.argmax(spectrum) * RATE / (1 << 17))


@pytest.mark.parametrize("pitch", [69, 81])
def test_a_note_sounds_at_its_pitch_and_time(fluidsynth: str, small_font: Path, pitch: int) -> None:
    wave = rendering.render(Rendering((note(pitch),), small_font, RATE, 2.0))
    assert len(wave) == 2 * RATE
    assert np.abs(wave[: round(0.49 * RATE)]).max() < 1e-3
    assert np.abs(wave[round(0.55 * RATE) : RATE]).max() > 0.03
    cents = 1200 * np.log2(strongest(wave, 0.7, 1.4) / (440 * 2 ** ((pitch - 69) / 12)))
    assert abs(cents) < 20


def test_the_same_job_gives_the_same_samples_and_another_program_others(
    fluidsynth: str, small_font: Path
) -> None:
    job = Rendering((note(69),), small_font, RATE, 1.2)
    first, again = rendering.render(job), rendering.render(job)
    np.testing.assert_array_equal(first, again)
    violin = Rendering((note(69, program=40),), small_font, RATE, 1.2)
    assert np.abs(rendering.render(violin) - first).max() > 0.01
    assert violin.hash != job.hash == Rendering((note(69),), small_font, RATE, 1.2).hash


def test_there_is_no_reverberation_after_a_note(fluidsynth: str, small_font: Path) -> None:
    # not even where the score asks for all of it (controller 91)
    track = replace(note(69, start=0.0), controls=(Control(0.0, 91, 127),))
    wave = rendering.render(Rendering((track,), small_font, RATE, 3.0))
    assert np.abs(wave[2 * RATE :]).max() < 1e-4 < np.abs(wave[:RATE]).max()


def test_what_is_rendered_already_is_left_alone(
    fluidsynth: str, small_font: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = Rendering((note(69),), small_font, RATE, 1.2)
    path = rendering.render_to(job, tmp_path, "a")
    assert audio.info(path).samples == round(1.2 * RATE)
    monkeypatch.setenv("PATH", "")  # it could not be rendered now
    assert rendering.render_to(job, tmp_path, "a") == path
    with pytest.raises(DataError, match="fluidsynth: not found"):
        rendering.render_to(Rendering((note(70),), small_font, RATE, 1.2), tmp_path, "a")


def test_a_missing_program_is_one_line_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DataError) as caught:
        rendering.program()
    assert str(caught.value) == (
        "fluidsynth: not found on the path, and MIDI is rendered with it; on Debian and Ubuntu: "
        "apt-get install fluidsynth"
    )


def test_a_damaged_sound_font_is_not_replaced_by_another(
    fluidsynth: str, small_font: Path, tmp_path: Path
) -> None:
    bad = tmp_path / "bad.sf2"
    bad.write_bytes(small_font.read_bytes()[:20000])
    with pytest.raises(DataError, match=r"bad.sf2: cannot be used by fluidsynth"):
        rendering.render(Rendering((note(69),), bad, RATE, 1.0))


def test_notes_that_a_font_has_no_sound_for_are_an_error(fluidsynth: str, small_font: Path) -> None:
    # the General MIDI kit has nothing on the lowest key
    kit = Track("", 0, True, (Note(0.0, 1.0, 0, 100),))
    with pytest.raises(DataError, match="made no sound of the notes"):
        rendering.render(Rendering((kit,), small_font, RATE, 1.0))


def test_room_on_the_disk_is_asked_for_first(tmp_path: Path) -> None:
    rendering.check_room(tmp_path / "not" / "yet", 10.0, RATE)
    with pytest.raises(DataError, match=r"rendering needs .* GB of disk"):
        rendering.check_room(tmp_path / "not" / "yet", 1e12, RATE)


def test_sound_fonts_are_found_by_name_and_missed_with_a_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(soundfonts, "SEARCHED", (tmp_path / "system",))
    assert soundfonts.find(soundfonts.FLUID) is None
    with pytest.raises(DataError, match="FluidR3 GM: not found; apt-get install fluid-soundfont"):
        soundfonts.require(soundfonts.FLUID)
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "FluidR3_GM.SF2").touch()
    monkeypatch.setenv(soundfonts.VARIABLE, f"{tmp_path / 'none'}:{mine}")
    assert soundfonts.require(soundfonts.FLUID) == mine / "FluidR3_GM.SF2"
