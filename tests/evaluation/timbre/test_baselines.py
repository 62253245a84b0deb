"""Baselines of timbre transfer: what every formula keeps and what it changes."""

import numpy as np
import pytest

from vctool import audio
from vctool.corpora import tones
from vctool.evaluation.timbre import baselines
from vctool.metrics import lsd_music, timbre_network

RATE = tones.INFO.rate


def play(name: str, stretch: int, voices: str = "mono") -> np.ndarray:
    notes = tones.notes(f"test_{voices}_{stretch:03d}")
    return 0.1 * tones.play(notes, tones.SEEN[name], np.random.default_rng(stretch))


def strongest(wave: np.ndarray, start: float) -> float:
    part = wave[round(start * RATE) :][: RATE // 5]
    spectrum = np.abs(np.fft.rfft(part * np.hanning(len(part)), 1 << 15))
    return float(np.argmax(spectrum) * RATE / (1 << 15))


def timbre(one: np.ndarray, other: np.ndarray) -> float:
    a, b = timbre_network.embed([one, other], RATE)
    return float(1 - a @ b)


def distance(one: np.ndarray, other: np.ndarray) -> float:
    return lsd_music.distance(lsd_music.log_mel(one), lsd_music.log_mel(other))


def test_a_swap_of_a_recording_with_itself_is_the_recording() -> None:
    wave = play("reed", 0)
    np.testing.assert_allclose(baselines.swap(wave, wave, RATE), wave, atol=1e-6)
    short = wave[:1500]
    np.testing.assert_allclose(baselines.swap(short, short, RATE), short, atol=1e-6)


def test_a_swap_keeps_the_notes_and_takes_the_mean_spectrum() -> None:
    content, style, target = play("organ", 0), play("brass", 1), play("brass", 0)
    made = baselines.swap(content, style, RATE)
    level = [10 * np.log10(baselines.envelope(one, RATE)) for one in (made, style, content)]
    shown = slice(20, 700)  # up to 5.6 kHz
    near, far = (np.abs(one - level[1])[shown].mean() for one in (level[0], level[2]))
    assert near < 0.5 * far
    for onset, offset, pitch in tones.notes("test_mono_000")[:4]:
        if offset - onset > 0.3:
            ratio = strongest(made, onset + 0.05) / (440 * 2 ** ((pitch - 69) / 12))
            assert ratio == pytest.approx(round(ratio), rel=0.03) and round(ratio) >= 1
    assert distance(made, target) < distance(content, target)


def test_musaicing_is_made_of_the_style_and_follows_the_content() -> None:
    content, style = play("organ", 0), play("vibes", 1)
    made = baselines.musaicing(content, style)
    assert len(made) == len(content) and np.isfinite(made).all()
    assert timbre(made, style) < timbre(content, style)
    assert distance(made, content) < distance(style, content)
    # a style that holds every frame of the content gives the content's sound back
    own = baselines.musaicing(content, content)
    assert distance(own, content) < 8


def test_grains_have_the_sound_of_the_style_and_other_notes() -> None:
    content, style = play("flute", 0), play("brass", 1)
    made = baselines.grains(content, style, RATE, 0)
    assert len(made) == len(content)
    assert timbre(made, style) < timbre(made, content)
    np.testing.assert_array_equal(made, baselines.grains(content, style, RATE, 0))
    assert np.abs(made - baselines.grains(content, style, RATE, 1)).max() > 0.01
    # as loud in time as the content
    quiet = content.copy()
    quiet[: len(quiet) // 2] *= 0.05
    made = baselines.grains(quiet, style, RATE, 0)
    half = len(made) // 2
    assert np.std(made[:half]) < 0.2 * np.std(made[half:])


def test_every_baseline_is_as_loud_as_the_content() -> None:
    contents, styles = [play("flute", 0), play("organ", 1)], [play("brass", 1), play("reed", 0)]
    made = baselines.build(contents, styles, RATE)
    assert set(made) == set(baselines.SYSTEMS) - {baselines.REAL, baselines.RESYNTHESIS}
    wanted = [audio.level_db(one, RATE) for one in contents]
    for name in (baselines.SWAP, baselines.GRAINS, baselines.MUSAICING):
        levels = [audio.level_db(one, RATE) for one in made[name]]
        np.testing.assert_allclose(levels, wanted, atol=0.3)
