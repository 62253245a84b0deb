"""Many recordings by one run of FluidSynth, each as if it were alone."""

from pathlib import Path

import numpy as np
import pytest

from vctool.corpora.midi import batches, rendering
from vctool.corpora.midi.rendering import NoSound, Rendering
from vctool.corpora.midi.score import Note, Track

RATE, SECONDS = 16000, 2.0
PIANO, HARP = 0, 46


def scores(program: int, count: int, voices: int = 1) -> list[tuple[Track, ...]]:
    """Melodies of short notes that ring on, and chords."""
    random = np.random.default_rng(program)
    made = []
    for _ in range(count):
        tracks = []
        for voice in range(voices):
            times = np.arange(0.0, SECONDS, 0.13 * (1 + voice))
            keys = random.integers(45, 85, len(times))
            notes = [
                Note(start, start + 0.1, key, 90)
                for start, key in zip(times.tolist(), keys.tolist(), strict=True)
            ]
            tracks.append(Track("", program, False, tuple(notes)))
        made.append(tuple(tracks))
    return made


def jobs(font: Path, program: int, count: int = 4, voices: int = 1) -> list[Rendering]:
    return [Rendering(one, font, RATE, SECONDS) for one in scores(program, count, voices)]


@pytest.mark.parametrize("program", [PIANO, HARP])
@pytest.mark.parametrize("voices", [1, 2])
def test_a_recording_is_the_same_alone_and_among_others(
    fluidsynth: str, small_font: Path, program: int, voices: int
) -> None:
    wanted = jobs(small_font, program, voices=voices)
    together = list(batches.render(wanted))
    for job, wave in zip(wanted, together, strict=True):
        (alone,) = batches.render([job])
        assert len(wave) == round(RATE * SECONDS) and wave.dtype == np.float32
        np.testing.assert_array_equal(wave, alone)
    assert np.abs(together[0] - together[1]).max() > 0.05


def test_it_is_what_one_run_for_a_recording_gives_but_for_onsets(
    fluidsynth: str, small_font: Path
) -> None:
    (job, *_) = wanted = jobs(small_font, PIANO)
    wave, plain = next(batches.render(wanted)), rendering.render(job)
    assert isinstance(wave, np.ndarray)
    off = np.abs(wave - plain)
    assert off.max() < 0.1 * np.abs(plain).max()
    near = np.zeros(len(off), bool)
    for note in job.tracks[0].notes:
        start = round(note.start * RATE)
        near[max(0, start - 64) : start + 3 * 64] = True
    assert off[~near].max() < 2e-3 * np.abs(plain).max() < off.max()


def test_long_lists_take_several_runs(
    fluidsynth: str, small_font: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = jobs(small_font, PIANO, 5)
    whole = list(batches.render(wanted))
    monkeypatch.setattr(batches, "AT_ONCE", 2)
    for one, other in zip(whole, batches.render(wanted), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_recording_without_sound_is_told_and_leaves_the_others(
    fluidsynth: str, small_font: Path
) -> None:
    loud, *_ = jobs(small_font, PIANO)
    faint = Track("", PIANO, False, (Note(0.5, 0.6, 60, 1),))
    made = list(batches.render([loud, Rendering((faint,), small_font, RATE, SECONDS), loud]))
    assert isinstance(made[1], NoSound)
    np.testing.assert_array_equal(made[0], made[2])
