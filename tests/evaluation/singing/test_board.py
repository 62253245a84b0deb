"""The measures of a single wave, on sounds whose answer is known."""

import numpy as np
import pytest

from vctool.metrics import content, harmony, notes, pitch, spectral
from vctool.metrics.analysis import analyse

RATE = 16000


def tone(midi: np.ndarray, seed: int = 0) -> np.ndarray:
    """A harmonic sound whose pitch follows (T,) MIDI note numbers."""
    phase = np.cumsum(2 * np.pi * 440.0 * 2 ** ((midi - 69) / 12) / RATE)
    wave = sum(np.sin(k * phase) / k for k in range(1, 12))
    noise = np.random.default_rng(seed).standard_normal(len(midi))
    return np.asarray(0.1 * wave + 1e-4 * noise)


def melody(pitches: list[float], seconds: float = 0.5) -> np.ndarray:
    return tone(np.repeat(pitches, int(seconds * RATE)))


def test_f0_is_found_and_frames_count_as_stated() -> None:
    f0 = analyse(melody([57.0] * 4), RATE).f0
    assert len(f0) == 1 + 4 * RATE // 2 // pitch.HOP
    middle = f0[20:-20]
    assert np.abs(1200 * np.log2(middle / 220.0)).max() < 5


@pytest.mark.parametrize("samples", [0, 1, 500, 16000])
def test_silence_and_scraps_are_unvoiced_and_finite(samples: int) -> None:
    result = analyse(np.zeros(samples), RATE)
    assert not result.f0.any() and np.isfinite(result.cepstra).all()
    assert len(result.f0) == len(result.bands) == 1 + samples // pitch.HOP


def test_level_and_rate_do_not_matter() -> None:
    wave = melody([50.0, 55.0])
    loud, quiet = analyse(wave, RATE), analyse(0.01 * wave, RATE)
    np.testing.assert_allclose(loud.f0, quiet.f0, rtol=1e-6)
    np.testing.assert_allclose(loud.cepstra, quiet.cepstra, atol=1e-6)


def test_cents_follow_the_time_map_and_keep_octaves() -> None:
    truth = np.repeat([200.0, 300.0], 100)
    output = np.repeat([400.0, 600.0], 50)  # an octave up, twice as fast
    cents = pitch.cents_off(output, truth, np.array([0.0, 1.0]), np.array([0.0, 2.0]))
    assert np.median(cents) == pytest.approx(1200) and len(cents) > 90
    assert np.abs(pitch.fold_octaves(cents)).max() == pytest.approx(0, abs=1e-6)
    straight = pitch.cents_off(output, truth, np.array([0.0, 1.0]), np.array([0.0, 1.0]))
    assert np.abs(straight).max() == pytest.approx(1200 * np.log2(3.0))


def test_held_notes_are_stable_and_glides_are_not() -> None:
    held = 440 * 2 ** ((np.repeat([60.0, 64.0], 50) - 69) / 12)
    glide = 440 * 2 ** ((np.linspace(48, 72, 100) - 69) / 12)  # 24 semitones a second
    assert notes.stability(held) == 1.0
    assert notes.stability(glide) == 0.0
    assert np.isnan(notes.stability(np.zeros(50)))


def test_segments_cover_every_voiced_frame_once() -> None:
    rng = np.random.default_rng(0)
    f0 = 200 * 2 ** (np.cumsum(rng.normal(0, 0.3, 400)) / 12) * (rng.random(400) > 0.1)
    found = notes.segment(f0)
    covered = np.concatenate([np.arange(note.start, note.stop) for note in found])
    np.testing.assert_array_equal(covered, np.flatnonzero(f0))
    for note in found:
        semitones = pitch.to_semitones(f0[note.start : note.stop])
        assert np.abs(semitones - note.pitch).max() <= notes.TOLERANCE + 1e-9


def test_histograms_count_frames_and_steps() -> None:
    f0 = 440 * 2 ** ((np.repeat([60.0, 64.0, 57.0], [30, 20, 40]) - 69) / 12)
    found = notes.segment(f0)
    lengths = notes.length_histogram(found)
    assert lengths.sum() == 90 and lengths[6] == 30 and lengths[4] == 20 and lengths[8] == 40
    steps = notes.interval_histogram(found)
    assert steps.sum() == 2 and steps[12 + 4] == 1 and steps[12 - 7] == 1


def test_chroma_names_the_pitch_class_and_silence() -> None:
    weights = harmony.chroma(np.concatenate([melody([69.0] * 4), np.zeros(RATE)]), RATE)
    assert harmony.strongest(weights[20:150])[0] == 9  # A
    np.testing.assert_allclose(weights[:190].sum(axis=1), 1.0)
    assert np.isnan(weights[-20:]).all()
    assert not harmony.has_sound(harmony.chroma(np.zeros(RATE), RATE))


def test_agreement_is_with_the_own_accompaniment() -> None:
    chromas = [harmony.chroma(melody([p] * 4), RATE) for p in (60.0, 66.0)]
    f0 = np.full(200, 440 * 2 ** ((48 - 69) / 12))
    own, frames = harmony.agreement(f0, chromas[0])
    other, others = harmony.shuffled_agreement(f0, 0, chromas)
    assert frames == others == 200 and own / frames > 3 * other / others


def speechlike(seed: int) -> np.ndarray:
    """Filtered noise whose filter wanders: an envelope of its own for every seed."""
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal(2 * RATE)
    pieces = []
    for piece in np.split(noise, 20):
        spectrum = np.fft.rfft(piece)
        curve = np.interp(
            np.arange(len(spectrum)), np.linspace(0, len(spectrum), 8), rng.normal(0, 1.5, 8)
        )
        pieces.append(np.fft.irfft(spectrum * np.exp(curve)))
    return np.concatenate(pieces)


def found_by_mel(outputs: list[np.ndarray], sources: list[np.ndarray]) -> float:
    hits, _ = content.retrieve(outputs, sources, content.prepare, content.distances)
    return float(hits.mean())


def test_content_survives_a_filter_and_lengthening_but_not_another_text() -> None:
    waves = [speechlike(seed) for seed in range(8)]
    sources = [spectral.bands_db(wave) for wave in waves]
    darker = [spectral.bands_db(np.convolve(wave, [1, 0.9], "same")) for wave in waves]
    assert found_by_mel(darker, sources) == 1.0
    longer = [
        content.resample_frames(bands, 300)[
            np.minimum((np.arange(300) / 300) ** 1.08 * 300, 299).astype(int)
        ]
        for bands in sources
    ]
    assert found_by_mel(longer, sources) >= 0.9
    assert found_by_mel(sources[1:] + sources[:1], sources) == 0.0


def test_a_band_lets_time_bend_for_lengthened_outputs() -> None:
    source = content.prepare(spectral.bands_db(speechlike(3)))
    frames = len(source)
    bend = np.arange(frames) + 3.0 * np.sin(np.linspace(0, np.pi, frames))
    bent = source[np.minimum(np.rint(bend).astype(int), frames - 1)]
    straight = content.distances(bent, [source], 0.0)[0]
    assert content.distances(bent, [source], content.BAND)[0] < 0.3 * straight
